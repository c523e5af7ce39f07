//! Patches by a map of weights.

use std::sync::Arc;

use super::blocks::{Blocks, Share};
use super::border::{Border, PatchRules, Placement};
use super::pick::Chances;
use super::{BlockSum, Choice, Draw, Field, Random, Regions, Sample, Sampler};
use crate::{Error, Result};

/// Allowed relative difference between the sum of a block and the index: adding in another order
/// changes the last digits, another map of weights far more.
const TOLERANCE: f64 = 1e-6;

/// Patches around voxels that are chosen in proportion to a map of weights, which is stored as a
/// volume of the same shape: voxel `v` with probability `w(v) / sum of w` over all voxels that the
/// [`Border`] allows. A voxel of weight 0 is never chosen.
///
/// By default [`Border::Mask`], as in `TorchIO`'s `WeightedSampler` (version 1). With
/// [`Border::Clamp`] it differs from MONAI's `RandWeightedCrop` in that every voxel can be chosen,
/// also those at the border.
#[derive(Debug, Clone)]
pub struct WeightedSampler {
    patch: PatchRules,
}

impl WeightedSampler {
    /// Patches of this shape, `z, y, x`.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if an axis is 0.
    pub fn new(patch: [usize; 3]) -> Result<Self> {
        Ok(Self { patch: PatchRules::new(patch, Border::Mask)? })
    }

    /// The treatment of voxels at the border.
    #[must_use]
    pub fn border(mut self, border: Border) -> Self {
        self.patch.border = border;
        self
    }

    /// As [`super::UniformSampler::pad_small_volumes`]. On an axis where the volume is padded, any
    /// voxel may be chosen, and all give the same patch.
    #[must_use]
    pub fn pad_small_volumes(mut self, pad: bool) -> Self {
        self.patch.pad_small_volumes = pad;
        self
    }
}

impl Sampler for WeightedSampler {
    fn patch(&self) -> [usize; 3] {
        self.patch.shape
    }

    fn prepare(&self, field: Arc<dyn Field>) -> Result<Arc<dyn Regions>> {
        let placement = self.patch.in_volume(&*field)?;
        let (index, name) = (field.index()?, field.name());
        let blocks = Blocks::new(field, &index, placement.allowed())?;
        let mut sums = Vec::new();
        for sum in blocks.weights(&index)? {
            let weight = allowed_weight(&blocks, *sum)?;
            if weight > 0.0 {
                sums.push(BlockSum { weight, ..*sum });
            }
        }
        let Some(chances) = Chances::new(sums.iter().map(|sum| sum.weight)) else {
            let reason = if sums.is_empty() {
                "no voxel that may be chosen has a weight above 0; use other weights, a smaller \
                 patch, or Border::Clamp"
            } else {
                "the sum of the weights is too large for f64; make them smaller"
            };
            return Err(Error::invalid("weights", name, reason));
        };
        Ok(Arc::new(Weighted { placement, blocks, sums, chances }))
    }
}

/// The weight of the voxels of a block that may be chosen.
fn allowed_weight(blocks: &Blocks, listed: BlockSum) -> Result<f64> {
    match blocks.share(listed.block) {
        Share::Nothing => Ok(0.0),
        Share::Everything => Ok(listed.weight),
        Share::Part => blocks.with_weights(listed.block, |weights, _| {
            let found: f64 = weights.iter().sum();
            if found <= listed.weight * (1.0 + TOLERANCE) {
                return Ok(found);
            }
            let what = "sum of the weights in a part";
            Err(blocks.contradiction(listed.block, what, found, listed.weight))
        }),
    }
}

#[derive(Debug)]
struct Weighted {
    placement: Placement,
    blocks: Blocks,
    /// Blocks with voxels of positive weight that may be chosen.
    sums: Vec<BlockSum>,
    chances: Chances,
}

impl Regions for Weighted {
    fn count(&self) -> Option<u64> {
        None
    }

    fn draw(&self, draw: Draw) -> Result<Sample> {
        let mut random = Random::of(draw);
        let listed = self.sums[self.chances.choose(&mut random)];
        let voxel = self.blocks.with_weights(listed.block, |weights, part| {
            let sum: f64 = weights.iter().sum();
            let same = (sum - listed.weight).abs() <= listed.weight * TOLERANCE;
            match heavier_than(weights, random.unit() * sum) {
                Some(place) if same => Ok(part.voxel(place)),
                _ => {
                    let what = "sum of the weights";
                    Err(self.blocks.contradiction(listed.block, what, sum, listed.weight))
                }
            }
        })?;
        Ok(Sample { region: self.placement.around(voxel), choice: Choice::Weight })
    }
}

/// The first index at which the running sum of the weights exceeds `target`; if rounding prevents
/// that, the last index of positive weight. `None` if all weights are 0.
fn heavier_than(weights: &[f64], target: f64) -> Option<usize> {
    let (mut sum, mut last) = (0.0, None);
    for (place, weight) in weights.iter().enumerate().filter(|(_, weight)| **weight > 0.0) {
        sum += weight;
        last = Some(place);
        if sum > target {
            break;
        }
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_of_weight_zero_is_never_given() {
        let weights = [0.0, 1.0, 0.0, 2.0, 0.0];
        for (target, place) in [(0.0, 1), (0.9, 1), (1.0, 3), (2.9, 3), (3.0, 3), (9.0, 3)] {
            assert_eq!(heavier_than(&weights, target), Some(place), "{target}");
        }
        assert_eq!(heavier_than(&[0.0, 0.0], 0.0), None);
    }
}
