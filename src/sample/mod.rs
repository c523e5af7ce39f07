//! Where to look: samplers, which give regions and never hold voxels.
//!
//! A [`Sampler`] is told once about a volume ([`Sampler::prepare`]) and from then on gives the
//! region of any [`Draw`] number by itself: what it gives depends on seed, epoch and index alone,
//! not on what was drawn before, nor on threads or workers. All triples are in `z, y, x` order.
//!
//! | sampler | draws |
//! | --- | --- |
//! | [`UniformSampler`] | all places where the patch fits, equally likely |
//! | [`WeightedSampler`] | around voxels, in proportion to a map of weights |
//! | [`LabelSampler`] | around voxels, by weights of classes or of their voxels |
//! | [`ForegroundSampler`] | around foreground and background in a ratio, or a share of foreground |
//! | [`GridSampler`] | no chance: places that cover the volume |
//!
//! Those that draw around voxels give exactly the distribution that a pass over all voxels would:
//! the index names a block in proportion to what it holds, and that block, decoded, the voxel. What
//! happens at the border of the volume is a [`Border`] of the caller's choice.
//!
//! Blocks are boxes of [`BLOCK`] voxels, counted from the first voxel in C order, and voxels in a
//! block are too. Chunks and shards have no part in it: a volume that is stored in other chunks, or
//! with another codec, gives the same draws.
//!
//! What a sampler may ask of a volume is a [`Field`]: its shape, the [`BlockIndex`] that was built
//! with it, and the voxels of a region, of which a draw needs one block at most.

mod blocks;
mod border;
mod foreground;
mod grid;
mod grid_sampler;
mod index;
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
pub use label::LabelSampler;
pub use permutation::permuted;
pub use random::Random;
pub use uniform::UniformSampler;
pub use weighted::WeightedSampler;

/// What names a draw: the same three numbers give the same region, in any order, on any thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Draw {
    /// Chosen by the caller for an experiment.
    pub seed: u64,
    /// Pass over the data.
    pub epoch: u64,
    /// Number of the draw in the pass.
    pub index: u64,
}

/// A region, and why it was chosen.
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
    /// The given place of a grid.
    Grid(u64),
}

/// What was asked for, and no draw can give.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Absent {
    /// A class of positive weight: it has no voxels that may be chosen.
    Class(i64),
    /// Every foreground class.
    Foreground,
    /// Everything but foreground.
    Background,
}

/// What samplers know of one frame of a volume.
pub trait Field: Send + Sync + Debug {
    /// What messages call it: the path of its index or of the volume.
    fn name(&self) -> String {
        "the volume".into()
    }

    /// Shape in voxels, `z, y, x`.
    fn shape(&self) -> [usize; 3];

    /// The index of the volume, which names what each block holds.
    ///
    /// # Errors
    /// [`crate::Error::InvalidArgument`] if the volume has none, with the remedy;
    /// [`crate::Error::CorruptStore`] if it is damaged, or was built from other voxels.
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

    /// Whether draws follow from the voxels of a volume, and not from its shape alone.
    fn follows_voxels(&self) -> bool {
        true
    }

    /// What this sampler draws from one volume. Costs at most the blocks at the border of where
    /// patches may lie; never a pass over the volume.
    ///
    /// # Errors
    /// [`crate::Error::InvalidArgument`] if nothing can be drawn: the patch does not fit, no
    /// wanted class is present, every weight is 0; and what the field answers.
    fn prepare(&self, field: Arc<dyn Field>) -> Result<Arc<dyn Regions>>;
}

/// The regions that a sampler draws from one volume.
pub trait Regions: Send + Sync + Debug {
    /// How many different draws there are; `None` if they are drawn at random without end.
    fn count(&self) -> Option<u64>;

    /// What the sampler was to draw, and cannot in this volume: the others make up for it.
    fn absent(&self) -> &[Absent] {
        &[]
    }

    /// The region of one draw, in time that does not depend on the size of the volume.
    ///
    /// # Errors
    /// What reading one block can answer.
    fn draw(&self, draw: Draw) -> Result<Sample>;
}
