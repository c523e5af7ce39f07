//! A box of voxels, as the parts of the chunks that it touches.

use super::shard::file_order;
use crate::Result;
use crate::codec::{Part, Rows, Target, signed};

/// Where a box of voxels goes: a buffer, and in bytes where its first voxel is, and from there the
/// next plane, the next row and the next voxel. The last of these is the size of a voxel, and any
/// is negative where the box is mirrored.
pub(crate) struct Destination<'a> {
    bytes: &'a mut [u8],
    offset: usize,
    strides: [isize; 3],
}

impl<'a> Destination<'a> {
    /// A buffer that is an array of this shape, `z, y, x`, C-contiguous, of voxels of `item` bytes.
    pub(crate) fn dense(bytes: &'a mut [u8], shape: [usize; 3], item: usize) -> Self {
        let row = shape[2] * item;
        Self { bytes, offset: 0, strides: [shape[1] * row, row, item].map(signed) }
    }

    /// The same, mirrored along these axes; none of `shape` is 0.
    pub(crate) fn flipped(mut self, axes: [bool; 3], shape: [usize; 3]) -> Self {
        let last = std::array::from_fn(|a| if axes[a] { shape[a] - 1 } else { 0 });
        self = self.from(last);
        for (stride, flip) in self.strides.iter_mut().zip(axes) {
            *stride = if flip { -*stride } else { *stride };
        }
        self
    }

    /// The same from this voxel on, `z, y, x`.
    pub(crate) fn from(self, at: [usize; 3]) -> Self {
        Self { offset: moved(self.offset, self.strides, at), ..self }
    }
}

fn moved(offset: usize, strides: [isize; 3], by: [usize; 3]) -> usize {
    let by: isize = (0..3).map(|a| signed(by[a]) * strides[a]).sum();
    offset.wrapping_add_signed(by)
}

/// The chunks that a box touches, by their places in the chunk grid, in the order of their shards.
/// All in voxels, `z, y, x`; no axis of the box is empty.
pub(super) fn chunks_of(
    chunk: [usize; 3],
    start: [usize; 3],
    shape: [usize; 3],
) -> impl Iterator<Item = [usize; 3]> {
    let first = std::array::from_fn(|a| start[a] / chunk[a]);
    let last = std::array::from_fn(|a| (start[a] + shape[a] - 1) / chunk[a]);
    file_order(chunk, first, last)
}

/// Calls `read` for each chunk that the box touches, in the order of [`chunks_of`]: with its place
/// in the chunk grid, the part of it that is wanted and where that goes. `chunk`, `start` and
/// `shape` are in voxels, `z, y, x`; `item` is in bytes of a stored voxel.
#[inline]
pub(super) fn for_each_part(
    chunk: [usize; 3],
    start: [usize; 3],
    shape: [usize; 3],
    (rows, item): (Rows, usize),
    out: Destination<'_>,
    mut read: impl FnMut([usize; 3], &Part, &mut Target<'_>) -> Result<()>,
) -> Result<()> {
    let Destination { bytes, offset, strides } = out;
    for at in chunks_of(chunk, start, shape) {
        let origin: [usize; 3] = std::array::from_fn(|a| at[a] * chunk[a]);
        let from: [usize; 3] = std::array::from_fn(|a| start[a].max(origin[a]));
        let end: [usize; 3] =
            std::array::from_fn(|a| (start[a] + shape[a]).min(origin[a] + chunk[a]));
        let part = Part {
            chunk,
            start: std::array::from_fn(|a| from[a] - origin[a]),
            shape: std::array::from_fn(|a| end[a] - from[a]),
            item,
        };
        let inside = std::array::from_fn(|a| from[a] - start[a]);
        let offset = moved(offset, strides, inside);
        let mut target = Target { offset, bytes: &mut *bytes, strides, rows };
        read(at, &part, &mut target)?;
    }
    Ok(())
}
