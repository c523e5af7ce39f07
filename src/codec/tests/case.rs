//! A chunk, what is wanted of it, and what that must be.

use std::borrow::Cow;

use proptest::prelude::*;
use zarrs::array::codec::api::{BytesToBytesCodecTraits, CodecOptions};
use zarrs::array::codec::{BloscCodec, BloscCompressor, BloscShuffleMode, GzipCodec, ZstdCodec};

use crate::codec::refusal::Refusal;
use crate::codec::{Cast, ChunkDecoder, Part, Real, Rows, Scratch, Target, packed, signed};
use crate::normalise::Normalise;
use crate::widening::Widening;
use crate::{Dtype, Element, Scaling, with_element};

/// What is made of the voxels.
#[derive(Debug, Clone, Copy)]
pub(super) enum To {
    Copy,
    Widen(&'static Widening),
    Cast(Dtype),
    F32(Real),
}

impl To {
    fn rows(self, dtype: Dtype) -> Rows {
        match self {
            Self::Copy => Rows::Copy,
            Self::Widen(widening) => Rows::Widen(widening),
            Self::Cast(to) => Rows::Cast(Cast::between(dtype, to)),
            Self::F32(real) => Rows::ToF32 { dtype, real },
        }
    }

    pub(super) fn dtype(self, stored: Dtype) -> Dtype {
        match self {
            Self::Copy => stored,
            Self::Widen(widening) => widening.to,
            Self::Cast(to) => to,
            Self::F32(_) => Dtype::Float32,
        }
    }
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Written {
    Blosc { cname: &'static str, level: u8, shuffle: bool, typesize: usize, block: usize },
    Zstd(i32),
    Gzip(u32),
    Packed(u8),
    Plain,
}

impl Written {
    pub(super) fn encode(self, dense: &[u8], chunk: [usize; 3], dtype: Dtype) -> Vec<u8> {
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
                return packed::encode(dense, chunk, dtype, key_every).expect("integers");
            }
            Self::Plain => return dense.to_vec(),
        };
        let encoded = codec.encode(Cow::Borrowed(dense), &CodecOptions::default());
        encoded.expect("zarrs encodes").into_owned()
    }

    pub(super) fn decoder(self) -> ChunkDecoder {
        match self {
            Self::Blosc { .. } => ChunkDecoder::Blosc,
            Self::Zstd(_) => ChunkDecoder::Zstd,
            Self::Gzip(_) => ChunkDecoder::Gzip,
            Self::Packed(_) => ChunkDecoder::Packed,
            Self::Plain => ChunkDecoder::Plain,
        }
    }
}

/// A chunk, the part wanted of it, and how the destination lies around that part.
#[derive(Debug, Clone)]
pub(super) struct Case {
    pub(super) dense: Vec<u8>,
    pub(super) part: Part,
    pub(super) dtype: Dtype,
    /// Bytes before the part, between its rows and between its planes.
    pub(super) gaps: [usize; 3],
    /// Axes along which the destination is mirrored.
    pub(super) flips: [bool; 3],
    pub(super) written: Written,
}

impl Case {
    /// The destination before decoding: offset, plane, row and the buffer's length, for voxels of
    /// `out` bytes.
    pub(super) fn layout(&self, out: usize) -> [usize; 4] {
        let row = self.part.shape[2] * out + self.gaps[1];
        let plane = row * self.part.shape[1] + self.gaps[2];
        [self.gaps[0], plane, row, self.gaps[0] + plane * self.part.shape[0]]
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        self.written.encode(&self.dense, self.part.chunk, self.dtype)
    }

    pub(super) fn decode(
        &self,
        encoded: &[u8],
        to: To,
        scratch: &mut Scratch,
    ) -> Result<Vec<u8>, Refusal> {
        self.fill(to, |target| self.written.decoder().decode(encoded, &self.part, target, scratch))
    }

