//! What a read costs, counted on the stored volume.

use serde::Serialize;

use crate::store::Volume;
use crate::{Region, Result};

/// The work of one read. For reads in general, see the planner's expectations.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ReadCost {
    /// Chunks touched.
    pub chunks: usize,
    /// Bytes of those chunks as stored, in full.
    pub stored_bytes: u64,
    /// Bytes that are decoded: whole decode units (a few z-planes of a chunk with blosc, the
    /// chunk with others), so part of what is decoded may not be asked for.
    pub decoded_bytes: u64,
    /// Bytes of the voxels that are needed, each once, in the stored voxel type.
    pub returned_bytes: u64,
}

impl ReadCost {
    /// Bytes decoded for each byte asked for: 1 at best.
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn amplification(&self) -> f64 {
        self.decoded_bytes as f64 / self.returned_bytes.max(1) as f64
    }
}

impl std::ops::AddAssign for ReadCost {
    fn add_assign(&mut self, other: Self) {
        self.chunks += other.chunks;
        self.stored_bytes += other.stored_bytes;
        self.decoded_bytes += other.decoded_bytes;
        self.returned_bytes += other.returned_bytes;
    }
}

impl Volume {
    /// The work of reading a region with this handle: of the part inside the volume, and of the
    /// voxels that its padding takes what lies outside from. Opens the shards it touches, decodes
    /// nothing.
    ///
    /// # Errors
    /// [`crate::Error::CorruptStore`], [`crate::Error::Io`].
    pub fn cost(&self, region: Region) -> Result<ReadCost> {
        let mut cost = ReadCost::default();
        for (start, shape) in super::padded::boxes(self, region)? {
            cost += self.cost_of_box(start, shape)?;
        }
        Ok(cost)
    }

    /// Of a box inside the volume.
    fn cost_of_box(&self, start: [usize; 3], shape: [usize; 3]) -> Result<ReadCost> {
        let mut cost = ReadCost::default();
        let layout = self.layout();
        let item = self.stored_dtype().size();
        let unit = layout.codec.decode_unit(layout.chunk, item);
        let end: [usize; 3] = std::array::from_fn(|a| start[a] + shape[a]);
        cost.returned_bytes = (shape.iter().product::<usize>() * item) as u64;
        for z in start[0] / layout.chunk[0]..end[0].div_ceil(layout.chunk[0]) {
            for y in start[1] / layout.chunk[1]..end[1].div_ceil(layout.chunk[1]) {
                for x in start[2] / layout.chunk[2]..end[2].div_ceil(layout.chunk[2]) {
                    let at = [z, y, x];
                    let units = (0..3).map(|a| {
                        let origin = at[a] * layout.chunk[a];
                        let from = start[a].max(origin) - origin;
                        let to = end[a].min(origin + layout.chunk[a]) - origin;
                        (to.div_ceil(unit[a]) - from / unit[a]) * unit[a]
                    });
                    cost.chunks += 1;
                    if let Some(stored) = self.stored_chunk_bytes(at)? {
                        cost.stored_bytes += stored as u64;
                        cost.decoded_bytes += (units.product::<usize>() * item) as u64;
                    }
                }
            }
        }
        Ok(cost)
    }
}
