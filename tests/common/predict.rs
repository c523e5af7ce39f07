//! Predictions that depend only on the patch, and their blends, voxel by voxel.
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "a test's numbers are small"
)]

use std::path::Path;

use ndarray::{Array4, Array5, ArrayView4};
use voxpatch::aggregate::{Blend, Output, Plan};
use voxpatch::{ConvertOptions, Dataset, Volume};

use super::dense::{DenseScan, store, voxels};

/// A small volume to predict from.
pub fn source(folder: &Path, [z, y, x]: [usize; 3]) -> (Dataset, Volume) {
    let dataset = Dataset::create(folder.join("s.zarr")).expect("a new dataset");
    let image: Array5<i16> = voxels([1, 1, z, y, x], 3);
    store(DenseScan::new(&image), &dataset, "a/image", &ConvertOptions::default())
        .expect("converted");
    let volume = dataset.volume("a/image").expect("stored");
    (dataset, volume)
}

/// A number from 0 to 1 for each voxel of each patch's prediction, different for each patch.
pub fn value(number: u64, head: usize, at: [usize; 4]) -> f32 {
    let mut n = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (head as u64) << 40;
    for i in at {
        n = (n ^ i as u64).wrapping_mul(0xff51_afd7_ed55_8ccd);
        n ^= n >> 29;
    }
    (n >> 40) as f32 / (1 << 24) as f32
}

/// The prediction of a patch by every head of a plan, each of which an output takes.
pub fn predict(plan: &Plan, number: u64) -> Vec<Array4<f32>> {
    (0..plan.heads())
        .map(|n| {
            let shape = plan.prediction(n).expect("a head");
            Array4::from_shape_fn(shape, |(c, z, y, x)| value(number, n, [c, z, y, x]))
        })
        .collect()
}

pub fn views(predictions: &[Array4<f32>]) -> Vec<ArrayView4<'_, f32>> {
    predictions.iter().map(|p| p.view()).collect()
}

/// One axis of a grid, as the oracle sees it.
struct Line {
    starts: Vec<i64>,
    volume: usize,
    patch: usize,
    overlap: usize,
    padded: bool,
    factor: usize,
}

impl Line {
    /// The last patch, in order, whose trimmed part covers a voxel of the input: `TorchIO` trims
    /// half the overlap off each face that is not the volume's (off all faces if the volume is
    /// padded), and assigns patches one after the other.
    fn owner(&self, voxel: usize) -> usize {
        let (before, after) = (self.overlap / 2, self.overlap.div_ceil(2));
        let covers = |n: &usize| {
            let (mut from, mut to) = (self.starts[*n], self.starts[*n] + self.patch as i64);
            if self.padded || *n > 0 {
                from += before as i64;
            }
            if self.padded || *n + 1 < self.starts.len() {
                to -= after as i64;
            }
            (from..to).contains(&(voxel as i64))
        };
        (0..self.starts.len()).rev().find(covers).expect("the grid covers the volume")
    }

    /// The position of a voxel of the output in the prediction of each patch that covers it.
    fn covering(&self, voxel: usize) -> Vec<(usize, usize)> {
        let place = |(n, start): (usize, &i64)| {
            let at = voxel as i64 - start.div_euclid(self.factor as i64);
            (0..(self.patch / self.factor) as i64).contains(&at).then_some((n, at as usize))
        };
        self.starts.iter().enumerate().filter_map(place).collect()
    }
}

fn window(blend: Blend, at: usize, length: usize) -> f64 {
    let (at, length) = (at as f64, length as f64);
    match blend {
        Blend::Hann => (std::f64::consts::PI * (at + 1.0) / (length + 1.0)).sin().powi(2),
        Blend::Gaussian { sigma_scale } => {
            let distance = at - (length - 1.0) / 2.0;
            (-distance * distance / (2.0 * (sigma_scale * length).powi(2))).exp()
        }
        Blend::NnUNet => {
            let distance = at - (length / 2.0).floor();
            (-distance * distance / (2.0 * (length / 8.0).powi(2))).exp()
        }
        Blend::Crop | Blend::Average => 1.0,
    }
}

/// The mean of the predictions of all patches that cover each voxel, `c, z, y, x`, voxel by voxel
/// in `f64`; `None` where none of the patches in `arrived` covers it.
pub fn blended(
    plan: &Plan,
    output: usize,
    padded: bool,
    arrived: impl Fn(u64) -> bool,
) -> Array4<Option<f64>> {
    let (grid, blend) = (plan.grid(), plan.blend());
    let Output { factor, head, .. } = *plan.outputs().nth(output).expect("an output");
    let [channels, patch @ ..] = plan.prediction(head).expect("a head");
    let lines: [Line; 3] = std::array::from_fn(|a| Line {
        starts: grid.starts(a).collect(),
        volume: grid.volume()[a],
        patch: grid.patch()[a],
        overlap: grid.overlap()[a],
        padded,
        factor: factor[a],
    });
    let number = |at: [usize; 3]| {
        let [_, rows, columns] = grid.shape();
        ((at[0] * rows + at[1]) * columns + at[2]) as u64
    };
    let least: f64 = (0..3)
        .map(|a| (0..patch[a]).map(|n| window(blend, n, patch[a])).fold(f64::INFINITY, f64::min))
        .product();
    let floor = match blend {
        Blend::Gaussian { .. } => least.max(1e-3),
        Blend::NnUNet => 2_f64.powi(-24) / 10.0,
        _ => 0.0,
    };
    let shape: [usize; 3] = std::array::from_fn(|a| lines[a].volume / factor[a]);
    Array4::from_shape_fn([channels, shape[0], shape[1], shape[2]], |(c, z, y, x)| {
        let voxel = [z, y, x];
        let mut members: [Vec<(usize, usize)>; 3] =
            std::array::from_fn(|a| lines[a].covering(voxel[a]));
        if blend == Blend::Crop {
            for a in 0..3 {
                // The last voxel of the input that belongs to a voxel of the output decides.
                let owner = lines[a].owner(voxel[a] * factor[a] + factor[a] - 1);
                members[a].retain(|(n, _)| *n == owner);
            }
        }
        let (mut sum, mut weights) = (0.0, 0.0);
        for (nz, z) in &members[0] {
            for (ny, y) in &members[1] {
                for (nx, x) in &members[2] {
                    let number = number([*nz, *ny, *nx]);
                    if !arrived(number) {
                        continue;
                    }
                    let at = [*z, *y, *x];
                    let weight: f64 = (0..3).map(|a| window(blend, at[a], patch[a])).product();
                    let weight = weight.max(floor);
                    sum += weight * f64::from(value(number, head, [c, at[0], at[1], at[2]]));
                    weights += weight;
                }
            }
        }
        (weights > 0.0).then(|| sum / weights)
    })
}
