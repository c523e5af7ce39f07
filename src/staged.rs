//! Files that appear whole or not at all.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::{Error, Result};

/// A file in the making: written beside its target under a hidden name, synced and renamed by
/// [`StagedFile::finish`]. What was at the target stays until then. Dropped before, it leaves
/// nothing behind; a process that is killed leaves the hidden file.
#[derive(Debug)]
pub struct StagedFile {
    target: PathBuf,
    hidden: PathBuf,
    file: BufWriter<File>,
}

impl StagedFile {
    /// Creates the hidden file, without touching any existing one.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a path without a file name, [`Error::Io`].
    pub fn create(target: &Path) -> Result<Self> {
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        let Some(name) = target.file_name() else {
            return Err(Error::invalid("output path", target.display(), "must end in a file name"));
        };
        loop {
            let mut hidden = OsString::from(".");
            hidden.push(name);
            let n = COUNTER.fetch_add(1, Ordering::Relaxed);
            hidden.push(format!(".{}-{n}.partial", std::process::id()));
            let hidden = target.with_file_name(hidden);
            match OpenOptions::new().write(true).create_new(true).open(&hidden) {
                Ok(file) => {
                    return Ok(Self { target: target.into(), hidden, file: BufWriter::new(file) });
                }
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                Err(e) => return Err(Error::io("create", target)(e)),
            }
        }
    }

    /// Makes the file durable and gives it its name.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn finish(mut self) -> Result<()> {
        let parent = self.target.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = parent.unwrap_or(Path::new("."));
        self.file
            .flush()
            .and_then(|()| self.file.get_ref().sync_all())
            .and_then(|()| fs::rename(&self.hidden, &self.target))
            .and_then(|()| File::open(folder)?.sync_all())
            .map_err(Error::io("write", &self.target))
    }
}

impl Write for StagedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for StagedFile {
    fn drop(&mut self) {
        // After a rename there is nothing of this name; otherwise this is best effort.
        let _ = fs::remove_file(&self.hidden);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_seen_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.npy");
        let inside = || fs::read_dir(folder.path()).unwrap().count();
        drop(StagedFile::create(&path).unwrap());
        assert_eq!(inside(), 0);
        fs::write(&path, b"before").unwrap();
        let mut first = StagedFile::create(&path).unwrap();
        let mut second = StagedFile::create(&path).unwrap();
        first.write_all(b"first").unwrap();
        second.write_all(b"second").unwrap();
        assert_eq!((fs::read(&path).unwrap(), inside()), (b"before".to_vec(), 3));
        first.finish().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"first");
        drop(second);
        assert_eq!((fs::read(&path).unwrap(), inside()), (b"first".to_vec(), 1));
    }

    #[test]
    fn a_target_that_cannot_be_is_named_and_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let taken = folder.path().join("taken");
        fs::create_dir(&taken).unwrap();
        let refused = StagedFile::create(&taken).unwrap().finish().unwrap_err();
        assert!(matches!(refused, Error::Io { path, .. } if path == taken));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        let missing = folder.path().join("none/a.npy");
        assert!(StagedFile::create(&missing).unwrap_err().to_string().contains("none/a.npy"));
        assert!(StagedFile::create(Path::new("/")).is_err());
    }
}
