//! Recognising finished conversions.

use serde_json::json;

use super::ConvertOptions;
use crate::store::{Dataset, VolumeName};
use crate::{Error, Result};

impl ConvertOptions {
    /// BLAKE3, in hexadecimal, of all options that decide the volume; it is kept with the volume.
    /// [`ConvertOptions::overwrite`] does not count.
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

/// Whether the volume of this name exists and was converted from the same source with the same
/// options, according to both digests. False without [`ConvertOptions::source_digest`], and for
/// volumes that were stored without one.
///
/// # Errors
/// Those of [`Dataset::open_volume`]; a missing volume is not an error.
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
