//! Reading from a disk.

use std::fmt;
use std::io;
use std::ops::Range;
use std::path::PathBuf;

use super::Blob;

/// A disk that a store can be read from.
///
/// Keys are relative, `/`-separated, and made of checked names: no `..`, nothing absolute. A
/// missing key is [`io::ErrorKind::NotFound`] or [`io::ErrorKind::NotADirectory`]; any other error
/// leaves open whether the key exists.
pub trait Source: Send + Sync + fmt::Debug {
    /// A whole small document, and its version.
    ///
    /// # Errors
    /// As the system says.
    fn get(&self, key: &str) -> io::Result<(Vec<u8>, Version)>;

    /// Fetches ranges of objects, possibly all at once. `each` is called once for each span, with
    /// its index and all its bytes, in any order.
    ///
    /// # Errors
    /// As the system says, with the span; [`io::ErrorKind::UnexpectedEof`] if an object ends before
    /// its span.
    fn fetch(
        &self,
        spans: &[Span<'_>],
        each: &mut dyn FnMut(usize, Vec<u8>),
    ) -> Result<(), FetchError>;

    /// The length of an object, in bytes.
    ///
    /// # Errors
    /// As the system says.
    fn length(&self, key: &str) -> io::Result<u64>;

    /// A view of a whole object without a copy of its bytes; `None` if this disk has no views, so
    /// that objects must be fetched.
    ///
    /// # Errors
    /// As the system says.
    fn view(&self, key: &str) -> io::Result<Option<Blob>>;

    /// The gap, in bytes, up to which two ranges of one object are better fetched together, with
    /// the bytes between them.
    fn gap(&self) -> usize;

    /// Names directly inside a folder, sorted; none if there is no such folder.
    ///
    /// # Errors
    /// As the system says.
    fn list(&self, key: &str) -> io::Result<Vec<String>>;

    /// Numbers that differ whenever a key holds a different document, taken without reading the
    /// document; `None` if there is no document, or if this disk cannot tell cheaply.
    ///
    /// # Errors
    /// As the system says.
    fn stamp(&self, key: &str) -> io::Result<Option<Stamp>> {
        let _ = key;
        Ok(None)
    }

    /// The name of a key in messages: without credentials.
    fn path(&self, key: &str) -> PathBuf;
}

/// The version of a document, which no other document under its key ever has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version(pub String);

/// The stamp of a document; see [`Source::stamp`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp(pub [u64; 5]);

/// A range of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span<'a> {
    /// The object.
    pub key: &'a str,
    /// Its bytes, at least one, counted from the start of the object.
    pub range: Range<u64>,
}

/// The error of fetching a span.
#[derive(Debug)]
pub struct FetchError {
    /// The index of the span.
    pub span: usize,
    /// What the system says.
    pub source: io::Error,
}

/// Whether an error says that nothing exists at a key: no object or folder, or an object in place
/// of a folder on the way.
pub(crate) fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}
