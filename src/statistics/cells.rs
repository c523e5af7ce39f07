//! Counts of any `f64` in narrow cells, in memory that does not depend on the number of voxels.

use super::Bin;

/// Leading fraction bits that identify a cell: a cell spans 2^-10 of its value.
const FRACTION_BITS: u32 = 10;
/// One leaf for each sign and exponent of an `f64`.
const LEAVES: usize = 1 << 12;

/// Cells by the leading bits of a value: sign, exponent, 10 bits of the fraction. The leaf of a
/// sign and an exponent is made at its first value: 24 KiB each, about a megabyte for a real scan
/// and never more than 96 MiB.
pub(super) struct Cells {
    leaves: Vec<Vec<Bin>>,
}

const EMPTY: Bin = Bin { low: f64::INFINITY, high: f64::NEG_INFINITY, count: 0 };

impl Cells {
    pub(super) fn new() -> Self {
        Self { leaves: vec![Vec::new(); LEAVES] }
    }

    /// Counts values, which must be finite.
    pub(super) fn add(&mut self, values: &[f64]) {
        let Some(first) = values.first() else { return };
        // Equal values, such as background, take one look-up together.
        if values.iter().all(|value| value.to_bits() == first.to_bits()) {
            self.count(*first, values.len() as u64);
            return;
        }
        for value in values {
            self.count(*value, 1);
        }
    }

    #[inline]
    #[allow(clippy::cast_possible_truncation)]
    fn count(&mut self, value: f64, count: u64) {
        // Both zeros become +0.
        let value = value + 0.0;
        let bits = value.to_bits();
        let leaf = &mut self.leaves[(bits >> 52) as usize % LEAVES];
        if leaf.is_empty() {
            grow(leaf);
        }
        let cell = &mut leaf[(bits >> (52 - FRACTION_BITS)) as usize % (1 << FRACTION_BITS)];
        // No value is NaN, so a comparison is enough. Always stored, because a branch would be
        // mispredicted.
        cell.low = if value < cell.low { value } else { cell.low };
        cell.high = if value > cell.high { value } else { cell.high };
        cell.count += count;
    }

    pub(super) fn merge(&mut self, other: Self) {
        for (mine, theirs) in self.leaves.iter_mut().zip(other.leaves) {
            if mine.is_empty() {
                *mine = theirs;
                continue;
            }
            for (cell, other) in mine.iter_mut().zip(&theirs) {
                join(cell, other);
            }
        }
    }

    /// The cells that are not empty, ascending.
    pub(super) fn finish(mut self) -> Vec<Bin> {
        // Ordered by bits, negative values follow the positive ones, the one nearest to zero first.
        let negative = self.leaves.split_off(LEAVES / 2);
        let negative = negative.into_iter().rev().flat_map(|leaf| leaf.into_iter().rev());
        let all = negative.chain(self.leaves.into_iter().flatten());
        all.filter(|cell| cell.count > 0).collect()
    }
}

#[cold]
fn grow(leaf: &mut Vec<Bin>) {
    leaf.resize(1 << FRACTION_BITS, EMPTY);
}

fn join(cell: &mut Bin, other: &Bin) {
    cell.low = cell.low.min(other.low);
    cell.high = cell.high.max(other.high);
    cell.count += other.count;
}
