//! Writing the blosc container, so that its blocks are the decode units that were planned.
//!
//! The container is that of c-blosc 1 and read by every blosc. c-blosc itself makes blocks of at
//! least 64 KiB with LZ4, whatever it is asked for; with the blocks of [`Codec::decode_unit`] a
//! single slice is read three times as fast, a cube by a fifth. A byte plane that LZ4 hardly
//! shrinks (the noise in the low byte of a scan) is stored as it is: reading it then costs
//! nothing, which is worth more than its last few percent.
//!
//! [`Codec::decode_unit`]: crate::layout::Codec::decode_unit

use lz4::block::CompressionMode;

use crate::layout::BloscCompressor;

const HEADER_BYTES: usize = 16;
const SHUFFLED: u8 = 1;
const STORED: u8 = 1 << 1;
const NOT_SPLIT: u8 = 1 << 4;
/// c-blosc splits a block into its byte planes only if each has at least this many bytes.
const SMALLEST_PLANE: usize = 128;
/// LZ4 must shrink a byte plane to this share, else the plane is stored as it is.
const WORTH_DECODING_PERCENT: usize = 75;

/// Fast LZ4 must shrink a byte plane to this share, else LZ4HC is not tried.
const WORTH_TRYING_PERCENT: usize = 84;

/// How one array's chunks become blosc containers.
#[derive(Debug, Clone, Copy)]
pub(super) struct BloscEncoder {
    pub(super) compressor: BloscCompressor,
    pub(super) level: u8,
    /// Bytes of a voxel: the size of the elements that are shuffled.
    pub(super) item: usize,
    /// Bytes of a block: a divisor of the chunk's bytes.
    pub(super) block: usize,
}

/// Buffers and compressor state that a task keeps between chunks.
#[derive(Default)]
pub(super) struct EncodeScratch {
    shuffled: Vec<u8>,
    packed: Vec<u8>,
    zstd: Option<zstd::bulk::Compressor<'static>>,
}

impl BloscEncoder {
    /// The container of a chunk of little-endian voxels.
    pub(super) fn encode(
        &self,
        voxels: &[u8],
        scratch: &mut EncodeScratch,
    ) -> std::io::Result<Vec<u8>> {
        let blocks = voxels.len() / self.block;
        let planes = if self.block / self.item >= SMALLEST_PLANE { self.item } else { 1 };
        let mut out = self.header(voxels.len(), planes);
        out.resize(HEADER_BYTES + 4 * blocks, 0);
        if self.level > 0 {
            for (n, block) in voxels.chunks_exact(self.block).enumerate() {
                let start = le(out.len())?;
                out[HEADER_BYTES + 4 * n..][..4].copy_from_slice(&start);
                let EncodeScratch { shuffled, packed, zstd } = &mut *scratch;
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
            BloscCompressor::Lz4 | BloscCompressor::Lz4hc => 1,
            BloscCompressor::Zstd => 4,
        };
        let shuffled = if self.item > 1 { SHUFFLED } else { 0 };
        let split = if planes == self.item { 0 } else { NOT_SPLIT };
        let mut header = Vec::with_capacity(HEADER_BYTES + bytes + 4);
        #[allow(clippy::cast_possible_truncation)]
        header.extend([2, 1, shuffled | split | format << 5, self.item as u8]);
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
        zstd: &mut Option<zstd::bulk::Compressor<'static>>,
    ) -> std::io::Result<Option<&'a [u8]>> {
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
                if zstd.is_none() {
                    *zstd = Some(zstd::bulk::Compressor::new(level)?);
                }
                let compressor = zstd.as_mut().expect("it was made above");
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

/// Bytes of equal significance together.
fn shuffle(item: usize, block: &[u8], out: &mut [u8]) {
    match item {
        2 => pairs(block, out),
        4 => quads(block, out),
        8 => planes::<8>(block, out),
        _ => out.copy_from_slice(block),
    }
}

/// Both planes in one pass, which the compiler turns into packing instructions.
fn pairs(block: &[u8], out: &mut [u8]) {
    let (voxels, _) = block.as_chunks::<2>();
    let (low, high) = out.split_at_mut(voxels.len());
    for ((voxel, low), high) in voxels.iter().zip(low).zip(high) {
        let voxel = u16::from_le_bytes(*voxel);
        *low = voxel.to_le_bytes()[0];
        *high = (voxel >> 8).to_le_bytes()[0];
    }
}

/// The same for four planes.
fn quads(block: &[u8], out: &mut [u8]) {
    let (voxels, _) = block.as_chunks::<4>();
    let (low, high) = out.split_at_mut(2 * voxels.len());
    let ((a, b), (c, d)) = (low.split_at_mut(voxels.len()), high.split_at_mut(voxels.len()));
    let planes = a.iter_mut().zip(b).zip(c.iter_mut().zip(d));
    for (voxel, ((a, b), (c, d))) in voxels.iter().zip(planes) {
        [*a, *b, *c, *d] = *voxel;
    }
}

fn planes<const N: usize>(block: &[u8], out: &mut [u8]) {
    let (voxels, _) = block.as_chunks::<N>();
    for (n, plane) in out.chunks_exact_mut(voxels.len()).enumerate() {
        for (out, voxel) in plane.iter_mut().zip(voxels) {
            *out = voxel[n];
        }
    }
}

fn le(length: usize) -> std::io::Result<[u8; 4]> {
    i32::try_from(length).map(i32::to_le_bytes).map_err(std::io::Error::other)
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
            let container = encoder.encode(&chunk, &mut EncodeScratch::default()).unwrap();
            prop_assert!(container.len() <= HEADER_BYTES + bytes);
            prop_assert_eq!(decoded_by_blosc(&container, bytes, item), chunk);
        }
    }
}
