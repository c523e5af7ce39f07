//! What was made.

use serde::Serialize;

use super::MemoryUse;
use crate::store::VolumeInfo;

/// What an aggregation made.
#[derive(Debug, Clone, Serialize)]
pub struct AggregateReport {
    /// Patches of the plan.
    pub patches: u64,
    /// The published volumes, in the plan's order.
    pub outputs: Vec<VolumeInfo>,
    /// What was held at a time; `None` if the parts were made by other processes.
    pub memory: Option<MemoryUse>,
    /// From the beginning, or resumption, to the published volumes.
    pub seconds: f64,
}
