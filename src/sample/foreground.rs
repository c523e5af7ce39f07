//! Patches with and without foreground. Foreground is every label above 0, background every other.

use std::sync::Arc;

use super::blocks::Blocks;
use super::border::{Border, PatchRules, Placement};
use super::pick::Classes;
use super::{Absent, Choice, Draw, Field, Random, Regions, Sample, Sampler};
use crate::{Error, Result};

/// Fractional bits of a share.
const FRACTION: u32 = 44;

/// Patches of which a given part holds foreground.
///
/// By default [`Border::Clamp`], as in MONAI. nnU-Net is similar, but lets patches leave the volume
/// at the far end.
#[derive(Debug, Clone)]
pub struct ForegroundSampler {
    patch: PatchRules,
    rule: Rule,
}

#[derive(Debug, Clone, Copy)]
enum Rule {
    /// The probability of foreground.
    Ratio(f64),
    /// The share of draws that must hold foreground, in units of 2^-44.
    Share(u64),
}

impl ForegroundSampler {
    /// Each patch is drawn around a voxel of the foreground with probability `pos / (pos + neg)`,
    /// otherwise around one of the background; all voxels of either are equally likely: MONAI's
    /// `RandCropByPosNegLabel`. If a volume has no voxels of one kind, all patches are drawn around
    /// the other, and [`Regions::absent`] says so. `patch` is in `z, y, x`.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if an axis of the patch is 0, or `pos` and `neg` are negative,
    /// not finite or both 0.
    pub fn pos_neg(patch: [usize; 3], pos: f64, neg: f64) -> Result<Self> {
        let weights = 0.0..f64::INFINITY;
        if !(weights.contains(&pos) && weights.contains(&neg)) || pos.max(neg) == 0.0 {
            let reason = "must be finite, not negative and not both 0";
            return Err(Error::invalid("pos and neg", format!("{pos}, {neg}"), reason));
        }
        // Halved, so that their sum is finite.
        let (pos, neg) = (pos / 2.0, neg / 2.0);
        let rule = Rule::Ratio(if neg == 0.0 { 1.0 } else { pos / (pos + neg) });
        Ok(Self { patch: PatchRules::new(patch, Border::Clamp)?, rule })
    }

    /// A share of the patches is drawn around foreground: around a voxel of one of the foreground
    /// classes that are present, where all classes are equally likely, then all voxels of the
    /// class. The other patches lie anywhere, as in [`super::UniformSampler`]. This is the
    /// oversampling of nnU-Net (Isensee et al., "nnU-Net: a self-configuring method for deep
    /// learning-based biomedical image segmentation", 2021), where the share is a third.
    ///
    /// The share is exact, not random: draw `i` is around foreground if and only if
    /// `floor((i + 1) * share) > floor(i * share)`, so that any `n` consecutive draws have
    /// `n * share` of them, rounded up or down. The share is rounded up to a multiple of 2^-44, so
    /// that 0.3 means 3 of 10.
    ///
    /// In a volume without foreground all patches lie anywhere, and [`Regions::absent`] says so.
    /// `patch` is in `z, y, x`.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if an axis of the patch is 0, or the share not in `0..=1`.
    pub fn oversample(patch: [usize; 3], share: f64) -> Result<Self> {
        if !(0.0..=1.0).contains(&share) {
            return Err(Error::invalid("share", share, "must be from 0 to 1"));
        }
        // Checked above to be small and not negative.
        #[allow(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss
        )]
        let units = (share * (1_u64 << FRACTION) as f64).ceil() as u64;
        Ok(Self { patch: PatchRules::new(patch, Border::Clamp)?, rule: Rule::Share(units) })
    }

    /// The treatment of voxels at the border.
    #[must_use]
    pub fn border(mut self, border: Border) -> Self {
        self.patch.border = border;
        self
    }

    /// As [`super::WeightedSampler::pad_small_volumes`].
    #[must_use]
    pub fn pad_small_volumes(mut self, pad: bool) -> Self {
        self.patch.pad_small_volumes = pad;
        self
    }
}

impl Sampler for ForegroundSampler {
    fn patch(&self) -> [usize; 3] {
        self.patch.shape
    }

