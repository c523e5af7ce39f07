//! Geometry: [`Region`] inside a volume, [`Spacing`] and [`Affine`] in the world.
//!
//! Every triple is in `z, y, x` order, with one exception by convention: the matrix of an
//! [`Affine`] takes voxel indices as `(x, y, z)` and gives millimetres in RAS+, as in NIfTI and
//! nibabel.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::show;
use crate::{Error, Result};

/// A cuboid of voxels: start and shape, `z, y, x`. It may lie partly or wholly outside a volume,
/// so the start may be negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Region {
    /// First voxel, `z, y, x`.
    pub start: [i64; 3],
    /// Number of voxels along `z, y, x`.
    pub shape: [usize; 3],
}

impl Region {
    /// A region from its first voxel and its shape, both `z, y, x`.
    #[must_use]
    pub const fn new(start: [i64; 3], shape: [usize; 3]) -> Self {
        Self { start, shape }
    }

    /// The whole of a volume of this shape.
    #[must_use]
    pub const fn whole(shape: [usize; 3]) -> Self {
        Self::new([0; 3], shape)
    }

    /// Number of voxels; `None` if it does not fit `usize`.
    #[must_use]
    pub fn voxels(&self) -> Option<usize> {
        voxels(self.shape)
    }

    /// One past the last voxel along `axis`, saturating at the end of `i64`.
    #[must_use]
    pub fn end(&self, axis: usize) -> i64 {
        self.start[axis].saturating_add_unsigned(self.shape[axis] as u64)
    }

    /// True if every voxel lies inside a volume of this shape.
    #[must_use]
    pub fn is_inside(&self, volume: [usize; 3]) -> bool {
        (0..3).all(|a| {
            self.start[a] >= 0 && u64::try_from(self.end(a)).is_ok_and(|e| e <= volume[a] as u64)
        })
    }

    /// The part inside a volume of this shape, or `None` if there is none.
    #[must_use]
    pub fn clip(&self, volume: [usize; 3]) -> Option<Self> {
        let mut clipped = *self;
        for axis in 0..3 {
            let start = self.start[axis].max(0);
            let end = self.end(axis).min(i64::try_from(volume[axis]).unwrap_or(i64::MAX));
            clipped.start[axis] = start;
            clipped.shape[axis] =
                usize::try_from(end.checked_sub(start)?).ok().filter(|n| *n > 0)?;
        }
        Some(clipped)
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [z, y, x] = self.start;
        write!(f, "{} at {z},{y},{x} (z, y, x)", show(&self.shape))
    }
}

/// The product of a shape, or `None` if it does not fit `usize`.
#[must_use]
pub fn voxels(shape: [usize; 3]) -> Option<usize> {
    shape[0].checked_mul(shape[1])?.checked_mul(shape[2])
}

/// Millimetres between voxel centres, `z, y, x`; positive and finite.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "[f64; 3]", into = "[f64; 3]")]
pub struct Spacing([f64; 3]);

impl Spacing {
    /// Spacing in millimetres, `z, y, x`.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if one is not positive and finite.
    pub fn new(mm: [f64; 3]) -> Result<Self> {
        if mm.iter().all(|s| s.is_finite() && *s > 0.0) {
            Ok(Self(mm))
        } else {
            let value = format!("{}x{}x{}", mm[0], mm[1], mm[2]);
            Err(Error::invalid("spacing", value, "must be positive millimetres, z x y x x"))
        }
    }

    /// Millimetres, `z, y, x`.
    #[must_use]
    pub const fn mm(self) -> [f64; 3] {
        self.0
    }
}

impl TryFrom<[f64; 3]> for Spacing {
    type Error = Error;
    fn try_from(mm: [f64; 3]) -> Result<Self> {
        Self::new(mm)
    }
}

impl From<Spacing> for [f64; 3] {
    fn from(spacing: Spacing) -> Self {
        spacing.0
    }
}

/// From voxel indices `(x, y, z)` of voxel centres to world millimetres, RAS+ (`x` grows to the
/// patient's right, `y` to the front, `z` to the head). Row-major, last row `0 0 0 1`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Affine(pub [[f64; 4]; 4]);

impl Affine {
    /// Axis-aligned, origin at voxel 0, for a spacing in `z, y, x`.
    #[must_use]
    pub fn from_spacing(spacing: Spacing) -> Self {
        let [z, y, x] = spacing.mm();
        Self([[x, 0.0, 0.0, 0.0], [0.0, y, 0.0, 0.0], [0.0, 0.0, z, 0.0], [0.0, 0.0, 0.0, 1.0]])
    }

