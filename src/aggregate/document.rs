//! The document that describes an unfinished aggregation, so that it is resumed only with the same
//! settings.

use serde::Serialize;
use serde_json::Value;

use super::{AggregateOptions, Plan};
use crate::layout::{ChunkLayout, Workload};

/// Version of the document: raised when the same plan would make other bytes.
const VERSION: u64 = 3;

#[derive(Serialize)]
struct Document<'a> {
    version: u64,
    patches: u64,
    source: &'a str,
    source_voxels: &'a str,
    volume: [usize; 3],
    patch: [usize; 3],
    starts: [Vec<i64>; 3],
    mode: String,
    walk: [usize; 3],
    made_by: &'a str,
    non_finite: String,
    outputs: Vec<OutputDocument<'a>>,
}

#[derive(Serialize)]
struct OutputDocument<'a> {
    name: String,
    head: usize,
    channels: usize,
    values: String,
    factor: [usize; 3],
    layout: &'a ChunkLayout,
    workload: &'a Workload,
}

/// Everything that decides the bytes of the outputs, except the predictions themselves.
pub(super) fn of(plan: &Plan, options: &AggregateOptions) -> Value {
    let document = Document {
        version: VERSION,
        patches: plan.grid.len(),
        source: &plan.source.name,
        source_voxels: &plan.source.voxels,
        volume: plan.grid.volume(),
        patch: plan.grid.patch(),
        starts: [0, 1, 2].map(|axis| plan.grid.starts(axis).collect()),
        mode: plan.blend.to_string(),
        walk: plan.walk,
        made_by: &options.made_by,
        non_finite: options.non_finite.to_string(),
        outputs: plan
            .outputs
            .iter()
            .map(|planned| OutputDocument {
                name: planned.output.name.to_string(),
                head: planned.output.head,
                channels: planned.output.channels,
                values: planned.output.values.to_string(),
                factor: planned.output.factor,
                layout: &planned.layout,
                workload: &planned.workload,
            })
            .collect(),
    };
    serde_json::to_value(&document).expect("numbers and texts are JSON")
}

/// The number of patches in a document made by [`of`].
pub(super) fn patches(plan: &Value) -> u64 {
    plan["patches"].as_u64().unwrap_or(0)
}

/// Channels and factor of each output in a document made by [`of`].
pub(crate) fn channels_and_factors(plan: &Value) -> Option<Vec<(usize, [usize; 3])>> {
    let number = |value: &Value| usize::try_from(value.as_u64()?).ok();
    let output = |output: &Value| {
        let factor: Option<Vec<usize>> = output["factor"].as_array()?.iter().map(number).collect();
        Some((number(&output["channels"])?, factor?.try_into().ok()?))
    };
    plan["outputs"].as_array()?.iter().map(output).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_document_of_anything_else_tells_no_patches_and_no_channels() {
        assert_eq!((patches(&json!({"patches": 3})), patches(&json!(null))), (3, 0));
        let output = json!({"channels": 2, "factor": [1, 2, 1]});
        assert_eq!(channels_and_factors(&json!({"outputs": [output]})), Some(vec![(2, [1, 2, 1])]));
        assert_eq!(channels_and_factors(&json!({"outputs": [{"channels": 2}]})), None);
    }
}
