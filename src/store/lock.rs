//! Marks of volumes that are being written, so that other writers fail at once, not at the end.

use std::io;
use std::path::Path;

use super::name::VolumeName;
use crate::disk::{Disk, Held};
use crate::{Error, Result};

/// Prefix of the folders that writers hold.
pub(super) const PREFIX: &str = ".lock-";

/// Marks a volume as being written for other processes of this machine, or fails at once if another
/// process has marked it.
pub(super) fn hold(disk: &Disk, name: &VolumeName) -> Result<Held> {
    let key = format!("{PREFIX}{}+{}", name.subject(), name.image());
    hold_key(disk, &key, &disk.path(&name.to_string()))
}

/// The same by the key of the folder. `path` is for messages.
pub(super) fn hold_key(disk: &Disk, key: &str, path: &Path) -> Result<Held> {
    disk.sink()?.hold(key).map_err(|source| match source.kind() {
        io::ErrorKind::WouldBlock => Error::Busy {
            path: path.into(),
            reason: "another process is writing this volume right now",
        },
        _ => Error::Io { action: "lock", path: disk.path(key), source },
    })
}
