//! The codecs of a chunk as they stand in `zarr.json`.

use serde_json::{Value, json};

use super::decode::ChunkDecoder;
use super::packed::{self, Configuration};
use crate::Dtype;
use crate::layout::{BloscCompressor, ChunkLayout, Codec};

/// The chain that chunks of a layout are written by.
pub(crate) fn chain_of(layout: &ChunkLayout, dtype: Dtype) -> Vec<Value> {
    let item = dtype.size();
    if let Codec::Packed { key_every } = layout.codec {
        let packed = json!({"name": packed::NAME, "configuration": Configuration { key_every }});
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

/// What decodes chunks of a chain as [`chain_of`] writes them, or why they are not decoded. Other
/// chains are refused, as their chunks may have no checksum, or no bound on what they inflate to.
pub(crate) fn decoder_of(chain: &[Value], dtype: Dtype) -> Result<ChunkDecoder, String> {
    check_machine(dtype)?;
    let Some((last, [first, middle @ ..])) = chain.split_last() else {
        return Err(other_than_ours("fewer than two codecs"));
    };
    if name(last) != "crc32c" {
        return Err(other_than_ours(&format!("{} as the last codec", shown(last))));
    }
    match (name(first), middle) {
        (packed::NAME, []) if !packed::Encoder::takes(dtype) => Err(packed::not_taken(dtype)),
        (packed::NAME, []) => serde_json::from_value::<Configuration>(configuration(first).clone())
            .map(|_| ChunkDecoder::Packed)
            .map_err(|e| format!("the configuration of {}: {e}", packed::NAME)),
        ("bytes", _) if dtype.size() > 1 && configuration(first)["endian"] != "little" => {
            Err(other_than_ours("bytes that are not little-endian"))
        }
        ("bytes", []) => Ok(ChunkDecoder::Plain),
        ("bytes", [codec]) => match name(codec) {
            "zstd" => Ok(ChunkDecoder::Zstd),
            "gzip" => Ok(ChunkDecoder::Gzip),
            "blosc" => check_blosc(configuration(codec)).map(|()| ChunkDecoder::Blosc),
            _ => Err(other_than_ours(&shown(codec))),
        },
        ("bytes" | packed::NAME, [.., codec]) => {
            Err(other_than_ours(&format!("{} behind other codecs", shown(codec))))
        }
        _ => Err(other_than_ours(&format!("{} as the first codec", shown(first)))),
    }
}

/// The compressors and the filters that are read.
fn check_blosc(setting: &Value) -> Result<(), String> {
    let [compressor, filter] = ["cname", "shuffle"].map(|key| setting[key].as_str().unwrap_or(""));
    if !matches!(compressor, "lz4" | "lz4hc" | "zstd") {
        return Err(other_than_ours(&format!("blosc with the compressor {}", setting["cname"])));
    }
    match filter {
        "noshuffle" => Ok(()),
        "shuffle" if setting["typesize"].as_u64().is_some_and(|n| (1..=255).contains(&n)) => Ok(()),
        "shuffle" => Err(format!("blosc shuffles elements of {} bytes", setting["typesize"])),
        _ => Err(other_than_ours(&format!("blosc with the shuffle {}", setting["shuffle"]))),
    }
}

/// Voxels are little-endian in chunks, and nothing here turns their bytes around.
pub(super) fn check_machine(dtype: Dtype) -> Result<(), String> {
    if cfg!(target_endian = "big") && dtype.size() > 1 {
        return Err(format!(
            "this machine is big-endian, where voxels of {dtype} are neither read nor written: use \
             a little-endian one"
        ));
    }
    Ok(())
}

fn name(codec: &Value) -> &str {
    codec["name"].as_str().unwrap_or("")
}

fn configuration(codec: &Value) -> &Value {
    &codec["configuration"]
}

/// A codec's name, as it stands in the document.
fn shown(codec: &Value) -> String {
    codec.get("name").unwrap_or(codec).to_string()
}

fn other_than_ours(found: &str) -> String {
    format!(
        "its chunks are stored by {found}, which voxpatch neither writes nor reads: it has bytes \
         (little), then blosc (lz4, lz4hc or zstd, with the byte shuffle or none), zstd, gzip or \
         nothing, then crc32c; or voxpatch.packed, then crc32c. Convert the scan again"
    )
}
