//! How a plan differs from the one that an unfinished aggregation was begun with, in the words of
//! the options.

use serde_json::Value;

/// Settings of the whole plan: the pointer into the document ([`super::document::of`]), and the two
/// halves of a sentence about each setting.
const SETTINGS: [(&str, &str, &str); 6] = [
    ("/source", "the volume was", "is"),
    ("/volume", "the shape of the volume was", "is"),
    ("/patch", "the patch was", "is"),
    ("/mode", "the mode was", "is"),
    ("/non_finite", "the treatment of predictions that are not finite was", "is"),
    ("/made_by", "the maker of the predictions was", "is"),
];

/// Settings of one output, in the same form.
const OF_OUTPUT: [(&str, &str, &str); 7] = [
    ("/head", "the head was", "is"),
    ("/values", "values were", "are"),
    ("/channels", "channels were", "are"),
    ("/factor", "voxels of the volume to one of it were", "are"),
    ("/layout/chunk", "the chunk was", "is"),
    ("/layout/shard", "the shard was", "is"),
    ("/layout/codec", "the codec was", "is"),
];

/// How the document on disk differs from the one that is wanted; `None` if they are equal.
pub(super) fn difference(there: &Value, wanted: &Value) -> Option<String> {
    if there == wanted {
        return None;
    }
    let differs = |at: &str| there.pointer(at) != wanted.pointer(at);
    if differs("/version") {
        return Some("it was begun by another version of voxpatch".to_owned());
    }
    let told = first_of(&SETTINGS, there, wanted).or_else(|| of_outputs(there, wanted));
    let told = told.or_else(|| {
        let other = [
            ("/source_voxels", "the voxels of the volume have changed"),
            ("/starts", "patches begin elsewhere: the overlap or the padding was another"),
        ];
        other.into_iter().find(|(at, _)| differs(at)).map(|(_, told)| told.to_owned())
    });
    Some(told.unwrap_or_else(|| "its document is another".to_owned()))
}

fn of_outputs(there: &Value, wanted: &Value) -> Option<String> {
    let outputs = |plan: &Value| plan["outputs"].as_array().cloned().unwrap_or_default();
    let name = |output: &Value| shown(&output["name"]);
    let (there, wanted) = (outputs(there), outputs(wanted));
    let names = |outputs: &[Value]| outputs.iter().map(name).collect::<Vec<_>>().join(", ");
    if names(&there) != names(&wanted) {
        let (there, wanted) = (names(&there), names(&wanted));
        return Some(format!("the outputs were {there}, and are now {wanted}"));
    }
    there.iter().zip(&wanted).find(|(a, b)| a != b).map(|(a, b)| {
        let told = first_of(&OF_OUTPUT, a, b);
        let told = told.unwrap_or_else(|| "it was laid out for other patches".into());
        format!("the output {}: {told}", name(b))
    })
}

fn first_of(settings: &[(&str, &str, &str)], there: &Value, wanted: &Value) -> Option<String> {
    let differs = |at: &str| there.pointer(at) != wanted.pointer(at);
    let (at, was, is) = settings.iter().find(|(at, ..)| differs(at))?;
    let value = |plan: &Value| plan.pointer(at).map_or_else(|| "not given".to_owned(), shown);
    Some(format!("{was} {}, and {is} now {}", value(there), value(wanted)))
}

/// Shapes joined by `x`, strings without quotes.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(axes) => axes.iter().map(Value::to_string).collect::<Vec<_>>().join("x"),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_difference_is_told_in_the_words_of_the_settings() {
        let organs = json!({"name": "a/organs", "head": 0, "values": "uint8:1", "channels": 2,
            "layout": {"chunk": [8, 8, 8], "codec": "none"}, "workload": "w"});
        let plan = json!({"version": 3, "patch": [8, 16, 16], "mode": "hann", "starts": [[0]],
            "source_voxels": "d", "non_finite": "error", "made_by": "m", "outputs": [organs]});
        assert_eq!(difference(&plan, &plan), None);
        for (at, value, told) in [
            ("/mode", json!("crop"), "the mode was hann, and is now crop"),
            ("/patch", json!([8, 8, 8]), "the patch was 8x16x16, and is now 8x8x8"),
            ("/starts", json!([[1]]), "patches begin elsewhere"),
            ("/source_voxels", json!("e"), "voxels of the volume have changed"),
            ("/version", json!(4), "another version"),
            ("/made_by", json!("n"), "the maker of the predictions was m, and is now n"),
            ("/outputs/0/name", json!("a/b"), "the outputs were a/organs, and are now a/b"),
            (
                "/outputs/0/values",
                json!("uint16:1"),
                "the output a/organs: values were uint8:1, and are now uint16:1",
            ),
            ("/outputs/0/layout/chunk", json!([4, 8, 8]), "the chunk was 8x8x8, and is now 4x8x8"),
            ("/outputs/0/workload", json!("v"), "laid out for"),
            ("/outputs", json!([]), "the outputs were a/organs, and are now "),
        ] {
            let mut other = plan.clone();
            *other.pointer_mut(at).unwrap() = value;
            let found = difference(&plan, &other).unwrap();
            assert!(found.contains(told), "{at}: {found}");
        }
        assert!(difference(&json!("nonsense"), &plan).is_some());
        assert!(difference(&json!({"version": 3, "outputs": [7]}), &plan).is_some());
    }
}
