//! The blocks of a field, as far as voxels in them may be chosen; the index is checked here, once,
//! and whatever is decoded is held against it.

use std::cell::Cell;
use std::sync::Arc;
use std::thread::LocalKey;

use super::border::Bounds;
use super::{BlockCount, BlockIndex, BlockSum, ClassBlocks, Contents, Field};
use crate::error::show;
use crate::{Error, Region, Result};

thread_local! {
    // Taken while in use, so that a field which draws from another one is no trouble.
    static LABELS: Cell<Vec<i64>> = const { Cell::new(Vec::new()) };
    static WEIGHTS: Cell<Vec<f64>> = const { Cell::new(Vec::new()) };
}

/// The blocks of one field, and the voxels in them that may be chosen.
#[derive(Debug, Clone)]
pub(super) struct Blocks {
    field: Arc<dyn Field>,
    volume: [usize; 3],
    block: [usize; 3],
    allowed: Bounds,
}

/// How much of a block may be chosen.
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
                "the index is of {} voxels, the volume of {} (z, y, x)",
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

    /// What the index says of labels, if that can be.
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
                        "block {block} of {all} voxels is said to hold {voxels} of label {label}"
                    );
                    return Err(self.damaged(&reason));
                }
            }
        }
        Ok(classes)
    }

    /// What the index says of weights, if that can be.
    pub fn weights<'i>(&self, index: &'i BlockIndex) -> Result<&'i [BlockSum]> {
        let Contents::Weights(sums) = &index.contents else {
            return Err(self.wrong_kind("sums of weights", "labels"));
        };
        self.check_order(sums.iter().map(|sum| sum.block))?;
        for BlockSum { block, weight } in sums {
            if !(weight.is_finite() && *weight > 0.0) {
                let reason = format!("the weights of block {block} are said to sum to {weight}");
                return Err(self.damaged(&reason));
            }
        }
        Ok(sums)
    }

    /// Ascending, and none beyond the last.
    fn check_order(&self, blocks: impl Iterator<Item = u64>) -> Result<()> {
        let [planes, rows, columns] = self.grid();
        // Of non-empty blocks there are no more than voxels, which were counted.
        let (all, mut least) = ((planes * rows * columns) as u64, 0);
        for block in blocks {
            if !(least..all).contains(&block) {
                let reason = format!(
                    "the index lists block {block}, of {all}, where one from {least} on must stand"
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

    /// Where a block lies, cut off by the volume. Its number was checked.
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

    /// How much of a block may be chosen.
    pub fn share(&self, block: u64) -> Share {
        let bounds = self.bounds(block);
        match bounds.intersection(&self.allowed) {
            None => Share::Nothing,
            Some(part) if part == bounds => Share::Everything,
            Some(_) => Share::Part,
        }
    }

    /// The voxels of a block that may be chosen: of one that has any.
    fn part(&self, block: u64) -> Bounds {
        let bounds = self.bounds(block);
        bounds.intersection(&self.allowed).unwrap_or(bounds)
    }

    /// Decodes those voxels of a block that may be chosen, and hands `work` their labels and the
    /// box in which they lie.
    pub fn with_labels<T>(
        &self,
        block: u64,
        work: impl FnOnce(&[i64], Bounds) -> Result<T>,
    ) -> Result<T> {
        self.with(&LABELS, block, |region, out| self.field.labels(region, out), work)
    }

    /// As [`Self::with_labels`], for weights; none of them is negative, infinite or not a number.
    pub fn with_weights<T>(
        &self,
        block: u64,
        work: impl FnOnce(&[f64], Bounds) -> Result<T>,
    ) -> Result<T> {
        let read = |region, out: &mut Vec<f64>| self.field.weights(region, out);
        self.with(&WEIGHTS, block, read, |weights, part| {
            // In this form a NaN is refused as well.
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
            Err(self.damaged(&format!("{found} voxels were given for {wanted}")))
        });
        scratch.set(voxels);
        result
    }

    /// A block that does not hold what the index says.
    pub fn contradiction(
        &self,
        block: u64,
        what: &str,
        found: impl std::fmt::Display,
        listed: impl std::fmt::Display,
    ) -> Error {
        self.damaged(&format!("{what} of block {block}: {found}, where the index says {listed}"))
    }

    fn damaged(&self, reason: &str) -> Error {
        Error::corrupt_store(self.field.name(), format!("{reason}; build the index again"))
    }

    fn wrong_kind(&self, wanted: &str, found: &str) -> Error {
        let reason = format!("has an index of {found}; this sampler wants one of {wanted}");
        Error::invalid("volume", self.field.name(), reason)
    }
}
