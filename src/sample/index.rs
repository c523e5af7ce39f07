//! The index of a volume: the content of each block, for sampling by label or by weight.

use serde::{Deserialize, Serialize};

/// Shape of a block in voxels, `z, y, x`: volumes are counted in blocks of this shape, the first of
/// which begins at voxel 0, whatever their chunks. Draws depend on this shape: with another shape,
/// the same seed would draw other patches.
///
/// A block is about as large as a chunk: smaller blocks would make a larger index, larger blocks a
/// slower draw. A block has the same length on every axis, because the spacing of a volume can be
/// corrected without a change of its voxels; blocks are clipped to thin volumes.
pub const BLOCK: [usize; 3] = [32; 3];

/// Version of the way from an index and a draw to a voxel. Any change raises it, so that a stream
/// is not resumed with other patches.
pub(crate) const DRAWS: u64 = 2;

/// The content of each block of one frame: a draw finds its block in the index, and its voxel by
/// reading that one block. Blocks are numbered in C order over the block grid, `z, y, x`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BlockIndex {
    /// Shape of the frame in voxels, `z, y, x`.
    pub shape: [usize; 3],
    /// Shape of the blocks, `z, y, x`: [`BLOCK`] in a store. Blocks at the end of an axis are
    /// clipped to the volume.
    pub block: [usize; 3],
    /// The content of the blocks.
    pub contents: Contents,
}

/// The content of blocks: counts of labels, or sums of weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Contents {
    /// Every label that occurs, 0 included, ascending.
    Classes(Vec<ClassBlocks>),
    /// Blocks that hold a positive weight, ascending by number.
    Weights(Vec<BlockSum>),
}

/// The blocks in which one label occurs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClassBlocks {
    /// The label.
    pub label: i64,
    /// The blocks that hold it, ascending by number.
    pub blocks: Vec<BlockCount>,
}

/// The number of voxels with a label in a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "(u64, u64)", from = "(u64, u64)")]
pub struct BlockCount {
    /// Number of the block.
    pub block: u64,
    /// Its voxels with the label inside the volume; not 0.
    pub voxels: u64,
}

/// The sum of the weights of a block.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(into = "(u64, f64)", from = "(u64, f64)")]
pub struct BlockSum {
    /// Number of the block.
    pub block: u64,
    /// The sum over its voxels inside the volume, positive and finite.
    pub weight: f64,
}

impl From<(u64, u64)> for BlockCount {
    fn from((block, voxels): (u64, u64)) -> Self {
        Self { block, voxels }
    }
}

impl From<BlockCount> for (u64, u64) {
    fn from(count: BlockCount) -> Self {
        (count.block, count.voxels)
    }
}

impl From<(u64, f64)> for BlockSum {
    fn from((block, weight): (u64, f64)) -> Self {
        Self { block, weight }
    }
}

impl From<BlockSum> for (u64, f64) {
    fn from(sum: BlockSum) -> Self {
        (sum.block, sum.weight)
    }
}
