//! A field in memory with an index by counting, and samplers of every kind.
#![allow(dead_code, reason = "each test file uses its own part")]
#![allow(
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss,
    clippy::unwrap_used,
    reason = "a test's numbers are small, and it may fail"
)]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use voxpatch::sample::{
    BlockCount, BlockIndex, BlockSum, ClassBlocks, Contents, Draw, Field, Regions, Sample, Sampler,
};
use voxpatch::{Region, Result};

/// Labels, weights and an index, and a list of the regions that were read.
#[derive(Debug)]
pub struct Dense {
    pub shape: [usize; 3],
    pub labels: Vec<i64>,
    pub weights: Vec<f64>,
    pub index: BlockIndex,
    pub reads: Mutex<Vec<Region>>,
}

impl Dense {
    /// With an index of labels, counted voxel by voxel.
    pub fn labelled(
        shape: [usize; 3],
        block: [usize; 3],
        label: impl Fn([usize; 3]) -> i64,
    ) -> Self {
        let labels: Vec<_> = voxels(shape).map(label).collect();
        let mut counts: BTreeMap<i64, BTreeMap<u64, u64>> = BTreeMap::new();
        for (voxel, label) in voxels(shape).zip(&labels) {
            let blocks = counts.entry(*label).or_default();
            *blocks.entry(block_of(voxel, shape, block)).or_default() += 1;
        }
        let classes = counts.into_iter().map(|(label, blocks)| {
            let blocks =
                blocks.into_iter().map(|(block, voxels)| BlockCount { block, voxels }).collect();
            ClassBlocks { label, blocks }
        });
        let contents = Contents::Classes(classes.collect());
        Self::new(shape, labels, Vec::new(), BlockIndex { shape, block, contents })
    }

    /// With an index of weights, summed voxel by voxel.
    pub fn weighted(
        shape: [usize; 3],
        block: [usize; 3],
        weight: impl Fn([usize; 3]) -> f64,
    ) -> Self {
        let weights: Vec<_> = voxels(shape).map(weight).collect();
        let mut sums: BTreeMap<u64, f64> = BTreeMap::new();
        for (voxel, weight) in voxels(shape).zip(&weights).filter(|(_, weight)| **weight > 0.0) {
            *sums.entry(block_of(voxel, shape, block)).or_default() += weight;
        }
        let sums = sums.into_iter().map(|(block, weight)| BlockSum { block, weight }).collect();
        let contents = Contents::Weights(sums);
        Self::new(shape, Vec::new(), weights, BlockIndex { shape, block, contents })
    }

    pub fn new(shape: [usize; 3], labels: Vec<i64>, weights: Vec<f64>, index: BlockIndex) -> Self {
        Self { shape, labels, weights, index, reads: Mutex::new(Vec::new()) }
    }

    fn gather<T: Copy>(&self, all: &[T], region: Region, out: &mut Vec<T>) {
        assert!(region.is_inside(self.shape), "{region} is asked for");
        let [z, y, x] = region.start.map(|start| usize::try_from(start).unwrap());
        let [planes, rows, columns] = region.shape;
        out.clear();
        for plane in z..z + planes {
            for row in y..y + rows {
                let first = (plane * self.shape[1] + row) * self.shape[2] + x;
                out.extend_from_slice(&all[first..first + columns]);
            }
        }
        self.reads.lock().unwrap().push(region);
    }
}

impl Field for Dense {
    fn name(&self) -> String {
        "case01/labels".into()
    }

    fn shape(&self) -> [usize; 3] {
        self.shape
    }

    fn index(&self) -> Result<Arc<BlockIndex>> {
        Ok(Arc::new(self.index.clone()))
    }

    fn labels(&self, region: Region, out: &mut Vec<i64>) -> Result<()> {
        self.gather(&self.labels, region, out);
        Ok(())
    }

    fn weights(&self, region: Region, out: &mut Vec<f64>) -> Result<()> {
        self.gather(&self.weights, region, out);
        Ok(())
    }
}

/// Every voxel, in C order.
pub fn voxels(shape: [usize; 3]) -> impl Iterator<Item = [usize; 3]> {
    (0..shape[0])
        .flat_map(move |z| (0..shape[1]).flat_map(move |y| (0..shape[2]).map(move |x| [z, y, x])))
}

pub fn block_of(voxel: [usize; 3], shape: [usize; 3], block: [usize; 3]) -> u64 {
    let number = |axis: usize| shape[axis].div_ceil(block[axis]);
    let [z, y, x]: [usize; 3] = std::array::from_fn(|axis| voxel[axis] / block[axis]);
    ((z * number(1) + y) * number(2) + x) as u64
}

pub fn contains(region: &Region, voxel: [usize; 3]) -> bool {
    (0..3).all(|axis| (region.start[axis]..region.end(axis)).contains(&(voxel[axis] as i64)))
}

pub fn draw(regions: &dyn Regions, seed: u64, index: u64) -> Sample {
    regions.draw(Draw { seed, epoch: 0, index }).unwrap()
}

pub fn prepare(sampler: &dyn Sampler, field: Dense) -> (Arc<dyn Regions>, Arc<Dense>) {
    let field = Arc::new(field);
    (sampler.prepare(field.clone()).unwrap(), field)
}

/// A small anatomy: layers of `-1`, a rare `5` at a corner, `1` and `2` inside, `0` around.
pub fn anatomy([z, y, x]: [usize; 3]) -> i64 {
    match (z, y, x) {
        (_, _, 0) => -1,
        (0..=1, 0, 7..) => 5,
        (2..=5, 2..=6, 2..=4) => 1,
        (1..=6, 3.., 5..) => 2,
        _ => 0,
    }
}

/// Weights with zeros, unequal, some at the border.
pub fn heat([z, y, x]: [usize; 3]) -> f64 {
    let n = (z * 31 + y * 17 + x * 7) % 11;
    if n < 5 { 0.0 } else { n as f64 * 0.37 + if x < 2 { 4.0 } else { 0.0 } }
}
