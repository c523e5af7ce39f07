//! From a chunk's voxels to its encoded bytes.

use std::io;

use super::blosc::{BloscEncoder, BloscScratch};
use super::chain::check_machine;
use super::{gzip, packed, zstd};
use crate::layout::{ChunkLayout, Codec};
use crate::{Dtype, Error, Result};

/// Encodes the chunks of one array.
#[derive(Debug)]
pub(crate) struct ChunkEncoder {
    format: Format,
    chunk: [usize; 3],
}

#[derive(Debug)]
enum Format {
    Plain,
    Zstd { level: i32 },
    Gzip { level: u32 },
    Blosc(BloscEncoder),
    Packed(packed::Encoder),
}

/// What a task keeps between the chunks that it encodes.
#[derive(Default)]
pub(crate) struct EncodeScratch {
    blosc: BloscScratch,
    packed: packed::EncodeScratch,
    zstd: zstd::Compressor,
}

impl ChunkEncoder {
    /// The encoder of an array of this layout.
    ///
    /// # Errors
    /// [`Error::InvalidLayout`] if voxels of the type cannot be stored so, on this machine;
    /// [`Error::InvalidArgument`] if the codec has no such level.
    pub(crate) fn new(layout: &ChunkLayout, dtype: Dtype) -> Result<Self> {
        let refuse = |reason: String| Error::InvalidLayout { reason };
        check_machine(dtype).map_err(refuse)?;
        // Callers may have made the codec of any numbers; those that have a text are sound.
        let codec: Codec = layout.codec.to_string().parse()?;
        let (chunk, item) = (layout.chunk, dtype.size());
        let format = match codec {
            Codec::None => Format::Plain,
            Codec::Zstd { level } => Format::Zstd { level: level.into() },
            Codec::Gzip { level } => Format::Gzip { level: level.into() },
            Codec::Blosc { compressor, level } => {
                let block = codec.decode_unit(chunk, item).iter().product::<usize>() * item;
                if block == 0 {
                    return Err(refuse("a chunk has an axis of length 0".into()));
                }
                Format::Blosc(BloscEncoder { compressor, level, item, block })
            }
            Codec::Packed { .. } if !packed::Encoder::takes(dtype) => {
                return Err(refuse(packed::not_taken(dtype)));
            }
            Codec::Packed { key_every } => Format::Packed(packed::Encoder { dtype, key_every }),
        };
        Ok(Self { format, chunk })
    }

    /// Encodes a whole chunk of voxels in native byte order, checksum included.
    pub(crate) fn encode(&self, voxels: &[u8], scratch: &mut EncodeScratch) -> io::Result<Vec<u8>> {
        let mut encoded = match &self.format {
            Format::Plain => voxels.to_vec(),
            Format::Zstd { level } => scratch.zstd.at(*level)?.compress(voxels)?,
            Format::Gzip { level } => gzip::encode(voxels, *level)?,
            Format::Blosc(encoder) => encoder.encode(voxels, &mut scratch.blosc)?,
            Format::Packed(encoder) => encoder.encode(voxels, self.chunk, &mut scratch.packed)?,
        };
        encoded.extend(crc32c::crc32c(&encoded).to_le_bytes());
        // Many wait for their shard to be written.
        encoded.shrink_to_fit();
        Ok(encoded)
    }
}
