//! Input and result of a plan.

use serde::Serialize;

use super::{ChunkLayout, Codec, PatchCost};
use crate::setters::setters;
use crate::{Dtype, Spacing};

/// The volume to be stored.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct VolumeSpec {
    /// Voxels, `z, y, x`.
    pub shape: [usize; 3],
    /// Time points; each is cut into chunks of its own.
    pub times: usize,
    /// Channels; each is cut into chunks of its own.
    pub channels: usize,
    /// Spacing in millimetres, `z, y, x`.
    pub spacing: Spacing,
    /// Type of a voxel.
    pub dtype: Dtype,
}

/// Decisions that the caller makes.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[non_exhaustive]
pub struct PlanOptions {
    /// How chunks are compressed.
    pub codec: Codec,
    /// The shape of a chunk, `z, y, x`, instead of the best one.
    pub chunk: Option<[usize; 3]>,
    /// The shape of a shard, `z, y, x`, instead of a fitting one.
    pub shard: Option<[usize; 3]>,
}

setters!(PlanOptions {
    codec: Codec,
    chunk: Option<[usize; 3]>,
    shard: Option<[usize; 3]>,
});

/// A chunk shape and its expected cost: averages over the patches of the workload, by weight.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Candidate {
    /// Shape of the chunk, `z, y, x`.
    pub chunk: [usize; 3],
    /// Why the shape is in the list: `chosen`, `given`, `runner-up`, `cube` or `patch-shaped`.
    pub role: &'static str,
    /// Chunks touched by a patch.
    pub chunks: f64,
    /// Bytes decoded per byte returned.
    pub amplification: f64,
    /// Expected time of a patch on one core, in microseconds.
    pub microseconds: f64,
    /// The quantity that is compared: the time plus a share of the first read, multiplied by the
    /// growth of the store due to chunks of this size.
    pub score: f64,
    /// Chunks in one frame of the volume.
    pub total_chunks: u64,
}

/// The expected cost of one patch shape with the chosen layout.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct PatchPlan {
    /// Shape in voxels, `z, y, x`, as asked for, even if larger than the volume.
    pub patch: [usize; 3],
    /// The weight in the workload.
    pub weight: f64,
    /// Bytes decoded per byte returned.
    pub amplification: f64,
    /// Expected time on one core, in microseconds.
    pub microseconds: f64,
    /// The counts that the time is computed from.
    pub cost: PatchCost,
}

/// A layout, its cost, its rivals, and the reasons.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct LayoutPlan {
    /// The chosen layout.
    pub layout: ChunkLayout,
    /// Its cost for each patch shape, in the workload's order.
    pub patches: Vec<PatchPlan>,
    /// Its cost over the workload.
    pub chosen: Candidate,
    /// Other chunk shapes, best first. Unless the chunk was given, none scores better by more than
    /// 2 %.
    pub rivals: Vec<Candidate>,
    /// Chunks, over all frames.
    pub chunks: u64,
    /// Shards, which are files, over all frames.
    pub shards: u64,
    /// Bytes of memory needed to write the volume ([`super::memory_to_write`]).
    pub memory_to_write: u64,
    /// The reasons for the chunk and the shard: one sentence each, with numbers.
    pub reasons: Vec<String>,
}
