//! The waist between the store and whatever holds its files.
//!
//! Everything that the store reads or writes goes through [`Disk`], by keys such as
//! `case01/image/0/c/0/0/0`. Tests put a disk there that fails or stops at a chosen operation; an
//! object store can stand behind it later.

use std::fs::{self, File, OpenOptions};
use std::io::{self, IoSlice, Write as _};
use std::ops::{Deref, Range};
use std::path::{Path, PathBuf};

use crate::mapped::Mapped;

/// The operations that the store needs, and what it relies on.
///
/// Keys are relative, `/`-separated, and made of validated names: no `..`, nothing absolute.
pub trait Disk: Send + Sync + std::fmt::Debug {
    /// The whole of a file. Missing: [`io::ErrorKind::NotFound`].
    ///
    /// # Errors
    /// As the system says.
    fn read(&self, key: &str) -> io::Result<Blob>;

    /// Writes a whole file, `parts` one after the other, and makes its content durable. A file
    /// already there is replaced in one step; after a failure the key holds what it held before.
    /// Folders on the way are made.
    ///
    /// # Errors
    /// As the system says.
    fn write(&self, key: &str, parts: &[&[u8]]) -> io::Result<()>;

    /// Names directly inside a folder, sorted; empty if there is no such folder.
    ///
    /// # Errors
    /// As the system says.
    fn list(&self, key: &str) -> io::Result<Vec<String>>;

    /// Makes every name inside a folder durable, and inside all folders below it.
    ///
    /// # Errors
    /// As the system says.
    fn sync(&self, key: &str) -> io::Result<()>;

    /// Makes the names directly inside a folder durable.
    ///
    /// # Errors
    /// As the system says.
    fn sync_names(&self, key: &str) -> io::Result<()>;

    /// Moves a folder to a free place in one step, making the folders on the way. Durable when the
    /// names of both parents are synced. If the place is taken by anything but an empty folder: [`io::ErrorKind::AlreadyExists`] or
    /// [`io::ErrorKind::DirectoryNotEmpty`].
    ///
    /// # Errors
    /// As the system says.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Exchanges two existing folders in one step. Durable when the names of both parents are
    /// synced.
    ///
    /// # Errors
    /// As the system says.
    fn exchange(&self, a: &str, b: &str) -> io::Result<()>;

    /// Removes a file, or a folder with all that is in it; what is missing is removed already.
    ///
    /// # Errors
    /// As the system says.
    fn remove(&self, key: &str) -> io::Result<()>;

    /// Removes a folder if it is empty.
    ///
    /// # Errors
    /// As the system says; [`io::ErrorKind::DirectoryNotEmpty`] if it is not empty.
    fn remove_empty(&self, key: &str) -> io::Result<()>;

    /// Makes a folder if it is missing, and holds a lock on it until the result is dropped or
    /// the process ends. With `wait`, waits for another holder; without, gives
    /// [`io::ErrorKind::WouldBlock`].
    ///
    /// # Errors
    /// As the system says.
    fn lock(&self, key: &str, wait: bool) -> io::Result<Box<dyn Send + Sync>>;

    /// How a key is named in messages.
    fn path(&self, key: &str) -> PathBuf;
}

/// Whether an error says that nothing is there: no such file or folder, or a file where a folder
/// on the way would be. Any other error says nothing of what is there.
pub(crate) fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// A locked folder.
struct Held {
    folder: File,
    process: u32,
}

impl Drop for Held {
    /// Closing the folder is not enough: a program that another thread starts at this moment has
    /// it open too, for as long as it takes to start, and would keep the lock. One that was forked
    /// off on purpose must leave the lock to whoever took it.
    fn drop(&mut self) {
        if self.process == std::process::id() {
            // What cannot be unlocked is when it is closed.
            let _ = self.folder.unlock();
        }
    }
}

/// The bytes of a file, in memory or mapped.
#[derive(Debug)]
pub struct Blob(Bytes);

#[derive(Debug)]
enum Bytes {
    Owned(Vec<u8>),
    Mapped(Mapped),
}

impl From<Vec<u8>> for Blob {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Bytes::Owned(bytes))
    }
}

impl Blob {
    /// Tells the system that these bytes are about to be read, all of which are there.
    pub(crate) fn will_need(&self, range: Range<usize>) {
        if let Bytes::Mapped(map) = &self.0 {
            map.will_need(range);
        }
    }
}

impl Deref for Blob {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Bytes::Owned(bytes) => bytes,
            Bytes::Mapped(map) => map,
        }
    }
}

/// A folder of the local file system. Files are memory-mapped for reading; every file is written
/// beside its place, synced and renamed, so that a mapped file never changes.
#[derive(Debug, Clone)]
pub struct LocalDisk {
    root: PathBuf,
}

impl LocalDisk {
    /// The disk below `root`, which need not exist yet.
    #[must_use]
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }
}

impl Disk for LocalDisk {
    fn read(&self, key: &str) -> io::Result<Blob> {
        Mapped::open(&self.path(key)).map(|map| Blob(Bytes::Mapped(map)))
    }

    fn write(&self, key: &str, parts: &[&[u8]]) -> io::Result<()> {
        let path = self.path(key);
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        fs::create_dir_all(folder)?;
        let mut hidden = std::ffi::OsString::from(".writing-");
        hidden.push(name);
        let staged = folder.join(hidden);
        let written = (|| {
            let mut file =
                OpenOptions::new().write(true).create(true).truncate(true).open(&staged)?;
            write_all(&mut file, parts)?;
            // A failed sync is final: the kernel drops the pages and reports once, so that trying
            // again would succeed without the data. The caller starts over from the source.
            file.sync_all()?;
            fs::rename(&staged, &path)
        })();
        if written.is_err() {
            let _ = fs::remove_file(&staged);
        }
        written
    }

