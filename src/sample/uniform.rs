//! Patches anywhere in a volume.

use std::sync::Arc;

use super::border::{Border, PatchRules, Placement};
use super::{Choice, Draw, Field, Random, Regions, Sample, Sampler};
use crate::Result;

/// Patches whose start is uniform over `0..=S - P` on each axis, so that all places where the patch
/// fits are equally likely: `TorchIO`'s `UniformSampler`, MONAI's `RandSpatialCrop` of fixed size.
/// Voxels near the border are in fewer patches than others.
#[derive(Debug, Clone)]
pub struct UniformSampler {
    patch: PatchRules,
}

impl UniformSampler {
    /// Patches of this shape, `z, y, x`.
    ///
    /// # Errors
    /// [`crate::Error::InvalidArgument`] if an axis is 0.
    pub fn new(patch: [usize; 3]) -> Result<Self> {
        // The patch fits at every start, so the border policy does not matter.
        Ok(Self { patch: PatchRules::new(patch, Border::Mask)? })
    }

    /// Whether volumes smaller than the patch are accepted. On the axes where a volume is smaller,
    /// it lies in the middle of the patch: `(P - S) / 2` voxels, rounded down, of padding before
    /// it, and the rest after it. Without this option they are an error.
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
