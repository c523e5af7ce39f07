//! Which patches a model is asked for.

use std::sync::Arc;

use crate::aggregate;
use crate::sample::Grid;

/// Patches by number, in the order in which they are given.
#[derive(Debug, Clone)]
pub(super) enum Patches {
    /// Those of a grid from this one on, in the order of all plans.
    From(Grid, usize),
    Listed(Arc<[u64]>),
}

impl Patches {
    pub(super) fn numbers(&self) -> Box<dyn Iterator<Item = u64> + Send> {
        match self {
            Self::From(grid, first) => Box::new(aggregate::order(grid).skip(*first)),
            Self::Listed(numbers) => {
                let numbers = Arc::clone(numbers);
                Box::new((0..numbers.len()).map(move |n| numbers[n]))
            }
        }
    }
}
