//! A local disk whose operations all go through a function that may watch, fail or stop them.

use std::fmt::Debug;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use voxpatch::disk::{
    Blob, Disk, FetchError, Held, LocalDisk, Sink, Source, Span, Stamp, Swap, Usage, Version,
};

/// The function for operations.
pub trait Tap: Debug + Send + Sync + 'static {
    /// Runs `operation`, given with the name of its method, or refuses.
    fn pass(
        &self,
        disk: &LocalDisk,
        name: &'static str,
        key: &str,
        operation: &mut dyn FnMut() -> io::Result<()>,
    ) -> io::Result<()>;
}

#[derive(Debug)]
pub struct Tapped<T> {
    pub disk: LocalDisk,
    pub tap: T,
    holds: bool,
}

impl<T: Tap> Tapped<T> {
    pub fn new(root: impl Into<PathBuf>, tap: T) -> Arc<Self> {
        Arc::new(Self { disk: LocalDisk::new(root), tap, holds: true })
    }

    /// A disk that many machines share: every process may hold every folder.
    pub fn unheld(root: impl Into<PathBuf>, tap: T) -> Arc<Self> {
        Arc::new(Self { disk: LocalDisk::new(root), tap, holds: false })
    }

    /// A disk whose files are read at positions.
    pub fn reading(root: impl Into<PathBuf>, tap: T) -> Arc<Self> {
        Arc::new(Self { disk: LocalDisk::new(root).mapping(false), tap, holds: true })
    }

    /// The disk in the form that a dataset takes.
    pub fn handle(self: &Arc<Self>) -> Disk {
        Disk::new(Arc::clone(self))
    }

    fn pass<R>(
        &self,
        name: &'static str,
        key: &str,
        operation: impl FnOnce() -> io::Result<R>,
    ) -> io::Result<R> {
        let (mut operation, mut result) = (Some(operation), None);
        self.tap.pass(&self.disk, name, key, &mut || {
            result = Some(operation.take().expect("once")()?);
            Ok(())
        })?;
        Ok(result.expect("an operation that was not done is an error"))
    }
}

impl<T: Tap> Source for Tapped<T> {
    fn get(&self, key: &str) -> io::Result<(Vec<u8>, Version)> {
        self.pass("get", key, || self.disk.get(key))
    }
    fn fetch(
        &self,
        spans: &[Span<'_>],
        each: &mut dyn FnMut(usize, Vec<u8>),
    ) -> Result<(), FetchError> {
        let mut failed = None;
        let key = spans.first().map_or("", |span| span.key);
        let passed = self.pass("fetch", key, || {
            failed = self.disk.fetch(spans, each).err();
            Ok(())
        });
        passed.map_err(|source| FetchError { span: 0, source })?;
        failed.map_or(Ok(()), Err)
    }
    fn length(&self, key: &str) -> io::Result<u64> {
        self.pass("length", key, || self.disk.length(key))
    }
    fn view(&self, key: &str) -> io::Result<Option<Blob>> {
        self.pass("view", key, || self.disk.view(key))
    }
    fn gap(&self) -> usize {
        self.disk.gap()
    }
    fn list(&self, key: &str) -> io::Result<Vec<String>> {
        self.pass("list", key, || self.disk.list(key))
    }
    fn stamp(&self, key: &str) -> io::Result<Option<Stamp>> {
        self.pass("stamp", key, || self.disk.stamp(key))
    }
    fn path(&self, key: &str) -> PathBuf {
        self.disk.path(key)
    }
}

impl<T: Tap> Sink for Tapped<T> {
    fn put(&self, key: &str, parts: &[&[u8]]) -> io::Result<()> {
        self.pass("put", key, || self.disk.put(key, parts))
    }
    fn put_streamed(
        &self,
        key: &str,
        content: &mut dyn FnMut(&mut dyn io::Write) -> io::Result<()>,
    ) -> io::Result<()> {
        self.pass("streamed", key, || self.disk.put_streamed(key, content))
    }
    fn flush(&self, folder: &str) -> io::Result<()> {
        self.pass("flush", folder, || self.disk.flush(folder))
    }
    fn swap(&self, key: &str, expected: Option<&Version>, new: Option<&[u8]>) -> io::Result<Swap> {
        self.pass("swap", key, || self.disk.swap(key, expected, new))
    }
    fn delete(&self, key: &str) -> io::Result<()> {
        self.pass("delete", key, || self.disk.delete(key))
    }
    fn usage(&self, key: &str) -> io::Result<Option<Usage>> {
        self.pass("usage", key, || self.disk.usage(key))
    }
    fn hold(&self, folder: &str) -> io::Result<Held> {
        if !self.holds {
            return Ok(Held::new(()));
        }
        self.pass("hold", folder, || self.disk.hold(folder))
    }
}
