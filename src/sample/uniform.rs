//! Patches anywhere.

use std::sync::Arc;

use super::border::{Border, Patch, Placement};
use super::{Choice, Draw, Field, Random, Regions, Sample, Sampler};
use crate::Result;

/// Patches whose start is uniform over `0..=S - P` on each axis, so that all places where the
/// patch fits are equally likely: `TorchIO`'s `UniformSampler`, MONAI's `RandSpatialCrop` of fixed
/// size. Voxels near the border are then in fewer patches than others.
#[derive(Debug, Clone)]
pub struct UniformSampler {
    patch: Patch,
}

impl UniformSampler {
    /// Patches of this shape, `z, y, x`.
    ///
    /// # Errors
    /// [`crate::Error::InvalidArgument`] if an axis is 0.
    pub fn new(patch: [usize; 3]) -> Result<Self> {
        // Every start is one where the patch fits: nothing is left to a policy.
        Ok(Self { patch: Patch::new(patch, Border::Mask)? })
    }

    /// Whether volumes that are smaller than the patch are taken, in the middle of it along the
    /// axes where they are: `(P - S) / 2` voxels, rounded down, before and the rest after. They
    /// are an error otherwise.
    #[must_use]
    pub fn pad_small_volumes(mut self, pad: bool) -> Self {
        self.patch.pad_small_volumes = pad;
        self
    }
}

impl Sampler for UniformSampler {
    fn patch(&self) -> [usize; 3] {
        self.patch.shape
    }

    fn follows_voxels(&self) -> bool {
        false
    }

    fn prepare(&self, field: Arc<dyn Field>) -> Result<Arc<dyn Regions>> {
        Ok(Arc::new(Anywhere(self.patch.in_volume(&*field)?)))
    }
}

#[derive(Debug)]
struct Anywhere(Placement);

impl Regions for Anywhere {
    fn count(&self) -> Option<u64> {
        None
    }

    fn draw(&self, draw: Draw) -> Result<Sample> {
        let region = self.0.anywhere(&mut Random::of(draw));
        Ok(Sample { region, choice: Choice::Uniform })
    }
}
