//! What was made.

use serde::Serialize;

use super::MemoryUse;
use super::plan::PlannedOutput;
use crate::layout::ChunkLayout;
use crate::store::{IndexInfo, Published};
use crate::{Dtype, Kind, Spacing};

/// What an aggregation made.
#[derive(Debug, Clone, Serialize)]
pub struct AggregateReport {
    /// Patches of the plan.
    pub patches: u64,
    /// Each output, in the plan's order.
    pub outputs: Vec<OutputReport>,
    /// What was held at a time; `None` if the parts were made by other processes.
    pub memory: Option<MemoryUse>,
    /// From the beginning, or resumption, to the published volumes.
    pub seconds: f64,
}

/// One volume that was made.
#[derive(Debug, Clone, Serialize)]
pub struct OutputReport {
    /// `SUBJECT/IMAGE`.
    pub name: String,
    /// What is stored of the predictions.
    pub values: String,
    /// Type of the voxels.
    pub dtype: Dtype,
    /// What they mean.
    pub kind: Kind,
    /// Shape of a channel, `z, y, x`.
    pub shape: [usize; 3],
    /// Channels.
    pub channels: usize,
    /// Millimetres, `z, y, x`.
    pub spacing: Spacing,
    /// How it is cut and compressed.
    pub layout: ChunkLayout,
    /// Bytes of the voxels.
    pub raw_bytes: u64,
    /// Bytes of the shards.
    pub stored_bytes: u64,
    /// The index for sampling of a label map; `None` if there is none.
    pub index: Option<IndexInfo>,
    /// Digest of the voxels, whatever their layout.
    pub voxel_digest: String,
}

impl OutputReport {
    pub(super) fn new(planned: &PlannedOutput, made: Published) -> Self {
        let (array, values) = (planned.array(), planned.output.values);
        let voxels = array.shape.iter().product::<usize>() * array.channels;
        Self {
            name: planned.output.name.to_string(),
            values: values.to_string(),
            dtype: array.dtype,
            kind: values.kind(),
            shape: array.shape,
            channels: array.channels,
            spacing: planned.spacing,
            layout: planned.layout,
            raw_bytes: (voxels * array.dtype.size()) as u64,
            stored_bytes: made.stored_bytes,
            index: made.index,
            voxel_digest: made.voxel_digest,
        }
    }
}
