//! From a [`Codec`] to a Zarr codec chain, and chunks through that chain.
//!
//! Chunks go through zarrs, except where our own code does better with the same bytes: the blosc
//! container is written by [`super::encode`], and the usual chains are read by [`super::decode`].

use std::num::NonZeroU64;

use serde_json::{Value, json};
use zarrs::array::codec::api::ArrayToBytesCodecTraits as _;
use zarrs::array::codec::api::CodecOptions;
use zarrs::array::{ArrayBytes, CodecChain, DataType, FillValue, data_type};
use zarrs::metadata::v3::MetadataV3;

use super::array::ArrayShape;
use super::decode::{self, CodecSpec, Decoder, Part, Scratch, Target};
use super::encode::{self, BloscEncoder};
use super::plugin::PackedConfiguration;
use crate::layout::{BloscCompressor, ChunkLayout, Codec};
use crate::{Dtype, Error, Result, packed};

/// The codecs of one chunk as they stand in `zarr.json`.
pub(super) fn chain_of(layout: &ChunkLayout, dtype: Dtype) -> Vec<Value> {
    let item = dtype.size();
    if let Codec::Packed { key_every } = layout.codec {
        let packed =
            json!({"name": packed::NAME, "configuration": PackedConfiguration { key_every }});
        return vec![packed, json!({"name": "crc32c"})];
    }
    let mut chain = vec![match item {
        1 => json!({"name": "bytes"}),
        _ => json!({"name": "bytes", "configuration": {"endian": "little"}}),
    }];
    match layout.codec {
        Codec::Blosc { compressor, level } => {
            let cname = match compressor {
                BloscCompressor::Lz4 => "lz4",
                BloscCompressor::Lz4hc => "lz4hc",
                BloscCompressor::Zstd => "zstd",
            };
            let unit = layout.codec.decode_unit(layout.chunk, item);
            chain.push(json!({"name": "blosc", "configuration": {
                "cname": cname,
                "clevel": level,
                "shuffle": if item == 1 { "noshuffle" } else { "shuffle" },
                "typesize": item,
                "blocksize": unit.iter().product::<usize>() * item,
            }}));
        }
        Codec::Zstd { level } => chain
            .push(json!({"name": "zstd", "configuration": {"level": level, "checksum": false}})),
        Codec::Gzip { level } => {
            chain.push(json!({"name": "gzip", "configuration": {"level": level}}));
        }
        Codec::Packed { .. } | Codec::None => {}
    }
    chain.push(json!({"name": "crc32c"}));
    chain
}

/// What encodes and decodes the chunks of an array of ours.
pub(super) fn for_array(shape: &ArrayShape, layout: &ChunkLayout) -> Result<ChunkCodec> {
    ChunkCodec::new(&chain_of(layout, shape.dtype), shape.dtype, shape.leading(), layout.chunk)
        .map_err(|reason| Error::InvalidLayout { reason })
}

/// Encodes and decodes the chunks of one array.
#[derive(Debug)]
pub(super) struct ChunkCodec {
    chain: CodecChain,
    data_type: DataType,
    fill: FillValue,
    /// The chunk's shape with the leading axes, of length 1.
    full_shape: Vec<NonZeroU64>,
    chunk_bytes: usize,
    is_blosc: bool,
    encoder: Option<Encoder>,
    chunk: [usize; 3],
    decoder: Option<Box<dyn Decoder>>,
}

impl ChunkCodec {
    /// From the chain in `zarr.json`, or why it cannot be used. `leading` is the number of axes
    /// before z.
    pub(super) fn new(
        chain: &[Value],
        dtype: Dtype,
        leading: usize,
        chunk: [usize; 3],
    ) -> Result<Self, String> {
        if chain.iter().any(|codec| codec["name"] == packed::NAME) && !packed::Encoder::takes(dtype)
        {
            return Err(packed::not_taken(dtype));
        }
        let Some(specs) = specs_of(chain, dtype) else {
            let reason = "its chunks are not stored by the codecs bytes (little), then blosc, zstd, \
                          gzip or nothing, then crc32c; nor by voxpatch.packed, then crc32c";
            return Err(reason.into());
        };
        // The checksum is ours to write and to verify.
        let parse = |v: &Value| serde_json::from_value::<MetadataV3>(v.clone());
        let unsealed = chain[..chain.len() - 1].iter().map(parse).collect::<Result<Vec<_>, _>>();
        let unsealed = unsealed.map_err(|e| e.to_string())?;
        let axes = std::iter::repeat_n(1, leading).chain(chunk);
        let full_shape = axes.map(|n| NonZeroU64::new(n as u64)).collect::<Option<_>>();
        Ok(Self {
            chain: CodecChain::from_metadata(&unsealed).map_err(|e| e.to_string())?,
            data_type: zarr_type(dtype),
            fill: FillValue::new(vec![0; dtype.size()]),
            full_shape: full_shape.ok_or("a chunk has an axis of length 0")?,
            chunk_bytes: chunk.iter().product::<usize>() * dtype.size(),
            is_blosc: matches!(specs[..], [CodecSpec::Blosc { .. }]),
            encoder: encoder_of(chain, dtype),
            chunk,
            decoder: decode::decoder_for(&specs, dtype.size()),
        })
    }

    /// The same without our own decoders: every chunk goes through zarrs.
    #[cfg(test)]
    pub(super) fn without_decoder(mut self) -> Self {
        self.decoder = None;
        self
    }

