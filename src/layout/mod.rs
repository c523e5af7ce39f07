//! Decisions about chunks and shards; no I/O.
//!
//! A *chunk* is the unit that is compressed, checked and decoded; a *shard* is one file holding
//! many chunks. [`ChunkLayout`] is the validated choice; [`plan()`] makes one for a [`Workload`],
//! by the [`CostModel`], and says why.

mod candidates;
mod codec;
mod cost;
mod explain;
mod plan;
mod shard;
mod workload;

pub use codec::{BloscCompressor, Codec};
pub use cost::{AxisAccess, CostConstants, CostModel, PatchCost, expected_chunks_along};
pub use plan::{Candidate, LayoutPlan, PatchPlan, PlanOptions, VolumeSpec, plan};
pub(crate) use shard::LAYERS_IN_MEMORY;
pub use shard::memory_to_write;
pub use workload::{Access, PatchShape, WeightedPatch, Workload};

use serde::{Deserialize, Serialize};

use crate::error::show;
use crate::{Error, Result};

/// Largest chunk, in voxels: at most 128 MiB decoded, which a reader may have to hold.
const MAX_CHUNK_VOXELS: usize = 1 << 24;
/// A chunk of this many voxels is allowed for any volume, however small.
const SMALL_CHUNK_VOXELS: usize = 1 << 20;
/// Largest number of chunks in one shard: its index then takes 16 MiB.
pub(crate) const MAX_CHUNKS_PER_SHARD: usize = 1 << 20;

/// How a volume is cut and compressed. Shapes are `z, y, x` in voxels.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ChunkLayout {
    /// Shape of a chunk. Chunks at the far borders of the volume are stored whole, padded.
    pub chunk: [usize; 3],
    /// Shape of a shard: a whole number of chunks along each axis.
    pub shard: [usize; 3],
    /// How each chunk is compressed.
    pub codec: Codec,
}

impl ChunkLayout {
    /// Checks that the shapes are possible.
    ///
    /// # Errors
    /// [`Error::InvalidLayout`] if an axis is zero, the chunk does not divide the shard, or one of
    /// them is too large.
    pub fn new(chunk: [usize; 3], shard: [usize; 3], codec: Codec) -> Result<Self> {
        let refuse = |reason: String| Err(Error::InvalidLayout { reason });
        if chunk.contains(&0) || shard.contains(&0) {
            let (chunk, shard) = (show(&chunk), show(&shard));
            return refuse(format!("chunk {chunk}, shard {shard}: every axis must be at least 1"));
        }
        if let Some(axis) = (0..3).find(|&a| !shard[a].is_multiple_of(chunk[a])) {
            return refuse(format!(
                "shard {} is not a whole number of chunks {} along {}; use a multiple of {}",
                show(&shard),
                show(&chunk),
                ["z", "y", "x"][axis],
                chunk[axis]
            ));
        }
        if crate::geometry::voxels(chunk).is_none_or(|n| n > MAX_CHUNK_VOXELS) {
            return refuse(format!(
                "chunk {} is larger than {MAX_CHUNK_VOXELS} voxels",
                show(&chunk)
            ));
        }
        let layout = Self { chunk, shard, codec };
        if crate::geometry::voxels(layout.chunks_per_shard())
            .is_none_or(|n| n > MAX_CHUNKS_PER_SHARD)
        {
            return refuse(format!(
                "shard {} holds more than {MAX_CHUNKS_PER_SHARD} chunks of {}",
                show(&shard),
                show(&chunk)
            ));
        }
        Ok(layout)
    }

    /// Checks that the layout is not out of all proportion to a volume of this shape.
    ///
    /// # Errors
    /// [`Error::InvalidLayout`] if a chunk is much larger than the volume, or a shard reaches
    /// beyond it by whole chunks.
    pub(crate) fn check_for(&self, volume: [usize; 3]) -> Result<()> {
        let voxels = |shape: [usize; 3]| shape.iter().fold(1_usize, |n, m| n.saturating_mul(*m));
        let refuse = |what: &str, shape: [usize; 3]| {
            let (shape, volume) = (show(&shape), show(&volume));
            let reason = format!("{what} {shape} is too large for a volume of {volume}");
            Err(Error::InvalidLayout { reason })
        };
        if voxels(self.chunk) > SMALL_CHUNK_VOXELS.max(voxels(volume).saturating_mul(64)) {
            return refuse("chunk", self.chunk);
        }
        if (0..3).any(|a| self.shard[a] >= volume[a].saturating_add(self.chunk[a])) {
            return refuse("shard", self.shard);
        }
        Ok(())
    }

    /// Chunks along each axis of a shard, `z, y, x`.
    #[must_use]
    pub fn chunks_per_shard(&self) -> [usize; 3] {
        std::array::from_fn(|a| self.shard[a] / self.chunk[a])
    }

    /// Shards along each axis of a volume of this shape, `z, y, x`.
    #[must_use]
    pub fn shards(&self, volume: [usize; 3]) -> [usize; 3] {
        std::array::from_fn(|a| volume[a].div_ceil(self.shard[a]))
    }
}
