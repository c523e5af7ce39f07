//! The store's files in a folder of the local file system.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, ErrorKind, IoSlice, Write as _};
use std::path::{Path, PathBuf};

use super::disk::{Blob, Disk, Stamp, is_absent};
use crate::durable;
use crate::mapped::Mapped;
use crate::process::Maker;

/// How often a folder that is missing again is made again. Others may remove it as often as they
/// fail or end; some file systems say of folders that they will never make that one above is
/// missing.
const TRIES: usize = 1000;

/// A locked folder.
struct Held {
    folder: File,
    maker: Maker,
}

impl Drop for Held {
    /// Closing the folder is not enough: a program that another thread starts at this moment has
    /// it open too, for as long as it takes to start, and would keep the lock. One that was forked
    /// off on purpose must leave the lock to whoever took it.
    fn drop(&mut self) {
        if self.maker.is_here() {
            // What cannot be unlocked is when it is closed.
            let _ = self.folder.unlock();
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
        Mapped::open(&self.path(key)).map(Blob::from)
    }

    /// Device, inode, length, and time of change: an inode is used again only after its file is
    /// gone, and the file that uses the inode then was changed later.
    #[allow(clippy::cast_sign_loss)]
    fn stamp(&self, key: &str) -> io::Result<Option<Stamp>> {
        use std::os::unix::fs::MetadataExt as _;
        match fs::metadata(self.path(key)) {
            Ok(m) => {
                let changed = [m.ctime() as u64, m.ctime_nsec() as u64];
                Ok(Some(Stamp([m.dev(), m.ino(), m.len(), changed[0], changed[1]])))
            }
            Err(e) if is_absent(&e) => Ok(None),
            Err(e) => Err(e),
        }
    }

    fn write(&self, key: &str, parts: &[&[u8]]) -> io::Result<()> {
        write_beside(&self.path(key), &mut |file| write_all(file, parts))
    }

    fn write_streamed(
        &self,
        key: &str,
        content: &mut dyn FnMut(&mut dyn io::Write) -> io::Result<()>,
    ) -> io::Result<()> {
        write_beside(&self.path(key), &mut |file| {
            let mut buffered = BufWriter::with_capacity(1 << 20, file);
            content(&mut buffered)?;
            buffered.flush()
        })
    }

    fn list(&self, key: &str) -> io::Result<Vec<String>> {
        let entries = match fs::read_dir(self.path(key)) {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
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
        durable::names(&self.path(key))
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
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }

    fn remove_empty(&self, key: &str) -> io::Result<()> {
        fs::remove_dir(self.path(key))
    }

    fn make(&self, key: &str) -> io::Result<bool> {
        make(&self.path(key))
    }

    fn lock(&self, key: &str, wait: bool) -> io::Result<Box<dyn Send + Sync>> {
        let path = self.path(key);
        for _ in 0..TRIES {
            make(&path)?;
            let folder = match File::open(&path) {
                Err(e) if e.kind() == ErrorKind::NotFound => continue,
                folder => folder?,
            };
            if wait {
                folder.lock()?;
            } else {
                folder.try_lock()?;
            }
            if is_still(&folder, &path)? {
                return Ok(Box::new(Held { folder, maker: Maker::new() }));
            }
        }
        Err(ErrorKind::NotFound.into())
    }

    fn path(&self, key: &str) -> PathBuf {
        if key.is_empty() { self.root.clone() } else { self.root.join(key) }
    }
}

/// Writes a file beside its place, makes its content durable, and puts it there.
fn write_beside(
    path: &Path,
    content: &mut dyn FnMut(&mut File) -> io::Result<()>,
) -> io::Result<()> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(ErrorKind::InvalidInput.into());
    };
    fs::create_dir_all(folder)?;
    let mut hidden = std::ffi::OsString::from(".writing-");
    hidden.push(name);
    let staged = folder.join(hidden);
    let written = (|| {
        let mut file = create_new(&staged)?;
        content(&mut file)?;
        // A failed sync is final: the kernel drops the pages and reports once, so that trying
        // again would succeed without the data. The caller starts over from the source.
        durable::contents(&file)?;
        fs::rename(&staged, path)
    })();
    if written.is_err() {
        let _ = fs::remove_file(&staged);
    }
    written
}

/// A file that nobody else has open, in place of what a killed writer has left there.
fn create_new(path: &Path) -> io::Result<File> {
    let create = || OpenOptions::new().write(true).create_new(true).open(path);
    match create() {
        Err(e) if e.kind() == ErrorKind::AlreadyExists => {
            fs::remove_file(path)?;
            create()
        }
        file => file,
    }
}

