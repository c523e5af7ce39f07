//! The blocks of a field, limited to the voxels that may be chosen. The index is checked once,
//! here, and all decoded voxels are checked against it.

use std::cell::Cell;
use std::sync::Arc;
use std::thread::LocalKey;

use super::border::Bounds;
use super::{BlockCount, BlockIndex, BlockSum, ClassBlocks, Contents, Field};
use crate::error::show;
use crate::{Error, Region, Result};

thread_local! {
    // Taken while in use, so that a field may draw from another field during a read.
    static LABELS: Cell<Vec<i64>> = const { Cell::new(Vec::new()) };
    static WEIGHTS: Cell<Vec<f64>> = const { Cell::new(Vec::new()) };
}

/// The blocks of one field, and the bounds of the voxels that may be chosen.
#[derive(Debug, Clone)]
pub(super) struct Blocks {
    field: Arc<dyn Field>,
    volume: [usize; 3],
    block: [usize; 3],
    allowed: Bounds,
}

/// How many voxels of a block may be chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Share {
    Nothing,
    Part,
    Everything,
}

impl Blocks {
    /// The blocks of an index, which must be for voxels of the field's shape.
    pub fn new(field: Arc<dyn Field>, index: &BlockIndex, allowed: Bounds) -> Result<Self> {
        let (volume, block) = (field.shape(), index.block);
        let blocks = Self { field, volume, block, allowed };
        if index.shape != volume {
            let reason = format!(
                "the index is for {} voxels, and the volume has {} (z, y, x)",
                show(&index.shape),
                show(&volume)
            );
            return Err(blocks.damaged(&reason));
        }
        if block.contains(&0) {
            return Err(blocks.damaged(&format!("the index has blocks of {}", show(&block))));
        }
        Ok(blocks)
    }

