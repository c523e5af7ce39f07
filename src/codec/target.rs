//! Where decoded voxels go: a strided box in the caller's buffer, by rows.

use super::rows::{Rows, Steps};

/// The box of a chunk that is wanted; shapes and start in voxels, `z, y, x`. The box lies inside
/// the chunk and no axis of it is empty.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Part {
    /// Shape of the whole chunk.
    pub(crate) chunk: [usize; 3],
    /// First wanted voxel.
    pub(crate) start: [usize; 3],
    /// Wanted voxels.
    pub(crate) shape: [usize; 3],
    /// Bytes of a stored voxel: 1, 2, 4 or 8.
    pub(crate) item: usize,
}

impl Part {
    /// Bytes of the decoded chunk; `None` if they do not fit `usize`.
    pub(crate) fn chunk_bytes(&self) -> Option<usize> {
        crate::voxels(self.chunk)?.checked_mul(self.item)
    }

    /// True if every voxel of the chunk is wanted.
    pub(crate) fn is_whole(&self) -> bool {
        self.shape == self.chunk
    }
}

/// The place of a [`Part`] in the caller's buffer. All fields but `bytes` are in bytes. The
/// caller sees to it that every row lies inside the buffer.
#[derive(Debug)]
pub(crate) struct Target<'a> {
    /// The caller's whole buffer.
    pub(crate) bytes: &'a mut [u8],
    /// Where the part's first voxel goes.
    pub(crate) offset: usize,
    /// From there to the next z-plane, the next row and the next voxel, which is as far as a voxel
    /// is long. Negative where the part is mirrored.
    pub(crate) strides: [isize; 3],
    /// What happens to each row.
    pub(crate) rows: Rows,
}

impl Target<'_> {
    /// From one row to the next, if rows go there upwards and as they are stored: then any number
    /// of them may be written from [`Self::rest_mut`] on.
    #[inline]
    pub(super) fn straight(&self) -> Option<usize> {
        if matches!(self.rows, Rows::Copy) { self.upwards() } else { None }
    }

    /// From one row to the next, if rows go upwards and are not mirrored.
    #[inline]
    pub(super) fn upwards(&self) -> Option<usize> {
        let [_, row, voxel] = self.strides;
        (voxel > 0).then(|| row.try_into().ok()).flatten()
    }

    /// The buffer from voxel `at` of the part on.
    #[inline]
    pub(super) fn rest_mut(&mut self, at: [usize; 3]) -> &mut [u8] {
        let from = self.place(at);
        &mut self.bytes[from..]
    }

    #[inline]
    fn place(&self, at: [usize; 3]) -> usize {
        let by: isize = (0..3).map(|a| signed(at[a]) * self.strides[a]).sum();
        self.offset.wrapping_add_signed(by)
    }

    /// The place of `width` voxels of a row from voxel `at` on. Of a mirrored row, what is written
    /// there is to be turned around by [`Self::turn`].
    pub(super) fn row_mut(&mut self, [z, y, x]: [usize; 3], width: usize) -> &mut [u8] {
        let voxel = self.strides[2];
        let lowest = if voxel < 0 { x + width - 1 } else { x };
        &mut self.rest_mut([z, y, lowest])[..width * voxel.unsigned_abs()]
    }

    /// Mirrors voxels just written to [`Self::row_mut`], if the row is to be.
    pub(super) fn turn(strides: [isize; 3], row: &mut [u8]) {
        match strides[2] {
            0.. => {}
            -1 => row.reverse(),
            -2 => row.as_chunks_mut::<2>().0.reverse(),
            -4 => row.as_chunks_mut::<4>().0.reverse(),
            _ => row.as_chunks_mut::<8>().0.reverse(),
        }
    }

    /// Writes voxels of a row, as they are stored, from voxel `at` of the part on.
    pub(super) fn put(&mut self, at: [usize; 3], stored: &[u8], width: usize) {
        let (rows, strides) = (self.rows, self.strides);
        let out = self.row_mut(at, width);
        rows.convert(stored, out, Steps { rows: 1, width, from: 0, to: 0 });
        Self::turn(strides, out);
    }

    /// The destination of the whole part, if it is one run of bytes, stored as they are.
    pub(super) fn run_mut(&mut self, part: &Part) -> Option<&mut [u8]> {
        let row = part.shape[2] * part.item;
        let plane = row * part.shape[1];
        let rows_meet = self.strides[1] == signed(row) || part.shape[1] == 1;
        let planes_meet = self.strides[0] == signed(plane) || part.shape[0] == 1;
        let straight = matches!(self.rows, Rows::Copy) && self.strides[2] > 0;
        (straight && rows_meet && planes_meet)
            .then(|| &mut self.bytes[self.offset..][..plane * part.shape[0]])
    }

    /// Fills the place of `part` with what stored voxels of 0 become.
    pub(crate) fn fill_zero(&mut self, part: &Part) {
        let pattern = self.rows.of_zero();
        for z in 0..part.shape[0] {
            for y in 0..part.shape[1] {
                let row = self.row_mut([z, y, 0], part.shape[2]);
                match pattern {
                    None => row.fill(0),
                    Some(value) => row.as_chunks_mut().0.fill(value),
                }
            }
        }
    }
}

/// A number of bytes or voxels of something in memory, which is never more than this type holds.
#[allow(clippy::cast_possible_wrap)]
#[inline]
pub(crate) const fn signed(n: usize) -> isize {
    n as isize
}
