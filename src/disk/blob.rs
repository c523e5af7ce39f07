//! The bytes of an object, in memory or mapped.

use std::ops::{Deref, Range};

use crate::mapped::Mapped;

/// The bytes of an object, in memory or mapped.
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
    /// Tells the system that these bytes, all of which exist, are about to be read.
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
