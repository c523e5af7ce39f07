//! From the means of a chunk to stored voxels.

use std::sync::atomic::{AtomicU64, Ordering};

use half::f16;
use half::slice::HalfFloatSliceExt as _;

use super::Values;
use super::planned::PlannedOutput;
use crate::Element;

/// The number of voxels whose values lie beyond the range of the stored type.
#[derive(Debug, Default)]
pub(super) struct ClipCount {
    below: AtomicU64,
    above: AtomicU64,
}

impl ClipCount {
    pub(super) fn add(&self, [below, above]: [u64; 2]) {
        self.below.fetch_add(below, Ordering::Relaxed);
        self.above.fetch_add(above, Ordering::Relaxed);
    }

    /// The counts below and above the range.
    pub(super) fn counts(&self) -> [u64; 2] {
        [&self.below, &self.above].map(|count| count.load(Ordering::Relaxed))
    }
}

/// The voxels to store, in native byte order, channel after channel, given the means of a chunk.
/// `inside` is the shape of the part of the chunk that lies in the volume. The voxels are in `out`
/// unless they are the means themselves.
pub(super) fn stored<'m>(
    planned: &PlannedOutput,
    inside: [usize; 3],
    means: &'m [f32],
    out: &'m mut Vec<u8>,
    clipped: &ClipCount,
) -> &'m [u8] {
    let (voxels, output) = (planned.chunk_voxels(), &planned.output);
    match output.values {
        Values::Float32 => return bytemuck::cast_slice(means),
        Values::Float16 => {
            let mut halves = vec![f16::ZERO; means.len()];
            halves.convert_from_f32_slice(means);
            out.clear();
            out.extend_from_slice(bytemuck::cast_slice(&halves));
        }
        Values::UInt8 { scale } => {
            clipped
                .add(quantise(means, scale, f64::from(u8::MAX), out, |step| [u8::from_f64(step)]));
        }
        Values::UInt16 { scale } => {
            let to = |step| u16::from_f64(step).to_ne_bytes();
            clipped.add(quantise(means, scale, f64::from(u16::MAX), out, to));
        }
        Values::Threshold(threshold) => {
            each(means, out, |mean| [u8::from(mean >= threshold)]);
            // Beyond the output the mean is 0, which may reach the threshold.
            if threshold <= 0.0 {
                let channels = out.chunks_exact_mut(voxels);
                channels.for_each(|channel| clear_labels(planned.layout.chunk, inside, channel));
            }
        }
        Values::Argmax => {
            let classes = argmax(means, voxels);
            if output.values.dtype(output.channels).size() == 1 {
                each(&classes, out, |class| [class.to_le_bytes()[0]]);
            } else {
                each(&classes, out, u16::to_ne_bytes);
            }
        }
    }
    out
}

fn clear_labels([_, height, width]: [usize; 3], inside: [usize; 3], labels: &mut [u8]) {
    for (n, label) in labels.iter_mut().enumerate() {
        let voxel = [n / width / height, n / width % height, n % width];
        if (0..3).any(|a| voxel[a] >= inside[a]) {
            *label = 0;
        }
    }
}

fn each<T: Copy, const N: usize>(from: &[T], out: &mut Vec<u8>, to: impl Fn(T) -> [u8; N]) {
    out.resize(from.len() * N, 0);
    let (bytes, _) = out.as_chunks_mut();
    for (bytes, value) in bytes.iter_mut().zip(from) {
        *bytes = to(*value);
    }
}

/// The nearest whole numbers to `value / scale`; NaN becomes 0. Gives how many numbers are below 0
/// and how many above `most`: `to` turns these into 0 and `most`.
fn quantise<const N: usize>(
    values: &[f32],
    scale: f64,
    most: f64,
    out: &mut Vec<u8>,
    to: impl Fn(f64) -> [u8; N],
) -> [u64; 2] {
    let (mut below, mut above) = (0, 0);
    out.resize(values.len() * N, 0);
    let (bytes, _) = out.as_chunks_mut();
    for (bytes, value) in bytes.iter_mut().zip(values) {
        // `to` rounds towards 0, and 0.5 makes that the nearest number.
        let step = f64::from(*value) / scale + 0.5;
        below += u64::from(step < 0.0);
        above += u64::from(step >= most + 1.0);
        *bytes = to(step);
    }
    [below, above]
}

/// The channel with the greatest value of each voxel, the first of equals; NaN is greater than all.
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
    fn values_are_rounded_to_the_nearest_step_and_those_beyond_the_ends_are_counted() {
        let values = [0.0, 1.0, 0.5, 2.0, -1.0, 0.1, f32::NAN, -0.001, 1.001, f32::INFINITY];
        let mut out = Vec::new();
        let bytes = |step| [u8::from_f64(step)];
        assert_eq!(quantise(&values, 1.0 / 255.0, 255.0, &mut out, bytes), [1, 2]);
        assert_eq!(out, [0, 255, 128, 255, 0, 26, 0, 0, 255, 255]);
        let words = |step| u16::from_f64(step).to_ne_bytes();
        assert_eq!(quantise(&[0.5, 17e3], 0.25, 65535.0, &mut out, words), [0, 1]);
        assert_eq!(bytemuck::cast_slice::<u8, u16>(&out), [2, 65535]);
    }
}
