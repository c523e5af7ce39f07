//! Where decoded voxels go: a strided box in the caller's buffer, by rows.

use crate::widening::Widening;
use crate::{Dtype, Element, Scaling, with_element};

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

/// What happens to a row on its way into the caller's buffer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Rows {
    /// Bytes as stored.
    Copy,
    /// To a wider type.
    Widen(&'static Widening),
    /// To `f32`, scaled: computed as `f64`, rounded once.
    ToF32 {
        /// Type of the stored voxels.
        dtype: Dtype,
        /// The scaling to apply.
        scaling: Scaling,
    },
}

impl Rows {
    /// Bytes of a voxel in the caller's buffer; `item` are those of a stored one.
    pub(crate) fn item(self, item: usize) -> usize {
        match self {
            Self::Copy => item,
            Self::Widen(widening) => widening.to.size(),
            Self::ToF32 { .. } => size_of::<f32>(),
        }
    }

    /// Converts one row of stored voxels, in native byte order, to the beginning of `out`.
    pub(super) fn convert(self, stored: &[u8], out: &mut [u8]) {
        match self {
            Self::Copy => out[..stored.len()].copy_from_slice(stored),
            Self::Widen(widening) => widening.widen(stored, out),
            Self::ToF32 { dtype, scaling } => scale_row(dtype, scaling, stored, out),
        }
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
    /// From one z-plane to the next.
    pub(crate) plane: usize,
    /// From one row to the next.
    pub(crate) row: usize,
    /// What happens to each row.
    pub(crate) rows: Rows,
}

impl Target<'_> {
    /// The buffer from row `(z, y)` of the part on, counted from the part's own start.
    pub(super) fn rest_mut(&mut self, z: usize, y: usize) -> &mut [u8] {
        &mut self.bytes[self.offset + z * self.plane + y * self.row..]
    }

    /// The destination of the whole part, if it is one run of bytes, stored as they are.
    pub(super) fn run_mut(&mut self, part: &Part) -> Option<&mut [u8]> {
        let row = part.shape[2] * part.item;
        let plane = row * part.shape[1];
        let rows_meet = self.row == row || part.shape[1] == 1;
        let planes_meet = self.plane == plane || part.shape[0] == 1;
        (self.rows == Rows::Copy && rows_meet && planes_meet)
            .then(|| &mut self.bytes[self.offset..][..plane * part.shape[0]])
    }

    /// Fills the place of `part` with stored voxels of 0, scaled if rows are.
    pub(crate) fn fill_zero(&mut self, part: &Part) {
        let pattern = match self.rows {
            // Zero bytes are 0 in every type.
            Rows::Copy | Rows::Widen(_) => None,
            Rows::ToF32 { scaling, .. } => Some(scale(0.0, scaling).to_ne_bytes()),
        };
        let length = part.shape[2] * self.rows.item(part.item);
        for z in 0..part.shape[0] {
            for y in 0..part.shape[1] {
                let row = &mut self.rest_mut(z, y)[..length];
                match pattern {
                    None => row.fill(0),
                    Some(value) => row.as_chunks_mut().0.fill(value),
                }
            }
        }
    }
}

/// Scales stored voxels, in native byte order, to the `f32` of `out`.
fn scale_row(dtype: Dtype, scaling: Scaling, stored: &[u8], out: &mut [u8]) {
    with_element!(dtype, T => scale_row_of::<T, { size_of::<T>() }>(scaling, stored, out));
}

fn scale_row_of<T: Element, const N: usize>(scaling: Scaling, stored: &[u8], out: &mut [u8]) {
    for (voxel, out) in stored.as_chunks::<N>().0.iter().zip(out.as_chunks_mut().0) {
        let value = bytemuck::pod_read_unaligned::<T>(voxel).to_f64();
        *out = scale(value, scaling).to_ne_bytes();
    }
}

#[allow(clippy::cast_possible_truncation)]
fn scale(value: f64, scaling: Scaling) -> f32 {
    (value * scaling.slope + scaling.intercept) as f32
}
