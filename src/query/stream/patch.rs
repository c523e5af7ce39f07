//! What a stream gives.

use std::sync::Arc;

use ndarray::Ix4;
use serde::{Deserialize, Serialize};

use crate::query::Voxels;
use crate::sample::{Choice, Draw};
use crate::{Affine, Region, Spacing};

/// One place of one subject: the voxels that each image has there.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Patch {
    /// Where they come from.
    pub origin: Origin,
    /// Name and voxels (`z, y, x`) of each image of one frame, in the order in which they were
    /// asked for.
    pub images: Vec<(Arc<str>, Voxels)>,
    /// Name and voxels (`c, z, y, x`) of each image of several
    /// ([`super::ImageRequest::frames`]), in that order.
    pub frames: Vec<(Arc<str>, Voxels<Ix4>)>,
}

impl Patch {
    /// The voxels of the image of this name, which was asked for as one frame.
    #[must_use]
    pub fn image(&self, name: &str) -> Option<&Voxels> {
        named(&self.images, name)
    }

    /// The voxels of the image of this name, which was asked for as several frames: `c, z, y, x`.
    #[must_use]
    pub fn frames(&self, name: &str) -> Option<&Voxels<Ix4>> {
        named(&self.frames, name)
    }
}

/// Images of a number of axes, by name.
pub(super) type Named<D> = Vec<(Arc<str>, Voxels<D>)>;

/// The one of this name.
pub(super) fn named<'a, V>(images: &'a [(Arc<str>, V)], name: &str) -> Option<&'a V> {
    images.iter().find(|(image, _)| **image == *name).map(|(_, voxels)| voxels)
}

/// Where a patch comes from, and how it was chosen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Origin {
    /// The subject.
    pub subject: String,
    /// The patch in the volume, start and shape in `z, y, x`.
    pub region: Region,
    /// How many voxels of the patch lie before and after the volume, by axis, `z, y, x`: those
    /// were made up.
    pub padding: [[usize; 2]; 3],
    /// Voxel `(x, y, z)` of the patch to RAS millimetres.
    pub affine: Affine,
    /// Millimetres, `z, y, x`.
    pub spacing: Spacing,
    /// How the region was chosen.
    pub choice: Choice,
    /// What the sampler was asked for: it gives the same region again. The seed is of the stream's
    /// seed and the subject, so that subjects are not drawn from alike.
    pub draw: Draw,
    /// Place in the epoch, counted over all ranks from 0; each occurs once, or, under
    /// [`super::Remainder::Repeat`], a few of the first twice.
    pub position: u64,
}

/// How far a region reaches beyond a volume of this shape, before and after, at most its own
/// length.
pub(super) fn padding(region: &Region, volume: [usize; 3]) -> [[usize; 2]; 3] {
    std::array::from_fn(|axis| {
        let n = region.shape[axis];
        let end = i64::try_from(volume[axis]).unwrap_or(i64::MAX);
        let before = 0_i64.saturating_sub(region.start[axis]);
        let after = region.end(axis).saturating_sub(end);
        [before, after].map(|beyond| usize::try_from(beyond.max(0)).unwrap_or(n).min(n))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_counts_the_voxels_outside() {
        for start in -9..9_i64 {
            for n in 1..9_usize {
                let region = Region::new([0, start, i64::MIN], [4, n, 2]);
                let all = start..start + i64::try_from(n).unwrap();
                let [z, y, x] = padding(&region, [4, 5, 6]);
                assert_eq!((z, x), ([0, 0], [2, 0]));
                let before = all.clone().filter(|i| *i < 0).count();
                let after = all.filter(|i| *i >= 5).count();
                assert_eq!(y, [before, after]);
            }
        }
    }
}
