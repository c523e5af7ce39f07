//! A disk as a store holds it.

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
    /// A disk that is read and written.
    pub fn new(disk: Arc<impl Sink + 'static>) -> Self {
        Self { source: Arc::<_>::clone(&disk) as _, sink: Some(disk) }
    }

    /// A disk that is only read.
    pub fn read_only(disk: Arc<impl Source + 'static>) -> Self {
        Self { source: disk, sink: None }
    }

    /// The local folder of this path, which need not exist. A path may end in `?mode=map` or
    /// `?mode=read`: whether files are mapped into memory or read at positions. Without, files are
    /// mapped, unless the folder is on a network file system, where a file that another machine
    /// takes away would end the process by a signal.
    pub(crate) fn local(path: &Path) -> Result<Self> {
        LocalDisk::at(path).map(|disk| Self::new(Arc::new(disk)))
    }

    /// To write to.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if the disk is read-only.
    pub fn sink(&self) -> Result<&dyn Sink> {
        self.sink.as_deref().ok_or_else(|| {
            Error::invalid("store", self.path("").display(), "can be read and not be written to")
        })
    }

    /// A document as a whole, with its version; `None` if it is not there.
    pub(crate) fn document(&self, key: &str) -> Result<Option<(Vec<u8>, super::Version)>> {
        match self.get(key) {
            Ok(document) => Ok(Some(document)),
            Err(e) if super::is_absent(&e) => Ok(None),
            Err(source) => Err(Error::Io { action: "read", path: self.path(key), source }),
        }
    }

    /// The whole of an object: a view where the disk has such, else a copy.
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
