//! Which positions of an epoch one rank takes.

use serde::{Deserialize, Serialize};

/// What becomes of the last patches of an epoch if they are fewer than the ranks. Either way every
/// rank gets as many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Remainder {
    /// They are left out; with another seed or epoch it is others.
    #[default]
    Drop,
    /// The epoch is filled up with patches from its beginning.
    Repeat,
}

/// The positions of one rank, from a position that all ranks have reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Share {
    /// Positions before this one are done with.
    first: u64,
    rank: u64,
    world: u64,
    /// Positions of the epoch, at most `i64::MAX`.
    total: u64,
    remainder: Remainder,
}

impl Share {
    /// What rank `rank` of `world` takes of an epoch of `total` positions.
    pub(super) fn new(rank: u32, world: u32, total: u64, remainder: Remainder) -> Self {
        Self { first: 0, rank: rank.into(), world: world.into(), total, remainder }
    }

    /// What is left when all ranks together have consumed so many positions, at most `total`.
    pub(super) fn after(self, consumed: u64) -> Self {
        Self { first: consumed, ..self }
    }

    /// How many positions there are for each rank.
    pub(super) fn count(&self) -> u64 {
        let left = self.total - self.first;
        match self.remainder {
            Remainder::Drop => left / self.world,
            Remainder::Repeat => left.div_ceil(self.world),
        }
    }

    /// The `n`-th position of this rank, `n` below [`Self::count`].
    pub(super) fn position(&self, n: u64) -> u64 {
        (self.first + self.rank + n * self.world) % self.total
    }

    /// Positions consumed by all ranks when each has taken `n` of its own.
    pub(super) fn consumed(&self, n: u64) -> u64 {
        self.total.min(self.first + n * self.world)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn positions(share: &Share) -> impl Iterator<Item = u64> + '_ {
        (0..share.count()).map(|n| share.position(n))
    }

    proptest! {
        #[test]
        fn ranks_together_take_the_epoch_in_order(
            world in 1..9_u32,
            total in 1..60_u64,
            consumed in 0..60_u64,
            repeat in any::<bool>(),
        ) {
            let consumed = consumed.min(total);
            let remainder = if repeat { Remainder::Repeat } else { Remainder::Drop };
            let share = |rank| Share::new(rank, world, total, remainder).after(consumed);
            let ranks: Vec<Vec<u64>> = (0..world).map(|r| positions(&share(r)).collect()).collect();
            prop_assert!(ranks.iter().all(|rank| rank.len() == ranks[0].len()));
            let together: Vec<u64> =
                (0..ranks[0].len()).flat_map(|n| ranks.iter().map(move |rank| rank[n])).collect();
            let expected: Vec<u64> = match remainder {
                Remainder::Drop => (consumed..total).take(together.len()).collect(),
                Remainder::Repeat => (consumed..total).chain((0..total).cycle()).take(together.len()).collect(),
            };
            prop_assert_eq!(&together, &expected);
            let left = usize::try_from(total - consumed).unwrap();
            let most = world as usize - 1;
            prop_assert!(together.len().abs_diff(left) <= most);
            prop_assert_eq!(together.len() >= left, repeat || left == together.len());
        }

        #[test]
        fn a_share_can_be_taken_up_at_any_point(
            world in 1..9_u32,
            total in 1..60_u64,
            taken in 0..60_u64,
            repeat in any::<bool>(),
        ) {
            let remainder = if repeat { Remainder::Repeat } else { Remainder::Drop };
            for rank in 0..world {
                let whole = Share::new(rank, world, total, remainder);
                let taken = taken.min(whole.count());
                let rest = whole.after(whole.consumed(taken));
                let expected: Vec<u64> = (taken..whole.count()).map(|n| whole.position(n)).collect();
                prop_assert_eq!(positions(&rest).collect::<Vec<_>>(), expected);
            }
        }
    }
}
