//! What an unfinished aggregation says of itself, so that it is only ever gone on with as begun.

use serde::Serialize;
use serde_json::Value;

use super::Plan;
use crate::layout::{ChunkLayout, Workload};

/// Version of the document, raised when the same plan would make other bytes.
const VERSION: u64 = 1;

#[derive(Serialize)]
struct Document<'a> {
    version: u64,
    source: &'a str,
    source_voxels: &'a str,
    volume: [usize; 3],
    patch: [usize; 3],
    starts: [Vec<i64>; 3],
    mode: String,
    walk: [usize; 3],
    made_by: &'a str,
    parts: usize,
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
pub(super) fn of(plan: &Plan, made_by: &str, parts: usize) -> String {
    let document = Document {
        version: VERSION,
        source: &plan.source.name,
        source_voxels: &plan.source.voxels,
        volume: plan.grid.volume(),
        patch: plan.grid.patch(),
        starts: [0, 1, 2].map(|axis| plan.grid.starts(axis).collect()),
        mode: plan.blend.to_string(),
        walk: plan.walk,
        made_by,
        parts,
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
    serde_json::to_string(&document).expect("numbers and texts are JSON")
}

/// How many parts an aggregation was begun with; 1 if it does not say.
pub(super) fn parts_of(document: &str) -> usize {
    let parts = |document: Value| usize::try_from(document.get("parts")?.as_u64()?).ok();
    serde_json::from_str(document).ok().and_then(parts).unwrap_or(1)
}

/// What is another in the document that is there than in the one that is wanted; `None` if
/// nothing.
pub(super) fn difference(there: &str, wanted: &str) -> Option<String> {
    if there == wanted {
        return None;
    }
    let parsed = |text| serde_json::from_str::<Value>(text).unwrap_or(Value::Null);
    let told = different(&parsed(there), &parsed(wanted), "");
    Some(told.unwrap_or_else(|| "it is written differently".into()))
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
    use super::*;

    #[test]
    fn a_difference_is_named() {
        let a = r#"{"mode":"hann","outputs":[{"name":"a","channels":2}],"parts":3}"#;
        assert_eq!(difference(a, a), None);
        assert_eq!(
            difference(a, &a.replace("hann", "crop")).unwrap(),
            "mode was \"hann\", and is now \"crop\""
        );
        assert_eq!(
            difference(a, &a.replace(":2", ":4")).unwrap(),
            "outputs.0.channels was 2, and is now 4"
        );
        assert!(difference(a, r#"{"mode":"hann"}"#).unwrap().contains("outputs"));
        assert!(difference("nonsense", a).is_some());
        assert_eq!(parts_of(a), 3);
        assert_eq!(parts_of("nonsense"), 1);
    }
}
