//! A sampler of patches that cover a volume.

use std::sync::Arc;

use super::border::{self, centred, signed};
use super::grid::{AxisStarts, Between, Grid, Traversal};
use super::{Choice, Draw, Field, Regions, Sample, Sampler};
use crate::error::show;
use crate::{Error, Result};

/// The overlap of neighbouring patches of a grid, `z, y, x`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Overlap {
    /// This many voxels, even or odd, fewer than the patch has: as in `TorchIO`.
    Voxels([usize; 3]),
    /// This share `o` of the patch, from 0 to below 1: as in MONAI, patches start `max(1, int(P *
    /// (1 - o)))` voxels apart.
    Fraction([f64; 3]),
    /// Patches start at most this share `t` of the patch apart, above 0 and at most 1, but at least
    /// a voxel, and are spread evenly: nnU-Net's `tile_step_size`. Along an axis there are
    /// `ceil((S - P) / max(1, P t)) + 1` of them. Patches of one plane are those of every plane.
    TileStep([f64; 3]),
}

/// Patches that cover the volume in a [`Grid`]: `TorchIO`'s `GridSampler`, MONAI's
/// `sliding_window_inference`, nnU-Net's sliding window. Draw `i` is the `i`-th place of the
/// [`Traversal`] (lexicographic by default), whatever the seed and the epoch; [`Choice::Grid`] gives
/// its number in the grid.
#[derive(Debug, Clone)]
pub struct GridSampler {
    patch: [usize; 3],
    steps: Steps,
    pad_small_volumes: bool,
    pad_borders: bool,
    traversal: Traversal,
}

/// From one patch to the next.
#[derive(Debug, Clone, Copy)]
enum Steps {
    /// Voxels.
    Voxels([usize; 3]),
    /// The most voxels, of evenly spread patches.
    Most([f64; 3]),
}

impl GridSampler {
    /// Patches of this shape, `z, y, x`, with this overlap.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if an axis of the patch is 0, an overlap is not smaller than the
    /// patch, a fraction is not from 0 to below 1, or a step not above 0 and at most 1.
    pub fn new(patch: [usize; 3], overlap: Overlap) -> Result<Self> {
        border::check(patch)?;
        let steps = match overlap {
            Overlap::Voxels(voxels) => {
                if (0..3).any(|axis| voxels[axis] >= patch[axis]) {
                    let reason = format!("must be less than the patch, {}", show(&patch));
                    return Err(Error::invalid("overlap", show(&voxels), reason));
                }
                Steps::Voxels(std::array::from_fn(|axis| patch[axis] - voxels[axis]))
            }
            Overlap::Fraction(fractions) => {
                if !fractions.iter().all(|fraction| (0.0..1.0).contains(fraction)) {
                    let value = format!("{}x{}x{}", fractions[0], fractions[1], fractions[2]);
                    let reason = "as a fraction of the patch must be from 0 to below 1";
                    return Err(Error::invalid("overlap", value, reason));
                }
                Steps::Voxels(std::array::from_fn(|axis| step(patch[axis], fractions[axis])))
            }
            Overlap::TileStep(shares) => {
                if !shares.iter().all(|share| *share > 0.0 && *share <= 1.0) {
                    let value = format!("{}x{}x{}", shares[0], shares[1], shares[2]);
                    let reason = "as a share of the patch must be above 0 and at most 1";
                    return Err(Error::invalid("tile step", value, reason));
                }
                Steps::Most(std::array::from_fn(|axis| most_step(patch[axis], shares[axis])))
            }
        };
        let traversal = Traversal::Lexicographic;
        Ok(Self { patch, steps, pad_small_volumes: false, pad_borders: false, traversal })
    }

    /// As [`super::UniformSampler::pad_small_volumes`]: an axis on which the volume is smaller than
    /// the patch has one place.
    #[must_use]
    pub fn pad_small_volumes(mut self, pad: bool) -> Self {
        self.pad_small_volumes = pad;
        self
    }

    /// Whether the grid also covers half an overlap (rounded down) before the volume and half an
    /// overlap (rounded up) after it, so that every voxel of the volume is far enough from the
    /// border of a patch: `TorchIO`'s `padding_mode`, without a padded copy. Not of evenly spread
    /// patches.
    #[must_use]
    pub fn pad_borders(mut self, pad: bool) -> Self {
        self.pad_borders = pad;
        self
    }

