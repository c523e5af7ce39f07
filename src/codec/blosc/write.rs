//! Writing a container, so that its blocks are the decode units that were planned.
//!
//! Every blosc reads what is written here. c-blosc itself makes blocks of at
//! least 64 KiB with LZ4, whatever it is asked for; with the blocks of [`Codec::decode_unit`] a
//! single slice is read three times as fast, a cube by a fifth. A byte plane that LZ4 hardly
//! shrinks (the noise in the low byte of a scan) is stored as it is: reading it then costs
//! nothing, which is worth more than its last few percent.
//!
//! [`Codec::decode_unit`]: crate::layout::Codec::decode_unit

use std::io;

use lz4::block::CompressionMode;

use super::shuffle::shuffle;
use super::{
    BYTE_SHUFFLE, COMPRESSOR_VERSION, FORMAT_VERSION, HEADER_BYTES, LZ4, MIN_SPLIT_ELEMENTS,
    NOT_SPLIT, STORED, ZSTD,
};
use crate::codec::zstd;
use crate::layout::BloscCompressor;

/// LZ4 must shrink a byte plane to this share, else the plane is stored as it is.
const WORTH_DECODING_PERCENT: usize = 75;

/// Fast LZ4 must shrink a byte plane to this share, else LZ4HC is not tried.
const WORTH_TRYING_PERCENT: usize = 84;

/// How one array's chunks become blosc containers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BloscEncoder {
    pub(crate) compressor: BloscCompressor,
    pub(crate) level: u8,
    /// Bytes of a voxel: the size of the elements that are shuffled.
    pub(crate) item: usize,
    /// Bytes of a block: a divisor of the chunk's bytes.
    pub(crate) block: usize,
}

/// Buffers and compressor state that a task keeps between chunks.
#[derive(Default)]
pub(crate) struct BloscScratch {
    shuffled: Vec<u8>,
    packed: Vec<u8>,
    zstd: zstd::Compressor,
}

impl BloscEncoder {
    /// The container of a chunk of little-endian voxels.
    pub(crate) fn encode(&self, voxels: &[u8], scratch: &mut BloscScratch) -> io::Result<Vec<u8>> {
        let blocks = voxels.len() / self.block;
        let planes = if self.block / self.item >= MIN_SPLIT_ELEMENTS { self.item } else { 1 };
        let mut out = self.header(voxels.len(), planes);
        out.resize(HEADER_BYTES + 4 * blocks, 0);
        if self.level > 0 {
            for (n, block) in voxels.chunks_exact(self.block).enumerate() {
                let start = le(out.len())?;
                out[HEADER_BYTES + 4 * n..][..4].copy_from_slice(&start);
                let BloscScratch { shuffled, packed, zstd } = &mut *scratch;
                shuffled.resize(self.block, 0);
                shuffle(self.item, block, shuffled);
                for plane in shuffled.chunks_exact(self.block / planes) {
                    let packed = self.compress(plane, packed, zstd)?;
                    let bytes = packed.unwrap_or(plane);
                    out.extend(le(bytes.len())?);
                    out.extend(bytes);
                }
                if out.len() >= HEADER_BYTES + voxels.len() {
                    break;
                }
            }
        }
        // Never larger than the voxels and a header: what does not shrink is stored, unshuffled.
        if self.level == 0 || out.len() >= HEADER_BYTES + voxels.len() {
            out.truncate(HEADER_BYTES);
            out[2] |= STORED;
            out.extend(voxels);
        }
        let length = le(out.len())?;
        out[12..16].copy_from_slice(&length);
        Ok(out)
    }

    fn header(&self, bytes: usize, planes: usize) -> Vec<u8> {
        let format = match self.compressor {
            BloscCompressor::Lz4 | BloscCompressor::Lz4hc => LZ4,
            BloscCompressor::Zstd => ZSTD,
        };
        let shuffled = if self.item > 1 { BYTE_SHUFFLE } else { 0 };
        let split = if planes == self.item { 0 } else { NOT_SPLIT };
        let mut header = Vec::with_capacity(HEADER_BYTES + bytes + 4);
        #[allow(clippy::cast_possible_truncation)]
        header.extend([
            FORMAT_VERSION,
            COMPRESSOR_VERSION,
            shuffled | split | format << 5,
            self.item as u8,
        ]);
        // Chunks are below 2 GiB: the layout sees to it.
        #[allow(clippy::cast_possible_truncation)]
        header.extend([bytes as u32, self.block as u32, 0].iter().flat_map(|n| n.to_le_bytes()));
        header
    }

