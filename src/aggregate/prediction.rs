//! What the model gives: checked before any of it counts.

use std::borrow::Cow;
use std::fmt;

use ndarray::ArrayView4;

use super::group::Group;
use super::piece::Predicted;
use super::plan::Plan;
use crate::error::show;
use crate::{Error, Hint, Region, Result};

/// What becomes of NaN and infinite predictions.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum NonFinite {
    /// They are an error that names the patch, of which nothing is taken then. So are numbers that
    /// are infinite in the type that is stored. What does not count in any voxel, beyond the volume
    /// or in the rim that [`super::Blend::Crop`] cuts off, may be anything.
    #[default]
    Error,
    /// They count like any other number, and spread to all means that they are part of. Outputs of
    /// integers cannot hold them, and are refused.
    Keep,
    /// This value counts in their place, in all outputs of a head: also for a number that only one
    /// of them could not hold.
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

/// Which patch a prediction is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Location {
    /// By its number in the grid.
    Number(u64),
    /// By its first voxel, `z, y, x`; negative before the volume.
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

/// The predictions of one patch by every head, found to be sound.
pub(super) struct Prediction<'a> {
    pub(super) number: u64,
    /// In the grid of places.
    pub(super) place: [usize; 3],
    /// By head.
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
                "no patch of the plan is there: its grid of {} places, {}, has them numbered from \
                 0 (their starts are in z, y, x)",
                self.grid.len(),
                show(&self.grid.shape())
            );
            Error::invalid("location", value, reason)
        })
    }

    /// What messages call a patch.
    pub(crate) fn patch_name(&self, number: u64) -> String {
        match self.grid.region(number) {
            Some(region) => format!("patch {number}, {region}"),
            None => format!("patch {number}"),
        }
    }

    /// Looks at the predictions of a patch: a view for each head, `c, z, y, x`.
    pub(super) fn check<'a>(
        &self,
        number: u64,
        views: impl ExactSizeIterator<Item = ArrayView4<'a, f32>>,
        policy: NonFinite,
    ) -> Result<Prediction<'a>> {
        if views.len() != self.heads() {
            let reason = format!("the plan has {} heads; give one for each", self.heads());
            return Err(Error::invalid("predictions", views.len(), reason));
        }
        let checked =
            views.enumerate().map(|(head, view)| self.check_head(number, head, &view, policy));
        let heads = checked.collect::<Result<_>>()?;
        Ok(Prediction { number, place: self.place_of(number), heads })
    }

    /// The numbers of one head; none if no output is made of it.
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
                    "float16, in which it is to be stored, ends at 65504: store float32"
                } else {
                    "predictions are finite, unless you say what becomes of others"
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

    /// A place of the grid by its number, which is in it.
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
