//! Random numbers that are a function of their index, so that none depends on another.

const SEED: u64 = 0x566f_7850_6174_6368;

/// A well-mixed value for each index: the output function of `SplitMix64` (Steele, Lea and Flood,
/// "Fast splittable pseudorandom number generators", 2014).
pub(super) const fn hash(index: u64) -> u64 {
    let mut x = (SEED ^ index).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// Uniform in -1..1.
#[allow(clippy::cast_precision_loss)]
pub(super) fn uniform(index: u64) -> f64 {
    (hash(index) >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
}

/// Nearly normal, of mean 0: the sum of the four 16-bit parts of a hash, so never beyond 3.5
/// standard deviations.
pub(super) fn gaussian(index: u64, deviation: i32) -> i32 {
    /// Four uniform values below 2^16: standard deviation 2^16 / sqrt(3), mean 2 x (2^16 - 1).
    const DEVIATION: i32 = 37_837;
    const MEAN: i32 = 131_070;
    let [a, b, c, d, e, f, g, h] = hash(index).to_le_bytes();
    let part = |low, high| i32::from(u16::from_le_bytes([low, high]));
    let sum = part(a, b) + part(c, d) + part(e, f) + part(g, h) - MEAN;
    // Fixed point with 20 bits of fraction; for deviations up to 500 it stays below 2^31.
    let scale = (deviation << 20) / DEVIATION;
    (sum * scale + (1 << 19)) >> 20
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_has_the_mean_and_deviation_asked_for() {
        let samples: Vec<f64> = (0..100_000).map(|i| f64::from(gaussian(i, 20))).collect();
        let mean = samples.iter().sum::<f64>() / 1e5;
        let variance = samples.iter().map(|s| (s - mean).powi(2)).sum::<f64>() / 1e5;
        assert!(mean.abs() < 0.3, "mean {mean}");
        assert!((variance.sqrt() - 20.0).abs() < 0.3, "deviation {}", variance.sqrt());
        assert!((0..1000).map(uniform).all(|u| (-1.0..1.0).contains(&u)));
    }
}
