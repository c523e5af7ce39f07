//! A box of voxels, as the parts of the chunks that it touches.

use super::destination::{Destination, place};
use super::shard::file_order;
use crate::Result;
use crate::codec::{Part, Rows, Target};

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
    let Destination { bytes, offset, strides, .. } = out;
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
        let offset = place(offset, strides, inside);
        let mut target = Target { offset, bytes: &mut *bytes, strides, rows };
        read(at, &part, &mut target)?;
    }
    Ok(())
}
