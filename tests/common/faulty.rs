//! A disk that fails, or stops, at any operation.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use voxpatch::disk::LocalDisk;

use super::tapped::{Tap, Tapped};

/// Passes all operations on, up to the chosen one.
#[derive(Debug)]
pub struct FaultAt {
    left: AtomicUsize,
    fault: Fault,
}

pub type FaultyDisk = Tapped<FaultAt>;

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Fault {
    /// The operation does nothing, all later ones work: an error that the process survives.
    Fails,
    /// The operation is done but reports failure, and all later ones work: for example, a document
    /// is swapped and the answer is lost.
    DoneButFails,
    /// A put leaves half of its bytes in a hidden file, and every later operation fails, as if the
    /// process had been killed.
    Stops,
}

/// A disk that fails at the operation with this number.
pub fn faulty(root: PathBuf, at: usize, fault: Fault) -> Arc<FaultyDisk> {
    Tapped::new(root, FaultAt { left: AtomicUsize::new(at), fault })
}

impl FaultyDisk {
    /// Whether the chosen operation has come.
    pub fn has_faulted(&self) -> bool {
        let left = self.tap.left.load(SeqCst);
        left == 0 || left > usize::MAX / 2
    }
}

impl Tap for FaultAt {
    fn pass(
        &self,
        disk: &LocalDisk,
        name: &'static str,
        key: &str,
        operation: &mut dyn FnMut() -> io::Result<()>,
    ) -> io::Result<()> {
        let before = self.left.fetch_update(SeqCst, SeqCst, |n| n.checked_sub(1));
        if !matches!(before, Ok(1) | Err(_)) {
            return operation();
        }
        if self.fault != Fault::Stops {
            self.left.store(usize::MAX, SeqCst);
        } else if before == Ok(1) {
            leave_half(disk, name, key)?;
        }
        if self.fault == Fault::DoneButFails {
            operation()?;
        }
        Err(io::ErrorKind::StorageFull.into())
    }
}

/// The remains of an operation in a killed process.
fn leave_half(disk: &LocalDisk, name: &str, key: &str) -> io::Result<()> {
    use voxpatch::disk::Source as _;
    match name {
        "put" | "streamed" => {
            let folder = disk.path(key.rsplit_once('/').map_or("", |(folder, _)| folder));
            std::fs::create_dir_all(&folder)?;
            std::fs::write(folder.join(".put-0123"), b"half of")
        }
        "delete" => {
            let files = files_in(&disk.path(key));
            files[..files.len() / 2].iter().try_for_each(std::fs::remove_file)
        }
        // The claim of a swap.
        "swap" => {
            let (folder, name) = key.rsplit_once('/').unwrap_or(("", key));
            let folder = disk.path(folder);
            std::fs::create_dir_all(&folder)?;
            std::fs::write(folder.join(format!(".swap-{name}")), b"")
        }
        _ => Ok(()),
    }
}

/// Calls a function with the key of each file before it is put.
pub struct Hook<F>(pub F);

impl<F> std::fmt::Debug for Hook<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hook")
    }
}

impl<F: Fn(&str) + Send + Sync + 'static> Tap for Hook<F> {
    fn pass(
        &self,
        _: &LocalDisk,
        name: &'static str,
        key: &str,
        operation: &mut dyn FnMut() -> io::Result<()>,
    ) -> io::Result<()> {
        if name == "put" {
            (self.0)(key);
        }
        operation()
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
