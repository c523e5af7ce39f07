//! The order of an epoch, as a pure function of seed, epoch and position.
//!
//! An epoch is a list of positions that is never written down. Subjects come in a permuted order;
//! each is visited once, and a visit is a run of draws; the list of all draws is cut into windows,
//! and each window is permuted in itself, so that patches of many visits mix. What is permuted are
//! numbers: no voxel waits for its turn, and any position can be had without those before it.

use crate::sample::permuted;

/// The draws of one epoch, by position.
#[derive(Debug)]
pub(super) struct Order {
    seed: u64,
    epoch: u64,
    window: u64,
    /// Subjects in the order of their visits.
    visits: Vec<usize>,
    /// For each visit, the number of draws up to its end.
    ends: Vec<u64>,
    /// For each subject, the number of its draws.
    counts: Vec<u64>,
}

/// What stands at one position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// Number of the subject.
    pub(super) subject: usize,
    /// Number of the draw in its visit.
    pub(super) draw: u64,
}

impl Order {
    /// The order of an epoch in which subject `n` has `counts[n]` draws, which together fit `u64`.
    pub(super) fn new(seed: u64, epoch: u64, window: usize, counts: &[u64]) -> Self {
        let n = counts.len() as u64;
        let order = permuted(n, seed, epoch);
        #[allow(clippy::cast_possible_truncation)] // Below the number of subjects.
        let visits: Vec<_> = (0..n).map(|visit| order(visit) as usize).collect();
        let ends = visits.iter().scan(0, |end, &subject| {
            *end += counts[subject];
            Some(*end)
        });
        let (window, ends) = (window.max(1) as u64, ends.collect());
        Self { seed, epoch, window, ends, visits, counts: counts.to_vec() }
    }

    /// The epoch that this is the order of.
    pub(super) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The number of positions.
    pub(super) fn total(&self) -> u64 {
        self.ends.last().copied().unwrap_or(0)
    }

    /// The number of draws of a subject.
    pub(super) fn draws(&self, subject: usize) -> u64 {
        self.counts[subject]
    }

    /// What stands at a position below [`Self::total`].
    pub(super) fn at(&self, position: u64) -> Place {
        let window = position / self.window;
        let first = window * self.window;
        let length = self.window.min(self.total() - first);
        // Each window has a seed of its own, another than that of the subjects' order.
        let seed = self.seed.wrapping_add((window + 1).wrapping_mul(GOLDEN));
        let draw = first + permuted(length, seed, self.epoch)(position - first);
        let visit = self.ends.partition_point(|&end| end <= draw);
        let before = visit.checked_sub(1).map_or(0, |before| self.ends[before]);
        Place { subject: self.visits[visit], draw: draw - before }
    }
}

/// 2^64 / golden ratio: multiples of it are far from each other.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn an_epoch_holds_every_draw_once(
            (seed, epoch) in any::<(u64, u64)>(),
            counts in prop::collection::vec(0..9_u64, 0..12),
            window in 0..40_usize,
        ) {
            let order = Order::new(seed, epoch, window, &counts);
            let mut found: Vec<_> = (0..order.total()).map(|p| order.at(p)).collect();
            found.sort_unstable();
            let all = counts.iter().enumerate();
            let all: Vec<_> = all
                .flat_map(|(subject, &n)| (0..n).map(move |draw| Place { subject, draw }))
                .collect();
            prop_assert_eq!(found, all);
        }

        #[test]
        fn patches_stay_in_their_window(seed in any::<u64>(), window in 1..20_u64) {
            let [shuffled, plain] =
                [window, 1].map(|w| Order::new(seed, 3, usize::try_from(w).unwrap(), &[7, 5, 6]));
            for start in (0..18).step_by(usize::try_from(window).unwrap()) {
                let places = |order: &Order| {
                    let mut places: Vec<_> =
                        (start..18.min(start + window)).map(|p| order.at(p)).collect();
                    places.sort_unstable();
                    places
                };
                prop_assert_eq!(places(&shuffled), places(&plain));
            }
        }
    }

    #[test]
    fn windows_are_shuffled_each_in_a_way_of_its_own() {
        let (window, windows) = (24, 40);
        let order = Order::new(11, 2, 24, &[window * windows]);
        // Where each window's places stand in it.
        let mut ways: Vec<Vec<u64>> = (0..windows)
            .map(|n| (0..window).map(|p| order.at(n * window + p).draw - n * window).collect())
            .collect();
        // Of two windows shuffled without regard to each other, few places stand alike: one in
        // the mean.
        for pair in ways.windows(2) {
            let alike = pair[0].iter().zip(&pair[1]).filter(|(a, b)| a == b).count();
            assert!(alike < 12, "{alike} of 24 alike: {pair:?}");
        }
        ways.sort();
        ways.dedup();
        assert_eq!(ways.len() as u64, windows);
    }

    #[test]
    fn without_a_window_visits_are_whole_and_in_order() {
        for window in [0, 1] {
            let order = Order::new(5, 0, window, &[3, 3, 3, 3]);
            for visit in order_of(&order).chunks(3) {
                assert!(visit.iter().all(|place| place.subject == visit[0].subject));
                assert!(visit.iter().map(|place| place.draw).eq(0..3));
            }
        }
    }

    #[test]
    fn epochs_and_seeds_have_orders_of_their_own() {
        let order = |seed, epoch| order_of(&Order::new(seed, epoch, 16, &[4; 10]));
        assert_eq!(order(1, 1), order(1, 1));
        assert_ne!(order(1, 1), order(1, 2));
        assert_ne!(order(1, 1), order(2, 1));
    }

    fn order_of(order: &Order) -> Vec<Place> {
        (0..order.total()).map(|p| order.at(p)).collect()
    }
}
