//! A chunk whose patches have all arrived: sums become means, and means what is stored.

use half::f16;
use half::slice::HalfFloatSliceExt as _;

use super::memory::Memory;
use super::piece::{Piece, Predicted, Weighing};
use super::plan::PlannedOutput;
use super::sums::Sums;
use super::weights::KeptWeights;
use super::{Blend, Values};

/// Turns the sums of chunks into stored voxels.
pub(super) struct Finisher<'a> {
    planned: &'a PlannedOutput,
    weighing: Weighing<'a>,
}

impl<'a> Finisher<'a> {
    pub(super) fn new(planned: &'a PlannedOutput, blend: Blend) -> Self {
        Self { planned, weighing: Weighing::of(planned, blend) }
    }

    /// The means of the chunk at `at` (chunk grid), all of whose members have arrived: its sums,
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
            // With a floor, weights are no product of their axes.
            Weighing::Windows { floor, .. } if floor > 0.0 => {
                let like = std::array::from_fn(|a| self.planned.axes[a].like(at[a]));
                let weights =
                    kept.of(like, || self.weights(at, &self.members(at).collect::<Vec<_>>()));
                self.divide_by(at, &sums, &weights, &mut means);
            }
            _ => {
                // On a complete grid the sum of the products is the product of the sums.
                let weights: [&[f64]; 3] = std::array::from_fn(|a| {
                    let from = at[a] * self.planned.layout.chunk[a];
                    &self.planned.axes[a].weights[from..][..self.planned.axes[a].inside(at[a])]
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

    /// The same where only some members have arrived: voxels that none of them covers become
    /// `fill`.
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

    /// The sum of the weights of these members, for each voxel of the chunk; where each voxel has
    /// one owner, whether that is among them.
    fn weights(&self, at: [usize; 3], members: &[[usize; 3]]) -> Vec<f64> {
        let chunk = self.planned.layout.chunk;
        let mut weights = Sums::Weighted(vec![0.0; self.planned.chunk_voxels()]);
        // What a prediction of ones would add up to.
        let [_, planes, rows, columns] = self.planned.prediction();
        let ones = vec![1.0; planes * rows * columns];
        let ones = Predicted { voxels: &ones, shape: [1, planes, rows, columns], origin: [0; 3] };
        for member in members {
            let piece = self.planned.piece(*member, at);
            self.weighing.add(&mut weights, chunk, &piece, &ones);
        }
        match weights {
            Sums::Weighted(weights) => weights,
            Sums::Owned(_) => Vec::new(),
        }
    }

    /// Divides sums by weights, which are the same for each channel.
    fn divide_by(&self, at: [usize; 3], sums: &[f64], weights: &[f64], means: &mut [f32]) {
        let [_, height, width] = self.planned.layout.chunk;
        self.for_each_row(at, means, |[z, y], begin, row| {
            let weights = &weights[(z * height + y) * width..];
            for ((mean, sum), weight) in row.iter_mut().zip(&sums[begin..]).zip(weights) {
                *mean = rounded(sum / weight);
            }
        });
    }

    /// Each row of each channel that lies inside the output, by `z, y` in the chunk and where it
    /// begins among all voxels.
    fn for_each_row(
        &self,
        at: [usize; 3],
        means: &mut [f32],
        mut work: impl FnMut([usize; 2], usize, &mut [f32]),
    ) {
        let [depth, height, width] = self.planned.layout.chunk;
        let [planes, rows, columns] = self.inside(at);
        for channel in 0..means.len() / (depth * height * width) {
            for z in 0..planes {
                for y in 0..rows {
                    let begin = ((channel * depth + z) * height + y) * width;
                    work([z, y], begin, &mut means[begin..][..columns]);
                }
            }
        }
    }

    /// Zeros beyond the output, where the fill may have got.
    fn clear_outside(&self, at: [usize; 3], means: &mut [f32]) {
        let ([depth, height, width], inside) = (self.planned.layout.chunk, self.inside(at));
        for (n, value) in means.iter_mut().enumerate() {
            let voxel = [n / width / height % depth, n / width % height, n % width];
            if (0..3).any(|a| voxel[a] >= inside[a]) {
                *value = 0.0;
            }
        }
    }

    fn inside(&self, at: [usize; 3]) -> [usize; 3] {
        std::array::from_fn(|a| self.planned.axes[a].inside(at[a]))
    }

    fn members(&self, at: [usize; 3]) -> impl Iterator<Item = [usize; 3]> + '_ {
        let [z, y, x] = std::array::from_fn(|a| self.planned.axes[a].members(at[a]));
        z.iter().flat_map(move |z| y.iter().flat_map(move |y| x.iter().map(move |x| [*z, *y, *x])))
    }

    /// The voxels that are stored, in native byte order, channel after channel, of the means of the
    /// chunk at `at`; in `out` where they are others than the means.
    pub(super) fn store<'m>(
        &self,
        at: [usize; 3],
        means: &'m [f32],
        out: &'m mut Vec<u8>,
    ) -> &'m [u8] {
        let voxels = self.planned.chunk_voxels();
        match self.planned.output.values {
            Values::Float32 => return bytemuck::cast_slice(means),
            Values::Float16 => {
                let mut halves = vec![f16::ZERO; means.len()];
                halves.convert_from_f32_slice(means);
                out.clear();
                out.extend_from_slice(bytemuck::cast_slice(&halves));
            }
            Values::UInt8 { scale } => each(means, out, |mean| [quantised::<u8>(mean, scale)]),
            Values::UInt16 { scale } => {
                each(means, out, |mean| quantised::<u16>(mean, scale).to_ne_bytes());
            }
            Values::Threshold(threshold) => {
                each(means, out, |mean| [u8::from(mean >= threshold)]);
                // Beyond the output the mean is 0, which may be enough.
                if threshold <= 0.0 {
                    let channels = out.chunks_exact_mut(voxels);
                    channels.for_each(|channel| self.clear_labels(at, channel));
                }
            }
            Values::Argmax => {
                let classes = argmax(means, voxels);
                if self.planned.output.values.dtype(self.planned.output.channels).size() == 1 {
                    each(&classes, out, |class| [class.to_le_bytes()[0]]);
                } else {
                    each(&classes, out, u16::to_ne_bytes);
                }
            }
        }
        out
    }

