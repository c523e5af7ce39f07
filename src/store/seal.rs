//! Whether the volume that was opened is still the one in its place.

use std::sync::Arc;

use arc_swap::ArcSwapOption;

use super::disk::{Disk, Stamp, is_absent};
use super::name::VolumeName;
use super::{digest, manifest};
use crate::{Error, Result};

/// What tells a volume from every other that may come to stand in its place.
#[derive(Debug)]
pub(super) struct Seal {
    /// The digest of its manifest.
    digest: String,
    /// Of the manifest's file, taken before the file was read. A file of another stamp may still
    /// have the same content.
    stamp: ArcSwapOption<Stamp>,
}

/// Seals are of the same volume if their manifests are the same.
impl PartialEq for Seal {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest
    }
}

impl Seal {
    /// Of a volume whose manifest has this content, and had this stamp before that was read.
    pub(super) fn new(manifest: &[u8], stamp: Option<Stamp>) -> Self {
        let stamp = ArcSwapOption::from(stamp.map(Arc::new));
        Self { digest: digest::of_bytes(manifest), stamp }
    }

    /// That of the volume which is in this place now; `None` if there is none.
    pub(super) fn read(disk: &dyn Disk, name: &VolumeName) -> Result<Option<Self>> {
        let key = key(name);
        let stamp = stamp(disk, name)?;
        match disk.read(&key) {
            Ok(manifest) => Ok(Some(Self::new(&manifest, stamp))),
            Err(e) if is_absent(&e) => Ok(None),
            Err(source) => Err(Error::Io { action: "read", path: disk.path(&key), source }),
        }
    }

    /// Whether this volume is in its place. Where the disk has stamps, and the manifest has the one
    /// that it had, nothing is read.
    pub(super) fn is_in_place(&self, disk: &dyn Disk, name: &VolumeName) -> Result<bool> {
        let known = self.stamp.load();
        if let Some(known) = &*known
            && stamp(disk, name)? == Some(**known)
        {
            return Ok(true);
        }
        match Self::read(disk, name)? {
            Some(there) if there == *self => {
                // Another file of the same content, or one that was touched.
                self.stamp.store(there.stamp.load_full());
                Ok(true)
            }
            _ => Ok(false),
        }
    }
}

/// The stamp of the manifest of the volume in this place.
pub(super) fn stamp(disk: &dyn Disk, name: &VolumeName) -> Result<Option<Stamp>> {
    let key = key(name);
    disk.stamp(&key).map_err(Error::io("look at", disk.path(&key)))
}

fn key(name: &VolumeName) -> String {
    format!("{name}/{}", manifest::KEY)
}
