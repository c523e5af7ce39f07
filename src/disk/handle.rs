//! A disk, as stores hold it.

use std::io;
use std::ops::Deref;
use std::path::Path;
use std::sync::Arc;

use super::{LocalDisk, Sink, Source};
use crate::{Error, Result};

/// A disk to read from and, unless it is read-only, to write to. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Disk {
    source: Arc<dyn Source>,
    sink: Option<Arc<dyn Sink>>,
}

impl Disk {
    /// A disk for reading and writing.
    pub fn new(disk: Arc<impl Sink + 'static>) -> Self {
        Self { source: Arc::<_>::clone(&disk) as _, sink: Some(disk) }
    }

    /// A disk for reading only.
    pub fn read_only(disk: Arc<impl Source + 'static>) -> Self {
        Self { source: disk, sink: None }
    }

    /// The local folder of this path, which need not exist. A path may end in `?mode=map` or
    /// `?mode=read`: files are then mapped into memory or read at positions. By default files are
    /// mapped, unless the folder is on a network file system: a mapped file that another machine
    /// removes would end the process by a signal.
    pub(crate) fn local(path: &Path) -> Result<Self> {
        LocalDisk::at(path).map(|disk| Self::new(Arc::new(disk)))
    }

    /// The disk for writing.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if the disk is read-only.
    pub fn sink(&self) -> Result<&dyn Sink> {
        self.sink.as_deref().ok_or_else(|| {
            Error::invalid("store", self.path("").display(), "can only be read, not written")
        })
    }

    /// A whole document, with its version; `None` if there is no document.
    pub(crate) fn document(&self, key: &str) -> Result<Option<(Vec<u8>, super::Version)>> {
        match self.get(key) {
            Ok(document) => Ok(Some(document)),
            Err(e) if super::is_absent(&e) => Ok(None),
            Err(source) => Err(Error::Io { action: "read", path: self.path(key), source }),
        }
    }

    /// A whole object: a view if the disk has views, otherwise a copy.
    pub(crate) fn whole(&self, key: &str) -> io::Result<super::Blob> {
        match self.view(key)? {
            Some(view) => Ok(view),
            None => self.get(key).map(|(bytes, _)| bytes.into()),
        }
    }
}

impl Deref for Disk {
    type Target = dyn Source;

    fn deref(&self) -> &Self::Target {
        &*self.source
    }
}
