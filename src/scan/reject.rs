//! Why a header is refused.

use std::path::Path;

use crate::Error;

/// Why a header is refused; [`Reject::at`] adds the file.
#[derive(Debug)]
pub(in crate::scan) enum Reject {
    Corrupt(String),
    Unsupported(String),
}

impl Reject {
    pub(in crate::scan) fn at(self, path: &Path) -> Error {
        match self {
            Self::Corrupt(reason) => Error::CorruptScan { path: path.into(), reason },
            Self::Unsupported(reason) => Error::UnsupportedScan { path: path.into(), reason },
        }
    }
}
