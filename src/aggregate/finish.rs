//! Finishing a chunk whose patches have all arrived: sums become means.

use super::Blend;
use super::contribution::{Predicted, Weighing};
use super::group::Group;
use super::memory::Memory;
use super::sums::Sums;
use super::weights::KeptWeights;

/// Turns the sums of chunks into means.
pub(super) struct Finisher<'a> {
    group: &'a Group,
    weighing: Weighing<'a>,
}

impl<'a> Finisher<'a> {
    pub(super) fn new(group: &'a Group, blend: Blend) -> Self {
        Self { group, weighing: Weighing::of(group, blend) }
    }

    /// The means of the chunk at `at` (chunk grid), all of whose members have arrived: the sums
    /// divided by the sums of the weights.
    pub(super) fn means(
        &self,
        at: [usize; 3],
        sums: Sums,
        kept: &KeptWeights,
        memory: &Memory,
    ) -> Vec<f32> {
        let sums = match sums {
            Sums::Owned(values) => return values,
            Sums::Weighted(sums) => sums,
        };
        let mut means = memory.zeros(sums.len());
        match self.weighing {
            // With a floor, the weights are not a product of the axes.
            Weighing::Windows { floor, .. } if floor > 0.0 => {
                let like = std::array::from_fn(|a| self.group.axes[a].like(at[a]));
                let weights =
                    kept.of(like, || self.weights(at, &self.members(at).collect::<Vec<_>>()));
                self.divide_by(at, &sums, &weights, &mut means);
            }
            _ => {
                // On a complete grid, the sum of the products is the product of the sums.
                let weights: [&[f64]; 3] = std::array::from_fn(|a| {
                    let from = at[a] * self.group.chunk[a];
                    &self.group.axes[a].weights[from..][..self.group.axes[a].inside(at[a])]
                });
                self.for_each_row(at, &mut means, |[z, y], begin, row| {
                    let weight = weights[0][z] * weights[1][y];
                    for ((mean, sum), x) in row.iter_mut().zip(&sums[begin..]).zip(weights[2]) {
                        *mean = rounded(sum / (weight * x));
                    }
                });
            }
        }
        memory.reuse_sums(sums);
        means
    }

    /// The means of a chunk of which only some members have arrived: voxels that none of these
    /// covers become `fill`.
    pub(super) fn some_means(
        &self,
        at: [usize; 3],
        sums: Sums,
        members: &[[usize; 3]],
        fill: f32,
    ) -> Vec<f32> {
        let weights = self.weights(at, members);
        let mut means = match sums {
            Sums::Owned(values) => values,
            Sums::Weighted(sums) => {
                let mut means = vec![0.0; sums.len()];
                self.divide_by(at, &sums, &weights, &mut means);
                means
            }
        };
        let voxels = weights.len();
        for (n, mean) in means.iter_mut().enumerate() {
            if weights[n % voxels] <= 0.0 {
                *mean = fill;
            }
        }
        self.clear_outside(at, &mut means);
        means
    }

    /// The sum of the weights of these members, for each voxel of the chunk. Where each voxel has
    /// one owner: 1 if the owner is among the members, else 0.
    fn weights(&self, at: [usize; 3], members: &[[usize; 3]]) -> Vec<f64> {
        let chunk = self.group.chunk;
        let mut weights = Sums::Weighted(vec![0.0; self.group.chunk_voxels()]);
        // The weights are the sums of predictions that are 1 everywhere.
        let [_, planes, rows, columns] = self.group.prediction();
        let ones = vec![1.0; planes * rows * columns];
        let ones = Predicted { voxels: &ones, shape: [1, planes, rows, columns], origin: [0; 3] };
        for member in members {
            let chunk_box = self.group.chunk_box(*member, at);
            self.weighing.add(&mut weights, chunk, &chunk_box, &ones);
        }
        match weights {
            Sums::Weighted(weights) => weights,
            Sums::Owned(_) => Vec::new(),
        }
    }

    /// Divides the sums of every channel by the same weights.
    fn divide_by(&self, at: [usize; 3], sums: &[f64], weights: &[f64], means: &mut [f32]) {
        let [_, height, width] = self.group.chunk;
        self.for_each_row(at, means, |[z, y], begin, row| {
            let weights = &weights[(z * height + y) * width..];
            for ((mean, sum), weight) in row.iter_mut().zip(&sums[begin..]).zip(weights) {
                *mean = rounded(sum / weight);
            }
        });
    }

    /// Calls for each row of each channel that lies inside the output, with `z, y` in the chunk and
    /// the index of the row's first voxel.
    fn for_each_row(
        &self,
        at: [usize; 3],
        means: &mut [f32],
        mut work: impl FnMut([usize; 2], usize, &mut [f32]),
    ) {
        let [depth, height, width] = self.group.chunk;
        let [planes, rows, columns] = self.group.inside(at);
        for channel in 0..means.len() / (depth * height * width) {
            for z in 0..planes {
                for y in 0..rows {
                    let begin = ((channel * depth + z) * height + y) * width;
                    work([z, y], begin, &mut means[begin..][..columns]);
                }
            }
        }
    }

    /// Sets voxels beyond the output to 0, which may hold the fill.
    fn clear_outside(&self, at: [usize; 3], means: &mut [f32]) {
        let ([depth, height, width], inside) = (self.group.chunk, self.group.inside(at));
        for (n, value) in means.iter_mut().enumerate() {
            let voxel = [n / width / height % depth, n / width % height, n % width];
            if (0..3).any(|a| voxel[a] >= inside[a]) {
                *value = 0.0;
            }
        }
    }

    fn members(&self, at: [usize; 3]) -> impl Iterator<Item = [usize; 3]> + '_ {
        let [z, y, x] = std::array::from_fn(|a| self.group.axes[a].members(at[a]));
        z.iter().flat_map(move |z| y.iter().flat_map(move |y| x.iter().map(move |x| [*z, *y, *x])))
    }
}

/// A mean in single precision, rounded once.
#[allow(clippy::cast_possible_truncation)]
fn rounded(mean: f64) -> f32 {
    mean as f32
}
