//! `--label-names`: names of labels, from a file.

use std::path::Path;

use anyhow::Context;
use serde_json::{Map, Value};
use voxpatch::LabelName;

/// The names in a file, in the order of their labels: the `labels` of an nnU-Net `dataset.json`, or
/// a JSON object of names and labels.
pub fn read(path: &Path) -> anyhow::Result<Vec<LabelName>> {
    let file = || format!("cannot take label names from {}", path.display());
    let text = std::fs::read_to_string(path).with_context(file)?;
    let document: Map<String, Value> = serde_json::from_str(&text).with_context(file)?;
    // A label may also be named "labels"; its value is a number then.
    let labels = document.get("labels").and_then(Value::as_object).unwrap_or(&document);
    let names = labels.iter().map(|(key, value)| name(key, value));
    let mut names: Vec<_> = names.collect::<anyhow::Result<_>>().with_context(file)?;
    names.sort_by_key(LabelName::value);
    Ok(names)
}

/// `"liver": 1`, or `"1": "liver"` as in earlier versions of nnU-Net.
fn name(key: &str, value: &Value) -> anyhow::Result<LabelName> {
    let (label, name) = match value {
        Value::Number(label) => (label.as_i64(), key),
        Value::String(name) => (key.parse().ok(), name.as_str()),
        Value::Array(_) => anyhow::bail!(
            "{key:?} names a region of several labels; leave regions out, because only single \
             labels have names"
        ),
        _ => (None, key),
    };
    let label = label.with_context(|| {
        format!("{key:?}: {value} is no label; write names as {{\"liver\": 1, \"tumour\": 2}}")
    })?;
    Ok(LabelName::new(label, name, None)?)
}
