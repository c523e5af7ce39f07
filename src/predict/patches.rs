//! The patches that a model is given, and their order.

use std::iter::once;
use std::sync::Arc;

use crate::aggregate;
use crate::sample::Grid;

/// Patches by number, in the order in which the model is given them.
#[derive(Debug, Clone)]
pub(super) enum Patches {
    /// All of a grid, in [`order`].
    All(Grid),
    Listed(Arc<[u64]>),
}

impl Patches {
    pub(super) fn numbers(&self) -> Box<dyn Iterator<Item = u64> + Send> {
        match self {
            Self::All(grid) => Box::new(order(grid)),
            Self::Listed(numbers) => {
                let numbers = Arc::clone(numbers);
                Box::new((0..numbers.len()).map(move |n| numbers[n]))
            }
        }
    }
}

/// The patch whose answer identifies the model: the one in the middle of the grid. In the corners
/// of a scan there is air, for which different models give the same answer.
pub(super) fn known(grid: &Grid) -> u64 {
    let [z, y, x] = grid.shape().map(|n| n / 2);
    let [_, rows, columns] = grid.shape();
    ((z * rows + y) * columns + x) as u64
}

/// Every patch of a grid: first the one that identifies the model, then the others in the order of
/// all plans.
pub(super) fn order(grid: &Grid) -> impl Iterator<Item = u64> + use<> {
    let known = known(grid);
    once(known).chain(aggregate::order(grid).filter(move |number| *number != known))
}
