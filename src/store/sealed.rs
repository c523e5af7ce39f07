//! JSON documents that carry their own digest.
//!
//! `{"blake3": H, NAME: CONTENT}`, where H is the BLAKE3 of the bytes of CONTENT as written in the
//! file. The digest reveals damage, not malice, because it contains no secret.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use super::digest;

/// Key of the digest.
const SEAL: &str = "blake3";

/// The document with this content.
pub(super) fn seal(name: &str, content: &impl Serialize) -> serde_json::Result<Vec<u8>> {
    let content = to_raw_value(content)?;
    let digest = to_raw_value(&digest::of_bytes(content.get().as_bytes()))?;
    // In the order of the format above, which is also the order of a map, because the digest's key
    // sorts first.
    let document = BTreeMap::from([(SEAL, digest), (name, content)]);
    serde_json::to_vec(&document)
}

/// The raw content in the document, or the reason why it cannot be trusted.
pub(super) fn open<'a>(name: &str, document: &'a [u8]) -> Result<&'a str, String> {
    let parts: BTreeMap<&str, &RawValue> =
        serde_json::from_slice(document).map_err(|e| e.to_string())?;
    let part = |key: &str| parts.get(key).map(|part| part.get());
    let (Some(digest), Some(content)) = (part(SEAL), part(name)) else {
        return Err(format!("it has no {SEAL} or no {name}"));
    };
    if digest.trim_matches('"') != digest::of_bytes(content.as_bytes()) {
        return Err("its digest does not match its content".into());
    }
    Ok(content)
}
