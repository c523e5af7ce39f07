//! From counts of many values to a histogram of few bins.

use super::{Bin, packed};

/// Most bins of a histogram.
const MAX_BINS: usize = 1024;
/// Most bytes of the bins before base64 turns three bytes into four letters: a volume's documents
/// then stay below 16 kB. Whole numbers and 32-bit floats hardly ever need as many bytes; 64-bit
/// floats get fewer bins, of up to 21 bytes each.
const MAX_BYTES: usize = 7600;

/// Merges ascending bins that do not overlap into a histogram for a document.
pub(super) fn histogram(bins: &[Bin]) -> Vec<Bin> {
    let mut most = MAX_BINS;
    loop {
        let few = equalise(bins, most);
        let is_short = packed::bin_bytes(&few).is_none_or(|bytes| bytes.len() <= MAX_BYTES);
        if is_short || most <= 1 {
            return few;
        }
        most -= most.div_ceil(16);
    }
}

/// Merges bins into at most `max_bins`, so that the fullest merged bin is as small as possible; a
/// single bin that is fuller from the start stays as it is.
fn equalise(bins: &[Bin], max_bins: usize) -> Vec<Bin> {
    if bins.len() <= max_bins {
        return bins.to_vec();
    }
    // More room never needs more bins, so bisection finds the least room.
    let (mut least, mut most) = (0, bins.iter().map(|b| b.count).sum::<u64>());
    while least < most {
        let room = least + (most - least) / 2;
        if merged(bins, room).count() <= max_bins { most = room } else { least = room + 1 }
    }
    merged(bins, least).collect()
}

/// Neighbouring bins, joined while their counts fit in `room`.
fn merged(bins: &[Bin], room: u64) -> impl Iterator<Item = Bin> {
    let mut rest = bins.iter().copied().peekable();
    std::iter::from_fn(move || {
        let mut bin = rest.next()?;
        while let Some(next) = rest.next_if(|next| bin.count + next.count <= room) {
            bin = Bin { low: bin.low, high: next.high, count: bin.count + next.count };
        }
        Some(bin)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_bins_become_few_of_even_counts_and_full_ones_stay_alone() {
        let bins: Vec<Bin> = (0..50_000_i32)
            .map(|v| Bin {
                low: v.into(),
                high: v.into(),
                count: if v == 777 { 1_000_000 } else { 3 },
            })
            .collect();
        let few = equalise(&bins, MAX_BINS);
        assert!(few.len() <= MAX_BINS && few.len() > MAX_BINS - 16, "{}", few.len());
        assert!(few.contains(&Bin { low: 777.0, high: 777.0, count: 1_000_000 }));
        assert!(few.iter().all(|b| b.count == 1_000_000 || b.count <= 150));
        assert!(few.windows(2).all(|w| w[0].high < w[1].low));
        assert_eq!(few.iter().map(|b| b.count).sum::<u64>(), 1_000_000 + 3 * 49_999);
    }
}
