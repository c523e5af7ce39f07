//! The container of c-blosc 1, as written by every Zarr implementation.
//!
//! A header of 16 bytes, the offset of each block, and the blocks. A block is filtered by itself
//! and then compressed in one piece or, split, in as many equal pieces as an element has bytes;
//! with the byte shuffle each piece then holds one byte of every element. Each piece begins with
//! its length, and one as long as its content is stored as it is.
//!
//! Source of the format: `blosc.h` and `blosc.c` of c-blosc 1.21. What is neither read nor written:
//! bit shuffle, and the compressors blosclz, snappy and zlib, which no [`crate::layout::Codec`] asks
//! for.

mod read;
mod shuffle;
mod write;

pub(super) use read::decode;
pub(super) use write::{BloscEncoder, BloscScratch};

const HEADER_BYTES: usize = 16;
const FORMAT_VERSION: u8 = 2;
/// Of the compressed pieces: that of all compressors.
const COMPRESSOR_VERSION: u8 = 1;

const BYTE_SHUFFLE: u8 = 1 << 0;
const STORED: u8 = 1 << 1;
const BIT_SHUFFLE: u8 = 1 << 2;
const RESERVED: u8 = 1 << 3;
const NOT_SPLIT: u8 = 1 << 4;

/// The compressor, in the top three bits of the flags. LZ4HC writes what LZ4 reads.
const LZ4: u8 = 1;
const ZSTD: u8 = 4;

/// Elements of more bytes than this are not split, nor blocks of fewer elements than that.
const MAX_SPLITS: usize = 16;
const MIN_SPLIT_ELEMENTS: usize = 128;