    fn clear_labels(&self, at: [usize; 3], labels: &mut [u8]) {
        let ([_, height, width], inside) = (self.planned.layout.chunk, self.inside(at));
        for (n, label) in labels.iter_mut().enumerate() {
            let voxel = [n / width / height, n / width % height, n % width];
            if (0..3).any(|a| voxel[a] >= inside[a]) {
                *label = 0;
            }
        }
    }
}

impl PlannedOutput {
    /// What the patch at `place` (place grid) contributes to the chunk at `at` (chunk grid).
    pub(super) fn piece(&self, place: [usize; 3], at: [usize; 3]) -> Piece {
        std::array::from_fn(|a| self.axes[a].part(place[a], at[a]))
    }
}

/// A mean in single precision, rounded once.
#[allow(clippy::cast_possible_truncation)]
fn rounded(mean: f64) -> f32 {
    mean as f32
}

fn each<T: Copy, const N: usize>(from: &[T], out: &mut Vec<u8>, to: impl Fn(T) -> [u8; N]) {
    out.resize(from.len() * N, 0);
    let (bytes, _) = out.as_chunks_mut();
    for (bytes, value) in bytes.iter_mut().zip(from) {
        *bytes = to(*value);
    }
}

/// The nearest number of an unsigned type to `value / scale`; NaN becomes 0.
fn quantised<T: crate::Element>(value: f32, scale: f64) -> T {
    // Cut off towards 0, as is what is below it.
    T::from_f64(f64::from(value) / scale + 0.5)
}

/// The channel with the greatest value of each voxel, the first of equals; NaN is greatest.
fn argmax(means: &[f32], voxels: usize) -> Vec<u16> {
    let mut best = means[..voxels].to_vec();
    let mut classes = vec![0; voxels];
    for (channel, values) in means.chunks_exact(voxels).enumerate().skip(1) {
        let channel = u16::try_from(channel).expect("there are 65536 channels at most");
        for ((best, class), value) in best.iter_mut().zip(&mut classes).zip(values) {
            if *value > *best || (value.is_nan() && !best.is_nan()) {
                (*best, *class) = (*value, channel);
            }
        }
    }
    classes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_the_greatest_channels_wins_and_nan_is_greatest() {
        let nan = f32::NAN;
        let means = [1.0, 5.0, nan, 0.0, 2.0, 5.0, 9.0, nan, 0.0, 6.0, nan, nan];
        assert_eq!(argmax(&means, 4), [1, 2, 0, 1]);
    }

    #[test]
    fn values_are_rounded_to_the_nearest_step_and_cut_off() {
        let scale = 1.0 / 255.0;
        for (value, expected) in
            [(0.0, 0), (1.0, 255), (0.5, 128), (2.0, 255), (-1.0, 0), (0.1, 26), (f32::NAN, 0)]
        {
            assert_eq!(quantised::<u8>(value, scale), expected, "{value}");
        }
        assert_eq!(quantised::<u16>(0.5, 0.25), 2);
    }
}
