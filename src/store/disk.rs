//! The waist between the store and whatever holds its files.
//!
//! Everything that the store reads or writes goes through [`Disk`], by keys such as
//! `case01/image/0/c/0/0/0`. Tests put a disk there that fails or stops at a chosen operation; an
//! object store can stand behind it later.

use std::io;
use std::ops::{Deref, Range};
use std::path::PathBuf;

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

    /// What changes whenever a file is written, or another file comes to stand in its place; `None`
    /// if nothing is there, or if this disk cannot tell. Takes no reading of the file.
    ///
    /// # Errors
    /// As the system says.
    fn stamp(&self, key: &str) -> io::Result<Option<Stamp>> {
        let _ = key;
        Ok(None)
    }

    /// Writes a whole file, `parts` one after the other, and makes its content durable, but not its
    /// name. A file already there is replaced in one step; after a failure the key holds what it
    /// held before. Folders on the way are made; their names are not durable either.
    ///
    /// # Errors
    /// As the system says.
    fn write(&self, key: &str, parts: &[&[u8]]) -> io::Result<()>;

    /// Writes a whole file as [`Self::write`] does, of what `content` writes to it, which need not
    /// be in memory as a whole. A disk that does not say otherwise gathers it first.
    ///
    /// # Errors
    /// As the system says; that of `content`, which ends it.
    fn write_streamed(
        &self,
        key: &str,
        content: &mut dyn FnMut(&mut dyn io::Write) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut bytes = Vec::new();
        content(&mut bytes)?;
        self.write(key, &[&bytes])
    }

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
    /// names of both parents are synced. If the place is taken by anything but an empty folder:
    /// [`io::ErrorKind::AlreadyExists`] or [`io::ErrorKind::DirectoryNotEmpty`].
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
    /// Until the folder that it was in is synced, any of it may come back.
    ///
    /// # Errors
    /// As the system says.
    fn remove(&self, key: &str) -> io::Result<()>;

    /// Removes a folder if it is empty.
    ///
    /// # Errors
    /// As the system says; [`io::ErrorKind::DirectoryNotEmpty`] if it is not empty.
    fn remove_empty(&self, key: &str) -> io::Result<()>;

    /// Makes a folder, and the folders above it that are missing, each name durable. False if it
    /// is there already.
    ///
    /// # Errors
    /// As the system says.
    fn make(&self, key: &str) -> io::Result<bool>;

    /// Makes a folder as [`Self::make`] does, and holds a lock on it until the result is dropped or
    /// the process ends. With `wait`, waits for another holder; without, gives
    /// [`io::ErrorKind::WouldBlock`].
    ///
    /// # Errors
    /// As the system says.
    fn lock(&self, key: &str, wait: bool) -> io::Result<Box<dyn Send + Sync>>;

    /// How a key is named in messages.
    fn path(&self, key: &str) -> PathBuf;
}

/// Numbers that no two contents of a key have in common: see [`Disk::stamp`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp(pub [u64; 5]);

/// Whether an error says that nothing is there: no such file or folder, or a file where a folder
/// on the way would be. Any other error says nothing of what is there.
pub(crate) fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
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

impl From<Mapped> for Blob {
    fn from(map: Mapped) -> Self {
        Self(Bytes::Mapped(map))
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
