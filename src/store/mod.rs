//! The on-disk format; the only importer of zarrs.

mod decode;
