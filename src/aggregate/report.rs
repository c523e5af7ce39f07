//! What was made.

use serde::Serialize;

use super::MemoryUse;
use crate::store::VolumeInfo;

/// What an aggregation made.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct AggregateReport {
    /// Patches of the plan.
    pub patches: u64,
    /// The published volumes, in the plan's order.
    pub outputs: Vec<VolumeInfo>,
    /// What was held at a time; `None` if the parts were made by other processes.
    pub memory: Option<MemoryUse>,
    /// Voxels that were cut off, of each output, as [`super::Aggregator::clipped`] counts them;
    /// `None` if the parts were made by other processes.
    pub clipped: Option<Vec<Clipped>>,
    /// From the beginning, or resumption, to the published volumes.
    pub seconds: f64,
}

/// Voxels of an output, finished in this run, whose values its type cannot hold, and which are its
/// least or its greatest number instead: of 8 or 16 bits, the scale is too small then, or values
/// are below 0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Clipped {
    /// `SUBJECT/IMAGE`.
    pub output: String,
    /// Voxels below the least number.
    pub below: u64,
    /// Voxels above the greatest.
    pub above: u64,
}
