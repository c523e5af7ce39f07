//! The index of a volume for sampling by label or by weight: what each block holds.
//!
//! `0/sampling.json` is `{"blake3": H, "sampling": S}`, sealed as the manifest is. S names the
//! digest of the voxels that were counted, so that an index of other voxels is refused, and for
//! each frame the contents of its blocks: of labels the counts, of weights the sums. It is no part
//! of the manifest: a volume without it is whole, and it can be built at any time.

mod build;
mod check;
mod count;
mod handle;
#[cfg(test)]
mod hostile;
mod label;
mod tally;

use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::array::ArrayShape;
use super::sealed;
use crate::sample::{BLOCK, BlockIndex, Contents};
use crate::{Dtype, Error, Kind, Result, Scaling};

pub use handle::IndexInfo;
pub(super) use handle::remedied;
pub(crate) use label::{Label, real};
pub(crate) use tally::Tally;

/// Key of the index inside an image's group.
pub(super) const KEY: &str = "0/sampling.json";

/// The version of the index written here, and the only one that is drawn by. Version 1 counted
/// chunks, so that draws depended on the layout.
const VERSION: u64 = 2;

/// Name of the content in the sealed document.
const NAME: &str = "sampling";

/// What the file holds.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SamplingIndex {
    version: u64,
    /// Digest of the voxels that were counted, in the type they are stored in.
    voxels: String,
    /// What made weights of voxels; `None` if they are the same, and of labels.
    scaling: Option<Scaling>,
    /// Shape of a frame, `z, y, x`.
    shape: [usize; 3],
    /// Shape of a block, `z, y, x`: [`BLOCK`].
    block: [usize; 3],
    /// What the blocks of each frame hold, in order of time, then channel.
    frames: Vec<Contents>,
}

/// The version alone: what follows it may be of a shape not known here.
#[derive(Deserialize)]
struct Versioned {
    version: u64,
}

impl SamplingIndex {
    /// The file. `path` is for messages.
    pub(super) fn to_bytes(&self, path: &Path) -> Result<Vec<u8>> {
        sealed::seal(NAME, self).map_err(|e| Error::Store {
            action: "write the index for sampling",
            path: path.into(),
            source: e.into(),
        })
    }

    /// What a file holds, which may still be of another volume: see [`Self::check`]. `None` if it
    /// is intact and of an earlier version.
    fn from_bytes(bytes: &[u8], path: &Path) -> Result<Option<Self>> {
        let damaged = |reason: String| Error::corrupt_store(path, reason);
        let content = sealed::open(NAME, bytes).map_err(damaged)?;
        let Versioned { version } =
            serde_json::from_str(content).map_err(|e| damaged(e.to_string()))?;
        if version > VERSION {
            let (path, found) = (path.into(), version);
            return Err(Error::VersionTooNew { path, found, supported: VERSION });
        }
        if version < VERSION {
            return Ok(None);
        }
        serde_json::from_str(content).map(Some).map_err(|e| damaged(e.to_string()))
    }

    /// Frame by frame, as samplers take it.
    pub(super) fn into_frames(self) -> Vec<Arc<BlockIndex>> {
        let Self { shape, block, frames, .. } = self;
        let index = |contents| Arc::new(BlockIndex { shape, block, contents });
        frames.into_iter().map(index).collect()
    }

    /// The same in short.
    pub(crate) fn info(&self) -> IndexInfo {
        IndexInfo::of(self.shape, self.frames.iter())
    }
}

/// What of an array is counted, and how.
#[derive(Debug, Clone, Copy)]
pub(super) enum Counted {
    /// How many voxels of each label.
    Labels,
    /// The sum of the weights, after this scaling.
    Weights(Option<Scaling>),
}

impl Counted {
    /// What makes weights of voxels; `None` for labels.
    fn scaling(self) -> Option<Scaling> {
        match self {
            Self::Labels => None,
            Self::Weights(scaling) => scaling,
        }
    }

    /// By the meaning of the voxels and the type they are stored in, or why they cannot be sampled
    /// by, with the remedy.
    pub(super) fn of(kind: Kind, dtype: Dtype, scaling: Option<Scaling>) -> Result<Self, String> {
        match kind {
            // Stores of earlier versions have such.
            Kind::Label if scaling.is_some() => {
                Err("its labels follow from a scaling, and are not the voxels that are stored; \
                     convert it again, which stores the labels"
                    .into())
            }
            Kind::Label if dtype.is_integer() => Ok(Self::Labels),
            Kind::Label if dtype == Dtype::Float16 => Err(format!(
                "its labels are stored as {dtype}, which is not sampled by; store them as integers"
            )),
            Kind::Label => Err(format!(
                "its labels are stored as {dtype}, which is not sampled by; convert it again with \
                 --narrow, which stores whole numbers as integers"
            )),
            Kind::Weights => Ok(Self::Weights(scaling)),
            Kind::Intensity => {
                Err("it holds intensities, which are not sampled by; convert a label \
                                    map with --label, or a map of weights with --kind weights"
                    .into())
            }
        }
    }
}

/// Blocks along each axis.
fn grid(shape: [usize; 3]) -> [usize; 3] {
    std::array::from_fn(|a| shape[a].div_ceil(BLOCK[a]))
}

/// The place of a block in the grid by its number in C order, `z, y, x`.
fn place(grid: [usize; 3], n: usize) -> [usize; 3] {
    [n / grid[2] / grid[1], n / grid[2] % grid[1], n % grid[2]]
}

/// Shape of the part of a block that lies inside the volume; `at` is its place in the grid.
fn inside(shape: [usize; 3], at: [usize; 3]) -> [usize; 3] {
    std::array::from_fn(|a| BLOCK[a].min(shape[a] - at[a] * BLOCK[a]))
}

/// Frames of an array.
fn frames(shape: &ArrayShape) -> usize {
    shape.times * shape.channels
}
