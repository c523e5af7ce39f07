//! The report of an aggregation.

use serde::Serialize;

use super::MemoryUse;
use crate::store::VolumeInfo;

/// The result of an aggregation.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct AggregateReport {
    /// Number of patches of the plan.
    pub patches: u64,
    /// The published volumes, in the plan's order.
    pub outputs: Vec<VolumeInfo>,
    /// Memory that was held; `None` if other processes made the parts.
    pub memory: Option<MemoryUse>,
    /// Voxels that were cut off, of each output, as [`super::Aggregator::clipped`] counts them;
    /// `None` if other processes made the parts.
    pub clipped: Option<Vec<Clipped>>,
    /// Seconds from the beginning, or the resumption, to the published volumes.
    pub seconds: f64,
}

/// Voxels of an output, finished in this run, whose values lie beyond the stored type and became
/// its least or greatest number instead. Where an output stores 8 or 16 bits, its scale is too
/// small then, or values are negative.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Clipped {
    /// `SUBJECT/IMAGE`.
    pub output: String,
    /// Voxels below the least number.
    pub below: u64,
    /// Voxels above the greatest number.
    pub above: u64,
}
