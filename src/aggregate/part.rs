//! A box of whole shards that one process makes.

use serde::Serialize;

use crate::Region;

/// One of the boxes of [`super::Plan::split`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Part {
    /// Its number, from 0.
    pub index: usize,
    /// How many there are.
    pub of: usize,
    /// The voxels of the source that it stands for, `z, y, x`.
    pub region: Region,
    /// Patches whose predictions it needs.
    pub patches: u64,
    /// Those of them that another part needs too.
    pub shared: u64,
    /// The axis that is cut, and from where to where.
    #[serde(skip)]
    pub(super) axis: usize,
    #[serde(skip)]
    pub(super) range: [usize; 2],
}

impl Part {
    /// From where to where it goes in an output of `length` voxels along its axis, one for each
    /// `factor` of the source.
    pub(super) fn of_output(&self, factor: usize, length: usize) -> [usize; 2] {
        self.range.map(|at| (at.div_ceil(factor)).min(length))
    }
}
