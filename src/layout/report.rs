//! What a plan is made of, and what comes of it.

use serde::Serialize;

use super::{ChunkLayout, Codec, PatchCost};
use crate::setters::setters;
use crate::{Dtype, Spacing};

/// The volume to be stored.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct VolumeSpec {
    /// Voxels, `z, y, x`.
    pub shape: [usize; 3],
    /// Time points; each is cut by itself.
    pub times: usize,
    /// Channels; each is cut by itself.
    pub channels: usize,
    /// Millimetres, `z, y, x`.
    pub spacing: Spacing,
    /// Type of a voxel.
    pub dtype: Dtype,
}

/// What is decided beforehand.
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

/// A chunk shape and what it would cost: the averages of a patch over the workload's weights.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Candidate {
    /// Shape of the chunk, `z, y, x`.
    pub chunk: [usize; 3],
    /// Why it is in the list: `chosen`, `given`, `runner-up`, `cube` or `patch-shaped`.
    pub role: &'static str,
    /// Chunks touched by a patch.
    pub chunks: f64,
    /// Bytes decoded for each byte returned.
    pub amplification: f64,
    /// Expected time of a patch on one core, in microseconds.
    pub microseconds: f64,
    /// What is compared: the time and a share of the first read, multiplied by how much the store
    /// grows by chunks of this size.
    pub score: f64,
    /// Chunks in one frame of the volume.
    pub total_chunks: u64,
}

/// What one patch shape costs with the chosen layout.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct PatchPlan {
    /// Voxels, `z, y, x`, as asked for, even if larger than the volume.
    pub patch: [usize; 3],
    /// As given in the workload.
    pub weight: f64,
    /// Bytes decoded for each byte returned.
    pub amplification: f64,
    /// Expected time on one core, in microseconds.
    pub microseconds: f64,
    /// The counts behind it.
    pub cost: PatchCost,
}

/// A layout, what it costs, what else was possible, and why.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct LayoutPlan {
    /// The choice.
    pub layout: ChunkLayout,
    /// Its cost for each patch shape, in the workload's order.
    pub patches: Vec<PatchPlan>,
    /// Its cost over the workload.
    pub chosen: Candidate,
    /// Others, best first. Unless the chunk was given, none scores better by more than 2 %.
    pub rivals: Vec<Candidate>,
    /// Chunks, over all frames.
    pub chunks: u64,
    /// Shards, which are files, over all frames.
    pub shards: u64,
    /// Bytes of memory needed to write it ([`super::memory_to_write`]).
    pub memory_to_write: u64,
    /// Why this chunk and this shard: one sentence each, numbers included.
    pub reasons: Vec<String>,
}
