//! Chunks of every shape, type and kind of content.
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "voxels wrap around by intent, and shapes are small"
)]

use proptest::prelude::*;

use super::Window;
use crate::Dtype;

/// The types that the codec takes.
pub(super) const DTYPES: [Dtype; 6] =
    [Dtype::UInt8, Dtype::Int8, Dtype::UInt16, Dtype::Int16, Dtype::UInt32, Dtype::Int32];

pub(super) const KEYS: [u8; 6] = [0, 1, 2, 3, 8, 255];

/// Lengths of axes, at and around what the codec cuts by: 4 rows, 8 and 16 columns.
const EDGES: [usize; 14] = [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 24, 31, 33];

/// A chunk, how it is to be encoded, and a box of it.
#[derive(Clone)]
pub(super) struct Case {
    pub(super) shape: [usize; 3],
    pub(super) dtype: Dtype,
    pub(super) key_every: u8,
    pub(super) window: Window,
    pub(super) content: Content,
    /// As in memory.
    pub(super) voxels: Vec<u8>,
}

impl std::fmt::Debug for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { shape, dtype, key_every, window, content, .. } = self;
        write!(f, "{content:?} of {shape:?} {dtype}, keys {key_every}, {window:?}")
    }
}

impl Case {
    /// The voxels of a box, picked one by one.
    pub(super) fn slice(&self, window: &Window) -> Vec<u8> {
        let (item, [_, rows, columns]) = (self.dtype.size(), self.shape);
        let mut out = Vec::new();
        for z in 0..window.shape[0] {
            for y in 0..window.shape[1] {
                for x in 0..window.shape[2] {
                    let [z, y, x] = [window.start[0] + z, window.start[1] + y, window.start[2] + x];
                    let at = ((z * rows + y) * columns + x) * item;
                    out.extend(&self.voxels[at..at + item]);
                }
            }
        }
        out
    }
}

/// What a chunk looks like. Values wrap around where the type is too narrow for them.
#[derive(Debug, Clone, Copy)]
pub(super) enum Content {
    Constant,
    /// By steps along z, y, x.
    Ramp([i64; 3]),
    /// Of so many bits, around 0.
    Noise {
        bits: u32,
    },
    /// Noise whose width changes from one 8 voxels to the next, down to `less` below `most`.
    Widths {
        most: usize,
        less: usize,
    },
    /// The least and the greatest values of every type, side by side.
    Extremes,
    /// A round body in air, with so many bits of noise.
    Ct {
        noise: u32,
    },
    /// Outlines that return from plane to plane.
    Blobs,
    /// Noise along x alone.
    EqualRows,
    /// Noise along y and x.
    EqualPlanes,
    /// All voxels but one are equal.
    OddOne,
    /// Empty, smooth and noisy planes and blocks side by side.
    Mixed,
}

impl Content {
    pub(super) fn voxels(self, dtype: Dtype, shape: [usize; 3], seed: u64) -> Vec<u8> {
        let [planes, rows, columns] = shape;
        let mut out = Vec::with_capacity(planes * rows * columns * dtype.size());
        let odd = hash(seed, [0; 3]) as usize % (planes * rows * columns);
        for z in 0..planes {
            for y in 0..rows {
                for x in 0..columns {
                    let is_odd = (z * rows + y) * columns + x == odd;
                    let value = self.value(seed, [z, y, x], is_odd);
                    out.extend(&in_memory(value, dtype.size()));
                }
            }
        }
        out
    }

    fn value(self, seed: u64, at: [usize; 3], is_odd: bool) -> i64 {
        let [z, y, x] = at.map(|n| n as i64);
        let random = |at| hash(seed, at);
        match self {
            Self::Constant => seed as i64,
            Self::Ramp([a, b, c]) => (seed as i64 % 1000) + a * z + b * y + c * x,
            Self::Noise { bits } => signed(random(at), bits),
            Self::Widths { most, less } => {
                let width = most
                    .saturating_sub(hash(!seed, [at[0], at[1], at[2] / 8]) as usize % (less + 1));
                signed(random(at), width as u32)
            }
            Self::Extremes => {
                const VALUES: [i64; 10] = [
                    i32::MIN as i64,
                    i32::MAX as i64,
                    i16::MIN as i64,
                    i16::MAX as i64,
                    i8::MIN as i64,
                    i8::MAX as i64,
                    0,
                    -1,
                    1,
                    u16::MAX as i64,
                ];
                VALUES[random(at) as usize % VALUES.len()]
            }
            Self::Ct { noise } => {
                let outside = (x - 20).pow(2) + (y - 17).pow(2) + 3 * (z - 9).pow(2) > 300;
                let body = if outside { -1000 } else { 40 + 2 * z - y + (x * x) / 16 };
                body + signed(random(at), noise)
            }
            // Every four planes the other of two outlines.
            Self::Blobs => 50 * (random([at[0] / 4 % 2, at[1], at[2] / 5]) as i64).rem_euclid(3),
            Self::EqualRows => signed(random([0, 0, at[2]]), 12),
            Self::EqualPlanes => signed(random([0, at[1], at[2]]), 12),
            Self::OddOne => {
                if is_odd {
                    -77
                } else {
                    1024
                }
            }
            Self::Mixed => match (z / 2 + y / 4 + x / 16) % 4 {
                0 => 0,
                1 => 3 * x + y - z,
                2 => signed(random(at), 6),
                _ => signed(random(at), 31),
            },
        }
    }
}

