//! Grids: the places of patches that cover a volume.

use crate::error::show;
use crate::{Error, Region, Result, morton};

use super::border::signed;

/// A traversal lists at most this many places.
const LISTED: u64 = 1 << 26;

/// The order in which the places of a [`Grid`] are visited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Traversal {
    /// By `z`, then `y`, then `x`, as in `TorchIO` and MONAI. Patches that end at the same `z`
    /// follow each other, so a volume can be assembled from them plane by plane.
    Lexicographic,
    /// Along a Morton curve: neighbours on all axes follow each other closely, so a small cache of
    /// chunks reads few chunks twice.
    Morton,
}

/// The places of patches in one volume: the product of the places along its axes. They are numbered
/// from 0 in lexicographic order; a place is computed from its number, so a grid takes no memory.
///
/// Along an axis, patches start at `-B, -B + D, -B + 2 D, ...` with the step `D = P - O` (patch
/// minus overlap) as long as they fit. A last patch ends at the end of the axis, so its overlap may
/// exceed `O`. `B` is 0, or the padding before the volume. With [`super::Overlap::TileStep`], `n`
/// patches start at `i (S - P) / (n - 1)` instead, rounded to the nearest voxel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grid {
    volume: [usize; 3],
    patch: [usize; 3],
    axes: [AxisStarts; 3],
}

/// Starts along one axis, from `first` to `first + last`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct AxisStarts {
    pub first: i64,
    pub last: usize,
    pub between: Between,
}

/// How the starts between the first and the last are laid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Between {
    /// `min(n * step, last)`.
    Step(usize),
    /// `n * last / (places - 1)`, rounded to the nearest, of two to the even one: no two the same.
    Spread { places: usize },
}

impl AxisStarts {
    fn places(&self) -> usize {
        match self.between {
            Between::Step(step) => self.last.div_ceil(step) + 1,
            Between::Spread { places } => places,
        }
    }

    fn start(&self, n: usize) -> i64 {
        let by = match self.between {
            Between::Step(step) => n.saturating_mul(step).min(self.last),
            Between::Spread { places } => spread(n, self.last, places),
        };
        self.first.saturating_add(signed(by))
    }

    fn place_at(&self, start: i64) -> Option<usize> {
        let after = usize::try_from(start.checked_sub(self.first)?).ok()?;
        let n = match self.between {
            Between::Step(step) => after.div_ceil(step),
            // As the starts ascend, the first that is not before this one.
            Between::Spread { places } => {
                let (mut low, mut high) = (0, places);
                while low < high {
                    let middle = usize::midpoint(low, high);
                    if self.start(middle) < start { low = middle + 1 } else { high = middle }
                }
                low
            }
        };
        (n < self.places() && self.start(n) == start).then_some(n)
    }

    /// The most voxels from one start to the next.
    fn step(&self) -> usize {
        match self.between {
            Between::Step(step) => step,
            Between::Spread { places: 1 } => 0,
            Between::Spread { places } => self.last.div_ceil(places - 1),
        }
    }
}

/// In the arithmetic of nnU-Net, so that the starts are the same.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn spread(n: usize, last: usize, places: usize) -> usize {
    if places < 2 {
        return 0;
    }
    let step = last as f64 / (places - 1) as f64;
    ((step * n as f64).round_ties_even() as usize).min(last)
}

impl Grid {
    pub(super) fn new(
        volume: [usize; 3],
        patch: [usize; 3],
        axes: [AxisStarts; 3],
    ) -> Result<Self> {
        let grid = Self { volume, patch, axes };
        let places = crate::voxels(grid.shape());
        if places.and_then(|n| i64::try_from(n).ok()).is_none() {
            let reason = "gives more places than can be counted; overlap less";
            return Err(Error::invalid("grid", show(&grid.shape()), reason));
        }
        Ok(grid)
    }

