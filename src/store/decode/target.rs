//! Where decoded voxels go: a strided box in the caller's buffer, by rows.

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
    /// Bytes of a stored voxel.
    pub(crate) item: usize,
}

/// What happens to a row on its way into the caller's buffer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Rows {
    /// Bytes as stored.
    Copy,
    /// To `f32`, scaled: computed as `f64`, rounded once.
    ToF32 {
        /// Type of the stored voxels.
        dtype: Dtype,
        /// The scaling to apply.
        scaling: Scaling,
    },
}

/// The place of a [`Part`] in the caller's buffer. All fields but `bytes` are in bytes.
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
    /// The destination of row `(z, y)` of the part, counted from the part's own start; `length`
    /// in bytes as they are in the destination.
    pub(crate) fn row_mut(&mut self, z: usize, y: usize, length: usize) -> &mut [u8] {
        let at = self.offset + z * self.plane + y * self.row;
        &mut self.bytes[at..at + length]
    }

    /// Writes row `(z, y)` of the part from stored voxels in native byte order.
    pub(crate) fn put(&mut self, z: usize, y: usize, stored: &[u8]) {
        match self.rows {
            Rows::Copy => self.row_mut(z, y, stored.len()).copy_from_slice(stored),
            Rows::ToF32 { dtype, scaling } => {
                let out = self.row_mut(z, y, stored.len() / dtype.size() * size_of::<f32>());
                with_element!(dtype, T => scale_row::<T>(stored, out, scaling));
            }
        }
    }
}

#[allow(clippy::cast_possible_truncation)]
fn scale_row<T: Element>(stored: &[u8], out: &mut [u8], scaling: Scaling) {
    for (voxel, out) in stored.chunks_exact(size_of::<T>()).zip(out.chunks_exact_mut(4)) {
        let value = bytemuck::pod_read_unaligned::<T>(voxel).to_f64();
        let scaled = value * scaling.slope + scaling.intercept;
        out.copy_from_slice(&(scaled as f32).to_ne_bytes());
    }
}