/// Hands many parts to the system at a time, without gathering them first.
fn write_all(file: &mut File, parts: &[&[u8]]) -> io::Result<()> {
    let filled = parts.iter().filter(|part| !part.is_empty());
    let mut slices: Vec<IoSlice<'_>> = filled.map(|part| IoSlice::new(part)).collect();
    let mut left = &mut slices[..];
    while !left.is_empty() {
        match file.write_vectored(left) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(written) => IoSlice::advance_slices(&mut left, written),
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

/// Whether a folder that was opened has not been removed or moved away since: a lock on it would
/// then be a lock on something else.
fn is_still(folder: &File, path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt as _;
    let opened = folder.metadata()?;
    match fs::metadata(path) {
        Ok(now) => Ok((now.dev(), now.ino()) == (opened.dev(), opened.ino())),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(false),
        Err(e) => Err(e),
    }
}

/// Makes a folder and what is missing above it, each name durable, while others may remove them.
/// False if it is there already.
fn make(path: &Path) -> io::Result<bool> {
    let mut missing = None;
    for _ in 0..TRIES {
        match fs::create_dir(path) {
            Ok(()) => match sync_parent(path) {
                Err(e) if e.kind() == ErrorKind::NotFound => missing = Some(e),
                synced => return synced.map(|()| true),
            },
            Err(e) if e.kind() == ErrorKind::AlreadyExists => match fs::metadata(path) {
                Ok(there) if there.is_dir() => return Ok(false),
                // Removed in between.
                Err(gone) if gone.kind() == ErrorKind::NotFound => missing = Some(gone),
                _ => return Err(e),
            },
            Err(e) if e.kind() == ErrorKind::NotFound => {
                let parent = path.parent().filter(|p| !p.as_os_str().is_empty());
                make(parent.ok_or(e)?)?;
                missing = Some(ErrorKind::NotFound.into());
            }
            Err(e) => return Err(e),
        }
    }
    Err(missing.unwrap_or_else(|| ErrorKind::NotFound.into()))
}

fn sync_parent(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), durable::names)
}

fn sync_folders(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync_folders(&entry.path())?;
        }
    }
    durable::names(folder)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::durable::tests::were_synced;

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
        assert_eq!(disk.read("c").unwrap_err().kind(), ErrorKind::NotFound);
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
    fn what_a_killed_writer_left_is_written_anew_and_not_through() {
        let (folder, disk) = disk();
        disk.write("a/b", &[b"old"]).unwrap();
        let other = folder.path().join("other");
        fs::write(&other, b"of somebody else").unwrap();
        std::os::unix::fs::symlink(&other, disk.path("a/.writing-b")).unwrap();
        disk.write("a/b", &[b"new"]).unwrap();
        assert_eq!(&*disk.read("a/b").unwrap(), b"new");
        assert_eq!(fs::read(&other).unwrap(), b"of somebody else");
        assert_eq!(disk.list("a").unwrap(), ["b"]);
    }

    #[test]
    fn what_is_streamed_is_there_as_a_whole_or_not_at_all() {
        let (_folder, disk) = disk();
        disk.write("a/b", &[b"old"]).unwrap();
        let failed = disk.write_streamed("a/b", &mut |out| {
            out.write_all(b"half of ")?;
            Err(ErrorKind::StorageFull.into())
        });
        assert_eq!(failed.unwrap_err().kind(), ErrorKind::StorageFull);
        assert_eq!(&*disk.read("a/b").unwrap(), b"old");
        let large = vec![7; 3 << 20];
        disk.write_streamed("a/b", &mut |out| {
            large.chunks(1000).try_for_each(|c| out.write_all(c))
        })
        .unwrap();
        assert!(disk.read("a/b").unwrap()[..] == large);
        assert_eq!(disk.list("a").unwrap(), ["b"]);
        assert_eq!(were_synced([&disk.path("a/b")]), [true]);
    }

    /// What [`Disk`] promises to be durable is what the system was told to make so.
    #[test]
    fn what_is_written_synced_or_made_outlasts_the_power() {
        let (folder, disk) = disk();
        let path = |key: &str| disk.path(key);
        assert!(disk.make("deep/er").unwrap());
        let made = [folder.path(), &path(""), &path("deep")];
        assert_eq!(were_synced(made), [true; 3]);
        disk.write("deep/er/file", &[b"1"]).unwrap();
        assert_eq!(were_synced([&path("deep/er/file")]), [true]);
        disk.sync_names("deep").unwrap();
        assert_eq!(were_synced([&path("deep"), &path("deep/er")]), [true, false]);
        disk.sync("").unwrap();
        assert_eq!(were_synced([&path(""), &path("deep"), &path("deep/er")]), [true; 3]);
        drop(disk.lock("new/er", false).unwrap());
        assert_eq!(were_synced([&path(""), &path("new")]), [true; 2]);
        assert!(!disk.make("new").unwrap());
    }

    #[test]
    fn many_who_begin_at_once_and_tidy_up_are_told_of_each_other_and_of_nothing_else() {
        let (_folder, disk) = disk();
        let keys = ["deep/er/lock", "deep/er", "deep", ""];
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for n in 0..300 {
                        match disk.lock(keys[n % 2], n % 3 == 0) {
                            Ok(held) => {
                                // Others may have something in them.
                                keys[n % 2..].iter().for_each(|key| drop(disk.remove_empty(key)));
                                drop(held);
                            }
                            Err(e) => assert_eq!(e.kind(), ErrorKind::WouldBlock, "{e}"),
                        }
                    }
                });
            }
        });
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
        assert_eq!(disk.lock("a", false).err().unwrap().kind(), ErrorKind::WouldBlock);
        drop(held);
        disk.lock("a", true).unwrap();
    }
}
