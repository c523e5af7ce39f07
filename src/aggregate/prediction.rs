//! The predictions of a patch: checked before any of them is added.

use std::borrow::Cow;
use std::fmt;

use ndarray::ArrayView4;

use super::contribution::Predicted;
use super::group::Group;
use super::plan::Plan;
use crate::error::show;
use crate::{Error, Hint, Region, Result};

/// What happens to NaN and infinite predictions.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum NonFinite {
    /// An error that names the patch, whose prediction is not added. The same holds for numbers
    /// that are infinite in the stored type. Numbers that count in no voxel, beyond the volume or
    /// in the rim that [`super::Blend::Crop`] cuts off, are not checked.
    #[default]
    Error,
    /// They count like any other number, and spread to all means that they are part of. An error
    /// for outputs of integers, which cannot hold them.
    Keep,
    /// This value replaces them in all outputs of a head, also where only one of the outputs could
    /// not hold the number.
    Replace(f32),
}

impl fmt::Display for NonFinite {
    /// `error`, `keep`, or the value.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Error => f.pad("error"),
            Self::Keep => f.pad("keep"),
            Self::Replace(value) => write!(f, "{value}"),
        }
    }
}

/// The patch that a prediction belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Location {
    /// By the number of the patch in the grid.
    Number(u64),
    /// By the first voxel of the patch, `z, y, x`; negative before the volume.
    Start([i64; 3]),
}

impl From<u64> for Location {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

impl From<Region> for Location {
    fn from(region: Region) -> Self {
        Self::Start(region.start)
    }
}

impl From<[i64; 3]> for Location {
    fn from(start: [i64; 3]) -> Self {
        Self::Start(start)
    }
}

/// The predictions of one patch by every head, after the checks.
pub(super) struct Prediction<'a> {
    pub(super) number: u64,
    /// Place of the patch in the grid.
    pub(super) place: [usize; 3],
    /// Voxels of each head's prediction.
    heads: Vec<Cow<'a, [f32]>>,
}

impl Plan {
    /// The number of a patch.
    pub(super) fn number(&self, location: Location) -> Result<u64> {
        let (number, value) = match location {
            Location::Number(n) => (Some(n).filter(|n| *n < self.grid.len()), n.to_string()),
            Location::Start(start) => {
                let [z, y, x] = start;
                (self.grid.place_at(start), format!("{z},{y},{x}"))
            }
        };
        number.ok_or_else(|| {
            let reason = format!(
                "no patch of the plan begins there: its grid of {} places, {}, has them numbered \
                 from 0 (their starts are in z, y, x)",
                self.grid.len(),
                show(&self.grid.shape())
            );
            Error::invalid("location", value, reason)
        })
    }

    /// The name of a patch in messages.
    pub(crate) fn patch_name(&self, number: u64) -> String {
        match self.grid.region(number) {
            Some(region) => format!("patch {number}, {region}"),
            None => format!("patch {number}"),
        }
    }

    /// Checks the predictions of a patch: a view for each head, `c, z, y, x`.
    pub(super) fn check<'a>(
        &self,
        number: u64,
        views: impl ExactSizeIterator<Item = ArrayView4<'a, f32>>,
        policy: NonFinite,
    ) -> Result<Prediction<'a>> {
        if views.len() != self.heads() {
            let reason =
                format!("the plan has {} heads; give one prediction for each", self.heads());
            return Err(Error::invalid("predictions", views.len(), reason));
        }
        let checked =
            views.enumerate().map(|(head, view)| self.check_head(number, head, &view, policy));
        let heads = checked.collect::<Result<_>>()?;
        Ok(Prediction { number, place: self.place_of(number), heads })
    }

    /// The numbers of one head; empty if no output is made of it.
    fn check_head<'a>(
        &self,
        number: u64,
        head: usize,
        view: &ArrayView4<'a, f32>,
        policy: NonFinite,
    ) -> Result<Cow<'a, [f32]>> {
        let made = || self.outputs.iter().map(|planned| &planned.output).filter(|o| o.head == head);
        let Some(group) = self.groups.iter().find(|group| group.head == head) else {
            return Ok(Cow::Borrowed(&[]));
        };
        let what = || {
            let names: Vec<_> = made().map(|output| output.name.to_string()).collect();
            format!("{}, for {}", self.patch_name(number), names.join(" and "))
        };
        let (place, shape) = (self.place_of(number), group.prediction());
        if view.shape() != shape {
            let reason = format!("of {}, must be of shape {shape:?} (c, z, y, x)", what());
            return Err(Error::invalid("prediction", format!("{:?}", view.shape()), reason));
        }
        let mut voxels = match view.to_slice() {
            Some(voxels) => Cow::Borrowed(voxels),
            None => Cow::Owned(view.iter().copied().collect()),
        };
        let used = std::array::from_fn(|a| group.axes[a].used(place[a]));
        let limit = made().map(|output| output.values.limit()).fold(f32::INFINITY, f32::min);
        if policy != NonFinite::Keep
            && let Some((at, value)) = Predicted::whole(&voxels, shape).beyond(&used, limit)
        {
            let NonFinite::Replace(with) = policy else {
                let told = if value.is_finite() {
                    "the output stores float16, which ends at 65504: store float32"
                } else {
                    "predictions must be finite, unless an option says how to treat others"
                };
                let reason =
                    format!("at {at:?} (c, z, y, x) of the prediction of {}: {told}", what());
                return Err(Error::invalid("prediction", value, reason).hinting(Hint::NonFinite));
            };
            let is_beyond = |v: &&mut f32| v.is_nan() || v.abs() >= limit;
            voxels.to_mut().iter_mut().filter(is_beyond).for_each(|v| *v = with);
        }
        Ok(voxels)
    }

    /// The place in the grid of the patch with this number, which is in the grid.
    pub(super) fn place_of(&self, number: u64) -> [usize; 3] {
        let [_, rows, columns] = self.grid.shape();
        let n = usize::try_from(number).expect("the places of a grid are counted in usize");
        [n / columns / rows, n / columns % rows, n % columns]
    }
}

impl Prediction<'_> {
    pub(super) fn of_group(&self, group: &Group) -> Predicted<'_> {
        Predicted::whole(&self.heads[group.head], group.prediction())
    }
}
