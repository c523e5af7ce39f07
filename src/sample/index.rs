//! What each chunk of a volume holds: the upper level of sampling by label or by weight.

use serde::{Deserialize, Serialize};

/// What each chunk of one frame holds, so that a draw finds its chunk without reading any and its
/// voxel by reading that one. Chunks are numbered in C order over the chunk grid, `z, y, x`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChunkIndex {
    /// Shape of the frame in voxels, `z, y, x`.
    pub shape: [usize; 3],
    /// Shape of the chunks that were counted, `z, y, x`; those at the end of an axis are cut off
    /// by the volume.
    pub chunk: [usize; 3],
    /// What they hold.
    pub contents: Contents,
}

/// By what one may sample.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Contents {
    /// Every label that occurs, 0 included, ascending.
    Classes(Vec<ClassChunks>),
    /// Chunks that hold a positive weight, ascending by number.
    Weights(Vec<ChunkSum>),
}

/// Where one label occurs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClassChunks {
    /// The label.
    pub label: i64,
    /// The chunks that hold it, ascending by number.
    pub chunks: Vec<ChunkCount>,
}

/// How many voxels of a label a chunk holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "(u64, u64)", from = "(u64, u64)")]
pub struct ChunkCount {
    /// Number of the chunk.
    pub chunk: u64,
    /// Its voxels with the label, inside the volume; not 0.
    pub voxels: u64,
}

/// The sum of the weights of a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(into = "(u64, f64)", from = "(u64, f64)")]
pub struct ChunkSum {
    /// Number of the chunk.
    pub chunk: u64,
    /// The sum over its voxels inside the volume, positive and finite.
    pub weight: f64,
}

impl From<(u64, u64)> for ChunkCount {
    fn from((chunk, voxels): (u64, u64)) -> Self {
        Self { chunk, voxels }
    }
}

impl From<ChunkCount> for (u64, u64) {
    fn from(count: ChunkCount) -> Self {
        (count.chunk, count.voxels)
    }
}

impl From<(u64, f64)> for ChunkSum {
    fn from((chunk, weight): (u64, f64)) -> Self {
        Self { chunk, weight }
    }
}

impl From<ChunkSum> for (u64, f64) {
    fn from(sum: ChunkSum) -> Self {
        (sum.chunk, sum.weight)
    }
}
