//! Marks of volumes that are being written, so that other writers fail at once, not at the end.

use std::io;

use super::name::VolumeName;
use crate::disk::{Disk, Held};
use crate::{Error, Result};

/// Marks a volume as being written for other processes of this machine, or fails at once if another
/// process has marked it.
pub(super) fn hold(disk: &Disk, name: &VolumeName) -> Result<Held> {
    let key = format!(".lock-{}+{}", name.subject(), name.image());
    disk.sink()?.hold(&key).map_err(|source| match source.kind() {
        io::ErrorKind::WouldBlock => Error::Busy {
            path: disk.path(&name.to_string()),
            reason: "another process is writing this volume right now",
        },
        _ => Error::Io { action: "lock", path: disk.path(&key), source },
    })
}
