//! Folders that processes of this machine mark as in use.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::folders::{self, TRIES};
use crate::disk::Held;
use crate::process::Maker;

/// A locked folder. When the lock is released, the folder is removed if it is empty, and so is a
/// root that was created for it.
struct Locked {
    folder: File,
    path: PathBuf,
    made_root: Option<PathBuf>,
    maker: Maker,
}

impl Drop for Locked {
    /// Closing the folder is not enough: a program that another thread is starting at this moment
    /// has the folder open too, and would keep the lock until it has started. A forked process must
    /// leave the lock to its parent.
    fn drop(&mut self) {
        if !self.maker.is_here() {
            return;
        }
        // Removed while locked: a waiting process then finds no folder. A folder that is not empty,
        // or cannot be unlocked, is left: an empty hidden folder is harmless.
        let _ = fs::remove_dir(&self.path);
        let _ = self.folder.unlock();
        if let Some(root) = &self.made_root {
            let _ = fs::remove_dir(root);
        }
    }
}

pub(super) fn hold(root: &Path, path: &Path, is_shared: bool) -> io::Result<Held> {
    let made_root = folders::make(root)?.then(|| root.to_owned());
    for _ in 0..TRIES {
        folders::make(path)?;
        let folder = match File::open(path) {
            Err(e) if e.kind() == ErrorKind::NotFound => continue,
            folder => folder?,
        };
        match folder.try_lock() {
            Err(fs::TryLockError::WouldBlock) => return Err(ErrorKind::WouldBlock.into()),
            // A file system without locks, or with locks that hold on this machine only.
            Err(fs::TryLockError::Error(e)) if !is_shared => return Err(e),
            _ => {}
        }
        if is_still(&folder, path)? {
            let (path, maker) = (path.to_owned(), Maker::new());
            return Ok(Held::new(Locked { folder, path, made_root, maker }));
        }
    }
    Err(ErrorKind::NotFound.into())
}

/// Whether the opened folder is still at its path: otherwise a lock on it would protect nothing.
pub(super) fn is_still(opened: &File, path: &Path) -> io::Result<bool> {
    let opened = opened.metadata()?;
    match fs::metadata(path) {
        Ok(now) => Ok((now.dev(), now.ino()) == (opened.dev(), opened.ino())),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(false),
        Err(e) => Err(e),
    }
}
