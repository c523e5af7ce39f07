//! Cold reads: making the system drop cached pages of files.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// The method, for the report.
pub(super) const METHOD: &str = if cfg!(target_os = "linux") {
    "posix_fadvise(POSIX_FADV_DONTNEED) on each file, once closed and synced"
} else {
    "none: this system offers no way to drop the pages of one file"
};

/// Every file of a folder and the folders below it, or the file itself.
pub(super) fn files(path: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut left = vec![path.to_owned()];
    while let Some(path) = left.pop() {
        if path.is_dir() {
            for entry in fs::read_dir(path)? {
                left.push(entry?.path());
            }
        } else {
            found.push(path);
        }
    }
    Ok(found)
}

/// Asks the system to drop the pages of these files. Mapped pages stay, whoever has mapped them:
/// the caller closes its handles first. Caches of the disk, or of the host of a virtual machine,
/// are not affected.
pub(super) fn drop_pages(files: &[PathBuf]) -> io::Result<()> {
    for path in files {
        let file = File::open(path)?;
        // Dirty pages would stay, so they are written first. A read-only file system may refuse,
        // and has no dirty pages.
        let _ = file.sync_data();
        forget(&file)?;
    }
    Ok(())
}

#[cfg(target_os = "linux")]
fn forget(file: &File) -> io::Result<()> {
    Ok(rustix::fs::fadvise(file, 0, None, rustix::fs::Advice::DontNeed)?)
}

#[cfg(not(target_os = "linux"))]
#[allow(clippy::unnecessary_wraps, reason = "as on Linux")]
fn forget(_: &File) -> io::Result<()> {
    Ok(())
}
