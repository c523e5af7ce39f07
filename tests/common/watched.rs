//! A disk that counts what is read, and refuses chosen operations on chosen keys.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use voxpatch::{Blob, Disk, LocalDisk, Stamp};

/// What is refused: operation, key, and how.
type Refused = (&'static str, String, io::ErrorKind);

/// Passes everything on but what is to be refused.
#[derive(Debug)]
pub struct WatchedDisk {
    disk: LocalDisk,
    read: Mutex<Vec<String>>,
    refused: Mutex<Option<Refused>>,
}

impl WatchedDisk {
    pub fn new(root: impl AsRef<Path>) -> Self {
        let disk = LocalDisk::new(root.as_ref());
        Self { disk, read: Mutex::default(), refused: Mutex::default() }
    }

    /// From now on `operation` ("read", "list") fails for keys that end so; "written": a write
    /// does, after it was done.
    pub fn refuse(&self, operation: &'static str, key: &str, kind: io::ErrorKind) {
        *self.refused.lock().unwrap() = Some((operation, key.to_owned(), kind));
    }

    /// How often keys that end so were read.
    pub fn reads_of(&self, key: &str) -> usize {
        self.read.lock().unwrap().iter().filter(|read| read.ends_with(key)).count()
    }

    fn check(&self, operation: &str, key: &str) -> io::Result<()> {
        match &*self.refused.lock().unwrap() {
            Some((refused, end, kind)) if *refused == operation && key.ends_with(&**end) => {
                Err((*kind).into())
            }
            _ => Ok(()),
        }
    }
}

impl Disk for WatchedDisk {
    fn read(&self, key: &str) -> io::Result<Blob> {
        self.check("read", key)?;
        self.read.lock().unwrap().push(key.to_owned());
        self.disk.read(key)
    }
    fn stamp(&self, key: &str) -> io::Result<Option<Stamp>> {
        self.check("read", key)?;
        self.disk.stamp(key)
    }
    fn write(&self, key: &str, parts: &[&[u8]]) -> io::Result<()> {
        self.disk.write(key, parts)?;
        self.check("written", key)
    }
    fn list(&self, key: &str) -> io::Result<Vec<String>> {
        self.check("list", key)?;
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
