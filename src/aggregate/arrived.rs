//! Whose predictions were taken.

use std::sync::atomic::{AtomicU64, Ordering};

/// A bit for each patch of a grid.
#[derive(Debug)]
pub(super) struct Arrived(Vec<AtomicU64>);

impl Arrived {
    /// Of so many patches none.
    pub(super) fn none(patches: u64) -> Self {
        let words = usize::try_from(patches.div_ceil(64)).unwrap_or(usize::MAX);
        Self((0..words).map(|_| AtomicU64::new(0)).collect())
    }

    /// Whether a patch had arrived, and sets whether it has.
    pub(super) fn set(&self, number: u64, arrived: bool) -> bool {
        let (word, bit) = self.bit(number);
        let before = if arrived {
            word.fetch_or(bit, Ordering::Relaxed)
        } else {
            word.fetch_and(!bit, Ordering::Relaxed)
        };
        before & bit != 0
    }

    pub(super) fn has(&self, number: u64) -> bool {
        let (word, bit) = self.bit(number);
        word.load(Ordering::Relaxed) & bit != 0
    }

    /// All bits, 64 to a word.
    pub(super) fn words(&self) -> Vec<u64> {
        self.0.iter().map(|word| word.load(Ordering::Relaxed)).collect()
    }

    /// Adds the bits of as many words; `None` if there are not as many.
    pub(super) fn add(&self, words: &[u64]) -> Option<()> {
        for (word, bits) in self.0.iter().zip(words) {
            word.fetch_or(*bits, Ordering::Relaxed);
        }
        (words.len() == self.0.len()).then_some(())
    }

    fn bit(&self, number: u64) -> (&AtomicU64, u64) {
        // Numbers were checked to be in the grid.
        (&self.0[usize::try_from(number / 64).unwrap_or(usize::MAX)], 1 << (number % 64))
    }
}