    /// Shape of the volume, `z, y, x`.
    #[must_use]
    pub const fn volume(&self) -> [usize; 3] {
        self.volume
    }

    /// Shape of the patches, `z, y, x`.
    #[must_use]
    pub const fn patch(&self) -> [usize; 3] {
        self.patch
    }

    /// Voxels that neighbours share at least, `z, y, x`; the last two patches along an axis may
    /// share more, and of evenly spread patches some share one more than others. 0 along an axis
    /// of one evenly spread patch.
    #[must_use]
    pub fn overlap(&self) -> [usize; 3] {
        std::array::from_fn(|axis| match self.axes[axis].step() {
            0 => 0,
            step => self.patch[axis] - step,
        })
    }

    /// How far patches leave the volume, before and after it on each axis, `z, y, x`.
    #[must_use]
    pub fn padding(&self) -> [[usize; 2]; 3] {
        std::array::from_fn(|axis| {
            let AxisStarts { first, last, .. } = self.axes[axis];
            let before = usize::try_from(first.unsigned_abs()).unwrap_or(usize::MAX);
            let end = last.saturating_add(self.patch[axis]);
            [before, end.saturating_sub(before).saturating_sub(self.volume[axis])]
        })
    }

    /// Number of places along `z, y, x`.
    #[must_use]
    pub fn shape(&self) -> [usize; 3] {
        std::array::from_fn(|axis| self.axes[axis].places())
    }

    /// Number of places.
    #[must_use]
    #[allow(clippy::len_without_is_empty, reason = "there is always a place")]
    pub fn len(&self) -> u64 {
        // Checked when the grid was made.
        self.shape().iter().map(|places| *places as u64).product()
    }

    /// The starts of patches along an axis (0 is `z`), ascending, without duplicates; empty for an
    /// axis above 2.
    #[must_use]
    pub fn starts(&self, axis: usize) -> impl ExactSizeIterator<Item = i64> + use<> {
        let axis = self.axes.get(axis).copied();
        (0..axis.map_or(0, |axis| axis.places())).map(move |n| axis.map_or(0, |axis| axis.start(n)))
    }

    /// The patch at a place; `None` from [`Self::len`] on.
    #[must_use]
    pub fn region(&self, place: u64) -> Option<Region> {
        let n = usize::try_from(place).ok().filter(|_| place < self.len())?;
        let [_, rows, columns] = self.shape();
        let at = [n / columns / rows, n / columns % rows, n % columns];
        let start = std::array::from_fn(|axis| self.axes[axis].start(at[axis]));
        Some(Region::new(start, self.patch))
    }

    /// The number of the patch that starts at this voxel, `z, y, x`; `None` if none does.
    #[must_use]
    pub fn place_at(&self, start: [i64; 3]) -> Option<u64> {
        let shape = self.shape();
        (0..3).try_fold(0, |number, axis| {
            let at = self.axes[axis].place_at(start[axis])?;
            Some(number * shape[axis] as u64 + at as u64)
        })
    }

    /// All patches, in lexicographic order.
    pub fn regions(&self) -> impl Iterator<Item = Region> + use<> {
        let grid = *self;
        (0..grid.len()).map_while(move |place| grid.region(place))
    }

    /// The numbers of all places in the order of a traversal.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if there are more than 2^26: too many to list.
    pub fn traversal(&self, traversal: Traversal) -> Result<Vec<u64>> {
        if self.len() > LISTED {
            let reason = "gives too many places to list; visit them by number, or overlap less";
            return Err(Error::invalid("grid", show(&self.shape()), reason));
        }
        Ok(match traversal {
            Traversal::Lexicographic => (0..self.len()).collect(),
            Traversal::Morton => {
                let [_, rows, columns] = self.shape();
                let number = |[z, y, x]: [usize; 3]| ((z * rows + y) * columns + x) as u64;
                morton::order(self.shape()).into_iter().map(number).collect()
            }
        })
    }
}
