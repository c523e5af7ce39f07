//! Keeping other writers of a volume away.

use std::io;
use std::sync::Arc;

use super::disk::Disk;
use super::name::VolumeName;
use crate::process::Maker;
use crate::{Error, Result};

/// The right to write one volume, held until dropped or until the process ends. It is a hidden
/// folder of its own, locked: the volume's may be moved away while it must still be held.
pub(super) struct WriteLock {
    disk: Arc<dyn Disk>,
    key: String,
    /// The dataset's own folder was made for this lock, and is not the user's.
    made_root: bool,
    maker: Maker,
    _held: Box<dyn Send + Sync>,
}

impl WriteLock {
    /// Takes it, or fails at once if another writer holds it.
    pub(super) fn take(disk: &Arc<dyn Disk>, name: &VolumeName) -> Result<Self> {
        let key = format!(".lock-{}+{}", name.subject(), name.image());
        let made_root = disk.make("").map_err(Error::io("make", disk.path("")))?;
        match disk.lock(&key, false) {
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                let reason = "another process is writing this volume right now";
                Err(Error::invalid("volume", name, reason))
            }
            held => {
                let held = held.map_err(Error::io("lock", disk.path(&key)))?;
                Ok(Self {
                    disk: Arc::clone(disk),
                    key,
                    made_root,
                    maker: Maker::new(),
                    _held: held,
                })
            }
        }
    }
}

impl Drop for WriteLock {
    /// Best effort: an empty hidden folder harms nobody.
    fn drop(&mut self) {
        if !self.maker.is_here() {
            return;
        }
        // While it is held: whoever waits for it will find that it is no longer there.
        let _ = self.disk.remove_empty(&self.key);
        // If nothing came of the volume. Whoever holds the dataset itself is about to use it.
        if self.made_root
            && let Ok(_root) = self.disk.lock("", false)
        {
            let _ = self.disk.remove_empty("");
        }
    }
}
