//! Bytes of scans, whatever their format: files read in order, plain or compressed, files written
//! compressed, voxels of the other byte order, and data files that a header names.
//!
//! A further way of compression (zlib, bzip2) is one more kind of `Bytes` in `stream`, with a file
//! of its own beside `gzip`.

mod confined;
pub(in crate::scan) mod digest;
mod gzip;
mod members;
mod stream;
mod swap;

pub use confined::data_file;
pub(in crate::scan) use members::MemberWriter;
pub(in crate::scan) use stream::Stream;
pub(in crate::scan) use swap::{ByteOrder, reverse_each};
