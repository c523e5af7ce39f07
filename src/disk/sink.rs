//! Writing to whatever holds a store.

use std::fmt;
use std::io::{self, Write};
use std::time::Duration;

use super::{Source, Version};

/// Whatever a store can be written to.
pub trait Sink: Source {
    /// Puts a whole object, `parts` one after the other. What is there under the key is replaced in
    /// one step; after a failure the key holds what it held before. Folders on the way are made.
    ///
    /// # Errors
    /// As the system says.
    fn put(&self, key: &str, parts: &[&[u8]]) -> io::Result<()>;

    /// Puts a whole object as [`Self::put`] does, of what `content` writes, which need not be in
    /// memory as a whole. A disk that does not say otherwise gathers the bytes first.
    ///
    /// # Errors
    /// As the system says; that of `content`, which ends the object.
    fn put_streamed(
        &self,
        key: &str,
        content: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut bytes = Vec::new();
        content(&mut bytes)?;
        self.put(key, &[&bytes])
    }

    /// Makes all that was put and deleted below a folder outlast a power cut, the names of the
    /// folder and of those above it included.
    ///
    /// # Errors
    /// As the system says.
    fn flush(&self, folder: &str) -> io::Result<()>;

    /// Replaces the document under a key, if it has still this version (`None`: if there is no
    /// document), by another one, or by none. Of all that swap the same version, one is told
    /// [`Swap::Done`]; the change then outlasts a power cut.
    ///
    /// # Errors
    /// As the system says. The document may have been replaced all the same: whoever must know
    /// reads the document.
    fn swap(&self, key: &str, expected: Option<&Version>, new: Option<&[u8]>) -> io::Result<Swap>;

    /// Deletes an object, or all that is below a folder; folders that are empty then go with what
    /// was in them. What is missing is deleted already.
    ///
    /// # Errors
    /// As the system says.
    fn delete(&self, key: &str) -> io::Result<()>;

    /// How much there is at or below a key, and how long ago the last of it was written; `None` if
    /// there is nothing.
    ///
    /// # Errors
    /// As the system says.
    fn usage(&self, key: &str) -> io::Result<Option<Usage>>;

    /// Tells other processes of this machine that a folder is in use, until the result is dropped
    /// or the process ends. Advice: a disk that cannot tell others lets everybody hold everything.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] if another process holds it; otherwise as the system says.
    fn hold(&self, folder: &str) -> io::Result<Held> {
        let _ = folder;
        Ok(Held::new(()))
    }
}

/// What names of objects in the making begin with, on disks where they have one.
pub(super) const IN_THE_MAKING: &str = ".put-";

/// Whether a name is that of an object in the making, or of one whose writer was killed.
pub(crate) fn is_in_the_making(name: &str) -> bool {
    name.starts_with(IN_THE_MAKING)
}

/// See [`Sink::usage`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Since the last of it was written.
    pub age: Duration,
    /// Of all objects.
    pub bytes: u64,
}

/// What came of [`Sink::swap`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Swap {
    /// The document was replaced.
    Done,
    /// Another document was there, or none.
    Lost,
}

/// A folder that others are told to be in use, until this is dropped.
pub struct Held(#[allow(dead_code, reason = "it is there to be dropped")] Box<dyn Send + Sync>);

impl Held {
    /// Drops `guard` when the folder is no longer in use.
    pub fn new(guard: impl Send + Sync + 'static) -> Self {
        Self(Box::new(guard))
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Held")
    }
}