    /// Encodes a whole chunk of voxels in native byte order, checksum included.
    pub(super) fn encode(
        &self,
        voxels: &[u8],
        scratch: &mut EncodeScratch,
    ) -> Result<Vec<u8>, Box<dyn std::error::Error + Send + Sync>> {
        let mut encoded = match &self.encoder {
            Some(Encoder::Blosc(encoder)) => encoder.encode(voxels, &mut scratch.blosc)?,
            Some(Encoder::Packed(encoder)) => {
                encoder.encode(voxels, self.chunk, &mut scratch.packed)?
            }
            None => {
                let bytes = ArrayBytes::new_flen(voxels);
                let (shape, fill) = (&self.full_shape, &self.fill);
                self.chain.encode(bytes, shape, &self.data_type, fill, &options())?.into_owned()
            }
        };
        encoded.extend(crc32c::crc32c(&encoded).to_le_bytes());
        // Many wait for their shard to be written.
        encoded.shrink_to_fit();
        Ok(encoded)
    }

    /// Decodes a part of a chunk whose checksum has been verified and taken off: by our own
    /// decoder, or by zarrs.
    pub(super) fn decode(
        &self,
        encoded: &[u8],
        part: &Part,
        target: &mut Target<'_>,
        scratch: &mut Scratch,
    ) -> Result<(), String> {
        if let Some(decoder) = &self.decoder {
            return decoder.decode(encoded, part, target, scratch);
        }
        // c-blosc allocates what the container says.
        let says = encoded.get(4..8).map(|n| u32::from_le_bytes(n.try_into().expect("4 bytes")));
        if self.is_blosc && says.is_none_or(|n| n as usize != self.chunk_bytes) {
            return Err(format!("blosc: not a container of {} bytes", self.chunk_bytes));
        }
        let decoded = self
            .chain
            .decode(encoded.into(), &self.full_shape, &self.data_type, &self.fill, &options())
            .and_then(|bytes| bytes.into_fixed().map_err(Into::into))
            .map_err(|e| e.to_string())?;
        decode::plain(&decoded, part, target, scratch)
    }
}

fn options() -> CodecOptions {
    // Parallel work is over chunks, in our own pool.
    CodecOptions::default().with_concurrent_target(1).with_chunk_concurrent_minimum(1)
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

/// The chains that are encoded here. Both take voxels as they are in memory, so they must be
/// little-endian there.
#[derive(Debug)]
enum Encoder {
    Blosc(BloscEncoder),
    Packed(packed::Encoder),
}

/// What a task keeps between the chunks that it encodes.
#[derive(Default)]
pub(crate) struct EncodeScratch {
    blosc: encode::EncodeScratch,
    packed: packed::EncodeScratch,
}

/// Our own encoder of a chain as [`chain_of`] makes it.
fn encoder_of(chain: &[Value], dtype: Dtype) -> Option<Encoder> {
    if cfg!(target_endian = "big") {
        return None;
    }
    if let [packed, _] = chain
        && packed["name"] == packed::NAME
    {
        let setting: PackedConfiguration =
            serde_json::from_value(packed["configuration"].clone()).ok()?;
        return Some(Encoder::Packed(packed::Encoder { dtype, key_every: setting.key_every }));
    }
    let [_, blosc, _] = chain else { return None };
    let setting = &blosc["configuration"];
    let compressor = match setting["cname"].as_str()? {
        "lz4" => BloscCompressor::Lz4,
        "lz4hc" => BloscCompressor::Lz4hc,
        "zstd" => BloscCompressor::Zstd,
        _ => return None,
    };
    let level = setting["clevel"].as_u64()?.try_into().ok()?;
    let block = setting["blocksize"].as_u64()?.try_into().ok()?;
    Some(Encoder::Blosc(BloscEncoder { compressor, level, item: dtype.size(), block }))
}

/// What decoders need to know of a chain `bytes, X, crc32c` with at most one compressor X, or of
/// `packed, crc32c`; `None` for any other chain. Those are not opened: their chunks may have no
/// checksum, or no bound on what they inflate to.
fn specs_of(chain: &[Value], dtype: Dtype) -> Option<Vec<CodecSpec<'_>>> {
    fn name(codec: &Value) -> Option<&str> {
        codec.get("name")?.as_str()
    }
    let [first, middle @ .., last] = chain else { return None };
    if name(first)? == packed::NAME {
        let is_ours = middle.is_empty() && name(last)? == "crc32c";
        return is_ours.then(|| vec![CodecSpec::Packed]);
    }
    let item = dtype.size();
    let little = first["configuration"]["endian"] == "little" || item == 1;
    if name(first)? != "bytes" || name(last)? != "crc32c" || !little {
        return None;
    }
    let spec = |codec| {
        Some(match name(codec)? {
            "zstd" => CodecSpec::Zstd,
            "gzip" => CodecSpec::Gzip,
            "blosc" => {
                let setting = &codec["configuration"];
                CodecSpec::Blosc {
                    cname: setting["cname"].as_str()?,
                    shuffle: setting["shuffle"].as_str()?,
                    typesize: setting["typesize"].as_u64().and_then(|n| n.try_into().ok()),
                }
            }
            _ => return None,
        })
    };
    middle.iter().map(spec).collect::<Option<Vec<_>>>().filter(|specs| specs.len() <= 1)
}
