//! Counts of any `f64` in narrow cells, in memory that does not grow with the voxels.

use super::Bin;

/// Bits of the fraction that tell cells apart: a cell spans 2^-10 of its value.
const FRACTION_BITS: u32 = 10;
/// One leaf for each sign and exponent of an `f64`.
const LEAVES: usize = 1 << 12;

/// Cells by the leading bits of a value: sign, exponent, 10 bits of the fraction. The leaf of a
/// sign and an exponent is made when it first occurs: 24 KiB each, about a megabyte for a real scan
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
        // Background: one look-up serves all of it.
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
        // None is NaN: a comparison suffices. Stored in any case: a branch would be foreseen badly.
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
        // By their bits negative values come after the others, the greatest first.
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