    /// The compressed plane, or `None` if it is not worth it.
    fn compress<'a>(
        &self,
        plane: &[u8],
        packed: &'a mut Vec<u8>,
        zstd: &mut zstd::Compressor,
    ) -> io::Result<Option<&'a [u8]>> {
        let level = i32::from(self.level);
        // Both compressors give up when the room is used up; a length equal to the plane's would
        // mean a plane stored as it is.
        let room = match self.compressor {
            BloscCompressor::Zstd => plane.len() - 1,
            _ => plane.len() * WORTH_DECODING_PERCENT / 100,
        };
        packed.resize(plane.len(), 0);
        if self.compressor == BloscCompressor::Lz4hc {
            // Most of its time would go to planes that it cannot shrink enough either.
            let hopeful = &mut packed[..plane.len() * WORTH_TRYING_PERCENT / 100];
            if pack_lz4(plane, CompressionMode::FAST(1), hopeful).is_none() {
                return Ok(None);
            }
        }
        let out = &mut packed[..room];
        let mode = match self.compressor {
            // The levels mean what they mean in c-blosc.
            BloscCompressor::Lz4 => CompressionMode::FAST(10 - level),
            BloscCompressor::Lz4hc => CompressionMode::HIGHCOMPRESSION(level),
            BloscCompressor::Zstd => {
                let level = if level < 9 { 2 * level - 1 } else { 22 };
                let compressor = zstd.at(level)?;
                return Ok(compressor.compress_to_buffer(plane, out).ok().map(|n| &packed[..n]));
            }
        };
        Ok(pack_lz4(plane, mode, out).map(|n| &packed[..n]))
    }
}

/// Bytes written to `out`, or `None` if it is too small.
fn pack_lz4(plane: &[u8], mode: CompressionMode, out: &mut [u8]) -> Option<usize> {
    lz4::block::compress_to_buffer(plane, Some(mode), false, out).ok()
}

fn le(length: usize) -> io::Result<[u8; 4]> {
    i32::try_from(length).map(i32::to_le_bytes).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use zarrs::array::BytesRepresentation;
    use zarrs::array::codec::api::{BytesToBytesCodecTraits as _, CodecOptions};
    use zarrs::array::codec::{BloscCodec, BloscCompressionLevel, BloscShuffleMode};

    use super::*;

    /// Through c-blosc, which is the reference.
    fn decoded_by_blosc(container: &[u8], bytes: usize, item: usize) -> Vec<u8> {
        let codec = BloscCodec::new(
            zarrs::array::codec::BloscCompressor::LZ4,
            BloscCompressionLevel::try_from(5).unwrap(),
            None,
            BloscShuffleMode::Shuffle,
            Some(item),
        );
        let representation = BytesRepresentation::FixedSize(bytes as u64);
        let codec = codec.unwrap();
        codec
            .decode(container.into(), &representation, &CodecOptions::default())
            .unwrap()
            .into_owned()
    }

    proptest! {
        #[test]
        fn c_blosc_reads_every_container(
            compressor in prop::sample::select(vec![
                BloscCompressor::Lz4, BloscCompressor::Lz4hc, BloscCompressor::Zstd,
            ]),
            level in 0_u8..=9,
            item in prop::sample::select(vec![1_usize, 2, 4, 8]),
            (voxels, blocks) in (1_usize..700, 1_usize..5),
            noise in 0_u32..8,
        ) {
            let level = if compressor == BloscCompressor::Zstd { level.min(8) } else { level };
            let bytes = voxels * blocks * item;
            let mut state = 1_u32;
            let chunk: Vec<u8> = (0..bytes)
                .map(|n| {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    let noise = state.to_le_bytes()[3] & ((1 << noise) - 1);
                    (n / item / 16).to_le_bytes()[0].wrapping_add(noise)
                })
                .collect();
            let encoder = BloscEncoder { compressor, level, item, block: voxels * item };
            let container = encoder.encode(&chunk, &mut BloscScratch::default()).unwrap();
            prop_assert!(container.len() <= HEADER_BYTES + bytes);
            prop_assert_eq!(decoded_by_blosc(&container, bytes, item), chunk);
        }
    }
}