    /// The whole buffer, after `fill` has filled its target.
    pub(super) fn fill(
        &self,
        to: To,
        fill: impl FnOnce(&mut Target<'_>) -> Result<(), Refusal>,
    ) -> Result<Vec<u8>, Refusal> {
        let item = to.dtype(self.dtype).size();
        let [mut offset, plane, row, length] = self.layout(item);
        let mut strides = [plane, row, item].map(signed);
        for a in 0..3 {
            if self.flips[a] {
                offset += [plane, row, item][a] * (self.part.shape[a] - 1);
                strides[a] = -strides[a];
            }
        }
        let mut bytes = vec![0xAA; length];
        let rows = to.rows(self.dtype);
        fill(&mut Target { bytes: &mut bytes, offset, strides, rows })?;
        Ok(bytes)
    }

    /// The same by slicing the dense chunk, voxel by voxel.
    pub(super) fn oracle(&self, dense: &[u8], to: To) -> Vec<u8> {
        let Part { chunk, start, shape, item } = self.part;
        let out = to.dtype(self.dtype);
        let [offset, plane, row, length] = self.layout(out.size());
        let mut bytes = vec![0xAA; length];
        for z in 0..shape[0] {
            for y in 0..shape[1] {
                for x in 0..shape[2] {
                    let at = ((start[0] + z) * chunk[1] + start[1] + y) * chunk[2] + start[2] + x;
                    let voxel = &dense[at * item..][..item];
                    let place = [z, y, x];
                    let [z, y, x]: [usize; 3] = std::array::from_fn(|a| {
                        if self.flips[a] { shape[a] - 1 - place[a] } else { place[a] }
                    });
                    let into = &mut bytes[offset + z * plane + y * row + x * out.size()..];
                    let into = &mut into[..out.size()];
                    let value = value_of(self.dtype, voxel);
                    match to {
                        To::Copy => into.copy_from_slice(voxel),
                        To::Cast(_) if self.dtype.is_integer() && out.is_integer() => {
                            // What fits is the same number; else the nearest is the end of the type.
                            let value = integer_of(self.dtype, voxel);
                            with_element!(out, T => {
                                let [least, most] = [f64::MIN, f64::MAX].map(<T as Element>::from_f64);
                                let nearest = match value {
                                    v if v < integer(least) => least,
                                    v if v > integer(most) => most,
                                    v => T::from_integer(v),
                                };
                                into.copy_from_slice(bytemuck::bytes_of(&nearest));
                            });
                        }
                        To::Cast(Dtype::Float32) => with_element!(self.dtype, T => {
                            let value = bytemuck::pod_read_unaligned::<T>(voxel).to_f32();
                            into.copy_from_slice(&value.to_ne_bytes());
                        }),
                        // No narrow type has values beyond those of f64.
                        To::Cast(_) | To::Widen(_) => with_element!(out, T => {
                            into.copy_from_slice(bytemuck::bytes_of(&<T as Element>::from_f64(value)));
                        }),
                        To::F32(Real { scaling, normalise }) => {
                            let mut value = value * scaling.slope + scaling.intercept;
                            if let Some(Normalise { clip, mean, std }) = normalise {
                                let (low, high) = clip.unwrap_or((f64::MIN, f64::MAX));
                                value = (value.clamp(low, high) - mean) / std;
                            }
                            #[allow(clippy::cast_possible_truncation)]
                            into.copy_from_slice(&(value as f32).to_ne_bytes());
                        }
                    }
                }
            }
        }
        bytes
    }
}

pub(super) fn integer_of(dtype: Dtype, voxel: &[u8]) -> i128 {
    with_element!(dtype, T => integer(bytemuck::pod_read_unaligned::<T>(voxel)))
}

/// By its digits.
pub(super) fn integer<T: Element>(voxel: T) -> i128 {
    format!("{voxel:?}").parse().expect("an integer")
}

pub(super) fn value_of(dtype: Dtype, voxel: &[u8]) -> f64 {
    with_element!(dtype, T => bytemuck::pod_read_unaligned::<T>(voxel).to_f64())
}

/// Voxels from empty to noise, so that some pieces are compressed and some stored.
pub(super) fn voxels_like(kind: u8, item: usize, count: usize, seed: u64) -> Vec<u8> {
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

pub(super) fn axis(most: usize) -> impl Strategy<Value = [usize; 3]> {
    (1..=most).prop_flat_map(|n| (Just(n), 0..n)).prop_flat_map(|(n, start)| {
        prop_oneof![Just([n, 0, n]), (1..=n - start).prop_map(move |count| [n, start, count])]
    })
}

pub(super) fn blosc(item: usize) -> impl Strategy<Value = Written> {
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

pub(super) fn case() -> impl Strategy<Value = Case> {
    let chunk = prop_oneof![(axis(9), axis(9), axis(40)), (axis(24), axis(40), axis(70))];
    (chunk, prop::sample::select(Dtype::ALL.to_vec()), any::<u64>(), 0..5_u8).prop_flat_map(
        |((z, y, x), dtype, seed, kind)| {
            let item = dtype.size();
            let [chunk, start, shape] = [0, 1, 2].map(|i| [z[i], y[i], x[i]]);
            let part = Part { chunk, start, shape, item };
            let packs = packed::Encoder::takes(dtype);
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
            let flips = prop_oneof![Just([false; 3]), prop::array::uniform3(any::<bool>())];
            let count = chunk.iter().product();
            (Just(voxels_like(kind, item, count, seed)), written, gaps, flips).prop_map(
                move |(dense, written, gaps, flips)| Case {
                    dense,
                    part,
                    dtype,
                    gaps,
                    flips,
                    written,
                },
            )
        },
    )
}

pub(super) fn conversions() -> impl Strategy<Value = To> {
    let clip = prop::option::of((-300_i32..300, 0..500_i32));
    prop_oneof![
        Just(To::Copy),
        Just(scaled()),
        prop::sample::select(Dtype::ALL.to_vec()).prop_map(To::Cast),
        clip.prop_map(|clip| normalised(clip.map(|(low, n)| (low.into(), (low + n).into())))),
    ]
}

pub(super) fn scaled() -> To {
    To::F32(Real { scaling: Scaling { slope: 0.37, intercept: -1024.5 }, normalise: None })
}

pub(super) fn normalised(clip: Option<(f64, f64)>) -> To {
    let scaling = Scaling { slope: -1.5, intercept: 100.0 };
    To::F32(Real { scaling, normalise: Some(Normalise { clip, mean: 3.25, std: 71.0 }) })
}

pub(super) fn same(a: &[u8], b: &[u8], out: Dtype) -> bool {
    // Random floats may be NaN; its payload is not promised by a conversion.
    a == b
        || with_element!(out, T => {
            let voxels = |bytes: &[u8]| -> Vec<T> {
                bytes.chunks_exact(size_of::<T>()).map(bytemuck::pod_read_unaligned).collect()
            };
            let same = |(a, b): (&T, &T)| {
                bytemuck::bytes_of(a) == bytemuck::bytes_of(b)
                    || (a.to_f64().is_nan() && b.to_f64().is_nan())
            };
            voxels(a).iter().zip(&voxels(b)).all(same)
        })
}
