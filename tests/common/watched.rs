//! A disk that counts what is read, and refuses chosen operations on chosen keys.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};

use voxpatch::disk::LocalDisk;

use super::tapped::{Tap, Tapped};

/// Refused operations: operation, key suffix, and kind of error.
type Refused = (&'static str, String, io::ErrorKind);

/// Passes all operations on, except refused ones.
#[derive(Debug, Default)]
pub struct Watch {
    read: Mutex<Vec<String>>,
    refused: Mutex<Option<Refused>>,
}

pub type WatchedDisk = Tapped<Watch>;

/// A watched disk below this folder.
pub fn watched(root: impl AsRef<Path>) -> Arc<WatchedDisk> {
    Tapped::new(root.as_ref(), Watch::default())
}

/// The same, with files that are read at positions.
pub fn watched_reading(root: impl AsRef<Path>) -> Arc<WatchedDisk> {
    Tapped::reading(root.as_ref(), Watch::default())
}

impl WatchedDisk {
    /// From now on `operation` fails for keys with this ending: "read", "list"; "whole", reading
    /// all of an object at once; "written" and "streamed" fail after the write was done.
    pub fn refuse(&self, operation: &'static str, key: &str, kind: io::ErrorKind) {
        *self.tap.refused.lock().unwrap() = Some((operation, key.to_owned(), kind));
    }

    /// How often keys with this ending were read.
    pub fn reads_of(&self, key: &str) -> usize {
        self.tap.read.lock().unwrap().iter().filter(|read| read.ends_with(key)).count()
    }
}

impl Watch {
    fn check(&self, operation: &str, key: &str) -> io::Result<()> {
        match &*self.refused.lock().unwrap() {
            Some((refused, end, kind)) if *refused == operation && key.ends_with(&**end) => {
                Err((*kind).into())
            }
            _ => Ok(()),
        }
    }
}

impl Tap for Watch {
    fn pass(
        &self,
        _: &LocalDisk,
        name: &'static str,
        key: &str,
        operation: &mut dyn FnMut() -> io::Result<()>,
    ) -> io::Result<()> {
        match name {
            "get" | "fetch" | "view" => {
                self.check("read", key)?;
                if name == "get" {
                    self.check("whole", key)?;
                }
                self.read.lock().unwrap().push(key.to_owned());
                operation()
            }
            "stamp" => self.check("read", key).and_then(|()| operation()),
            "list" => self.check("list", key).and_then(|()| operation()),
            "put" | "swap" => operation().and_then(|()| self.check("written", key)),
            "streamed" => operation().and_then(|()| self.check("streamed", key)),
            _ => operation(),
        }
    }
}
