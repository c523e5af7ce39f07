//! The index of a volume for sampling by label or by weight: the content of each block.
//!
//! `0/sampling.json` is `{"blake3": H, "sampling": S}`, sealed as the manifest is. S holds the
//! digest of the counted voxels, so that an index of other voxels is refused, and for each frame
//! the content of its blocks: counts of labels, or sums of weights. The index is not part of the
//! manifest: a volume is complete without it, and it can be built at any time.

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

/// Key of the index inside a generation.
pub(super) const KEY: &str = "0/sampling.json";

/// The version of the index that is written, and the only one that is used for draws. Version 1
/// counted chunks, so that draws depended on the layout.
const VERSION: u64 = 2;

/// Name of the content in the sealed document.
const NAME: &str = "sampling";

/// The content of the file.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SamplingIndex {
    version: u64,
    /// Digest of the counted voxels, in the stored type.
    voxels: String,
    /// The scaling from voxels to weights; `None` if there is none, and for labels.
    scaling: Option<Scaling>,
    /// Shape of a frame, `z, y, x`.
    shape: [usize; 3],
    /// Shape of a block, `z, y, x`: [`BLOCK`].
    block: [usize; 3],
    /// The content of the blocks of each frame, ordered by time, then channel.
    frames: Vec<Contents>,
}

/// The version alone: the rest of a newer version may have another form.
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

    /// The index in a file, which may belong to another volume: see [`Self::check`]. `None` if the
    /// file is intact and of an earlier version.
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

    /// The index of each frame, as samplers use it.
    pub(super) fn into_frames(self) -> Vec<Arc<BlockIndex>> {
        let Self { shape, block, frames, .. } = self;
        let index = |contents| Arc::new(BlockIndex { shape, block, contents });
        frames.into_iter().map(index).collect()
    }

    /// The summary of the index.
    pub(crate) fn info(&self) -> IndexInfo {
        IndexInfo::of(self.shape, self.frames.iter())
    }
}

/// How the voxels of an array are counted.
#[derive(Debug, Clone, Copy)]
pub(super) enum Counted {
    /// By the number of voxels of each label.
    Labels,
    /// By the sum of the weights, after this scaling.
    Weights(Option<Scaling>),
}

impl Counted {
    /// The scaling from voxels to weights; `None` for labels.
    fn scaling(self) -> Option<Scaling> {
        match self {
            Self::Labels => None,
            Self::Weights(scaling) => scaling,
        }
    }

    /// The way of counting for this kind and stored type, or the reason why the voxels cannot be
    /// sampled, with the remedy.
    pub(super) fn of(kind: Kind, dtype: Dtype, scaling: Option<Scaling>) -> Result<Self, String> {
        match kind {
            // Stores of earlier versions have such volumes.
            Kind::Label if scaling.is_some() => {
                Err("its labels follow from a scaling, and differ from the stored voxels; \
                     convert it again, which stores the labels"
                    .into())
            }
            Kind::Label if dtype.is_integer() => Ok(Self::Labels),
            Kind::Label if dtype == Dtype::Float16 => Err(format!(
                "its labels are stored as {dtype}, which cannot be sampled; store them as integers"
            )),
            Kind::Label => Err(format!(
                "its labels are stored as {dtype}, which cannot be sampled; convert it again with \
                 --narrow, which stores whole numbers as integers"
            )),
            Kind::Weights => Ok(Self::Weights(scaling)),
            Kind::Intensity => {
                Err("it holds intensities, which cannot be sampled; convert a label \
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

/// The position of a block in the grid, `z, y, x`, by its number in C order.
fn place(grid: [usize; 3], n: usize) -> [usize; 3] {
    [n / grid[2] / grid[1], n / grid[2] % grid[1], n % grid[2]]
}

/// Shape of the part of a block inside the volume; `at` is its position in the grid.
fn inside(shape: [usize; 3], at: [usize; 3]) -> [usize; 3] {
    std::array::from_fn(|a| BLOCK[a].min(shape[a] - at[a] * BLOCK[a]))
}

/// Number of frames of an array.
fn frames(shape: &ArrayShape) -> usize {
    shape.times * shape.channels
}
