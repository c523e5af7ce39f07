//! The source of a volume's voxels, in the attributes of every version.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::Space;

/// The source of a volume.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SourceInfo {
    /// Format of the source, such as `nifti-1`; `predictions` if there was no file.
    pub format: String,
    /// Numeric fields of its header, by their names in that format.
    pub fields: Map<String, Value>,
    /// BLAKE3 of its files, if given to the conversion: [`crate::scan::Found::digest`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
}

/// The attributes of a volume in the form of version 3, from those of any version: versions 1 and 2
/// describe the source in two fields, which include the coordinate system as NIfTI's codes.
pub(super) fn upgraded(mut attributes: Value) -> Value {
    let Some(object) = attributes.as_object_mut() else { return attributes };
    let (Some(format), Some(fields)) =
        (object.get("source_format").cloned(), object.get("source_fields").cloned())
    else {
        return attributes;
    };
    let code = |name: &str| fields.get(name).and_then(Value::as_i64).unwrap_or(0);
    let space = Space::of_codes(code("sform_code"), code("qform_code"));
    object.remove("source_format");
    object.remove("source_fields");
    object.insert("space".to_owned(), json!(space));
    object.insert("source".to_owned(), json!({"format": format, "fields": fields}));
    attributes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_old_form_becomes_the_new_and_the_new_stays() {
        let old = json!({
            "kind": "label",
            "source_format": "nifti-1",
            "source_fields": {"sform_code": 4, "qform_code": 1, "pixdim": [1.0, 0.7]},
        });
        let new = json!({
            "kind": "label",
            "space": "mni",
            "source": {
                "format": "nifti-1",
                "fields": {"sform_code": 4, "qform_code": 1, "pixdim": [1.0, 0.7]},
            },
        });
        assert_eq!(upgraded(old), new);
        assert_eq!(upgraded(new.clone()), new);
        let unknown = json!({"source_format": "predictions", "source_fields": {}});
        assert_eq!(upgraded(unknown)["space"], Value::Null);
        for other in [json!(null), json!([1]), json!({"source_format": "nifti-1"})] {
            assert_eq!(upgraded(other.clone()), other);
        }
    }
}