    fn prepare(&self, field: Arc<dyn Field>) -> Result<Arc<dyn Regions>> {
        let placement = self.patch.in_volume(&*field)?;
        let (index, name) = (field.index()?, field.name());
        let blocks = Blocks::new(field, &index, placement.allowed())?;
        let listed = blocks.classes(&index)?;
        // Counts only what may be drawn, because counting under a mask reads blocks.
        let count = |foreground: bool| -> Result<Option<Classes>> {
            let side = listed.iter().filter(|class| (class.label > 0) == foreground);
            Ok(Some(Classes::count(blocks.clone(), side)?).filter(|classes| classes.len() > 0))
        };
        let (wants_foreground, wants_background) = match self.rule {
            Rule::Ratio(positive) => (positive > 0.0, positive < 1.0),
            Rule::Share(units) => (units > 0, false),
        };
        let mut foreground = if wants_foreground { count(true)? } else { None };
        let mut background = if wants_background { count(false)? } else { None };
        let mut absent = Vec::new();
        absent.extend((wants_foreground && foreground.is_none()).then_some(Absent::Foreground));
        absent.extend((wants_background && background.is_none()).then_some(Absent::Background));
        let mut rule = self.rule;
        if let Rule::Ratio(positive) = &mut rule {
            if foreground.is_none() && background.is_none() {
                foreground = if wants_foreground { None } else { count(true)? };
                background = if wants_background { None } else { count(false)? };
            }
            match (&foreground, &background) {
                (None, None) => {
                    let reason = "the index lists no voxel that may be chosen; build it again";
                    return Err(Error::invalid("labels", name, reason));
                }
                (None, Some(_)) => *positive = 0.0,
                (Some(_), None) => *positive = 1.0,
                (Some(_), Some(_)) => {}
            }
        }
        Ok(Arc::new(Sides { placement, rule, foreground, background, absent }))
    }
}

#[derive(Debug)]
struct Sides {
    placement: Placement,
    rule: Rule,
    foreground: Option<Classes>,
    background: Option<Classes>,
    absent: Vec<Absent>,
}

impl Regions for Sides {
    fn count(&self) -> Option<u64> {
        None
    }

    fn absent(&self) -> &[Absent] {
        &self.absent
    }

    fn draw(&self, draw: Draw) -> Result<Sample> {
        let mut random = Random::of(draw);
        let (chosen, choice) = match (self.rule, &self.foreground, &self.background) {
            (Rule::Share(units), Some(foreground), _) if is_forced(units, draw.index) => {
                let class = usize::try_from(random.below(foreground.len() as u64)).unwrap_or(0);
                let (label, voxel) = foreground.pick(class..class + 1, &mut random)?;
                (voxel, Choice::Class(label))
            }
            (Rule::Ratio(positive), Some(foreground), _) if random.unit() < positive => {
                let (label, voxel) = foreground.pick(0..foreground.len(), &mut random)?;
                (voxel, Choice::Class(label))
            }
            (Rule::Ratio(_), _, Some(background)) => {
                let (_, voxel) = background.pick(0..background.len(), &mut random)?;
                (voxel, Choice::Background)
            }
            _ => {
                let region = self.placement.anywhere(&mut random);
                return Ok(Sample { region, choice: Choice::Uniform });
            }
        };
        Ok(Sample { region: self.placement.around(chosen), choice })
    }
}

/// Whether the number of forced draws grows with this draw; exact for every index.
fn is_forced(units: u64, index: u64) -> bool {
    let until = |draws: u128| (draws * u128::from(units)) >> FRACTION;
    until(u128::from(index) + 1) > until(u128::from(index))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_stretch_of_draws_has_its_share_of_forced_ones() {
        for (tenths, share) in [(0, 0.0), (1, 0.1), (3, 0.3), (5, 0.5), (7, 0.7), (10, 1.0)] {
            let sampler = ForegroundSampler::oversample([1; 3], share).unwrap();
            let Rule::Share(units) = sampler.rule else { panic!("a share") };
            for first in (0..40).chain([(1 << 20) + 3, (1 << 33) + 1]) {
                let forced = (first..first + 10).filter(|i| is_forced(units, *i)).count();
                assert_eq!(forced, tenths, "{share} from {first}");
            }
        }
        // As far as indices go, nothing overflows.
        assert!(is_forced(1 << FRACTION, u64::MAX) && !is_forced(0, u64::MAX));
    }
}
