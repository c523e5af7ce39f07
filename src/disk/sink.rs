//! Writing to a disk.

use std::fmt;
use std::io::{self, Write};
use std::time::Duration;

use super::{Source, Version};

/// A disk that a store can be written to.
pub trait Sink: Source {
    /// Puts a whole object, the concatenation of `parts`. An existing object is replaced in one
    /// step; after a failure, the key holds the object from before. Missing folders are created.
    ///
    /// # Errors
    /// As the system says.
    fn put(&self, key: &str, parts: &[&[u8]]) -> io::Result<()>;

    /// Puts a whole object as [`Self::put`] does, from the bytes that `content` writes, which need
    /// not fit memory. By default the bytes are collected in memory first.
    ///
    /// # Errors
    /// As the system says; an error of `content`, after which no object is put.
    fn put_streamed(
        &self,
        key: &str,
        content: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut bytes = Vec::new();
        content(&mut bytes)?;
        self.put(key, &[&bytes])
    }

    /// Makes all puts and deletions below a folder durable, including the names of the folder and
    /// its parents.
    ///
    /// # Errors
    /// As the system says.
    fn flush(&self, folder: &str) -> io::Result<()>;

    /// Replaces the document under a key by another, or by none, if it still has the expected
    /// version (`None`: if there is no document). Of all swaps of one version, one returns
    /// [`Swap::Done`]; the change is then durable.
    ///
    /// # Errors
    /// As the system says. The document may have been replaced despite an error: read the document
    /// to find out.
    fn swap(&self, key: &str, expected: Option<&Version>, new: Option<&[u8]>) -> io::Result<Swap>;

    /// Deletes an object, or everything below a folder, and the parents that are empty then. A
    /// missing object is no error.
    ///
    /// # Errors
    /// As the system says.
    fn delete(&self, key: &str) -> io::Result<()>;

    /// The bytes at or below a key, and the time since the last write; `None` if nothing exists
    /// there.
    ///
    /// # Errors
    /// As the system says.
    fn usage(&self, key: &str) -> io::Result<Option<Usage>>;

    /// Marks a folder as in use for other processes of this machine, until the result is dropped or
    /// the process ends. This is advice: a disk without such marks lets every process hold every
    /// folder.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] if another process holds it; otherwise as the system says.
    fn hold(&self, folder: &str) -> io::Result<Held> {
        let _ = folder;
        Ok(Held::new(()))
    }
}

/// Prefix of the names of objects under construction, on disks that name them.
pub(super) const IN_THE_MAKING: &str = ".put-";

/// Whether a name is that of an object under construction, or of one whose writer was killed.
pub(crate) fn is_in_the_making(name: &str) -> bool {
    name.starts_with(IN_THE_MAKING)
}

/// The content of a folder; see [`Sink::usage`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Time since the last write.
    pub age: Duration,
    /// Bytes of all objects.
    pub bytes: u64,
}

/// The outcome of [`Sink::swap`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Swap {
    /// The document was replaced.
    Done,
    /// Another document was found, or none.
    Lost,
}

/// The mark of a folder in use, removed when this is dropped.
pub struct Held(#[allow(dead_code, reason = "it is there to be dropped")] Box<dyn Send + Sync>);

impl Held {
    /// A mark that drops `guard` when it is removed.
    pub fn new(guard: impl Send + Sync + 'static) -> Self {
        Self(Box::new(guard))
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Held")
    }
}
