//! Bytes of scans in any format: files read in order, plain or compressed; files written
//! compressed; voxels of the other byte order; data files that a header names.
//!
//! Another compression (zlib, bzip2) would be one more kind of `Bytes` in `stream`, with a file of
//! its own beside `gzip`.

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
