//! A synthetic chest CT of any size, computed plane by plane.
//!
//! Body, lungs with vessels and nodules, spine and ribs, at the intensities and the noise of a
//! real scan, so that a volume of any size can be made, stored and checked without patient data.
//! Every voxel depends on its position alone: planes can be computed in any order, by any number
//! of threads, and come out the same on every machine (no trigonometry, no floating-point sums
//! whose order could change).
//!
//! Unlike a real scan it has sharp edges and noise without correlation between voxels. A codec
//! that predicts a voxel from its neighbours gains less on it than on a patient.

mod anatomy;
mod file;
mod noise;

use anatomy::Anatomy;

use crate::error::show;
use crate::{Error, Result, Spacing, voxels};

/// What a voxel is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tissue {
    Air,
    Fat,
    Soft,
    Lung,
    Vessel,
    Marrow,
    Cortex,
    Nodule,
}

impl Tissue {
    /// Mean and standard deviation, in Hounsfield units.
    const fn intensity(self) -> (i32, i32) {
        match self {
            Self::Air => (-1000, 8),
            Self::Fat => (-100, 16),
            Self::Soft => (40, 20),
            Self::Lung => (-850, 20),
            Self::Vessel => (60, 20),
            Self::Marrow => (400, 25),
            Self::Cortex => (950, 25),
            Self::Nodule => (30, 18),
        }
    }

    const fn label(self) -> u8 {
        match self {
            Self::Air => 0,
            Self::Fat | Self::Soft => 1,
            Self::Lung | Self::Vessel => 2,
            Self::Marrow | Self::Cortex => 3,
            Self::Nodule => 4,
        }
    }
}

/// A synthetic chest CT in Hounsfield units, and its label map.
#[derive(Debug, Clone)]
pub struct ChestPhantom {
    shape: [usize; 3],
    spacing: Spacing,
    anatomy: Anatomy,
}

impl ChestPhantom {
    /// A chest that fills a volume of this shape (`z, y, x`) and spacing.
    ///
    /// Voxel axes run to the head (`z`), the front (`y`) and the right (`x`), as in
    /// [`crate::Affine::from_spacing`].
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if an axis is zero or the number of voxels does not fit `usize`.
    pub fn new(shape: [usize; 3], spacing: Spacing) -> Result<Self> {
        if voxels(shape).is_none_or(|n| n == 0) {
            let reason = "every axis must be at least 1, and the voxels countable";
            return Err(Error::invalid("phantom shape", show(&shape), reason));
        }
        Ok(Self { shape, spacing, anatomy: Anatomy::new(shape, spacing) })
    }

    /// Shape of the volume, `z, y, x`.
    #[must_use]
    pub const fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// The intensities of plane `z`, in Hounsfield units, row by row (`y, x`), x contiguous.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if there is no such plane, or `out` is not one plane long.
    pub fn plane(&self, z: usize, out: &mut [i16]) -> Result<()> {
        let tissues = self.tissues(z, out.len())?;
        let first = z as u64 * tissues.len() as u64;
        for ((voxel, tissue), index) in out.iter_mut().zip(tissues).zip(first..) {
            let (mean, deviation) = tissue.intensity();
            *voxel = clamped(mean + noise::gaussian(index, deviation));
        }
        Ok(())
    }

    /// The labels of plane `z`, laid out as in [`ChestPhantom::plane`]: 0 background, 1 body,
    /// 2 lung with its vessels, 3 bone, 4 nodule.
    ///
    /// # Errors
    /// As [`ChestPhantom::plane`].
    pub fn label_plane(&self, z: usize, out: &mut [u8]) -> Result<()> {
        let tissues = self.tissues(z, out.len())?;
        for (voxel, tissue) in out.iter_mut().zip(tissues) {
            *voxel = tissue.label();
        }
        Ok(())
    }

    fn tissues(&self, z: usize, length: usize) -> Result<Vec<Tissue>> {
        let [planes, rows, columns] = self.shape;
        if z >= planes {
            return Err(Error::invalid("phantom plane", z, format!("there are {planes}, from 0")));
        }
        if length != rows * columns {
            let reason = format!("a plane of {} has {} voxels", show(&self.shape), rows * columns);
            return Err(Error::invalid("phantom buffer", length, reason));
        }
        Ok(self.anatomy.plane(z))
    }
}

