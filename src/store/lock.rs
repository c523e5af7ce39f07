//! Telling other writers of a volume that one is at work: they fail at once, and not at the end.

use std::io;

use super::name::VolumeName;
use crate::disk::{Disk, Held};
use crate::{Error, Result};

/// Tells other processes of this machine that a volume is being written, or fails at once if another
/// one said so.
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
