//! The codecs a chunk can be stored with, by name.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Dtype, Error, Hint, Result};

/// How chunks are compressed. All but [`Codec::Packed`] are standard Zarr v3 codecs that any Zarr
/// reader knows, and each chunk carries a CRC-32C of its own beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Codec {
    /// A byte shuffle, which groups bytes of equal significance, then a fast compressor, in blocks
    /// of whole z-planes that decode independently.
    Blosc {
        /// The compressor inside.
        compressor: BloscCompressor,
        /// 0 (store) to 9 (smallest).
        level: u8,
    },
    /// Zstandard, without a filter.
    Zstd {
        /// 1 (fastest) to 22 (smallest).
        level: u8,
    },
    /// Gzip, without a filter.
    Gzip {
        /// 0 (store) to 9 (smallest).
        level: u8,
    },
    /// The codec of this crate, [`crate::packed`]: voxels are predicted from their neighbours, and
    /// the differences packed into as few bits as they need. For integers of 8, 16 and 32 bits.
    /// Programs that link this crate can read it; other Zarr readers cannot.
    Packed {
        /// One z-plane in this many is stored independently of the plane before it, so that a read
        /// can begin there: 1 is usually the fastest to read, larger numbers are smaller; 0 means
        /// the first plane alone.
        key_every: u8,
    },
    /// Uncompressed.
    None,
}

/// The compressors of [`Codec::Blosc`] that can be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BloscCompressor {
    /// Fast both ways.
    Lz4,
    /// Slow to write, smaller, read as fast as `Lz4` or faster.
    Lz4hc,
    /// Smallest, and several times slower to read.
    Zstd,
}

/// LZ4HC at level 5, which reads real scans fastest among the standard codecs, at half their size.
/// Measured on a CT (and an MR) of 16-bit voxels, random patches of 128 x 128 x 128, one thread:
/// LZ4HC 5 reads 2.7 (5.1) GiB/s at 50 % (23 %) of the raw size, LZ4 5 reads 2.1 (4.8) at 56 % (24
/// %), blosc's Zstandard 5 reads 0.63 (0.99) at 40 % (15 %), and plain Zstandard 3 reads 0.43
/// (0.48) at 51 % (19 %). One thread writes LZ4HC at 125 MB/s, and LZ4 at 394 MB/s.
/// (`cargo bench --bench patch_read`, `cargo bench --bench ingest`.)
impl Default for Codec {
    fn default() -> Self {
        Self::Blosc { compressor: BloscCompressor::Lz4hc, level: 5 }
    }
}

/// Target for the decoded bytes of one blosc block: half of a typical first-level data cache, and
/// above the size where blosc's cost per block shows.
const BLOSC_BLOCK_BYTES: usize = 16 << 10;

/// Columns of a chunk that [`Codec::Packed`] decodes together.
const PACKED_COLUMNS: usize = 16;

impl Codec {
    /// The codecs worth trying on a scan, the default first: `blosc-lz4hc:5`, `blosc-lz4:5`,
    /// `blosc-zstd:5`, `zstd:3`, `packed:8` and `packed:1`.
    pub const CANDIDATES: [Self; 6] = [
        Self::Blosc { compressor: BloscCompressor::Lz4hc, level: 5 },
        Self::Blosc { compressor: BloscCompressor::Lz4, level: 5 },
        Self::Blosc { compressor: BloscCompressor::Zstd, level: 5 },
        Self::Zstd { level: 3 },
        Self::Packed { key_every: 8 },
        Self::Packed { key_every: 1 },
    ];

    /// True for the codecs that every Zarr v3 reader knows: all but [`Codec::Packed`].
    #[must_use]
    pub const fn is_standard(&self) -> bool {
        !matches!(self, Self::Packed { .. })
    }

    /// Checks that voxels of a type can be stored: `Packed` stores integers of at most 32 bits, the
    /// other codecs every type.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`], which names codecs to use instead.
    pub fn check_for(&self, dtype: Dtype) -> Result<()> {
        if self.is_standard() || dtype.is_integer() && dtype.size() <= 4 {
            return Ok(());
        }
        let reason = format!(
            "stores integers of 8, 16 and 32 bits, and the voxels are {dtype}; use blosc-zstd or \
             zstd, or narrow the voxels to integers, if they are whole numbers"
        );
        Err(Error::invalid("codec", self, reason).hinting(Hint::Narrow))
    }

