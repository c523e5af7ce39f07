//! What a read costs, counted on the stored volume.

use std::collections::HashMap;

use serde::Serialize;

use super::plan;
use crate::store::{Axes, View, Volume};
use crate::{Frame, Region, Result};

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

impl<D: Axes> View<D> {
    /// The work of reading a region by this view, of all its frames: of the part inside the volume,
    /// and of the voxels that its padding takes what lies outside from. Opens the shards that the
    /// region touches, decodes nothing.
    ///
    /// # Errors
    /// [`crate::Error::CorruptStore`], [`crate::Error::Io`].
    pub fn cost(&self, region: Region) -> Result<ReadCost> {
        let mut cost = ReadCost::default();
        for (start, shape) in super::padded::boxes(self.look(), region)? {
            for frame in self.shown() {
                cost += of_box(self.volume(), frame, start, shape)?;
            }
        }
        Ok(cost)
    }

    /// The work of reading a batch of regions, which may have any shapes: each chunk counts once.
    /// Of chunks that are needed once, whole decode units count; of the others, every voxel that
    /// lies inside the volume. Opens the shards that are touched, decodes nothing.
    ///
    /// It is that of a view without a cache, and of a batch whose shared chunks can be held.
    ///
    /// # Errors
    /// [`crate::Error::CorruptStore`], [`crate::Error::Io`]; [`crate::Error::InvalidArgument`] for
    /// more voxels than memory can hold.
    pub fn batch_cost(&self, regions: &[Region]) -> Result<ReadCost> {
        let (mut cost, mut pieces) = (ReadCost::default(), Vec::new());
        let volume = self.volume();
        let item = volume.stored_dtype().size();
        for region in regions {
            if let Some(inside) = region.clip(volume.shape()) {
                let bytes = inside.shape.iter().product::<usize>() * item * self.channels();
                cost.returned_bytes += bytes as u64;
            }
            pieces.extend(plan::pieces(self, *region, [true; 2])?);
        }
        let unit = volume.layout().codec.decode_unit(volume.layout().chunk, item);
        let once: HashMap<_, _> = pieces.iter().flat_map(|piece| piece.decoded(unit)).collect();
        for (chunk, uses) in plan::uses(pieces.iter()) {
            let (frame, at) = (self.frame_at(chunk.0), chunk.1);
            cost.chunks += 1;
            if let Some(stored) = volume.stored_chunk_bytes(frame, at)? {
                let bytes = if uses == 1 { once[&chunk] * item } else { volume.chunk_bytes(at) };
                cost.stored_bytes += stored as u64;
                cost.decoded_bytes += bytes as u64;
            }
        }
        Ok(cost)
    }
}

/// Of a box of a frame that lies inside the volume.
fn of_box(volume: &Volume, frame: Frame, start: [usize; 3], shape: [usize; 3]) -> Result<ReadCost> {
    let mut cost = ReadCost::default();
    let layout = volume.layout();
    let item = volume.stored_dtype().size();
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
                if let Some(stored) = volume.stored_chunk_bytes(frame, at)? {
                    cost.stored_bytes += stored as u64;
                    cost.decoded_bytes += (units.product::<usize>() * item) as u64;
                }
            }
        }
    }
    Ok(cost)
}
