//! The one document of a volume that changes: which generation of its files counts.
//!
//! The pointer is the volume's own `zarr.json`, an OME-Zarr image whose dataset lies in the
//! generation, so that other readers follow it. Replacing a volume is a compare-and-swap of this
//! document.

use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use serde_json::Value;

use super::DOCUMENT;
use super::documents::{self, Target, VERSION};
use super::generation::Generation;
use super::name::VolumeName;
use crate::disk::{Disk, Stamp, Version};
use crate::{Error, Result};

/// The first format version that has generations. Before, the pointer was the volume's group.
pub(super) const SINCE: u64 = 3;

/// A pointer as it was read, understood or not.
#[derive(Debug)]
pub(super) struct Pointer {
    pub(super) document: Vec<u8>,
    pub(super) version: Version,
    /// Taken before the document was read. A document of another stamp may still be the same.
    stamp: ArcSwapOption<Stamp>,
}

/// What a pointer says.
pub(super) enum Meaning {
    /// The files lie in a generation, and the image's OME metadata is this.
    Generation(Target, Value),
    /// The document is the group of the volume, whose files lie beside it; this is its attribute.
    InPlace(Value),
}

impl Pointer {
    /// The pointer that is there now; `None` if there is none, and so no volume.
    pub(super) fn read(disk: &Disk, name: &VolumeName) -> Result<Option<Self>> {
        let key = key(name);
        let stamp = disk.stamp(&key).map_err(Error::io("look at", disk.path(&key)))?;
        let document = disk.document(&key)?;
        Ok(document.map(|(document, version)| Self {
            document,
            version,
            stamp: ArcSwapOption::from(stamp.map(Arc::new)),
        }))
    }

    /// What it says. `path` is that of the document.
    pub(super) fn meaning(&self, path: &Path) -> Result<Meaning> {
        let not_ours =
            |reason: String| Error::NotVoxpatch { what: "volume", path: path.into(), reason };
        let attribute = documents::attribute_of(&self.document).map_err(not_ours)?;
        let version = check_version(&attribute, path)?;
        if version < SINCE {
            return Ok(Meaning::InPlace(attribute));
        }
        let target: Target =
            serde_json::from_value(attribute).map_err(|e| not_ours(e.to_string()))?;
        let ome = documents::ome_of(&self.document).map_err(not_ours)?;
        Ok(Meaning::Generation(target, ome))
    }

    /// Whether this pointer is still the one that is there. Where the disk has stamps, and the
    /// document has the one that it had, nothing is read.
    pub(super) fn is_in_place(&self, disk: &Disk, name: &VolumeName) -> Result<bool> {
        let known = self.stamp.load();
        if let Some(known) = &*known {
            let key = key(name);
            let now = disk.stamp(&key).map_err(Error::io("look at", disk.path(&key)))?;
            if now == Some(**known) {
                return Ok(true);
            }
        }
        match Self::read(disk, name)? {
            Some(there) if there.version == self.version => {
                // Another file of the same content, or one that was touched.
                self.stamp.store(there.stamp.load_full());
                Ok(true)
            }
            _ => Ok(false),
        }
    }
}

/// Key of a volume's pointer.
pub(super) fn key(name: &VolumeName) -> String {
    format!("{name}/{DOCUMENT}")
}

/// The generation that a target names, in a volume of this name; refused if it cannot be one.
pub(super) fn generation_of(target: &Target, name: &VolumeName, path: &Path) -> Result<Generation> {
    Generation::of(name, target.generation.clone()).ok_or_else(|| {
        let reason = format!("{:?} is no name of a generation", target.generation);
        Error::corrupt_store(path, reason)
    })
}

fn check_version(attribute: &Value, path: &Path) -> Result<u64> {
    match attribute.get("version").and_then(Value::as_u64) {
        Some(found) if found > VERSION => {
            Err(Error::VersionTooNew { path: path.into(), found, supported: VERSION })
        }
        Some(version) => Ok(version),
        None => Err(Error::NotVoxpatch {
            what: "volume",
            path: path.into(),
            reason: "its voxpatch attribute has no version".into(),
        }),
    }
}
