//! A part of a plan: a box of whole shards that one process makes.

use serde::Serialize;

use crate::Region;

/// One of the boxes of [`super::Plan::split`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Part {
    /// The index of the part, from 0.
    pub index: usize,
    /// The number of parts.
    pub of: usize,
    /// The voxels of the source that the part covers, `z, y, x`.
    pub region: Region,
    /// The number of patches that touch the part, whose predictions it needs.
    pub patches: u64,
    /// The number of these patches that another part needs, too.
    pub shared: u64,
    /// The axis that is cut, and the ends of the part along it.
    #[serde(skip)]
    pub(super) axis: usize,
    #[serde(skip)]
    pub(super) range: [usize; 2],
}

impl Part {
    /// The ends of the part in an output of `length` voxels along its axis, with one voxel for each
    /// `factor` voxels of the source.
    pub(super) fn of_output(&self, factor: usize, length: usize) -> [usize; 2] {
        self.range.map(|at| (at.div_ceil(factor)).min(length))
    }
}
