//! What an unfinished aggregation says of itself, so that it is only ever gone on with as begun.

use serde::Serialize;
use serde_json::Value;

use super::{AggregateOptions, Plan};
use crate::layout::{ChunkLayout, Workload};

/// Version of the document, raised when the same plan would make other bytes.
const VERSION: u64 = 2;

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
    channels: usize,
    values: String,
    factor: [usize; 3],
    layout: &'a ChunkLayout,
    workload: &'a Workload,
}

/// Everything that decides the bytes of the outputs, but the predictions themselves.
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
        non_finite: format!("{:?}", options.non_finite),
        outputs: plan
            .outputs
            .iter()
            .map(|planned| OutputDocument {
                name: planned.output.name.to_string(),
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

/// The number of patches, as it stands in [`of`].
pub(super) fn patches(plan: &Value) -> u64 {
    plan["patches"].as_u64().unwrap_or(0)
}

/// Channels and factor of each output, as they stand in [`of`].
pub(crate) fn channels_and_factors(plan: &Value) -> Option<Vec<(usize, [usize; 3])>> {
    let number = |value: &Value| usize::try_from(value.as_u64()?).ok();
    let output = |output: &Value| {
        let factor: Option<Vec<usize>> = output["factor"].as_array()?.iter().map(number).collect();
        Some((number(&output["channels"])?, factor?.try_into().ok()?))
    };
    plan["outputs"].as_array()?.iter().map(output).collect()
}

/// What is another in the document that is there than in the one that is wanted; `None` if
/// nothing.
pub(super) fn difference(there: &Value, wanted: &Value) -> Option<String> {
    different(there, wanted, "")
}

fn different(there: &Value, wanted: &Value, at: &str) -> Option<String> {
    let step = |name: &str| if at.is_empty() { name.to_owned() } else { format!("{at}.{name}") };
    match (there, wanted) {
        _ if there == wanted => None,
        (Value::Object(a), Value::Object(b)) => {
            let names = b.keys().chain(a.keys().filter(|name| !b.contains_key(*name)));
            let of = |object: &serde_json::Map<String, Value>, name| {
                object.get(name).cloned().unwrap_or(Value::Null)
            };
            names.map(|name| different(&of(a, name), &of(b, name), &step(name))).find_map(|d| d)
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            let pairs = a.iter().zip(b).enumerate();
            pairs.map(|(n, (a, b))| different(a, b, &step(&n.to_string()))).find_map(|d| d)
        }
        _ => Some(format!("{at} was {there}, and is now {wanted}")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_difference_is_named() {
        let a = json!({"mode": "hann", "outputs": [{"name": "a", "channels": 2}], "patches": 3});
        assert_eq!(difference(&a, &a), None);
        let other = |pointer: &str, value: Value| {
            let mut b = a.clone();
            *b.pointer_mut(pointer).unwrap() = value;
            difference(&a, &b).unwrap()
        };
        assert_eq!(other("/mode", json!("crop")), "mode was \"hann\", and is now \"crop\"");
        assert_eq!(
            other("/outputs/0/channels", json!(4)),
            "outputs.0.channels was 2, and is now 4"
        );
        assert!(difference(&a, &json!({"mode": "hann"})).unwrap().contains("outputs"));
        assert!(difference(&json!("nonsense"), &a).is_some());
        assert_eq!((patches(&a), patches(&json!(null))), (3, 0));
    }
}
