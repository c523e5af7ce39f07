//! Removing a volume.

use super::name::VolumeName;
use super::pointer::{self, Pointer};
use super::staging::{group_key, remove_files};
use super::{DOCUMENT, Dataset, lock};
use crate::disk::Swap;
use crate::{Error, Result};

impl Dataset {
    /// Removes a volume: its document first, so that no reader finds half of it, then its files,
    /// and the group of a subject without other volumes. Handles that have all needed files open
    /// keep working; others return [`Error::Replaced`].
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Busy`] while another process of this machine writes the
    /// volume; [`Error::Conflict`] if another process has replaced it meanwhile; [`Error::Io`].
    /// After an error the volume exists as a whole, or not at all, with files that
    /// [`Dataset::sweep`] removes.
    pub fn remove(&self, name: &VolumeName) -> Result<()> {
        let (disk, sink) = (&self.disk, self.disk.sink()?);
        let path = disk.path(&name.to_string());
        let Some(there) = Pointer::read(disk, name)? else {
            return Err(Error::NotFound { what: "volume", path });
        };
        let _held = lock::hold(disk, name)?;
        let key = pointer::key(name);
        match sink.swap(&key, Some(&there.version), None) {
            Ok(Swap::Done) => {}
            Ok(Swap::Lost) => return Err(Error::Conflict { path }),
            Err(source) => return Err(Error::io("remove", path)(source)),
        }
        // The files of a document that cannot be understood are unknown: `Dataset::sweep` finds
        // them.
        if let Err(error @ Error::Io { .. }) = remove_files(disk, name, &there) {
            return Err(error);
        }
        let subject = name.subject();
        let inside = disk.list(subject).map_err(Error::io("list", disk.path(subject)))?;
        if inside == [DOCUMENT] {
            let key = group_key(subject);
            sink.delete(&key).map_err(Error::io("remove", disk.path(&key)))?;
        }
        sink.flush("").map_err(Error::io("sync", disk.path("")))
    }
}
