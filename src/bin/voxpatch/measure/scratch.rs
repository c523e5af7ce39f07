//! A folder for what is needed for a while.

use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::output;

/// A folder that is removed, with all that is in it, when this is dropped.
pub struct Scratch(PathBuf);

impl Scratch {
    /// A fresh folder in `parent`, named after the command. `setting` is what chooses the parent.
    pub fn new(parent: &Path, command: &str, setting: &str) -> anyhow::Result<Self> {
        let folder = (0..100).find_map(|n| {
            let folder = parent.join(format!("voxpatch-{command}-{}-{n}", std::process::id()));
            match std::fs::create_dir(&folder) {
                Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => None,
                made => Some(made.map(|()| Self(folder))),
            }
        });
        let failed = || format!("cannot make a folder in {} ({setting})", parent.display());
        folder.with_context(failed)?.with_context(failed)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            output::note(&format!("cannot remove {}: {error}", self.0.display()));
        }
    }
}

/// Bytes that this user may still write to the disk of a folder.
pub fn free_space(folder: &Path) -> anyhow::Result<u64> {
    let failed = || format!("cannot ask for the free space of {}", folder.display());
    let disk = rustix::fs::statvfs(folder).with_context(failed)?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}
