//! Whether a conversion has been done already.

use serde_json::json;

use super::ConvertOptions;
use crate::store::{Dataset, VolumeName};
use crate::{Error, Result};

impl ConvertOptions {
    /// BLAKE3, in hexadecimal, of all that decides which volume a scan becomes; a volume keeps it.
    /// Whether a volume may be replaced does not.
    #[must_use]
    pub fn digest(&self) -> String {
        let plan = &self.plan;
        let codecs: Vec<_> = self.codecs.iter().map(ToString::to_string).collect();
        let deciding = json!({
            "options": 1,
            "workload": self.workload,
            "codec": plan.codec.to_string(),
            "chunk": plan.chunk,
            "shard": plan.shard,
            "codecs": codecs,
            "kind": self.kind,
            "fourth_axis": self.fourth_axis,
            "narrow": self.narrow,
            "labels": self.labels,
        });
        blake3::hash(deciding.to_string().as_bytes()).to_hex().to_string()
    }
}

/// Whether the volume of this name is there and was converted from the same source with the same
/// options, as both digests tell. Never so without [`ConvertOptions::source_digest`], nor of
/// volumes that were stored without one.
///
/// # Errors
/// Those of [`Dataset::open_volume`], but that there is no such volume.
pub fn is_converted(
    dataset: &Dataset,
    name: &VolumeName,
    options: &ConvertOptions,
) -> Result<bool> {
    let volume = match dataset.open_volume(name) {
        Ok(volume) => volume,
        Err(Error::NotFound { .. }) => return Ok(false),
        Err(error) => return Err(error),
    };
    let attributes = volume.attributes();
    Ok(options.source_digest.is_some()
        && attributes.source.digest == options.source_digest
        && attributes.options_digest == Some(options.digest()))
}