    /// The labels of the index, after checks.
    pub fn classes<'i>(&self, index: &'i BlockIndex) -> Result<&'i [ClassBlocks]> {
        let Contents::Classes(classes) = &index.contents else {
            return Err(self.wrong_kind("counts of labels", "weights"));
        };
        if !classes.windows(2).all(|pair| pair[0].label < pair[1].label) {
            return Err(self.damaged("the labels of the index are not ascending"));
        }
        for class in classes {
            self.check_order(class.blocks.iter().map(|count| count.block))?;
            for BlockCount { block, voxels } in &class.blocks {
                let all = self.bounds(*block).voxels() as u64;
                if !(1..=all).contains(voxels) {
                    let label = class.label;
                    let reason = format!(
                        "block {block} of {all} voxels is listed with {voxels} of label {label}"
                    );
                    return Err(self.damaged(&reason));
                }
            }
        }
        Ok(classes)
    }

    /// The weights of the index, after checks.
    pub fn weights<'i>(&self, index: &'i BlockIndex) -> Result<&'i [BlockSum]> {
        let Contents::Weights(sums) = &index.contents else {
            return Err(self.wrong_kind("sums of weights", "labels"));
        };
        self.check_order(sums.iter().map(|sum| sum.block))?;
        for BlockSum { block, weight } in sums {
            if !(weight.is_finite() && *weight > 0.0) {
                let reason = format!("the sum of weights of block {block} is listed as {weight}");
                return Err(self.damaged(&reason));
            }
        }
        Ok(sums)
    }

    /// Checks that blocks ascend and exist.
    fn check_order(&self, blocks: impl Iterator<Item = u64>) -> Result<()> {
        let [planes, rows, columns] = self.grid();
        // There are at most as many non-empty blocks as voxels, which were counted before.
        let (all, mut least) = ((planes * rows * columns) as u64, 0);
        for block in blocks {
            if !(least..all).contains(&block) {
                let reason = format!(
                    "the index lists block {block} of {all} out of order; the next one must be \
                     {least} or above"
                );
                return Err(self.damaged(&reason));
            }
            least = block + 1;
        }
        Ok(())
    }

    fn grid(&self) -> [usize; 3] {
        std::array::from_fn(|axis| self.volume[axis].div_ceil(self.block[axis]))
    }

    /// The bounds of a block, clipped to the volume. The number was checked.
    fn bounds(&self, block: u64) -> Bounds {
        let [_, rows, columns] = self.grid();
        let block = usize::try_from(block).unwrap_or(usize::MAX);
        let place = [block / columns / rows, block / columns % rows, block % columns];
        let start: [usize; 3] =
            std::array::from_fn(|axis| place[axis].saturating_mul(self.block[axis]));
        let end = std::array::from_fn(|axis| {
            start[axis].saturating_add(self.block[axis]).min(self.volume[axis])
        });
        Bounds { start, end }
    }

    /// How many voxels of a block may be chosen.
    pub fn share(&self, block: u64) -> Share {
        let bounds = self.bounds(block);
        match bounds.intersection(&self.allowed) {
            None => Share::Nothing,
            Some(part) if part == bounds => Share::Everything,
            Some(_) => Share::Part,
        }
    }

    /// The voxels of a block that may be chosen; the block must have some.
    fn part(&self, block: u64) -> Bounds {
        let bounds = self.bounds(block);
        bounds.intersection(&self.allowed).unwrap_or(bounds)
    }

    /// Decodes the voxels of a block that may be chosen, and gives `work` their labels and bounds.
    pub fn with_labels<T>(
        &self,
        block: u64,
        work: impl FnOnce(&[i64], Bounds) -> Result<T>,
    ) -> Result<T> {
        self.with(&LABELS, block, |region, out| self.field.labels(region, out), work)
    }

    /// As [`Self::with_labels`], for weights, which are checked to be finite and not negative.
    pub fn with_weights<T>(
        &self,
        block: u64,
        work: impl FnOnce(&[f64], Bounds) -> Result<T>,
    ) -> Result<T> {
        let read = |region, out: &mut Vec<f64>| self.field.weights(region, out);
        self.with(&WEIGHTS, block, read, |weights, part| {
            // This comparison refuses a NaN as well.
            let wrong = weights.iter().position(|weight| !(0.0..f64::INFINITY).contains(weight));
            if let Some(at) = wrong {
                let [z, y, x] = part.voxel(at);
                let what = format!("{} at {z},{y},{x} of {}", weights[at], self.field.name());
                let reason = "weights must be finite and not negative";
                return Err(Error::invalid("weight", what, reason));
            }
            work(weights, part)
        })
    }

    fn with<V, T>(
        &self,
        scratch: &'static LocalKey<Cell<Vec<V>>>,
        block: u64,
        read: impl FnOnce(Region, &mut Vec<V>) -> Result<()>,
        work: impl FnOnce(&[V], Bounds) -> Result<T>,
    ) -> Result<T> {
        let part = self.part(block);
        let mut voxels = scratch.take();
        let result = read(part.region(), &mut voxels).and_then(|()| {
            if voxels.len() == part.voxels() {
                return work(&voxels, part);
            }
            let (found, wanted) = (voxels.len(), part.region());
            Err(self.damaged(&format!("the field gave {found} voxels instead of {wanted}")))
        });
        scratch.set(voxels);
        result
    }

    /// The error for a block that contradicts the index.
    pub fn contradiction(
        &self,
        block: u64,
        what: &str,
        found: impl std::fmt::Display,
        listed: impl std::fmt::Display,
    ) -> Error {
        self.damaged(&format!("{what} of block {block}: {found}, but the index says {listed}"))
    }

    fn damaged(&self, reason: &str) -> Error {
        Error::corrupt_store(self.field.name(), format!("{reason}; build the index again"))
    }

    fn wrong_kind(&self, wanted: &str, found: &str) -> Error {
        let reason = format!("has an index of {found}, and this sampler needs one of {wanted}");
        Error::invalid("volume", self.field.name(), reason)
    }
}
