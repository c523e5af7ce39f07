//! The counts of a label map with thousands of labels: a file beside the group's document, so that
//! the document stays small. The document names the file's length and digest.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::documents::Extent;
use crate::{Error, Result};

/// Key of the file inside the generation.
pub(super) const KEY: &str = "label-counts";

/// Counts of at most this many letters, some 2,000 labels, stay in the document.
const MOST_INSIDE: usize = 8 << 10;

/// Takes long counts out of the attribute of a group: the content of the file, if there is to be
/// one.
pub(super) fn take_out(attribute: &mut Value) -> Option<Vec<u8>> {
    let label = attribute.pointer_mut("/statistics/label")?.as_object_mut()?;
    let counts = label.get("counts")?.as_str()?;
    if counts.len() <= MOST_INSIDE {
        return None;
    }
    let counts = counts.as_bytes().to_vec();
    label.remove("counts");
    label.insert("counts_in".to_owned(), json!(Extent::of(&counts)));
    Some(counts)
}

/// Puts the counts back that [`take_out`] has taken. `read` gives the file and its path.
///
/// # Errors
/// Those of `read`; [`Error::CorruptStore`] if the file is not the one that was written.
pub(super) fn put_back(
    attribute: &mut Value,
    read: impl FnOnce() -> Result<(PathBuf, Vec<u8>)>,
) -> Result<()> {
    let label = attribute.pointer_mut("/statistics/label").and_then(Value::as_object_mut);
    let Some((label, extent)) =
        label.and_then(|label| label.remove("counts_in").map(|extent| (label, extent)))
    else {
        return Ok(());
    };
    let (path, counts) = read()?;
    if json!(Extent::of(&counts)) != extent {
        return Err(Error::corrupt_store(path, "the counts of the labels are damaged"));
    }
    label.insert("counts".to_owned(), json!(String::from_utf8_lossy(&counts)));
    Ok(())
}
