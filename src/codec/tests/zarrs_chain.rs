//! Every setting of [`Codec`] against zarrs, the reference: what is written here is read there, and
//! the other way round.

use std::num::NonZeroU64;

use proptest::prelude::*;
use zarrs::array::codec::api::{ArrayToBytesCodecTraits as _, CodecOptions};
use zarrs::array::{ArrayBytes, CodecChain, DataType, FillValue, data_type};
use zarrs::metadata::v3::MetadataV3;

use super::case::voxels_like;
use crate::codec::{
    ChunkEncoder, EncodeScratch, Part, Rows, Scratch, Target, chain_of, decoder_of, packed, signed,
};
use crate::layout::{BloscCompressor, ChunkLayout, Codec};
use crate::{Dtype, Error};

/// The chain of a layout in zarrs, its checksum included.
struct Reference {
    chain: CodecChain,
    shape: Vec<NonZeroU64>,
    data_type: DataType,
    fill: FillValue,
}

impl Reference {
    fn new(layout: &ChunkLayout, dtype: Dtype) -> Self {
        let metadata: Vec<MetadataV3> = chain_of(layout, dtype)
            .into_iter()
            .map(|codec| serde_json::from_value(codec).expect("a codec"))
            .collect();
        let axes = layout.chunk.map(|n| NonZeroU64::new(n as u64).expect("not 0"));
        Self {
            chain: CodecChain::from_metadata(&metadata).expect("zarrs knows the chain"),
            shape: axes.to_vec(),
            data_type: zarr_type(dtype),
            fill: FillValue::new(vec![0; dtype.size()]),
        }
    }

    fn encode(&self, voxels: &[u8]) -> Vec<u8> {
        let Self { chain, shape, data_type, fill } = self;
        let voxels = ArrayBytes::new_flen(voxels);
        let encoded = chain.encode(voxels, shape, data_type, fill, &CodecOptions::default());
        encoded.expect("zarrs encodes").into_owned()
    }

    fn decode(&self, encoded: &[u8]) -> Vec<u8> {
        let Self { chain, shape, data_type, fill } = self;
        let voxels = chain.decode(encoded.into(), shape, data_type, fill, &CodecOptions::default());
        let voxels = voxels.expect("zarrs decodes");
        voxels.into_fixed().expect("voxels of one length").into_owned()
    }
}

fn zarr_type(dtype: Dtype) -> DataType {
    match dtype {
        Dtype::UInt8 => data_type::uint8(),
        Dtype::UInt16 => data_type::uint16(),
        Dtype::UInt32 => data_type::uint32(),
        Dtype::UInt64 => data_type::uint64(),
        Dtype::Int8 => data_type::int8(),
        Dtype::Int16 => data_type::int16(),
        Dtype::Int32 => data_type::int32(),
        Dtype::Int64 => data_type::int64(),
        Dtype::Float16 => data_type::float16(),
        Dtype::Float32 => data_type::float32(),
        Dtype::Float64 => data_type::float64(),
    }
}

/// The voxels of a whole chunk, by our own decoder.
fn decoded(layout: &ChunkLayout, dtype: Dtype, encoded: &[u8]) -> Result<Vec<u8>, String> {
    let (content, checksum) = encoded.split_last_chunk::<4>().expect("a checksum");
    assert_eq!(crc32c::crc32c(content).to_le_bytes(), *checksum);
    let (chunk, item) = (layout.chunk, dtype.size());
    let part = Part { chunk, start: [0; 3], shape: chunk, item };
    let mut voxels = vec![0xAA; chunk.iter().product::<usize>() * item];
    let strides = [chunk[1] * chunk[2] * item, chunk[2] * item, item].map(signed);
    let mut target = Target { bytes: &mut voxels, offset: 0, strides, rows: Rows::Copy };
    let decoder = decoder_of(&chain_of(layout, dtype), dtype)?;
    decoder.decode(content, &part, &mut target, &mut Scratch::default())?;
    Ok(voxels)
}

/// Compared byte by byte with the reference: all chains but those with an encoder of our own.
fn has_the_bytes_of_zarrs(codec: Codec) -> bool {
    matches!(codec, Codec::Zstd { .. } | Codec::Gzip { .. } | Codec::None)
}

