//! Which chains are understood, and what is said of others.

use serde_json::{Value, json};

use crate::Dtype;
use crate::codec::{ChunkDecoder, decoder_of};

fn bytes() -> Value {
    json!({"name": "bytes", "configuration": {"endian": "little"}})
}

fn blosc(cname: &str, shuffle: &str, typesize: Option<u64>) -> Value {
    json!({"name": "blosc", "configuration": {
        "cname": cname, "clevel": 5, "shuffle": shuffle, "typesize": typesize, "blocksize": 0,
    }})
}

fn sealed(chain: &[Value]) -> Vec<Value> {
    [chain, &[json!({"name": "crc32c"})]].concat()
}

#[test]
fn chains_that_are_written_are_understood() {
    let zstd = json!({"name": "zstd", "configuration": {"level": 3, "checksum": true}});
    let gzip = json!({"name": "gzip", "configuration": {"level": 6}});
    let packed = json!({"name": "voxpatch.packed", "configuration": {"key_every": 255}});
    for (chain, decoder) in [
        (vec![bytes()], ChunkDecoder::Plain),
        (vec![bytes(), zstd], ChunkDecoder::Zstd),
        (vec![bytes(), gzip], ChunkDecoder::Gzip),
        (vec![bytes(), blosc("lz4", "shuffle", Some(2))], ChunkDecoder::Blosc),
        (vec![bytes(), blosc("lz4hc", "noshuffle", None)], ChunkDecoder::Blosc),
        (vec![bytes(), blosc("zstd", "shuffle", Some(255))], ChunkDecoder::Blosc),
        (vec![packed], ChunkDecoder::Packed),
    ] {
        assert_eq!(decoder_of(&sealed(&chain), Dtype::Int16), Ok(decoder), "{chain:?}");
    }
    let without_order = sealed(&[json!({"name": "bytes"})]);
    assert_eq!(decoder_of(&without_order, Dtype::Int8), Ok(ChunkDecoder::Plain));
}

#[test]
fn other_chains_are_refused_by_the_name_of_the_codec() {
    let packed = |every: Value| json!({"name": "voxpatch.packed", "configuration": every});
    let sound = packed(json!({"key_every": 2}));
    let gzip = json!({"name": "gzip", "configuration": {"level": 6}});
    let big = json!({"name": "bytes", "configuration": {"endian": "big"}});
    for (chain, said) in [
        (sealed(&[bytes(), blosc("blosclz", "shuffle", Some(2))]), "compressor \"blosclz\""),
        (sealed(&[bytes(), blosc("zlib", "shuffle", Some(2))]), "compressor \"zlib\""),
        (sealed(&[bytes(), blosc("snappy", "noshuffle", None)]), "compressor \"snappy\""),
        (sealed(&[bytes(), blosc("lz4", "bitshuffle", Some(2))]), "shuffle \"bitshuffle\""),
        (sealed(&[bytes(), blosc("lz4", "shuffle", None)]), "elements of null bytes"),
        (sealed(&[bytes(), blosc("lz4", "shuffle", Some(0))]), "elements of 0 bytes"),
        (sealed(&[bytes(), json!({"name": "bz2"})]), "stored by \"bz2\""),
        (sealed(&[bytes(), json!({"name": ["zstd"]})]), "stored by [\"zstd\"]"),
        (sealed(&[bytes(), gzip.clone(), gzip.clone()]), "\"gzip\" behind other codecs"),
        (sealed(&[bytes(), sound.clone()]), "stored by \"voxpatch.packed\""),
        (sealed(&[sound.clone(), gzip.clone()]), "\"gzip\" behind other codecs"),
        (sealed(&[packed(json!({"key_every": 256}))]), "configuration of voxpatch.packed"),
        (sealed(&[packed(json!({"key_every": 1, "x": 1}))]), "configuration of voxpatch.packed"),
        (sealed(&[json!({"name": "voxpatch.packed"})]), "configuration of voxpatch.packed"),
        (sealed(std::slice::from_ref(&gzip)), "\"gzip\" as the first codec"),
        (sealed(&[big]), "not little-endian"),
        (sealed(&[json!({"name": "bytes"})]), "not little-endian"),
        (sealed(&[json!(7)]), "7 as the first codec"),
        (vec![bytes(), gzip], "\"gzip\" as the last codec"),
        (vec![sound], "fewer than two codecs"),
        (vec![], "fewer than two codecs"),
    ] {
        let refusal = decoder_of(&chain, Dtype::Int16).expect_err("another chain");
        assert!(refusal.contains(said), "{chain:?}: {refusal}");
    }
    let packed = sealed(&[packed(json!({"key_every": 1}))]);
    let refusal = decoder_of(&packed, Dtype::Float32).expect_err("a float");
    assert!(refusal.contains("float32") && refusal.contains("use blosc or zstd"), "{refusal}");
}
