//! Folders that a process of this machine tells others to be in use.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::folders::{self, TRIES};
use crate::disk::Held;
use crate::process::Maker;

/// A locked folder. It goes with the lock if nothing is in it, and so does a root that was made for
/// it.
struct Locked {
    folder: File,
    path: PathBuf,
    made_root: Option<PathBuf>,
    maker: Maker,
}

impl Drop for Locked {
    /// Closing the folder is not enough: a program that another thread starts at this moment has
    /// it open too, for as long as it takes to start, and would keep the lock. One that was forked
    /// off on purpose must leave the lock to whoever took it.
    fn drop(&mut self) {
        if !self.maker.is_here() {
            return;
        }
        // While it is held: whoever waits for it will find that it is no longer there. What is not
        // empty, and what cannot be unlocked, is left: an empty hidden folder harms nobody.
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
            // A file system without locks, or one that has them on this machine alone.
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

/// Whether what was opened has not been removed or moved away since: a lock on it would then be a
/// lock on something else.
pub(super) fn is_still(opened: &File, path: &Path) -> io::Result<bool> {
    let opened = opened.metadata()?;
    match fs::metadata(path) {
        Ok(now) => Ok((now.dev(), now.ino()) == (opened.dev(), opened.ino())),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(false),
        Err(e) => Err(e),
    }
}
