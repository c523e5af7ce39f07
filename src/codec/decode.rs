//! From a chunk's encoded bytes to the rows of a patch.

use super::blosc;
use super::refusal::Refusal;
use super::scratch::Scratch;
use super::target::{Part, Target};
use super::unpack;
use super::whole::{self, Stream};

/// Decodes chunks of one array. Given arbitrary bytes the answer is an error or voxels; nothing
/// panics, and nothing is allocated by a length that was read. After an error the destination may
/// hold some of the voxels.
///
/// Voxels are little-endian in every chunk and native-endian in the destination: see
/// [`super::chain::check_machine`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ChunkDecoder {
    /// Voxels as they are.
    Plain,
    /// Zarr's `zstd`.
    Zstd,
    /// Zarr's `gzip`.
    Gzip,
    /// Zarr's `blosc`. All that varies is in each chunk's header.
    Blosc,
    /// [`super::packed`].
    Packed,
}

impl ChunkDecoder {
    /// Decodes the box `part` of the chunk `encoded` into `target`. The checksum behind the chunk
    /// has been verified and taken off.
    pub(crate) fn decode(
        self,
        encoded: &[u8],
        part: &Part,
        target: &mut Target<'_>,
        scratch: &mut Scratch,
    ) -> Result<(), Refusal> {
        match self {
            Self::Plain => whole::plain(encoded, part, target, scratch),
            Self::Zstd => whole::decode(Stream::Zstd, encoded, part, target, scratch),
            Self::Gzip => whole::decode(Stream::Gzip, encoded, part, target, scratch),
            Self::Blosc => blosc::decode(encoded, part, target, scratch),
            Self::Packed => unpack::decode(encoded, part, target, scratch),
        }
    }
}
