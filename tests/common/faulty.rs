//! A disk that fails, or stops, at any operation.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use voxpatch::{Blob, Disk, LocalDisk};

/// Passes everything on, until the chosen operation.
#[derive(Debug)]
pub struct FaultyDisk {
    disk: LocalDisk,
    left: AtomicUsize,
    fault: Fault,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Fault {
    /// The operation does nothing, all later ones work: an error that the process survives.
    Fails,
    /// The operation is done and reports failure, all later ones work: a folder is renamed, say,
    /// and syncing its parents fails.
    DoneButFails,
    /// A write puts half of its bytes in a hidden file, and nothing works from there on, as if
    /// the process had been killed.
    Stops,
}

impl FaultyDisk {
    pub fn new(root: PathBuf, at: usize, fault: Fault) -> Self {
        Self { disk: LocalDisk::new(root), left: AtomicUsize::new(at), fault }
    }

    /// Whether the chosen operation has come.
    pub fn has_faulted(&self) -> bool {
        let left = self.left.load(SeqCst);
        left == 0 || left > usize::MAX / 2
    }

    fn step<T>(&self, operation: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        let before = self.left.fetch_update(SeqCst, SeqCst, |n| n.checked_sub(1));
        if !matches!(before, Ok(1) | Err(_)) {
            return operation();
        }
        if self.fault != Fault::Stops {
            self.left.store(usize::MAX, SeqCst);
        }
        if self.fault == Fault::DoneButFails {
            operation()?;
        }
        Err(io::ErrorKind::StorageFull.into())
    }
}

impl Disk for FaultyDisk {
    fn read(&self, key: &str) -> io::Result<Blob> {
        self.step(|| self.disk.read(key))
    }
    fn write(&self, key: &str, parts: &[&[u8]]) -> io::Result<()> {
        let last = self.left.load(SeqCst) == 1;
        let written = self.step(|| self.disk.write(key, parts));
        if written.is_err() && last && self.fault == Fault::Stops {
            let (folder, name) = key.rsplit_once('/').unwrap_or(("", key));
            let hidden = self.disk.path(folder).join(format!(".writing-{name}"));
            std::fs::create_dir_all(self.disk.path(folder))?;
            let bytes = parts.concat();
            std::fs::write(hidden, &bytes[..bytes.len() / 2])?;
        }
        written
    }
    fn list(&self, key: &str) -> io::Result<Vec<String>> {
        self.step(|| self.disk.list(key))
    }
    fn sync(&self, key: &str) -> io::Result<()> {
        self.step(|| self.disk.sync(key))
    }
    fn sync_names(&self, key: &str) -> io::Result<()> {
        self.step(|| self.disk.sync_names(key))
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.step(|| self.disk.rename(from, to))
    }
    fn exchange(&self, a: &str, b: &str) -> io::Result<()> {
        self.step(|| self.disk.exchange(a, b))
    }
    fn remove(&self, key: &str) -> io::Result<()> {
        let last = self.left.load(SeqCst) == 1;
        let removed = self.step(|| self.disk.remove(key));
        if last && self.fault == Fault::Stops {
            // Half of what is in it is gone.
            let files = files_in(&self.disk.path(key));
            files[..files.len() / 2].iter().try_for_each(std::fs::remove_file)?;
        }
        removed
    }
    fn remove_empty(&self, key: &str) -> io::Result<()> {
        self.step(|| self.disk.remove_empty(key))
    }
    fn make(&self, key: &str) -> io::Result<bool> {
        self.step(|| self.disk.make(key))
    }
    fn lock(&self, key: &str, wait: bool) -> io::Result<Box<dyn Send + Sync>> {
        self.step(|| self.disk.lock(key, wait))
    }
    fn path(&self, key: &str) -> PathBuf {
        self.disk.path(key)
    }
}

/// Calls something with the key of each file before it is written.
pub struct HookedDisk<F> {
    pub disk: LocalDisk,
    pub before_write: F,
}

impl<F> std::fmt::Debug for HookedDisk<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.disk.fmt(f)
    }
}

impl<F: Fn(&str) + Send + Sync> Disk for HookedDisk<F> {
    fn read(&self, key: &str) -> io::Result<Blob> {
        self.disk.read(key)
    }
    fn write(&self, key: &str, parts: &[&[u8]]) -> io::Result<()> {
        (self.before_write)(key);
        self.disk.write(key, parts)
    }
    fn list(&self, key: &str) -> io::Result<Vec<String>> {
        self.disk.list(key)
    }
    fn sync(&self, key: &str) -> io::Result<()> {
        self.disk.sync(key)
    }
    fn sync_names(&self, key: &str) -> io::Result<()> {
        self.disk.sync_names(key)
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.disk.rename(from, to)
    }
    fn exchange(&self, a: &str, b: &str) -> io::Result<()> {
        self.disk.exchange(a, b)
    }
    fn remove(&self, key: &str) -> io::Result<()> {
        self.disk.remove(key)
    }
    fn remove_empty(&self, key: &str) -> io::Result<()> {
        self.disk.remove_empty(key)
    }
    fn make(&self, key: &str) -> io::Result<bool> {
        self.disk.make(key)
    }
    fn lock(&self, key: &str, wait: bool) -> io::Result<Box<dyn Send + Sync>> {
        self.disk.lock(key, wait)
    }
    fn path(&self, key: &str) -> PathBuf {
        self.disk.path(key)
    }
}

/// All files below a folder, in the order of their names; none if there is no such folder.
fn files_in(folder: &std::path::Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let below = |path: PathBuf| if path.is_dir() { files_in(&path) } else { vec![path] };
    paths.into_iter().flat_map(below).collect()
}

/// Names of hidden files and folders below a folder.
pub fn litter(folder: &std::path::Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.unwrap().path();
        if path.file_name().unwrap().to_str().unwrap().starts_with('.') {
            found.push(path);
        } else if path.is_dir() {
            found.extend(litter(&path));
        }
    }
    found
}
