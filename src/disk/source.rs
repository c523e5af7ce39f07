//! Reading from whatever holds a store.

use std::fmt;
use std::io;
use std::ops::Range;
use std::path::PathBuf;

use super::Blob;

/// Whatever a store can be read from.
///
/// Keys are relative, `/`-separated, and made of checked names: no `..`, nothing absolute. A key
/// that is not there is [`io::ErrorKind::NotFound`] or [`io::ErrorKind::NotADirectory`]; any other
/// error says nothing of what is there.
pub trait Source: Send + Sync + fmt::Debug {
    /// A small document as a whole, and the version of the document that this is.
    ///
    /// # Errors
    /// As the system says.
    fn get(&self, key: &str) -> io::Result<(Vec<u8>, Version)>;

    /// Stretches of objects, all of which may be under way at once. `each` is called once for each
    /// span, by its number, in any order, with all of its bytes.
    ///
    /// # Errors
    /// As the system says, with the span; [`io::ErrorKind::UnexpectedEof`] if an object ends before
    /// its span does.
    fn fetch(
        &self,
        spans: &[Span<'_>],
        each: &mut dyn FnMut(usize, Vec<u8>),
    ) -> Result<(), FetchError>;

    /// An object as a whole without a copy of its bytes; `None` if this disk has no such views, and
    /// objects are fetched.
    ///
    /// # Errors
    /// As the system says.
    fn view(&self, key: &str) -> io::Result<Option<Blob>>;

    /// Stretches of one object that lie at most this many bytes apart are better fetched together,
    /// with what is between them.
    fn gap(&self) -> usize;

    /// Names directly inside a folder, sorted; none if there is no such folder.
    ///
    /// # Errors
    /// As the system says.
    fn list(&self, key: &str) -> io::Result<Vec<String>>;

    /// Numbers that change whenever another document comes to stand under a key, taken without
    /// reading the document; `None` if there is none, or if this disk cannot tell cheaply.
    ///
    /// # Errors
    /// As the system says.
    fn stamp(&self, key: &str) -> io::Result<Option<Stamp>> {
        let _ = key;
        Ok(None)
    }

    /// How a key is named in messages: without any credentials.
    fn path(&self, key: &str) -> PathBuf;
}

/// What tells a document from every other that stood, or will stand, under its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version(pub String);

/// See [`Source::stamp`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp(pub [u64; 5]);

/// A stretch of an object, in bytes from its start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span<'a> {
    /// The object.
    pub key: &'a str,
    /// Its bytes from here to there, at least one.
    pub range: Range<u64>,
}

/// Why a stretch could not be fetched.
#[derive(Debug)]
pub struct FetchError {
    /// The number of the span.
    pub span: usize,
    /// What the system says.
    pub source: io::Error,
}

/// Whether an error says that nothing is there: no such object or folder, or an object where a
/// folder on the way would be.
pub(crate) fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}