/// `bits` random bits as a signed number.
fn signed(random: u64, bits: u32) -> i64 {
    if bits == 0 { 0 } else { (random as i64) >> (64 - bits) }
}

/// The same number for the same place and seed.
fn hash(seed: u64, at: [usize; 3]) -> u64 {
    let mut hash = seed ^ 0x9E37_79B9_7F4A_7C15;
    for n in at {
        hash = (hash ^ n as u64).wrapping_mul(0xFF51_AFD7_ED55_8CCD).rotate_left(31);
    }
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xC4CE_B9FE_1A85_EC53);
    hash ^ (hash >> 29)
}

fn in_memory(value: i64, item: usize) -> Vec<u8> {
    match item {
        1 => (value as u8).to_ne_bytes().to_vec(),
        2 => (value as u16).to_ne_bytes().to_vec(),
        _ => (value as u32).to_ne_bytes().to_vec(),
    }
}

fn content() -> impl Strategy<Value = Content> {
    prop_oneof![
        1 => Just(Content::Constant),
        2 => prop::array::uniform3(-70_i64..70).prop_map(Content::Ramp),
        1 => prop::array::uniform3(any::<i16>().prop_map(i64::from)).prop_map(Content::Ramp),
        4 => (0..=32_u32).prop_map(|bits| Content::Noise { bits }),
        4 => (0..=32_usize, 0..6_usize).prop_map(|(most, less)| Content::Widths { most, less }),
        2 => Just(Content::Extremes),
        4 => (0..8_u32).prop_map(|noise| Content::Ct { noise }),
        2 => Just(Content::Blobs),
        1 => Just(Content::EqualRows),
        1 => Just(Content::EqualPlanes),
        1 => Just(Content::OddOne),
        2 => Just(Content::Mixed),
    ]
}

/// A chunk's shape: its own rows, folded planes, or folded as a whole.
fn shape() -> impl Strategy<Value = [usize; 3]> {
    let edge = || prop::sample::select(EDGES.to_vec());
    let short = || 1..16_usize;
    prop_oneof![
        6 => (edge(), edge(), edge()).prop_map(|(z, y, x)| [z, y, x]),
        1 => (edge(), edge(), short()).prop_map(|(z, y, x)| [z, y, x]),
        1 => (1..300_usize, 1..4_usize, 1..6_usize).prop_map(|(z, y, x)| [z, y, x]),
        1 => (1..3_usize, 1..3_usize, 16..200_usize).prop_map(|(z, y, x)| [z, y, x]),
        1 => (1..3_usize, 30..140_usize, 16..20_usize).prop_map(|(z, y, x)| [z, y, x]),
    ]
}

/// A stretch of an axis, as often as not all of it.
fn stretch(axis: usize) -> impl Strategy<Value = [usize; 2]> {
    let some = (0..axis).prop_flat_map(move |start| (Just(start), 1..=axis - start));
    prop_oneof![Just([0, axis]), some.prop_map(|(start, length)| [start, length])]
}

pub(super) fn case() -> impl Strategy<Value = Case> {
    let keys = prop::sample::select(KEYS.to_vec());
    let dtype = prop::sample::select(DTYPES.to_vec());
    (shape(), dtype, keys, content(), any::<u64>()).prop_flat_map(
        |(shape, dtype, key_every, content, seed)| {
            let window = shape.map(stretch);
            window.prop_map(move |w| Case {
                shape,
                dtype,
                key_every,
                window: Window { chunk: shape, start: w.map(|s| s[0]), shape: w.map(|s| s[1]) },
                content,
                voxels: content.voxels(dtype, shape, seed),
            })
        },
    )
}
