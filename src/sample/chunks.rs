//! The chunks of a field, as far as voxels in them may be chosen; the index is checked here, once,
//! and whatever is decoded is held against it.

use std::cell::Cell;
use std::sync::Arc;
use std::thread::LocalKey;

use super::border::Bounds;
use super::{ChunkCount, ChunkIndex, ChunkSum, ClassChunks, Contents, Field};
use crate::error::show;
use crate::{Error, Region, Result};

thread_local! {
    // Taken while in use, so that a field which draws from another one is no trouble.
    static LABELS: Cell<Vec<i64>> = const { Cell::new(Vec::new()) };
    static WEIGHTS: Cell<Vec<f64>> = const { Cell::new(Vec::new()) };
}

/// The chunks of one field, and the voxels in them that may be chosen.
#[derive(Debug, Clone)]
pub(super) struct Chunks {
    field: Arc<dyn Field>,
    volume: [usize; 3],
    chunk: [usize; 3],
    allowed: Bounds,
}

/// How much of a chunk may be chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Share {
    Nothing,
    Part,
    Everything,
}

impl Chunks {
    /// The chunks of an index, which must be for voxels of the field's shape.
    pub fn new(field: Arc<dyn Field>, index: &ChunkIndex, allowed: Bounds) -> Result<Self> {
        let (volume, chunk) = (field.shape(), index.chunk);
        let chunks = Self { field, volume, chunk, allowed };
        if index.shape != volume {
            let reason = format!(
                "the index is of {} voxels, the volume of {} (z, y, x)",
                show(&index.shape),
                show(&volume)
            );
            return Err(chunks.damaged(&reason));
        }
        if chunk.contains(&0) {
            return Err(chunks.damaged(&format!("the index has chunks of {}", show(&chunk))));
        }
        Ok(chunks)
    }

    /// What the index says of labels, if that can be.
    pub fn classes<'i>(&self, index: &'i ChunkIndex) -> Result<&'i [ClassChunks]> {
        let Contents::Classes(classes) = &index.contents else {
            return Err(self.wrong_kind("counts of labels", "weights"));
        };
        if !classes.windows(2).all(|pair| pair[0].label < pair[1].label) {
            return Err(self.damaged("the labels of the index are not ascending"));
        }
        for class in classes {
            self.check_order(class.chunks.iter().map(|count| count.chunk))?;
            for ChunkCount { chunk, voxels } in &class.chunks {
                let all = self.bounds(*chunk).voxels() as u64;
                if !(1..=all).contains(voxels) {
                    let label = class.label;
                    let reason = format!(
                        "chunk {chunk} of {all} voxels is said to hold {voxels} of label {label}"
                    );
                    return Err(self.damaged(&reason));
                }
            }
        }
        Ok(classes)
    }

    /// What the index says of weights, if that can be.
    pub fn weights<'i>(&self, index: &'i ChunkIndex) -> Result<&'i [ChunkSum]> {
        let Contents::Weights(sums) = &index.contents else {
            return Err(self.wrong_kind("sums of weights", "labels"));
        };
        self.check_order(sums.iter().map(|sum| sum.chunk))?;
        for ChunkSum { chunk, weight } in sums {
            if !(weight.is_finite() && *weight > 0.0) {
                let reason = format!("the weights of chunk {chunk} are said to sum to {weight}");
                return Err(self.damaged(&reason));
            }
        }
        Ok(sums)
    }

    /// Ascending, and none beyond the last.
    fn check_order(&self, chunks: impl Iterator<Item = u64>) -> Result<()> {
        let [planes, rows, columns] = self.grid();
        // Of non-empty chunks there are no more than voxels, which were counted.
        let (all, mut least) = ((planes * rows * columns) as u64, 0);
        for chunk in chunks {
            if !(least..all).contains(&chunk) {
                let reason = format!(
                    "the index lists chunk {chunk}, of {all}, where one from {least} on must stand"
                );
                return Err(self.damaged(&reason));
            }
            least = chunk + 1;
        }
        Ok(())
    }

    fn grid(&self) -> [usize; 3] {
        std::array::from_fn(|axis| self.volume[axis].div_ceil(self.chunk[axis]))
    }

    /// Where a chunk lies, cut off by the volume. Its number was checked.
    fn bounds(&self, chunk: u64) -> Bounds {
        let [_, rows, columns] = self.grid();
        let chunk = usize::try_from(chunk).unwrap_or(usize::MAX);
        let place = [chunk / columns / rows, chunk / columns % rows, chunk % columns];
        let start: [usize; 3] =
            std::array::from_fn(|axis| place[axis].saturating_mul(self.chunk[axis]));
        let end = std::array::from_fn(|axis| {
            start[axis].saturating_add(self.chunk[axis]).min(self.volume[axis])
        });
        Bounds { start, end }
    }

    /// How much of a chunk may be chosen.
    pub fn share(&self, chunk: u64) -> Share {
        let bounds = self.bounds(chunk);
        match bounds.intersection(&self.allowed) {
            None => Share::Nothing,
            Some(part) if part == bounds => Share::Everything,
            Some(_) => Share::Part,
        }
    }

    /// The voxels of a chunk that may be chosen: of one that has any.
    fn part(&self, chunk: u64) -> Bounds {
        let bounds = self.bounds(chunk);
        bounds.intersection(&self.allowed).unwrap_or(bounds)
    }

    /// Decodes those voxels of a chunk that may be chosen, and hands `work` their labels and the
    /// box in which they lie.
    pub fn with_labels<T>(
        &self,
        chunk: u64,
        work: impl FnOnce(&[i64], Bounds) -> Result<T>,
    ) -> Result<T> {
        self.with(&LABELS, chunk, |region, out| self.field.labels(region, out), work)
    }

    /// As [`Self::with_labels`], for weights; none of them is negative, infinite or not a number.
    pub fn with_weights<T>(
        &self,
        chunk: u64,
        work: impl FnOnce(&[f64], Bounds) -> Result<T>,
    ) -> Result<T> {
        let read = |region, out: &mut Vec<f64>| self.field.weights(region, out);
        self.with(&WEIGHTS, chunk, read, |weights, part| {
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
        chunk: u64,
        read: impl FnOnce(Region, &mut Vec<V>) -> Result<()>,
        work: impl FnOnce(&[V], Bounds) -> Result<T>,
    ) -> Result<T> {
        let part = self.part(chunk);
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

    /// A chunk that does not hold what the index says.
    pub fn contradiction(
        &self,
        chunk: u64,
        what: &str,
        found: impl std::fmt::Display,
        listed: impl std::fmt::Display,
    ) -> Error {
        self.damaged(&format!("{what} of chunk {chunk}: {found}, where the index says {listed}"))
    }

    fn damaged(&self, reason: &str) -> Error {
        Error::corrupt_store(self.field.name(), format!("{reason}; build the index again"))
    }

    fn wrong_kind(&self, wanted: &str, found: &str) -> Error {
        let reason = format!("has an index of {found}; this sampler wants one of {wanted}");
        Error::invalid("volume", self.field.name(), reason)
    }
}