    /// The smallest box of a chunk that can be decoded by itself, `z, y, x`: whole z-planes for
    /// blosc, the chunk for `Zstd` and `Gzip`. For `Packed`: 16 columns of the planes from one
    /// independent plane to the next, without those behind the last wanted plane and below the last
    /// wanted row. For `None`: a row, because nothing has to be decoded.
    #[must_use]
    pub fn decode_unit(&self, chunk: [usize; 3], item_bytes: usize) -> [usize; 3] {
        match self {
            Self::Blosc { .. } => {
                let plane = chunk[1].saturating_mul(chunk[2]).saturating_mul(item_bytes);
                let planes = (BLOSC_BLOCK_BYTES / plane.max(1)).clamp(1, chunk[0].max(1));
                // Blocks of equal size: a smaller last block would cost as much overhead as a full
                // one.
                let planes = (1..=planes).rev().find(|p| chunk[0].is_multiple_of(*p)).unwrap_or(1);
                [planes, chunk[1], chunk[2]]
            }
            Self::Zstd { .. } | Self::Gzip { .. } => chunk,
            Self::Packed { key_every } => {
                let planes = if *key_every == 0 { chunk[0] } else { (*key_every).into() };
                [planes.min(chunk[0]), chunk[1], chunk[2].min(PACKED_COLUMNS)]
            }
            Self::None => [1, 1, chunk[2]],
        }
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Blosc { compressor, level } => {
                let name = match compressor {
                    BloscCompressor::Lz4 => "lz4",
                    BloscCompressor::Lz4hc => "lz4hc",
                    BloscCompressor::Zstd => "zstd",
                };
                write!(f, "blosc-{name}:{level}")
            }
            Self::Zstd { level } => write!(f, "zstd:{level}"),
            Self::Gzip { level } => write!(f, "gzip:{level}"),
            Self::Packed { key_every } => write!(f, "packed:{key_every}"),
            Self::None => f.write_str("none"),
        }
    }
}

impl FromStr for Codec {
    type Err = Error;

    /// `NAME` or `NAME:LEVEL`, with the names `blosc` (the default codec), `blosc-lz4`,
    /// `blosc-lz4hc`, `blosc-zstd`, `zstd`, `gzip`, `packed` (the level is
    /// [`Codec::Packed::key_every`]), `none`.
    fn from_str(s: &str) -> Result<Self> {
        let refuse = |reason: &str| Error::invalid("codec", s, reason);
        let (name, level) = s.split_once(':').map_or((s, None), |(n, l)| (n, Some(l)));
        let pick = |default: u8, range: std::ops::RangeInclusive<u8>| match level {
            None => Ok(default),
            Some(text) => text.parse().ok().filter(|l| range.contains(l)).ok_or_else(|| {
                refuse(&format!("the level goes from {} to {}", range.start(), range.end()))
            }),
        };
        let blosc = |compressor| Ok(Self::Blosc { compressor, level: pick(5, 0..=9)? });
        match (name, Self::default()) {
            ("blosc", Self::Blosc { compressor, level: default }) => {
                Ok(Self::Blosc { compressor, level: pick(default, 0..=9)? })
            }
            ("blosc-lz4", _) => blosc(BloscCompressor::Lz4),
            ("blosc-lz4hc", _) => blosc(BloscCompressor::Lz4hc),
            ("blosc-zstd", _) => blosc(BloscCompressor::Zstd),
            ("zstd", _) => Ok(Self::Zstd { level: pick(3, 1..=22)? }),
            ("gzip", _) => Ok(Self::Gzip { level: pick(6, 0..=9)? }),
            ("packed", _) => Ok(Self::Packed { key_every: pick(8, 0..=255)? }),
            ("none", _) if level.is_none() => Ok(Self::None),
            ("none", _) => Err(refuse("none has no level")),
            _ => Err(refuse(
                "use blosc, blosc-lz4, blosc-lz4hc, blosc-zstd, zstd, gzip, packed or none, with \
                 :LEVEL if wanted",
            )),
        }
    }
}

impl TryFrom<String> for Codec {
    type Error = Error;
    fn try_from(s: String) -> Result<Self> {
        s.parse()
    }
}

impl From<Codec> for String {
    fn from(codec: Codec) -> Self {
        codec.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_the_first_to_be_tried() {
        assert_eq!(Codec::CANDIDATES[0], Codec::default());
    }
}
