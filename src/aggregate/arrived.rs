//! The patches whose predictions have arrived.

use std::sync::atomic::{AtomicU64, Ordering};

/// A bit for each patch of a grid.
#[derive(Debug)]
pub(super) struct Arrived(Vec<AtomicU64>);

impl Arrived {
    /// A set for this number of patches, none of which has arrived.
    pub(super) fn none(patches: u64) -> Self {
        let words = usize::try_from(patches.div_ceil(64)).unwrap_or(usize::MAX);
        Self((0..words).map(|_| AtomicU64::new(0)).collect())
    }

    /// Sets whether a patch has arrived; gives whether it had arrived before.
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

    /// Adds the patches of another set, given as words; `None` if the number of words differs.
    pub(super) fn add(&self, words: &[u64]) -> Option<()> {
        for (word, bits) in self.0.iter().zip(words) {
            word.fetch_or(*bits, Ordering::Relaxed);
        }
        (words.len() == self.0.len()).then_some(())
    }

    fn bit(&self, number: u64) -> (&AtomicU64, u64) {
        // Callers check that numbers are in the grid.
        (&self.0[usize::try_from(number / 64).unwrap_or(usize::MAX)], 1 << (number % 64))
    }
}