    fn list(&self, key: &str) -> io::Result<Vec<String>> {
        let entries = match fs::read_dir(self.path(key)) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut names = Vec::new();
        for entry in entries {
            // Names that are not Unicode are none of ours.
            if let Ok(name) = entry?.file_name().into_string() {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    fn sync(&self, key: &str) -> io::Result<()> {
        sync_folders(&self.path(key))
    }

    fn sync_names(&self, key: &str) -> io::Result<()> {
        File::open(self.path(key))?.sync_all()
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let (from, to) = (self.path(from), self.path(to));
        if let Some(folder) = to.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::rename(&from, &to)
    }

    fn exchange(&self, a: &str, b: &str) -> io::Result<()> {
        let (a, b) = (self.path(a), self.path(b));
        let here = rustix::fs::CWD;
        rustix::fs::renameat_with(here, &a, here, &b, rustix::fs::RenameFlags::EXCHANGE)?;
        Ok(())
    }

    fn remove(&self, key: &str) -> io::Result<()> {
        let path = self.path(key);
        let removed = match fs::symlink_metadata(&path) {
            Ok(m) if m.is_dir() => fs::remove_dir_all(&path),
            Ok(_) => fs::remove_file(&path),
            Err(e) => Err(e),
        };
        match removed {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }

    fn remove_empty(&self, key: &str) -> io::Result<()> {
        fs::remove_dir(self.path(key))
    }

    fn lock(&self, key: &str, wait: bool) -> io::Result<Box<dyn Send + Sync>> {
        use std::os::unix::fs::MetadataExt as _;
        let path = self.path(key);
        loop {
            make_folders(&path)?;
            let folder = File::open(&path)?;
            if wait {
                folder.lock()?;
            } else {
                folder.try_lock()?;
            }
            // The folder may have been moved away between opening and locking: the lock then
            // belongs to something else.
            let held = folder.metadata()?;
            match fs::metadata(&path) {
                Ok(now) if (now.dev(), now.ino()) == (held.dev(), held.ino()) => {
                    return Ok(Box::new(Held { folder, process: std::process::id() }));
                }
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
                _ => {}
            }
        }
    }

    fn path(&self, key: &str) -> PathBuf {
        if key.is_empty() { self.root.clone() } else { self.root.join(key) }
    }
}

/// Hands many parts to the system at a time, without gathering them first.
fn write_all(file: &mut File, parts: &[&[u8]]) -> io::Result<()> {
    let filled = parts.iter().filter(|part| !part.is_empty());
    let mut slices: Vec<IoSlice<'_>> = filled.map(|part| IoSlice::new(part)).collect();
    let mut left = &mut slices[..];
    while !left.is_empty() {
        match file.write_vectored(left) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => IoSlice::advance_slices(&mut left, written),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

/// Makes a folder and what is missing above it, each name durable.
fn make_folders(path: &Path) -> io::Result<()> {
    match fs::create_dir(path) {
        Ok(()) => sync_parent(path),
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).ok_or(e)?;
            make_folders(parent)?;
            // Once: some file systems say so of folders that they will never make.
            match fs::create_dir(path) {
                Err(e) if e.kind() != io::ErrorKind::AlreadyExists => Err(e),
                _ => sync_parent(path),
            }
        }
        Err(e) => Err(e),
    }
}

fn sync_parent(path: &Path) -> io::Result<()> {
    match path.parent() {
        None => Ok(()),
        Some(folder) if folder.as_os_str().is_empty() => File::open(".")?.sync_all(),
        Some(folder) => File::open(folder)?.sync_all(),
    }
}

fn sync_folders(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync_folders(&entry.path())?;
        }
    }
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk() -> (tempfile::TempDir, LocalDisk) {
        let folder = tempfile::tempdir().expect("temporary folder");
        let disk = LocalDisk::new(folder.path().join("root"));
        (folder, disk)
    }

    #[test]
    fn what_is_written_is_read_and_listed() {
        let (_folder, disk) = disk();
        disk.write("a/b", &[b"on", b"", b"e"]).unwrap();
        disk.write("a/b", &[b"two"]).unwrap();
        disk.write("a/a", &[]).unwrap();
        let many = vec![&b"xyz"[..]; 5000];
        disk.write("d/many", &many).unwrap();
        assert_eq!(&*disk.read("d/many").unwrap(), many.concat());
        assert_eq!(&*disk.read("a/b").unwrap(), b"two");
        assert_eq!(disk.list("a").unwrap(), ["a", "b"]);
        assert!(disk.list("c").unwrap().is_empty());
        assert_eq!(disk.read("c").unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn rename_never_replaces_a_folder_in_use() {
        let (_folder, disk) = disk();
        disk.write("a/f", &[b"1"]).unwrap();
        disk.write("b/f", &[b"2"]).unwrap();
        assert!(disk.rename("a", "b").is_err());
        disk.exchange("a", "b").unwrap();
        assert_eq!(&*disk.read("b/f").unwrap(), b"1");
        disk.remove("a").unwrap();
        disk.rename("b", "deep/c").unwrap();
        assert_eq!(disk.list("").unwrap(), ["deep"]);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_folder_that_cannot_be_made_is_an_error() {
        assert!(LocalDisk::new("/proc/voxpatch").lock("a", false).is_err());
    }

    #[test]
    fn a_lock_is_held_by_one_and_released_by_dropping() {
        let (_folder, disk) = disk();
        let held = disk.lock("a", false).unwrap();
        assert_eq!(disk.lock("a", false).err().unwrap().kind(), io::ErrorKind::WouldBlock);
        drop(held);
        disk.lock("a", true).unwrap();
    }
}
