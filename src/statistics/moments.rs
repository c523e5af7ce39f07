//! Mean and variance: exact sums for integers, stable updates for floats.

use super::Bin;

/// Sums of integers. The squares are kept modulo 2^128: the result is a sum of squared distances
/// from the mean, and if that fits 128 bits, the overflow in between cancels out.
#[derive(Clone, Copy, Default)]
pub(super) struct IntegerSums {
    pub(super) voxels: u64,
    sum: i128,
    squares: u128,
}

impl IntegerSums {
    /// Adds a 64-bit value, signed or not, that occurs `count` times.
    #[allow(clippy::cast_sign_loss)]
    pub(super) fn add(&mut self, value: i128, count: u64) {
        self.voxels += count;
        // At most 2^64 values of at most 2^64 each, so an overflow would take centuries.
        self.sum = self.sum.wrapping_add(value.wrapping_mul(i128::from(count)));
        let square = (value as u128).wrapping_mul(value as u128);
        self.squares = self.squares.wrapping_add(square.wrapping_mul(u128::from(count)));
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.voxels += other.voxels;
        self.sum = self.sum.wrapping_add(other.sum);
        self.squares = self.squares.wrapping_add(other.squares);
    }

    /// Mean and population standard deviation. `bins` hold the same voxels, at least one, and are
    /// used when the range is too wide for the sums.
    #[allow(clippy::cast_precision_loss, clippy::cast_sign_loss)]
    pub(super) fn finish(&self, bins: &[Bin]) -> (f64, f64) {
        let n = i128::from(self.voxels.max(1));
        let (floor, rest) = (self.sum.div_euclid(n), self.sum.rem_euclid(n));
        let part = rest as f64 / n as f64;
        let mean = floor as f64 + part;
        let range = bins.last().map_or(0.0, |b| b.high) - bins.first().map_or(0.0, |b| b.low);
        // No distance from `floor` exceeds the range by more than 1.
        if n as f64 * (range + 2.0).powi(2) > 2_f64.powi(127) {
            let middle = |b: &Bin| b.low / 2.0 + b.high / 2.0 - mean;
            let sum: f64 = bins.iter().map(|b| middle(b).powi(2) * b.count as f64).sum();
            return (mean, (sum / n as f64).sqrt());
        }
        let (c, n_bits) = (floor as u128, n as u128);
        let distances = self
            .squares
            .wrapping_sub(c.wrapping_mul(self.sum as u128).wrapping_mul(2))
            .wrapping_add(n_bits.wrapping_mul(c.wrapping_mul(c)));
        // The distances are from the floor of the mean, the variance is from the mean itself.
        let variance = distances as f64 / n as f64 - part * part;
        (mean, variance.max(0.0).sqrt())
    }
}

/// Mean and squared distances of floats, updated block by block (the pairwise formula of Chan,
/// Golub and `LeVeque`), so that a large mean does not absorb a small deviation.
#[derive(Clone, Copy, Default)]
pub(super) struct FloatMoments {
    pub(super) voxels: u64,
    mean: f64,
    /// Sum of squared distances from the mean.
    distances: f64,
}

impl FloatMoments {
    /// The moments of a small block of finite values.
    #[allow(clippy::cast_precision_loss)]
    pub(super) fn of(block: &[f64]) -> Self {
        let part = 1.0 / block.len().max(1) as f64;
        // Divided first, so that the sum stays finite; then corrected by the mean of the residuals.
        let rough = sum(block, |v| v * part).clamp(f64::MIN, f64::MAX);
        let left = sum(block, |v| (v - rough) * part);
        let mean = if left.is_finite() { rough + left } else { rough };
        let distances = sum(block, |v| (v - mean) * (v - mean));
        Self { voxels: block.len() as u64, mean, distances }
    }

    #[allow(clippy::cast_precision_loss)]
    pub(super) fn merge(&mut self, other: &Self) {
        if self.voxels == 0 || other.voxels == 0 {
            if self.voxels == 0 {
                *self = *other;
            }
            return;
        }
        let voxels = self.voxels + other.voxels;
        let share = other.voxels as f64 / voxels as f64;
        let apart = other.mean - self.mean;
        self.distances += other.distances + apart * apart * share * self.voxels as f64;
        // A weighted sum, because the distance between the means could be infinite.
        let mean = self.mean * (1.0 - share) + other.mean * share;
        self.mean = mean.clamp(f64::MIN, f64::MAX);
        self.voxels = voxels;
    }

    /// Mean and population standard deviation. The deviation saturates where its square leaves the
    /// range of `f64`.
    #[allow(clippy::cast_precision_loss)]
    pub(super) fn finish(&self) -> (f64, f64) {
        let variance = self.distances / self.voxels.max(1) as f64;
        (self.mean, variance.sqrt().min(f64::MAX))
    }
}

/// Sum in a fixed order that vector instructions can follow.
fn sum(block: &[f64], term: impl Fn(f64) -> f64) -> f64 {
    let (groups, rest) = block.as_chunks::<8>();
    let mut lanes = [0.0; 8];
    for group in groups {
        for (lane, value) in lanes.iter_mut().zip(group) {
            *lane += term(*value);
        }
    }
    lanes.into_iter().chain(rest.iter().map(|v| term(*v))).sum()
}
