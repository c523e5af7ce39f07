//! Voxels of one chunk to bytes, and back.
//!
//! A volume's array is stored by one of few chains of codecs: `bytes` (little-endian), then one of
//! `blosc`, `zstd`, `gzip` or nothing; or [`packed`]; a CRC-32C ends each. [`chain_of`] writes a
//! chain into the array's document and [`decoder_of`] understands one that stands there. Any other
//! chain is refused by name.
//!
//! Encoding takes whole chunks ([`ChunkEncoder`]). Decoding takes the box of a chunk that is wanted
//! ([`Part`]) and where its rows go ([`Target`]): what is not wanted need not be decoded, and where
//! the format allows, nothing stands between the encoded bytes and the destination.
//!
//! | file | what it knows |
//! | --- | --- |
//! | `chain` | the chain in `zarr.json` |
//! | `encode`, `decode` | which codec a chunk goes through |
//! | `blosc`, `zstd`, `gzip`, `packed` | one format each |
//! | `unpack`, `whole`, `stretch`, `interleave` | from decoded bytes to the rows of a box |
//! | `target`, `rows` | where a row goes, and what becomes of its voxels |
//! | `plugin` | how programs of zarrs find `packed`; the only importer of zarrs |

mod blosc;
mod chain;
mod decode;
mod encode;
mod gzip;
mod interleave;
pub mod packed;
mod plugin;
mod refusal;
mod rows;
mod scratch;
mod stretch;
mod target;
#[cfg(test)]
mod tests;
mod unpack;
mod whole;
mod zstd;

pub(crate) use chain::{chain_of, decoder_of};
pub(crate) use decode::ChunkDecoder;
pub(crate) use encode::{ChunkEncoder, EncodeScratch};
pub(crate) use rows::{Cast, Real, Rows};
pub(crate) use scratch::Scratch;
pub(crate) use target::{Part, Target, signed};
