//! The pointer: the one document of a volume that changes, which names the current generation.
//!
//! The pointer is the volume's own `zarr.json`, an OME-Zarr image whose dataset lies in the
//! generation, so that other readers find it. Replacing a volume is a compare-and-swap of this
//! document.

use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use serde_json::Value;

use super::DOCUMENT;
use super::documents::{self, PointerTarget, VERSION};
use super::generation::Generation;
use super::name::VolumeName;
use crate::disk::{Disk, Stamp, Version};
use crate::{Error, Result};

/// The first format version with generations. Before, the pointer was the volume's group.
pub(super) const SINCE: u64 = 3;

/// A pointer as it was read, valid or not.
#[derive(Debug)]
pub(super) struct Pointer {
    pub(super) document: Vec<u8>,
    pub(super) version: Version,
    /// Taken before the document was read. A document with another stamp may still be the same.
    stamp: ArcSwapOption<Stamp>,
}

/// The meaning of a pointer.
pub(super) enum Meaning {
    /// The files lie in this generation; with the image's OME metadata.
    Generation(PointerTarget, Value),
    /// The document is the group of the volume, whose files lie beside it; with its attribute.
    InPlace(Value),
}

impl Pointer {
    /// The current pointer; `None` if there is none, and so no volume.
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

    /// The meaning of the pointer, whose document has the path `path`.
    pub(super) fn meaning(&self, path: &Path) -> Result<Meaning> {
        let not_ours =
            |reason: String| Error::NotVoxpatch { what: "volume", path: path.into(), reason };
        let attribute = documents::attribute_of(&self.document).map_err(not_ours)?;
        let version = check_version(&attribute, path)?;
        if version < SINCE {
            return Ok(Meaning::InPlace(attribute));
        }
        let target: PointerTarget =
            serde_json::from_value(attribute).map_err(|e| not_ours(e.to_string()))?;
        let ome = documents::ome_of(&self.document).map_err(not_ours)?;
        Ok(Meaning::Generation(target, ome))
    }

    /// Whether this pointer is still the current one. If the disk has stamps, and the stamp is
    /// unchanged, nothing is read.
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
                // Another file with the same content, or one that was touched.
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

/// The generation that a target names, in a volume of this name; an error if the name is invalid.
pub(super) fn generation_of(
    target: &PointerTarget,
    name: &VolumeName,
    path: &Path,
) -> Result<Generation> {
    Generation::of(name, target.generation.clone()).ok_or_else(|| {
        let reason = format!("{:?} is not a name of a generation", target.generation);
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
