//! From a chunk's encoded bytes to the rows of a patch.
//!
//! A [`Decoder`] is told which box of the chunk is wanted and where its rows go. What is not
//! wanted need not be decoded, and where the format allows, nothing stands between the encoded
//! bytes and the destination.

mod target;

pub(crate) use target::{Part, Rows, Target};

/// Buffers that a thread keeps between chunks, so that reading allocates nothing once warm.
#[derive(Default)]
pub(crate) struct Scratch {
    /// Decoded bytes on their way to the destination.
    pub(crate) bytes: Vec<u8>,
}

/// Why a chunk could not be decoded; the caller adds which chunk of which file.
pub(crate) type Refusal = String;

/// Decodes chunks of one array. Given arbitrary bytes it returns an error or voxels; it never
/// panics, and never allocates by a length that it read.
pub(crate) trait Decoder: Send + Sync + std::fmt::Debug {
    /// Decodes the box `part` of the chunk `encoded` into `target`. The checksum behind the
    /// chunk has been verified and taken off.
    fn decode(
        &self,
        encoded: &[u8],
        part: &Part,
        target: &mut Target<'_>,
        scratch: &mut Scratch,
    ) -> Result<(), Refusal>;
}
