//! Decisions about chunks and shards; no I/O.
//!
//! A *chunk* is the unit that is compressed, verified and decoded; a *shard* is one file of many
//! chunks. [`ChunkLayout`] is a validated choice; [`plan()`] makes one for a [`Workload`], by the
//! [`CostModel`], and gives its reasons.

mod candidates;
mod codec;
mod cost;
mod explain;
mod plan;
mod report;
mod shard;
mod workload;

pub use codec::{BloscCompressor, Codec};
#[doc(hidden)]
pub use cost::{AxisAccess, CostConstants, CostModel, PatchCost, expected_chunks_along};
pub use plan::plan;
pub use report::{Candidate, LayoutPlan, PatchPlan, PlanOptions, VolumeSpec};
#[doc(hidden)]
pub use shard::memory_to_write;
pub(crate) use shard::{LAYERS_IN_MEMORY, even};
pub use workload::{Access, PatchShape, WeightedPatch, Workload};

use serde::{Deserialize, Serialize};

use crate::error::show;
use crate::{Error, Result};

/// Largest chunk, in voxels: at most 128 MiB decoded, which a reader may have to hold in memory.
const MAX_CHUNK_VOXELS: usize = 1 << 24;
/// A chunk of this many voxels is allowed for any volume, however small.
const SMALL_CHUNK_VOXELS: usize = 1 << 20;
/// Largest number of chunks in one shard: its index then takes 16 MiB.
pub(crate) const MAX_CHUNKS_PER_SHARD: usize = 1 << 20;

/// How a volume is cut and compressed. Shapes are `z, y, x` in voxels.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ChunkLayout {
    /// Shape of a chunk. Chunks at the far borders of the volume are padded to this shape.
    pub chunk: [usize; 3],
    /// Shape of a shard: a whole number of chunks along each axis.
    pub shard: [usize; 3],
    /// Time points and channels whose chunks one shard holds: more than one of each only where a
    /// whole frame fits one shard. A chunk always holds voxels of one frame.
    #[serde(default = "one_frame", skip_serializing_if = "is_one_frame")]
    pub frames: [usize; 2],
    /// How each chunk is compressed.
    pub codec: Codec,
}

const fn one_frame() -> [usize; 2] {
    [1; 2]
}

fn is_one_frame(frames: &[usize; 2]) -> bool {
    *frames == one_frame()
}

impl ChunkLayout {
    /// Checks that the shapes are possible. A shard holds chunks of one frame.
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
        Self { chunk, shard, frames: one_frame(), codec }.with_frames(one_frame())
    }

    /// The same layout with shards that span this many time points and channels.
    ///
    /// # Errors
    /// [`Error::InvalidLayout`] if one of them is zero, or a shard would hold too many chunks.
    pub fn with_frames(self, frames: [usize; 2]) -> Result<Self> {
        let layout = Self { frames, ..self };
        let chunks = layout.chunks_per_shard().into_iter().chain(frames);
        let chunks = chunks.fold(1, usize::saturating_mul);
        if chunks == 0 || chunks > MAX_CHUNKS_PER_SHARD {
            let (shard, chunk) = (show(&self.shard), show(&self.chunk));
            let [times, channels] = frames;
            let reason = format!(
                "shard {shard} of {times} time points and {channels} channels holds {chunks} chunks \
                 of {chunk}; a shard holds 1 to {MAX_CHUNKS_PER_SHARD}"
            );
            return Err(Error::InvalidLayout { reason });
        }
        Ok(layout)
    }

    /// Checks that the layout is in proportion to a volume of this shape and of this many time
    /// points and channels.
    ///
    /// # Errors
    /// [`Error::InvalidLayout`] if a chunk is much larger than the volume, a shard reaches beyond
    /// the volume by whole chunks, or shards span frames that do not exist, or parts of frames.
    pub(crate) fn check_for(&self, volume: [usize; 3], frames: [usize; 2]) -> Result<()> {
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
        let whole = self.frames == one_frame() || self.shards(volume) == [1; 3];
        if !whole || self.frames[0] > frames[0] || self.frames[1] > frames[1] {
            let [times, channels] = self.frames;
            let reason = format!(
                "shards of {times} time points and {channels} channels: a volume of {} and {} has \
                 fewer, or its frames do not fit one shard",
                frames[0], frames[1]
            );
            return Err(Error::InvalidLayout { reason });
        }
        Ok(())
    }

    /// Chunks of one frame along each axis of a shard, `z, y, x`.
    #[must_use]
    pub fn chunks_per_shard(&self) -> [usize; 3] {
        std::array::from_fn(|a| self.shard[a] / self.chunk[a])
    }

    /// Shards along each axis of a frame of this shape, `z, y, x`.
    #[must_use]
    pub fn shards(&self, volume: [usize; 3]) -> [usize; 3] {
        std::array::from_fn(|a| volume[a].div_ceil(self.shard[a]))
    }
}
