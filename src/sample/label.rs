//! Patches by class.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::blocks::Blocks;
use super::border::{Border, PatchRules, Placement};
use super::pick::{Chances, Classes};
use super::{Absent, Choice, ClassBlocks, Draw, Field, Random, Regions, Sample, Sampler};
use crate::{Error, Result};

/// How many labels a message lists.
const LISTED: usize = 20;

/// Patches around voxels that are chosen by their label.
///
/// The weight `p` of a class has two meanings, which differ as much as the classes do in size. With
/// `n` the number of voxels of the class that the [`Border`] allows, a voxel of the class is chosen
///
/// - [per class](Self::per_class), with probability `p / sum of p, / n`: the class first, then one
///   of its voxels. Equal weights balance the classes. As in `TorchIO` version 1 and MONAI's
///   `RandCropByLabelClasses`.
/// - [per voxel](Self::per_voxel), with probability `p / sum of (p n)`: each voxel has the weight
///   of its class, so that large classes are chosen more often. As in `TorchIO` version 2.
///
/// Sums are over the classes that have allowed voxels: the others are left out, and
/// [`Regions::absent`] names them. By default [`Border::Mask`], as in `TorchIO` version 1;
/// [`Border::Clamp`] is MONAI's.
#[derive(Debug, Clone)]
pub struct LabelSampler {
    patch: PatchRules,
    sense: Sense,
    /// Ascending by label; `None` is 1 for every label other than 0.
    weights: Option<Vec<(i64, f64)>>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Sense {
    Class,
    Voxel,
}

impl LabelSampler {
    /// Chooses a class by its weight, then any of its voxels. `patch` is in `z, y, x`; `weights`
    /// are pairs of a label and its weight on any scale. Without weights, all labels other than 0
    /// that are present are equally likely, however many voxels they have.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if an axis of the patch is 0, a label comes twice, a weight is
    /// negative or not finite, or none is positive.
    pub fn per_class(patch: [usize; 3], weights: Option<&[(i64, f64)]>) -> Result<Self> {
        Self::new(patch, Sense::Class, weights)
    }

    /// Chooses a voxel by the weight of its label. Without weights, all voxels with a label other
    /// than 0 are equally likely.
    ///
    /// # Errors
    /// As [`Self::per_class`].
    pub fn per_voxel(patch: [usize; 3], weights: Option<&[(i64, f64)]>) -> Result<Self> {
        Self::new(patch, Sense::Voxel, weights)
    }

    fn new(patch: [usize; 3], sense: Sense, weights: Option<&[(i64, f64)]>) -> Result<Self> {
        let patch = PatchRules::new(patch, Border::Mask)?;
        Ok(Self { patch, sense, weights: weights.map(checked).transpose()? })
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

    fn weight(&self, label: i64) -> f64 {
        match &self.weights {
            None => f64::from(u8::from(label != 0)),
            Some(weights) => weights
                .binary_search_by_key(&label, |(label, _)| *label)
                .map_or(0.0, |at| weights[at].1),
        }
    }

    /// The wanted labels, out of those that the volume has or that were named.
    fn wanted(&self, listed: &[ClassBlocks]) -> BTreeSet<i64> {
        let named = self.weights.iter().flatten().map(|(label, _)| *label);
        let labels = listed.iter().map(|class| class.label).chain(named);
        labels.filter(|label| self.weight(*label) > 0.0).collect()
    }

    fn chances(&self, classes: &Classes) -> Option<Chances> {
        // Relative to the largest weight that is present, so that no sum is infinite and not all
        // are 0.
        let largest = classes.labels().map(|label| self.weight(label)).fold(0.0, f64::max);
        Chances::new(classes.labels().zip(classes.voxels()).map(|(label, voxels)| {
            self.weight(label) / largest
                * match self.sense {
                    Sense::Class => 1.0,
                    Sense::Voxel => real(voxels),
                }
        }))
    }
}

impl Sampler for LabelSampler {
    fn patch(&self) -> [usize; 3] {
        self.patch.shape
    }

    fn prepare(&self, field: Arc<dyn Field>) -> Result<Arc<dyn Regions>> {
        let placement = self.patch.in_volume(&*field)?;
        let (index, name) = (field.index()?, field.name());
        let blocks = Blocks::new(field, &index, placement.allowed())?;
        let listed = blocks.classes(&index)?;
        let wanted = self.wanted(listed);
        let classes =
            Classes::count(blocks, listed.iter().filter(|class| wanted.contains(&class.label)))?;
        let Some(chances) = self.chances(&classes) else {
            let named = if self.weights.is_some() { show(wanted) } else { "all but 0".into() };
            let reason = format!(
                "none of them is in {name} where a patch may be drawn around it; present at all \
                 are {}; use other labels, a smaller patch, or Border::Clamp",
                show(listed.iter().map(|class| class.label))
            );
            return Err(Error::invalid("labels", named, reason));
        };
        let present: BTreeSet<_> = classes.labels().collect();
        let absent = wanted.difference(&present).map(|label| Absent::Class(*label)).collect();
        Ok(Arc::new(Labelled { placement, classes, chances, absent }))
    }
}

#[derive(Debug)]
struct Labelled {
    placement: Placement,
    classes: Classes,
    chances: Chances,
    absent: Vec<Absent>,
}

impl Regions for Labelled {
    fn count(&self) -> Option<u64> {
        None
    }

    fn absent(&self) -> &[Absent] {
        &self.absent
    }

    fn draw(&self, draw: Draw) -> Result<Sample> {
        let mut random = Random::of(draw);
        let class = self.chances.choose(&mut random);
        let (label, voxel) = self.classes.pick(class..class + 1, &mut random)?;
        Ok(Sample { region: self.placement.around(voxel), choice: Choice::Class(label) })
    }
}

/// The weights ascending by label, or the reason for refusing them.
fn checked(weights: &[(i64, f64)]) -> Result<Vec<(i64, f64)>> {
    let mut weights = weights.to_vec();
    weights.sort_by_key(|(label, _)| *label);
    if let Some(pair) = weights.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        return Err(Error::invalid("label", pair[0].0, "has two weights; give it one"));
    }
    for (label, weight) in &weights {
        if !(0.0..f64::INFINITY).contains(weight) {
            let reason = "weights must be finite and not negative";
            return Err(Error::invalid("weight", format!("{weight} of label {label}"), reason));
        }
    }
    if weights.iter().all(|(_, weight)| *weight == 0.0) {
        let labels = show(weights.iter().map(|(label, _)| *label));
        return Err(Error::invalid("weights of labels", labels, "at least one must be above 0"));
    }
    Ok(weights)
}

/// Labels for a message.
pub(super) fn show(labels: impl IntoIterator<Item = i64>) -> String {
    let labels: Vec<_> = labels.into_iter().map(|label| label.to_string()).collect();
    match labels.len() {
        0 => "none".into(),
        n if n <= LISTED => labels.join(", "),
        n => format!("{} and {} more", labels[..LISTED].join(", "), n - LISTED),
    }
}

/// Exact up to 2^53, and rounded beyond.
#[allow(clippy::cast_precision_loss)]
fn real(voxels: u64) -> f64 {
    voxels as f64
}
