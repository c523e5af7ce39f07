//! Decoders against slicing the dense array, and against damaged bytes.

use std::borrow::Cow;

use proptest::prelude::*;
use zarrs::array::codec::api::{BytesToBytesCodecTraits, CodecOptions};
use zarrs::array::codec::{BloscCodec, BloscCompressor, BloscShuffleMode, GzipCodec, ZstdCodec};

use super::*;
use crate::widening::Widening;
use crate::{Dtype, Element, Scaling, with_element};

#[derive(Debug, Clone, Copy)]
enum Written {
    Blosc { cname: &'static str, level: u8, shuffle: bool, typesize: usize, block: usize },
    Zstd(i32),
    Gzip(u32),
    Packed(u8),
    Plain,
}

impl Written {
    fn encode(self, dense: &[u8], chunk: [usize; 3], dtype: Dtype) -> Vec<u8> {
        let codec: Box<dyn BytesToBytesCodecTraits> = match self {
            Self::Blosc { cname, level, shuffle, typesize, block } => {
                let compressor = match cname {
                    "lz4" => BloscCompressor::LZ4,
                    "lz4hc" => BloscCompressor::LZ4HC,
                    _ => BloscCompressor::Zstd,
                };
                let shuffle =
                    if shuffle { BloscShuffleMode::Shuffle } else { BloscShuffleMode::NoShuffle };
                let level = level.try_into().expect("0 to 9");
                Box::new(
                    BloscCodec::new(compressor, level, Some(block), shuffle, Some(typesize))
                        .expect("a valid configuration"),
                )
            }
            Self::Zstd(level) => Box::new(ZstdCodec::new(level, level % 2 == 0)),
            Self::Gzip(level) => Box::new(GzipCodec::new(level).expect("0 to 9")),
            Self::Packed(key_every) => {
                return crate::packed::encode(dense, chunk, dtype, key_every).expect("integers");
            }
            Self::Plain => return dense.to_vec(),
        };
        let encoded = codec.encode(Cow::Borrowed(dense), &CodecOptions::default());
        encoded.expect("zarrs encodes").into_owned()
    }

    fn decoder(self, item: usize) -> Box<dyn Decoder> {
        let spec = match self {
            Self::Blosc { cname, shuffle, typesize, .. } => CodecSpec::Blosc {
                cname,
                shuffle: if shuffle { "shuffle" } else { "noshuffle" },
                typesize: Some(typesize),
            },
            Self::Zstd(_) => CodecSpec::Zstd,
            Self::Gzip(_) => CodecSpec::Gzip,
            Self::Packed(_) => CodecSpec::Packed,
            Self::Plain => return decoder_for(&[], item).expect("supported"),
        };
        decoder_for(&[spec], item).expect("supported")
    }
}

/// A chunk, the part wanted of it, and how the destination lies around that part.
#[derive(Debug, Clone)]
struct Case {
    dense: Vec<u8>,
    part: Part,
    dtype: Dtype,
    /// Bytes before the part, between its rows and between its planes.
    gaps: [usize; 3],
    written: Written,
}

impl Case {
    /// The destination before decoding: offset, plane, row and the buffer's length, for voxels of
    /// `out` bytes.
    fn layout(&self, out: usize) -> [usize; 4] {
        let row = self.part.shape[2] * out + self.gaps[1];
        let plane = row * self.part.shape[1] + self.gaps[2];
        [self.gaps[0], plane, row, self.gaps[0] + plane * self.part.shape[0]]
    }

    fn encode(&self) -> Vec<u8> {
        self.written.encode(&self.dense, self.part.chunk, self.dtype)
    }

    fn decode(
        &self,
        encoded: &[u8],
        rows: Rows,
        scratch: &mut Scratch,
    ) -> Result<Vec<u8>, Refusal> {
        let [offset, plane, row, length] = self.layout(rows.item(self.part.item));
        let mut bytes = vec![0xAA; length];
        let mut target = Target { bytes: &mut bytes, offset, plane, row, rows };
        self.written.decoder(self.part.item).decode(encoded, &self.part, &mut target, scratch)?;
        Ok(bytes)
    }