    /// Whether every entry is finite, the last row is `0 0 0 1`, and no two axes coincide.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        let m = &self.0;
        let finite = m.iter().flatten().all(|v| v.is_finite());
        #[allow(clippy::float_cmp)]
        let last = m[3] == [0.0, 0.0, 0.0, 1.0];
        finite && last && self.spacing().is_ok() && self.determinant().abs() > f64::MIN_POSITIVE
    }

    fn determinant(&self) -> f64 {
        let m = &self.0;
        m[0][0] * (m[1][1] * m[2][2] - m[1][2] * m[2][1])
            - m[0][1] * (m[1][0] * m[2][2] - m[1][2] * m[2][0])
            + m[0][2] * (m[1][0] * m[2][1] - m[1][1] * m[2][0])
    }

    /// Lengths of the columns, in `z, y, x` order: the voxel spacing of this affine.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if one is zero or not finite.
    pub fn spacing(&self) -> Result<Spacing> {
        let length =
            |column: usize| self.0[0][column].hypot(self.0[1][column]).hypot(self.0[2][column]);
        Spacing::new([length(2), length(1), length(0)])
    }

    /// World millimetres (RAS) of a voxel position given as `z, y, x`.
    #[must_use]
    pub fn world(&self, zyx: [f64; 3]) -> [f64; 3] {
        let m = &self.0;
        std::array::from_fn(|r| m[r][0] * zyx[2] + m[r][1] * zyx[1] + m[r][2] * zyx[0] + m[r][3])
    }

    /// The affine of a patch whose first voxel is voxel `start` (`z, y, x`) of this volume.
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn shifted(&self, start: [i64; 3]) -> Self {
        let origin = self.world(start.map(|s| s as f64));
        let mut shifted = *self;
        for (row, mm) in origin.into_iter().enumerate() {
            shifted.0[row][3] = mm;
        }
        shifted
    }

    /// For each voxel axis `z, y, x`: the closest world axis (0 = left-right, 1 = back-front, 2 =
    /// foot-head) and whether the voxel axis runs towards right, front or head. Each world axis is
    /// used once, in the assignment with the largest total cosine.
    #[must_use]
    pub fn orientation(&self) -> [(usize, bool); 3] {
        let m = &self.0;
        let length: [f64; 3] =
            std::array::from_fn(|c| m[0][c].hypot(m[1][c]).hypot(m[2][c]).max(f64::MIN_POSITIVE));
        let cosine = |column: usize, world: usize| (m[world][column] / length[column]).abs();
        let orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
        let total = |o: &[usize; 3]| (0..3).map(|c| cosine(c, o[c])).sum::<f64>();
        let best = orders
            .into_iter()
            .reduce(|best, o| if total(&o) > total(&best) + 1e-9 { o } else { best })
            .expect("the list is not empty");
        // `best` is by matrix column, x first; the result is z, y, x.
        [2, 1, 0].map(|column| (best[column], m[best[column]][column] >= 0.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clip_is_the_set_intersection() {
        let volume = [4, 5, 6];
        for start in -8..8 {
            for n in 0..9 {
                let region = Region::new([0, start, 0], [4, n, 6]);
                let inside: Vec<i64> = (start..start + i64::try_from(n).unwrap())
                    .filter(|i| (0..5).contains(i))
                    .collect();
                match region.clip(volume) {
                    Some(c) => {
                        assert_eq!((c.start[1], c.shape[1]), (inside[0], inside.len()));
                    }
                    None => assert!(inside.is_empty()),
                }
                assert_eq!(region.is_inside(volume), inside.len() == n && (0..=5).contains(&start));
            }
        }
    }

    #[test]
    fn extreme_regions_do_not_overflow() {
        let region = Region::new([i64::MAX, i64::MIN, 0], [usize::MAX; 3]);
        assert!(region.clip([3, 3, 3]).is_none());
        assert!(!region.is_inside([3, 3, 3]));
        assert_eq!(region.voxels(), None);
    }

    #[test]
    fn orientation_names_the_nearest_axes() {
        let spacing = Spacing::new([3.0, 2.0, 1.0]).expect("valid");
        let mut affine = Affine::from_spacing(spacing);
        assert_eq!(affine.orientation(), [(2, true), (1, true), (0, true)]);
        affine.0[0][0] = -1.0;
        affine.0[1][0] = 0.3;
        assert_eq!(affine.orientation(), [(2, true), (1, true), (0, false)]);
        assert!((affine.shifted([1, 0, 0]).0[2][3] - 3.0).abs() < 1e-12);
    }
}