/// The lowest value is that of scanners: 12 bits, rescaled by -1024.
fn clamped(hounsfield: i32) -> i16 {
    i16::try_from(hounsfield.clamp(-1024, 3071)).expect("the bounds fit i16")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: [usize; 3] = [24, 120, 140];

    fn phantom() -> ChestPhantom {
        let spacing = Spacing::new([8.0, 2.5, 2.5]).expect("valid");
        ChestPhantom::new(SHAPE, spacing).expect("valid")
    }

    fn plane(phantom: &ChestPhantom, z: usize) -> (Vec<i16>, Vec<u8>) {
        let mut voxels = vec![0; SHAPE[1] * SHAPE[2]];
        let mut labels = vec![0; SHAPE[1] * SHAPE[2]];
        phantom.plane(z, &mut voxels).expect("plane");
        phantom.label_plane(z, &mut labels).expect("plane");
        (voxels, labels)
    }

    #[test]
    fn planes_do_not_depend_on_order_or_instance() {
        let first = phantom();
        let forward: Vec<_> = (0..SHAPE[0]).map(|z| plane(&first, z)).collect();
        let second = phantom();
        for z in (0..SHAPE[0]).rev() {
            assert_eq!(plane(&second, z), forward[z], "plane {z}");
        }
        assert_ne!(forward[3].0, forward[4].0);
    }

    #[test]
    fn labels_agree_with_intensities() {
        let phantom = phantom();
        let mut of_label: [Vec<f64>; 5] = Default::default();
        for z in 0..SHAPE[0] {
            let (voxels, labels) = plane(&phantom, z);
            for (voxel, label) in voxels.into_iter().zip(labels) {
                assert!((-1024..=1200).contains(&voxel), "{voxel} HU");
                of_label[usize::from(label)].push(f64::from(voxel));
            }
        }
        let median = |label: usize| {
            let mut voxels = of_label[label].clone();
            voxels.sort_by(f64::total_cmp);
            voxels[voxels.len() / 2]
        };
        let expected = [(-1005., -995.), (20., 60.), (-870., -830.), (300., 1050.), (10., 50.)];
        for (label, (low, high)) in expected.into_iter().enumerate() {
            let median = median(label);
            assert!((low..high).contains(&median), "label {label}: median {median} HU");
        }
        // A chest: neither empty nor solid, and every tissue is there to be found.
        let share = |label: usize| {
            let all: usize = of_label.iter().map(Vec::len).sum();
            #[allow(clippy::cast_precision_loss)]
            let share = of_label[label].len() as f64 / all as f64;
            share
        };
        assert!(share(0) > 0.1 && share(0) < 0.5, "background {}", share(0));
        assert!(share(2) > 0.1 && share(2) < 0.5, "lung {}", share(2));
        assert!(share(3) > 0.01 && share(3) < 0.1, "bone {}", share(3));
        assert!(of_label[4].len() > 20, "{} nodule voxels", of_label[4].len());
    }

    #[test]
    fn vessels_stand_out_of_the_lung() {
        let (voxels, labels) = plane(&phantom(), SHAPE[0] / 2);
        let lung = || voxels.iter().zip(&labels).filter(|(_, label)| **label == 2);
        let bright = lung().filter(|(voxel, _)| **voxel > -100).count();
        assert!(bright * 100 > lung().count(), "{bright} of {}", lung().count());
    }

    #[test]
    fn odd_shapes_and_wrong_buffers_are_errors_or_planes() {
        let spacing = Spacing::new([1.0, 1e-3, 1e3]).expect("valid");
        for shape in [[0, 1, 1], [1, 0, 1], [usize::MAX, 2, 2]] {
            assert!(ChestPhantom::new(shape, spacing).is_err());
        }
        for shape in [[1, 1, 1], [1, 7, 1], [3, 1, 9]] {
            let phantom = ChestPhantom::new(shape, spacing).expect("valid");
            let mut out = vec![0; shape[1] * shape[2]];
            phantom.plane(0, &mut out).expect("plane");
            assert!(phantom.plane(shape[0], &mut out).is_err());
            assert!(phantom.plane(0, &mut [0; 100]).is_err());
        }
    }
}