    /// The order in which draws visit the places.
    #[must_use]
    pub fn traversal(mut self, traversal: Traversal) -> Self {
        self.traversal = traversal;
        self
    }

    /// The grid of a volume of this shape, `z, y, x`.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if the volume has no voxels, the patch does not fit, or borders
    /// of evenly spread patches are to be padded.
    pub fn grid(&self, volume: [usize; 3]) -> Result<Grid> {
        self.named_grid(volume, "the volume")
    }

    fn named_grid(&self, volume: [usize; 3], name: &str) -> Result<Grid> {
        border::check_volume(volume, name)?;
        let overlap: [usize; 3] = match self.steps {
            _ if !self.pad_borders => [0; 3],
            Steps::Voxels(step) => std::array::from_fn(|axis| self.patch[axis] - step[axis]),
            Steps::Most(_) => {
                let reason = "evenly spread patches share no fixed overlap, half of which could be \
                              padded: give an overlap, or do without padding";
                return Err(Error::invalid("padding of borders", "with a tile step", reason));
            }
        };
        let covered: [usize; 3] =
            std::array::from_fn(|axis| volume[axis].saturating_add(overlap[axis]));
        if !self.pad_small_volumes {
            let padded = if covered == volume { "" } else { ", with its padding" };
            border::check_fits(self.patch, covered, &format!("{name}{padded}"))?;
        }
        let axis = |axis: usize| {
            let patch = self.patch[axis];
            let (first, last) = match covered[axis].checked_sub(patch) {
                Some(last) => (-signed(overlap[axis] / 2), last),
                None => (centred(patch, volume[axis]), 0),
            };
            let between = match self.steps {
                Steps::Voxels(step) => Between::Step(step[axis]),
                Steps::Most(most) => Between::Spread { places: places(last, most[axis]) },
            };
            AxisStarts { first, last, between }
        };
        Grid::new(volume, self.patch, std::array::from_fn(axis))
    }
}

/// As in nnU-Net.
#[allow(clippy::cast_precision_loss)]
fn most_step(patch: usize, share: f64) -> f64 {
    (patch as f64 * share).max(1.0)
}

/// Number of evenly spread patches, the last of which starts at `last`, as in nnU-Net.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn places(last: usize, most: f64) -> usize {
    // At most `last + 1`, as a step has a voxel at least.
    (last as f64 / most).ceil() as usize + 1
}

/// Voxels from one patch to the next, truncated as in MONAI.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn step(patch: usize, overlap: f64) -> usize {
    // Not negative, and limited so that the overlap is at least one voxel.
    ((patch as f64 * (1.0 - overlap)) as usize).clamp(1, patch)
}

impl Sampler for GridSampler {
    fn patch(&self) -> [usize; 3] {
        self.patch
    }

    fn follows_voxels(&self) -> bool {
        false
    }

    fn prepare(&self, field: Arc<dyn Field>) -> Result<Arc<dyn Regions>> {
        let grid = self.named_grid(field.shape(), &field.name())?;
        let order = match self.traversal {
            Traversal::Lexicographic => None,
            Traversal::Morton => Some(grid.traversal(Traversal::Morton)?),
        };
        Ok(Arc::new(Places { grid, order }))
    }
}

#[derive(Debug)]
struct Places {
    grid: Grid,
    /// Numbers of places; `None` for lexicographic order.
    order: Option<Vec<u64>>,
}

impl Regions for Places {
    fn count(&self) -> Option<u64> {
        Some(self.grid.len())
    }

    fn draw(&self, draw: Draw) -> Result<Sample> {
        let place = match &self.order {
            None => Some(draw.index),
            Some(order) => usize::try_from(draw.index).ok().and_then(|at| order.get(at)).copied(),
        };
        let placed = place.and_then(|place| Some((place, self.grid.region(place)?)));
        let Some((place, region)) = placed else {
            let reason = format!("the grid has {} places, counted from 0", self.grid.len());
            return Err(Error::invalid("draw", draw.index, reason));
        };
        Ok(Sample { region, choice: Choice::Grid(place) })
    }
}
