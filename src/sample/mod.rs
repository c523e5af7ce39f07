//! Samplers: they choose regions, and never hold voxels.
//!
//! A [`Sampler`] prepares a volume once ([`Sampler::prepare`]) and then gives the region of any
//! [`Draw`]: the region depends on seed, epoch and index alone, not on earlier draws, threads or
//! workers. All triples are in `z, y, x` order.
//!
//! | sampler | draws |
//! | --- | --- |
//! | [`UniformSampler`] | all places where the patch fits, equally likely |
//! | [`WeightedSampler`] | around voxels, in proportion to a map of weights |
//! | [`LabelSampler`] | around voxels, by weights of classes or of their voxels |
//! | [`ForegroundSampler`] | around foreground and background in a ratio, or a share of foreground |
//! | [`GridSampler`] | nothing at random: places that cover the volume |
//! | [`JitterSampler`] | the draws of another sampler, moved at random |
//!
//! Samplers that draw around voxels give exactly the distribution that a pass over all voxels would
//! give: the index gives a block in proportion to its content, and the decoded block gives the
//! voxel. The caller chooses the treatment of the volume's [`Border`].
//!
//! Blocks are boxes of [`BLOCK`] voxels, counted from the first voxel in C order, as are the voxels
//! in a block. Draws do not depend on chunks, shards or codecs: a volume stored in another layout
//! gives the same draws.
//!
//! A [`Field`] is what a sampler sees of a volume: its shape, its [`BlockIndex`], and the voxels of
//! a region, of which a draw needs at most one block.

mod blocks;
mod border;
mod foreground;
mod grid;
mod grid_sampler;
mod index;
mod jitter;
mod label;
mod permutation;
mod pick;
mod random;
mod uniform;
mod weighted;

use std::fmt::Debug;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{Region, Result};

pub use border::Border;
pub use foreground::ForegroundSampler;
pub use grid::{Grid, Traversal};
pub use grid_sampler::{GridSampler, Overlap};
pub(crate) use index::DRAWS;
pub use index::{BLOCK, BlockCount, BlockIndex, BlockSum, ClassBlocks, Contents};
pub use jitter::JitterSampler;
pub use label::LabelSampler;
pub use permutation::permuted;
pub use random::Random;
pub use uniform::UniformSampler;
pub use weighted::WeightedSampler;

/// The name of a draw: the same three numbers give the same region, in any order, on any thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Draw {
    /// The seed, chosen by the caller for an experiment.
    pub seed: u64,
    /// The pass over the data.
    pub epoch: u64,
    /// The number of the draw in the pass.
    pub index: u64,
}

/// A region, and how it was chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// Where the patch lies; it may leave the volume only if the sampler is told to pad.
    pub region: Region,
    /// How it was chosen.
    pub choice: Choice,
}

/// How a region was chosen.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Choice {
    /// Uniformly among the places where the patch fits.
    Uniform,
    /// By a map of weights.
    Weight,
    /// Around a voxel of this class.
    Class(i64),
    /// Around a voxel of no foreground class.
    Background,
    /// The place of a grid with this number.
    Grid(u64),
}

/// A wanted class that no draw can give.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Absent {
    /// A class of positive weight without voxels that may be chosen.
    Class(i64),
    /// Every foreground class.
    Foreground,
    /// Everything but foreground.
    Background,
}

/// One frame of a volume, as samplers see it.
pub trait Field: Send + Sync + Debug {
    /// The name in messages: the path of the index or of the volume.
    fn name(&self) -> String {
        "the volume".into()
    }

    /// Shape in voxels, `z, y, x`.
    fn shape(&self) -> [usize; 3];

    /// The index of the volume, which lists the content of each block.
    ///
    /// # Errors
    /// [`crate::Error::InvalidArgument`] if the volume has no index, with the remedy;
    /// [`crate::Error::CorruptStore`] if the index is damaged or was built from other voxels.
    fn index(&self) -> Result<Arc<BlockIndex>>;

    /// The labels of a region inside the volume, in C order, into `out`, which is resized.
    ///
    /// # Errors
    /// As [`crate::Volume::read_into`].
    fn labels(&self, region: Region, out: &mut Vec<i64>) -> Result<()>;

    /// The weights of a region inside the volume, scaled to real values, in C order, into `out`,
    /// which is resized.
    ///
    /// # Errors
    /// As [`crate::Volume::read_into`].
    fn weights(&self, region: Region, out: &mut Vec<f64>) -> Result<()>;
}

/// A way of choosing regions, for any number of volumes.
pub trait Sampler: Send + Sync + Debug {
    /// Shape of the patches, `z, y, x`.
    fn patch(&self) -> [usize; 3];

    /// Whether draws depend on the voxels of a volume, not only on its shape.
    fn follows_voxels(&self) -> bool {
        true
    }

    /// Prepares the draws from one volume. Reads at most the blocks at the border of the allowed
    /// voxels; never passes over the volume.
    ///
    /// # Errors
    /// [`crate::Error::InvalidArgument`] if nothing can be drawn: the patch does not fit, no wanted
    /// class is present, or every weight is 0; and the errors of the field.
    fn prepare(&self, field: Arc<dyn Field>) -> Result<Arc<dyn Regions>>;
}

/// The regions that a sampler draws from one volume.
pub trait Regions: Send + Sync + Debug {
    /// The number of different draws; `None` if draws are random without end.
    fn count(&self) -> Option<u64>;

    /// The classes that the sampler should draw and cannot in this volume; the other classes are
    /// drawn instead.
    fn absent(&self) -> &[Absent] {
        &[]
    }

    /// The region of one draw, in time that does not depend on the size of the volume.
    ///
    /// # Errors
    /// Those of reading one block.
    fn draw(&self, draw: Draw) -> Result<Sample>;
}