/// Encodes each of some chunks in turn with one scratch, and compares with the reference.
fn agrees(codec: Codec, dtype: Dtype, chunk: [usize; 3], chunks: &[Vec<u8>]) {
    let layout = ChunkLayout::new(chunk, chunk, codec).expect("a layout");
    let (reference, mut scratch) = (Reference::new(&layout, dtype), EncodeScratch::default());
    let encoder = ChunkEncoder::new(&layout, dtype).expect("a setting that exists");
    for voxels in chunks {
        let own = encoder.encode(voxels, &mut scratch).expect("memory");
        assert!(reference.decode(&own) == *voxels, "{codec} {dtype} {chunk:?}: read by zarrs");
        assert!(decoded(&layout, dtype, &own).as_ref() == Ok(voxels), "{codec} {dtype} {chunk:?}");
        let theirs = reference.encode(voxels);
        assert!(
            decoded(&layout, dtype, &theirs).as_ref() == Ok(voxels),
            "{codec} {dtype} {chunk:?}: written by zarrs"
        );
        assert!(
            !has_the_bytes_of_zarrs(codec) || own == theirs,
            "{codec} {dtype} {chunk:?}: other bytes than those of zarrs"
        );
    }
}

fn every_setting() -> Vec<Codec> {
    let blosc = |compressor| (0..=9).map(move |level| Codec::Blosc { compressor, level });
    let compressors = [BloscCompressor::Lz4, BloscCompressor::Lz4hc, BloscCompressor::Zstd];
    let mut all: Vec<Codec> = compressors.into_iter().flat_map(blosc).collect();
    all.extend((1..=22).map(|level| Codec::Zstd { level }));
    all.extend((0..=9).map(|level| Codec::Gzip { level }));
    all.extend([0, 1, 2, 8, 255].map(|key_every| Codec::Packed { key_every }));
    all.push(Codec::None);
    all
}

fn stored_by(codec: Codec, dtype: Dtype) -> bool {
    codec.is_standard() || packed::Encoder::takes(dtype)
}

#[test]
fn zarrs_and_voxpatch_read_each_other_with_every_setting() {
    for codec in every_setting() {
        for dtype in Dtype::ALL.into_iter().filter(|dtype| stored_by(codec, *dtype)) {
            let chunk = [3, 8, 20];
            let chunks: Vec<Vec<u8>> =
                (0..5).map(|kind| voxels_like(kind, dtype.size(), 480, 7)).collect();
            agrees(codec, dtype, chunk, &chunks);
        }
    }
}

#[test]
fn large_chunks_have_the_bytes_of_zarrs_whatever_was_compressed_before() {
    let chunk = [16, 64, 128];
    let count = chunk.iter().product();
    let chunks: Vec<Vec<u8>> = [2, 3, 1, 2].map(|kind| voxels_like(kind, 2, count, 5)).to_vec();
    for codec in ["zstd:1", "zstd:3", "zstd:9", "zstd:12", "zstd:15", "gzip:0", "gzip:1", "gzip:6"]
    {
        agrees(codec.parse().expect("a codec"), Dtype::Int16, chunk, &chunks);
    }
}

#[test]
fn a_scratch_that_has_served_another_level_changes_no_byte() {
    let chunk = [4, 32, 32];
    let voxels = voxels_like(2, 2, chunk.iter().product(), 3);
    let encoders: Vec<ChunkEncoder> = ["zstd:1", "zstd:19", "blosc-zstd:1", "blosc-zstd:8"]
        .map(|codec| {
            let layout = ChunkLayout::new(chunk, chunk, codec.parse().expect("a codec"));
            ChunkEncoder::new(&layout.expect("a layout"), Dtype::Int16).expect("a setting")
        })
        .into();
    let alone = |encoder: &ChunkEncoder| encoder.encode(&voxels, &mut EncodeScratch::default());
    let mut shared = EncodeScratch::default();
    for encoder in encoders.iter().chain(&encoders) {
        let found = encoder.encode(&voxels, &mut shared).expect("memory");
        assert!(found == alone(encoder).expect("memory"), "{encoder:?}");
    }
}

#[test]
fn levels_that_no_format_has_are_refused() {
    let compressor = BloscCompressor::Lz4;
    for codec in [
        Codec::Blosc { compressor, level: 10 },
        Codec::Zstd { level: 23 },
        Codec::Zstd { level: 0 },
        Codec::Gzip { level: 10 },
    ] {
        let layout = ChunkLayout::new([4; 3], [4; 3], codec).expect("a layout");
        let refused = ChunkEncoder::new(&layout, Dtype::Int16);
        assert!(matches!(refused, Err(Error::InvalidArgument { .. })), "{codec}: {refused:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn zarrs_and_voxpatch_read_each_other(
        codec in prop::sample::select(every_setting()),
        dtype in prop::sample::select(Dtype::ALL.to_vec()),
        chunk in (1..12_usize, 1..40_usize, 1..40_usize),
        kind in 0..5_u8,
        seed in any::<u64>(),
    ) {
        prop_assume!(stored_by(codec, dtype));
        let chunk = [chunk.0, chunk.1, chunk.2];
        let voxels = voxels_like(kind, dtype.size(), chunk.iter().product(), seed);
        agrees(codec, dtype, chunk, &[voxels]);
    }
}
