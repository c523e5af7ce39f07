//! Random numbers as a function of a name, so that no number depends on another.
//!
//! The generator is Philox4x32-10 (Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy
//! as 1, 2, 3", 2011): a keyed bijection of 128-bit counters without state, which passes the usual
//! batteries of tests of randomness.

use super::Draw;

const MULTIPLIERS: [u32; 2] = [0xd251_1f53, 0xcd9e_8d57];
const WEYL: [u32; 2] = [0x9e37_79b9, 0xbb67_ae85];
const ROUNDS: u32 = 10;

/// The purpose of numbers: each purpose has independent numbers for the same seed and epoch.
#[derive(Debug, Clone, Copy)]
#[repr(u8)]
pub(super) enum Purpose {
    Draws = 1,
    Permutation = 2,
    Jitter = 3,
}

/// The random numbers of one [`Draw`], the same on every machine.
///
/// Seed, epoch, index and the position in the stream are 64 bits each, more than one block of
/// Philox takes: a block of its own turns seed and epoch into the key of a stream; index and
/// position are the counter. Two streams of one seed and epoch share no block.
#[derive(Debug, Clone)]
pub struct Random {
    key: [u32; 2],
    index: u64,
    position: u64,
    /// The second half of the last block, if it was not returned yet.
    rest: Option<u64>,
}

impl Random {
    /// The numbers of this draw, from the first.
    #[must_use]
    pub fn of(draw: Draw) -> Self {
        Self::of_purpose(draw, Purpose::Draws)
    }

    pub(super) fn of_purpose(draw: Draw, purpose: Purpose) -> Self {
        let key = key(draw.seed, draw.epoch, purpose);
        Self { key, index: draw.index, position: 0, rest: None }
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        if let Some(bits) = self.rest.take() {
            return bits;
        }
        let [first, second] = block(self.key, self.index, self.position);
        self.position = self.position.wrapping_add(1);
        self.rest = Some(second);
        first
    }

    /// Uniform in `0..n`, without bias (Lemire, "Fast random integer generation in an interval",
    /// 2019); 0 if `n` is 0.
    pub fn below(&mut self, n: u64) -> u64 {
        let (mut high, mut low) = product(self.bits(), n);
        if low < n {
            // The lowest 2^64 mod n words would make shares unequal, and are skipped.
            let surplus = n.wrapping_neg() % n;
            while low < surplus {
                (high, low) = product(self.bits(), n);
            }
        }
        high
    }

    /// Uniform among the multiples of 2^-53 in `0..1`.
    #[allow(clippy::cast_precision_loss, reason = "53 bits are what f64 holds exactly")]
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// The key of all numbers for one purpose in one epoch.
pub(super) fn key(seed: u64, epoch: u64, purpose: Purpose) -> [u32; 2] {
    let [low, high] = halves(epoch);
    let [a, b, ..] = philox([low, high, purpose as u32, 0], halves(seed));
    [a, b]
}

/// The block of numbers at a position.
pub(super) fn block(key: [u32; 2], index: u64, position: u64) -> [u64; 2] {
    let ([a, b], [c, d]) = (halves(index), halves(position));
    let [a, b, c, d] = philox([a, b, c, d], key).map(u64::from);
    [a | b << 32, c | d << 32]
}

/// The high and the low word of a product.
#[allow(clippy::cast_possible_truncation, reason = "the words are what is wanted")]
pub(super) const fn product(a: u64, b: u64) -> (u64, u64) {
    let product = a as u128 * b as u128;
    ((product >> 64) as u64, product as u64)
}

/// The low and the high half.
#[allow(clippy::cast_possible_truncation, reason = "the halves are what is wanted")]
const fn halves(word: u64) -> [u32; 2] {
    [word as u32, (word >> 32) as u32]
}

/// Philox4x32 of ten rounds.
fn philox(counter: [u32; 4], key: [u32; 2]) -> [u32; 4] {
    let ([mut a, mut b, mut c, mut d], [mut k, mut l]) = (counter, key);
    for _ in 0..ROUNDS {
        let [low, high] = halves(u64::from(a) * u64::from(MULTIPLIERS[0]));
        let [low_c, high_c] = halves(u64::from(c) * u64::from(MULTIPLIERS[1]));
        [a, b, c, d] = [high_c ^ b ^ k, low_c, high ^ d ^ l, low];
        (k, l) = (k.wrapping_add(WEYL[0]), l.wrapping_add(WEYL[1]));
    }
    [a, b, c, d]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draw(seed: u64, epoch: u64, index: u64) -> Random {
        Random::of(Draw { seed, epoch, index })
    }

    #[test]
    fn blocks_are_the_published_ones() {
        // The known answers for philox4x32 with 10 rounds that Random123 comes with.
        let ones = u32::MAX;
        let pi = [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344];
        for (counter, key, answer) in [
            ([0; 4], [0; 2], [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]),
            ([ones; 4], [ones; 2], [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]),
            (pi, [0xa409_3822, 0x299f_31d0], [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]),
        ] {
            assert_eq!(philox(counter, key), answer);
        }
    }

    #[test]
    fn streams_differ_in_every_part_of_their_name_also_beyond_32_bits() {
        let mut firsts = std::collections::BTreeSet::new();
        let far = 1 << 32;
        for name in
            [[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [far, 0, 0], [0, far, 0], [0, 0, far]]
        {
            let mut random = draw(name[0], name[1], name[2]);
            firsts.extend((0..5).map(|_| random.bits()));
            assert_eq!(
                draw(name[0], name[1], name[2]).bits(),
                draw(name[0], name[1], name[2]).bits()
            );
        }
        assert_eq!(firsts.len(), 35);
    }

    #[test]
    #[allow(clippy::cast_precision_loss)]
    fn numbers_below_are_evenly_spread_and_units_are_below_one() {
        let mut random = draw(3, 1, 4);
        for n in [1_u64, 2, 3, 7, 100] {
            let mut counts = vec![0_u64; usize::try_from(n).unwrap()];
            for _ in 0..10_000 {
                counts[usize::try_from(random.below(n)).unwrap()] += 1;
            }
            let expected = 1e4 / n as f64;
            let chi: f64 = counts.iter().map(|c| (*c as f64 - expected).powi(2) / expected).sum();
            // Mean n - 1, deviation sqrt(2 (n - 1)).
            assert!(chi <= (n - 1) as f64 + 5.0 * (2.0 * (n - 1) as f64).sqrt(), "{n}: {chi}");
        }
        // A bound for which half of all words are refused.
        let large = (1 << 63) + 1;
        let above = (0..10_000).filter(|_| random.below(large) >= 1 << 62).count();
        assert!((4_800..5_200).contains(&above), "{above}");
        assert_eq!(random.below(0), 0);
        let units: Vec<f64> = (0..10_000).map(|_| random.unit()).collect();
        assert!(units.iter().all(|unit| (0.0..1.0).contains(unit)));
        assert!((units.iter().sum::<f64>() / 1e4 - 0.5).abs() < 0.015);
    }
}
