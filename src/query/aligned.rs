//! Volumes that share a grid: an image, its label, another modality.

use ndarray::Ix4;

use super::voxels::Voxels;
use crate::error::show;
use crate::store::{Dataset, View, Volume};
use crate::{Affine, Error, Pool, Region, Result};

/// How far a voxel may lie from its counterpart in another volume, in parts of the smallest
/// spacing: enough for affines that went through `f32` or a quaternion, too little to matter.
const TOLERANCE: f64 = 0.01;

/// Views of volumes of equal shape, each voxel of which is at the same place as that of the others:
/// what is read at one region belongs together. Each view returns voxels in its own way
/// ([`View::scaled`], [`View::padded`], [`View::cached`]).
#[derive(Debug, Clone)]
pub struct Aligned {
    views: Vec<View>,
}

impl Aligned {
    /// Checks that the volumes share the grid of the first: the same shape, and affines that place
    /// no voxel further than a hundredth of the smallest spacing from where the first does.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if there are no volumes or one is on another grid, naming both
    /// and what differs.
    pub fn new(views: Vec<View>) -> Result<Self> {
        let Some(first) = views.first() else {
            return Err(Error::invalid("volumes", "none", "give at least one"));
        };
        for other in &views[1..] {
            check_grid(first.volume(), other.volume())?;
        }
        Ok(Self { views })
    }

    /// The views, in the order given.
    #[must_use]
    pub fn views(&self) -> &[View] {
        &self.views
    }

    /// Shape of all of them in voxels, `z, y, x`.
    #[must_use]
    pub fn shape(&self) -> [usize; 3] {
        self.views[0].volume().shape()
    }

    /// Voxel `(x, y, z)` to RAS millimetres, as the first volume has it.
    #[must_use]
    pub fn affine(&self) -> &Affine {
        self.views[0].volume().affine()
    }

    /// Reads the same region of each volume, in the type that its view returns.
    ///
    /// # Errors
    /// As [`View::read`].
    pub fn read(&self, region: Region) -> Result<Vec<Voxels>> {
        self.views.iter().map(|view| view.read_any(region)).collect()
    }

    /// Reads the same regions, of one shape, of each volume: an array `n, z, y, x` each.
    ///
    /// # Errors
    /// As [`View::read_many`].
    pub fn read_many(&self, regions: &[Region], pool: &Pool) -> Result<Vec<Voxels<Ix4>>> {
        self.views.iter().map(|view| view.read_many_any(regions, pool)).collect()
    }
}

impl Dataset {
    /// Opens volumes of one subject that share a grid, in the order of `images`, each looked at by
    /// its plain view ([`Volume::view`]).
    ///
    /// For other views of them, pass these to [`Aligned::new`].
    ///
    /// # Errors
    /// As [`Dataset::volume`] and [`Aligned::new`].
    pub fn aligned(&self, subject: &str, images: &[&str]) -> Result<Aligned> {
        let open = |image: &&str| Ok(self.volume(&format!("{subject}/{image}"))?.view());
        Aligned::new(images.iter().map(open).collect::<Result<_>>()?)
    }
}

/// Refuses a volume that is not on the grid of the first.
pub(super) fn check_grid(first: &Volume, other: &Volume) -> Result<()> {
    let (was, is) = (first.shape(), other.shape());
    let what = if is == was {
        difference(first.affine(), other.affine(), was)
    } else {
        Some(format!("shape {}, not {} (z, y, x) as", show(&is), show(&was)))
    };
    let Some(what) = what else { return Ok(()) };
    let first = first.name();
    let reason =
        format!("it has {what} {first}; resample one to the grid of the other, then convert it");
    Err(Error::invalid("volume", other.name(), reason))
}

/// If two affines place a voxel of a volume of this shape too far apart: the entry that differs
/// most, and how far.
fn difference(first: &Affine, other: &Affine, shape: [usize; 3]) -> Option<String> {
    // How far each entry moves the last voxel. Columns are x, y, z and the origin.
    #[allow(clippy::cast_precision_loss)]
    let [z, y, x] = shape.map(|n| n.saturating_sub(1) as f64);
    let moved = |row: usize, column: usize| {
        (other.0[row][column] - first.0[row][column]) * [x, y, z, 1.0][column]
    };
    // The distance is greatest at a corner, as it is convex.
    let corner = |n: usize| {
        let along = |row| {
            let axes = (0..3).filter(|column| n >> column & 1 == 1);
            moved(row, 3) + axes.map(|column| moved(row, column)).sum::<f64>()
        };
        f64::hypot(along(0), along(1)).hypot(along(2))
    };
    let apart = (0..8).map(corner).fold(0.0, f64::max);
    let spacing = first.spacing().map_or(0.0, |s| s.mm().into_iter().fold(f64::MAX, f64::min));
    if apart <= TOLERANCE * spacing {
        return None;
    }
    let entries = (0..3).flat_map(|row| (0..4).map(move |column| (row, column)));
    let (row, column) =
        entries.max_by(|a, b| moved(a.0, a.1).abs().total_cmp(&moved(b.0, b.1).abs()))?;
    let (is, was) = (other.0[row][column], first.0[row][column]);
    Some(format!(
        "affine[{row}][{column}] = {is}, not {was}, so that voxels lie up to {apart:.3} mm from \
         those of"
    ))
}
