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
/// exceed `O`. `B` is 0, or the padding before the volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grid {
    volume: [usize; 3],
    patch: [usize; 3],
    axes: [AxisStarts; 3],
}

/// Starts along one axis: `first + min(n * step, last)` for `n` below `places`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct AxisStarts {
    pub first: i64,
    pub step: usize,
    pub last: usize,
}

impl AxisStarts {
    fn places(&self) -> usize {
        self.last.div_ceil(self.step) + 1
    }

    fn start(&self, n: usize) -> i64 {
        self.first.saturating_add(signed(n.saturating_mul(self.step).min(self.last)))
    }

    fn place_at(&self, start: i64) -> Option<usize> {
        let after = usize::try_from(start.checked_sub(self.first)?).ok()?;
        let n = after.div_ceil(self.step);
        (n < self.places() && self.start(n) == start).then_some(n)
    }
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

    /// Voxels that neighbours share, `z, y, x`; the last two patches along an axis may share more.
    #[must_use]
    pub fn overlap(&self) -> [usize; 3] {
        std::array::from_fn(|axis| self.patch[axis] - self.axes[axis].step)
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
