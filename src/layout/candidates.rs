//! The chunk shapes worth comparing.

use super::{ChunkLayout, Codec};
use crate::geometry::voxels;

/// Smallest chunk considered, in decoded bytes: below it, finding a chunk costs more than reading.
const MIN_CHUNK_BYTES: usize = 4 << 10;
/// Largest chunk considered, in decoded bytes: decoded voxels should stay in a core's cache.
const MAX_CHUNK_BYTES: usize = 4 << 20;

/// The volume for which chunks are sought. Shapes are `z, y, x` in voxels.
pub(super) struct Search<'a> {
    pub(super) volume: [usize; 3],
    pub(super) item_bytes: usize,
    /// Patch shapes, clipped to the volume.
    pub(super) patches: &'a [[usize; 3]],
    /// The shard that chunks must divide, if it is fixed.
    pub(super) shard: Option<[usize; 3]>,
}

impl Search<'_> {
    /// Every chunk shape worth comparing. No axis is longer than the volume's; sizes lie between
    /// the two bounds, unless a fixed shard leaves no such shape. Empty only if no chunk shape
    /// divides a fixed shard.
    pub(super) fn all(&self) -> Vec<[usize; 3]> {
        let axes: [Vec<usize>; 3] = std::array::from_fn(|a| self.lengths(a));
        let bounded = self.product(&axes, self.least_bytes(), MAX_CHUNK_BYTES);
        if !bounded.is_empty() || self.shard.is_none() {
            return bounded;
        }
        self.product(&axes, 0, usize::MAX)
    }

    /// `shape` clipped to the volume, and halved along its longest axis until it is at most
    /// [`MAX_CHUNK_BYTES`]; `None` if it is then too small or does not divide the fixed shard.
    pub(super) fn bounded(&self, shape: [usize; 3]) -> Option<[usize; 3]> {
        let mut chunk: [usize; 3] = std::array::from_fn(|a| shape[a].clamp(1, self.volume[a]));
        while self.bytes(chunk) > MAX_CHUNK_BYTES {
            let longest = (0..3).max_by_key(|&a| chunk[a]).unwrap_or(0);
            chunk[longest] = chunk[longest].div_ceil(2);
        }
        (self.bytes(chunk) >= self.least_bytes() && self.is_allowed(chunk)).then_some(chunk)
    }

    /// Lengths to try along an axis: the divisors of a fixed shard; otherwise `2^k`, `3 * 2^k` from
    /// 24 on (powers of two are dense enough below), the patches' lengths and the volume's own.
    fn lengths(&self, axis: usize) -> Vec<usize> {
        let longest = self.volume[axis].min(MAX_CHUNK_BYTES / self.item_bytes);
        let mut lengths = if let Some(shard) = self.shard {
            divisors(shard[axis])
        } else {
            let powers = (0..usize::BITS - 5).flat_map(|k| [1 << k, 24 << k]);
            let own = self.patches.iter().map(|p| p[axis]).chain([self.volume[axis]]);
            powers.chain(own).collect()
        };
        lengths.retain(|&n| n <= longest);
        lengths.sort_unstable();
        lengths.dedup();
        lengths
    }

    fn product(&self, axes: &[Vec<usize>; 3], least: usize, most: usize) -> Vec<[usize; 3]> {
        let mut shapes = Vec::new();
        for &z in &axes[0] {
            for &y in &axes[1] {
                // Lengths rise along x, so the first that is too large ends the row.
                let row = axes[2].iter().map(|&x| [z, y, x]);
                shapes.extend(
                    row.take_while(|&c| self.bytes(c) <= most)
                        .filter(|&c| self.bytes(c) >= least && self.is_allowed(c)),
                );
            }
        }
        shapes
    }

    fn is_allowed(&self, chunk: [usize; 3]) -> bool {
        let codec = Codec::None;
        self.shard.is_none_or(|shard| ChunkLayout::new(chunk, shard, codec).is_ok())
    }

    /// The least size: a volume or shard smaller than the lower bound is one chunk.
    fn least_bytes(&self) -> usize {
        MIN_CHUNK_BYTES.min(self.bytes(self.volume))
    }

    fn bytes(&self, shape: [usize; 3]) -> usize {
        voxels(shape).map_or(usize::MAX, |n| n.saturating_mul(self.item_bytes))
    }
}

/// Divisors of `n` up to 4096, and their cofactors: enough for a sensible shard, without factoring
/// an arbitrary number. Of divisors within a fifth of each other only the first is kept, so that no
/// number has more than about 200.
fn divisors(n: usize) -> Vec<usize> {
    let small = (1..=n.min(4096)).filter(|&d| n.is_multiple_of(d));
    let mut divisors: Vec<usize> = small.flat_map(|d| [d, n / d]).collect();
    divisors.sort_unstable();
    divisors.dedup_by(|next, kept| *next - *kept < next.div_ceil(5));
    divisors
}

#[cfg(test)]
mod tests {
    use super::*;

    fn search(volume: [usize; 3], shard: Option<[usize; 3]>) -> Vec<[usize; 3]> {
        Search { volume, item_bytes: 2, patches: &[[100, 100, 100]], shard }.all()
    }

    #[test]
    fn there_is_always_a_chunk_within_the_bounds() {
        for volume in [[1; 3], [1, 1, 5000], [7, 511, 3], [1 << 20, 1, 1], [1069, 512, 512]] {
            let shapes = search(volume, None);
            assert!(!shapes.is_empty(), "{volume:?}");
            for chunk in shapes {
                let bytes = 2 * chunk.iter().product::<usize>();
                assert!(bytes <= MAX_CHUNK_BYTES);
                assert!(bytes >= MIN_CHUNK_BYTES || chunk == volume);
                assert!((0..3).all(|a| chunk[a] <= volume[a]));
            }
        }
    }

    #[test]
    fn a_fixed_shard_is_divided() {
        let shapes = search([300; 3], Some([90, 100, 110]));
        assert!(shapes.contains(&[45, 50, 55]));
        assert!(shapes.iter().all(|c| 90 % c[0] == 0 && 100 % c[1] == 0 && 110 % c[2] == 0));
        // Only shapes outside the bounds divide this one.
        assert_eq!(search([300; 3], Some([1, 1, 2])), [[1, 1, 1], [1, 1, 2]]);
    }
}
