//! Counts of any `f64` in narrow cells, in memory that does not grow with the voxels.

use super::Bin;

/// Bits of the fraction that tell cells apart: a cell spans 2^-10 of its value.
const FRACTION_BITS: u32 = 10;
/// One leaf for each sign and exponent of an `f64`.
const LEAVES: usize = 1 << 12;

/// Cells by the leading bits of a value: sign, exponent, 10 bits of the fraction. The leaf of an
/// exponent is made when it first occurs: 24 KiB each, about a megabyte for a real scan and
/// never more than 96 MiB.
pub(super) struct Cells {
    leaves: Vec<Vec<Bin>>,
    /// A value and how often it came last, not yet in its cell: background is long runs of one
    /// value.
    run: (f64, u64),
}

const EMPTY: Bin = Bin { low: f64::INFINITY, high: f64::NEG_INFINITY, count: 0 };

impl Cells {
    pub(super) fn new() -> Self {
        Self { leaves: vec![Vec::new(); LEAVES], run: (0.0, 0) }
    }

    /// Counts one value, which must be finite.
    #[allow(clippy::float_cmp)]
    pub(super) fn add(&mut self, value: f64) {
        if value != self.run.0 {
            self.end_run();
            // Both zeros become +0.
            self.run = (value + 0.0, 0);
        }
        self.run.1 += 1;
    }

    #[allow(clippy::cast_possible_truncation)]
    fn end_run(&mut self) {
        let (value, count) = std::mem::take(&mut self.run);
        if count == 0 {
            return;
        }
        let bits = value.to_bits();
        // Unsigned integers in the order of the floats: negative ones are reversed.
        let ordered = if bits >> 63 == 1 { !bits } else { bits | 1 << 63 };
        let leaf = &mut self.leaves[(ordered >> 52) as usize % LEAVES];
        if leaf.is_empty() {
            leaf.resize(1 << FRACTION_BITS, EMPTY);
        }
        let at = (ordered >> (52 - FRACTION_BITS)) as usize % (1 << FRACTION_BITS);
        join(&mut leaf[at], &Bin { low: value, high: value, count });
    }

    pub(super) fn merge(&mut self, mut other: Self) {
        other.end_run();
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
        self.end_run();
        self.leaves.into_iter().flatten().filter(|cell| cell.count > 0).collect()
    }
}

fn join(cell: &mut Bin, other: &Bin) {
    cell.low = cell.low.min(other.low);
    cell.high = cell.high.max(other.high);
    cell.count += other.count;
}