    /// The same by slicing the dense chunk, voxel by voxel.
    fn oracle(&self, dense: &[u8], rows: Rows) -> Vec<u8> {
        let Part { chunk, start, shape, item } = self.part;
        let out = rows.item(item);
        let [offset, plane, row, length] = self.layout(out);
        let mut bytes = vec![0xAA; length];
        for z in 0..shape[0] {
            for y in 0..shape[1] {
                for x in 0..shape[2] {
                    let at = ((start[0] + z) * chunk[1] + start[1] + y) * chunk[2] + start[2] + x;
                    let voxel = &dense[at * item..][..item];
                    let to = &mut bytes[offset + z * plane + y * row + x * out..][..out];
                    match rows {
                        Rows::Copy => to.copy_from_slice(voxel),
                        // No narrow type has values beyond those of f64.
                        Rows::Widen(Widening { from, to: wide, .. }) => {
                            let value = value_of(*from, voxel);
                            with_element!(*wide, T => {
                                to.copy_from_slice(bytemuck::bytes_of(&T::from_f64(value)));
                            });
                        }
                        Rows::ToF32 { dtype, scaling } => {
                            let value = value_of(dtype, voxel);
                            let value = value * scaling.slope + scaling.intercept;
                            #[allow(clippy::cast_possible_truncation)]
                            to.copy_from_slice(&(value as f32).to_ne_bytes());
                        }
                    }
                }
            }
        }
        bytes
    }
}

fn value_of(dtype: Dtype, voxel: &[u8]) -> f64 {
    with_element!(dtype, T => bytemuck::pod_read_unaligned::<T>(voxel).to_f64())
}

/// Voxels from empty to noise, so that some pieces are compressed and some stored.
fn voxels_like(kind: u8, item: usize, count: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let mut noise = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let voxel = |i: usize, random: u64| match kind {
        0 => 0,
        1 => (i as u64 / 7) % 300,
        2 => 1000 + random % 64,
        3 => (i as u64 * 3) ^ (random & 0xFF),
        _ => random,
    };
    (0..count).flat_map(|i| voxel(i, noise()).to_le_bytes()[..item].to_vec()).collect()
}

fn axis(most: usize) -> impl Strategy<Value = [usize; 3]> {
    (1..=most).prop_flat_map(|n| (Just(n), 0..n)).prop_flat_map(|(n, start)| {
        prop_oneof![Just([n, 0, n]), (1..=n - start).prop_map(move |count| [n, start, count])]
    })
}

fn blosc(item: usize) -> impl Strategy<Value = Written> {
    let typesize = prop_oneof![4 => Just(item), 1 => 1..20_usize];
    let block = prop_oneof![Just(0_usize), 1..5000_usize, Just(16 << 10), Just(70_000)];
    let cname = prop_oneof![Just("lz4"), Just("lz4hc"), Just("zstd")];
    (cname, 0..=9_u8, any::<bool>(), typesize, block).prop_map(
        |(cname, level, shuffle, typesize, block)| {
            // The highest levels of zstd take long, and decode like the others.
            let level = if cname == "zstd" { level.min(6) } else { level };
            Written::Blosc { cname, level, shuffle, typesize, block }
        },
    )
}

fn case() -> impl Strategy<Value = Case> {
    let chunk = prop_oneof![(axis(9), axis(9), axis(40)), (axis(24), axis(40), axis(70))];
    (chunk, prop::sample::select(Dtype::ALL.to_vec()), any::<u64>(), 0..5_u8).prop_flat_map(
        |((z, y, x), dtype, seed, kind)| {
            let item = dtype.size();
            let [chunk, start, shape] = [0, 1, 2].map(|i| [z[i], y[i], x[i]]);
            let part = Part { chunk, start, shape, item };
            let packs = crate::packed::Encoder::takes(dtype);
            let packed = any::<u8>().prop_map(move |keys| match keys {
                _ if !packs => Written::Plain,
                keys => Written::Packed(keys % 5),
            });
            let written = prop_oneof![
                6 => blosc(item),
                4 => packed,
                1 => (0..6).prop_map(Written::Zstd),
                1 => (0..=9_u32).prop_map(Written::Gzip),
                1 => Just(Written::Plain),
            ];
            let gaps = prop_oneof![Just([0; 3]), prop::array::uniform3(0..50_usize)];
            let count = chunk.iter().product();
            (Just(voxels_like(kind, item, count, seed)), written, gaps)
                .prop_map(move |(dense, written, gaps)| Case { dense, part, dtype, gaps, written })
        },
    )
}

fn scaled(dtype: Dtype) -> Rows {
    Rows::ToF32 { dtype, scaling: Scaling { slope: 0.37, intercept: -1024.5 } }
}

fn same(a: &[u8], b: &[u8], rows: Rows) -> bool {
    // Random floats may be NaN; its payload is not promised by a conversion.
    a == b
        || (matches!(rows, Rows::ToF32 { .. })
            && a.as_chunks().0.iter().zip(b.as_chunks().0).all(|(a, b)| {
                a == b || (f32::from_ne_bytes(*a).is_nan() && f32::from_ne_bytes(*b).is_nan())
            }))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_decoded_part_is_a_slice_of_the_array_and_nothing_else_is_written(case in case()) {
        let encoded = case.encode();
        let mut scratch = Scratch::default();
        let bytes = case.decode(&encoded, Rows::Copy, &mut scratch);
        prop_assert!(bytes == Ok(case.oracle(&case.dense, Rows::Copy)));
    }

    #[test]
    fn converted_rows_are_the_scaled_slice_of_the_array(mut case in case()) {
        case.gaps = case.gaps.map(|gap| gap / 4 * 4);
        let rows = scaled(case.dtype);
        let encoded = case.encode();
        let bytes = case.decode(&encoded, rows, &mut Scratch::default()).expect("sound bytes");
        prop_assert!(same(&bytes, &case.oracle(&case.dense, rows), rows));
    }

    #[test]
    fn widened_rows_are_the_slice_of_the_array_in_the_wider_type(
        mut case in case(),
        wide in prop::sample::select(Dtype::ALL.to_vec()),
    ) {
        let Some(widening) = Widening::between(case.dtype, wide) else { return Ok(()) };
        case.gaps = case.gaps.map(|gap| gap / wide.size() * wide.size());
        let rows = Rows::Widen(widening);
        let encoded = case.encode();
        let bytes = case.decode(&encoded, rows, &mut Scratch::default());
        prop_assert!(bytes == Ok(case.oracle(&case.dense, rows)));
    }

    #[test]
    fn zeros_are_filled_in_as_an_empty_chunk_would_decode(case in case(), convert: bool) {
        let wider = Dtype::ALL.into_iter().filter_map(|to| Widening::between(case.dtype, to));
        let rows = if convert { scaled(case.dtype) } else { Rows::Copy };
        for rows in wider.map(Rows::Widen).chain([rows]) {
        let [offset, plane, row, length] = case.layout(rows.item(case.part.item));
        let mut bytes = vec![0xAA; length];
        Target { bytes: &mut bytes, offset, plane, row, rows }.fill_zero(&case.part);
        prop_assert!(bytes == case.oracle(&vec![0; case.dense.len()], rows));
        }
    }

    #[test]
    fn damaged_chunks_give_an_error_or_voxels(
        case in case(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut encoded = case.encode();
        for (at, byte) in damage {
            let length = encoded.len();
            // Half of the damage goes where the container's own numbers are.
            let at = if byte % 2 == 0 { at.index(length.min(64)) } else { at.index(length) };
            encoded[at] = byte;
        }
        if let Some(cut) = cut {
            encoded.truncate(cut.index(encoded.len()));
        }
        let mut scratch = Scratch::default();
        let _ = case.decode(&encoded, Rows::Copy, &mut scratch);
        let _ = case.decode(&encoded, scaled(case.dtype), &mut scratch);
        prop_assert!(scratch.packed.len() <= case.dense.len());
        prop_assert!(scratch.chunk.len() <= case.dense.len());
        // The scratch is still good for a sound chunk.
        let sound = case.encode();
        let bytes = case.decode(&sound, Rows::Copy, &mut scratch);
        prop_assert!(bytes == Ok(case.oracle(&case.dense, Rows::Copy)));
    }
}

fn small_cases() -> Vec<Case> {
    let blosc = |cname, shuffle, typesize, block| {
        let level = 5;
        Written::Blosc { cname, level, shuffle, typesize, block }
    };
    let all = [
        blosc("lz4", true, 2, 0),
        blosc("lz4", true, 2, 200),
        blosc("lz4", false, 2, 0),
        blosc("lz4hc", true, 3, 0),
        blosc("lz4hc", true, 2, 128),
        blosc("zstd", true, 2, 256),
        blosc("zstd", false, 1, 129),
        Written::Zstd(3),
        Written::Gzip(6),
        Written::Packed(0),
        Written::Packed(2),
        Written::Plain,
    ];
    let part = Part { chunk: [5, 6, 20], start: [1, 1, 2], shape: [4, 4, 17], item: 2 };
    all.map(|written| Case {
        dense: voxels_like(1, 2, 600, 7),
        part,
        dtype: Dtype::Int16,
        gaps: [3, 0, 5],
        written,
    })
    .to_vec()
}

#[test]
fn no_single_changed_byte_makes_a_decoder_panic() {
    let mut scratch = Scratch::default();
    for case in small_cases() {
        let sound = case.encode();
        for at in 0..sound.len() {
            for flip in [1, 2, 4, 8, 16, 32, 64, 128, 255] {
                let mut encoded = sound.clone();
                encoded[at] ^= flip;
                let _ = case.decode(&encoded, Rows::Copy, &mut scratch);
            }
        }
    }
}

#[test]
fn a_chunk_cut_at_any_length_is_refused() {
    let mut scratch = Scratch::default();
    for case in small_cases() {
        let sound = case.encode();
        for length in 0..sound.len() {
            let cut = case.decode(&sound[..length], Rows::Copy, &mut scratch);
            assert!(cut.is_err(), "{:?} cut to {length} bytes", case.written);
        }
    }
}

#[test]
fn a_container_that_claims_another_size_is_refused_without_buffers_for_it() {
    for mut case in small_cases() {
        let encoded = case.encode();
        case.part.chunk[0] += 1;
        let mut scratch = Scratch::default();
        assert!(case.decode(&encoded, Rows::Copy, &mut scratch).is_err(), "{:?}", case.written);
        assert!(scratch.packed.len() + scratch.chunk.len() <= 6 * 6 * 20 * 2);
    }
}

#[test]
fn a_warm_scratch_does_not_grow() {
    let mut scratch = Scratch::default();
    let cases: Vec<_> = small_cases().into_iter().map(|case| (case.encode(), case)).collect();
    let mut sizes = Vec::new();
    for _ in 0..3 {
        for (encoded, case) in &cases {
            case.decode(encoded, scaled(case.dtype), &mut scratch).expect("sound bytes");
        }
        let Scratch { packed, chunk, row, .. } = &scratch;
        sizes.push([packed, chunk, row].map(|buffer| (buffer.as_ptr(), buffer.capacity())));
    }
    assert!(sizes.windows(2).all(|pair| pair[0] == pair[1]));
}

#[test]
fn gzip_members_with_every_optional_field_are_read() {
    let dense = voxels_like(1, 2, 600, 7);
    let mut header = flate2::GzBuilder::new().filename("name").comment("comment");
    header = header.extra(vec![1, 0, 0]).mtime(5);
    let mut encoder = header.write(Vec::new(), flate2::Compression::default());
    std::io::Write::write_all(&mut encoder, &dense).expect("memory");
    let mut encoded = encoder.finish().expect("memory");
    let mut out = vec![0; dense.len()];
    gzip::gzip_exact(&mut None, &encoded, &mut out).expect("sound bytes");
    assert_eq!(out, dense);
    // The trailer is the checksum and the length.
    for at in 1..=8 {
        let byte = encoded.len() - at;
        encoded[byte] ^= 1;
        assert!(gzip::gzip_exact(&mut None, &encoded, &mut out).is_err());
        encoded[byte] ^= 1;
    }
}

#[test]
fn other_codecs_are_left_to_the_general_library() {
    let blosc = |cname, shuffle, typesize| CodecSpec::Blosc { cname, shuffle, typesize };
    let supported = [
        blosc("lz4", "shuffle", Some(2)),
        blosc("lz4hc", "noshuffle", None),
        blosc("zstd", "shuffle", Some(4)),
    ];
    let others = [
        blosc("blosclz", "shuffle", Some(2)),
        blosc("zlib", "shuffle", Some(2)),
        blosc("snappy", "noshuffle", None),
        blosc("lz4", "bitshuffle", Some(2)),
        blosc("lz4", "shuffle", None),
        blosc("lz4", "shuffle", Some(0)),
    ];
    assert!(supported.iter().all(|codec| decoder_for(&[*codec], 2).is_some()));
    assert!(others.iter().all(|codec| decoder_for(&[*codec], 2).is_none()));
    assert!(decoder_for(&[CodecSpec::Zstd, CodecSpec::Gzip], 2).is_none());
    assert!(decoder_for(&[], 3).is_none());
}
