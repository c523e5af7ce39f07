//! One voxel as it is decoded.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "voxels are bits here"
)]

use super::view::{BLOCK_ROWS, GROUP, GROUPS, STRIP};

/// The arithmetic of a voxel: wrapping, shifts keep the sign.
pub(crate) trait Lane: Copy + Default + PartialEq + std::fmt::Debug + 'static {
    /// Bytes of a lane.
    const BYTES: usize;
    fn from_i32(value: i32) -> Self;
    fn to_i32(self) -> i32;
    fn from_le(bytes: &[u8]) -> Option<Self>;
    /// `(a * from_z + b * from_yz) >> 2`, wrapping.
    fn weighted(from_z: Self, from_yz: Self, a: i16, b: i16) -> Self;
    fn add(self, other: Self) -> Self;
    fn sub(self, other: Self) -> Self;
    /// `(self << 4) | nibble`.
    fn append(self, nibble: u8) -> Self;
    /// 0, -1, 1, -2, ... to 0, 1, 2, 3, ..., as bits.
    fn zigzag(self) -> Self;
    /// All bits that are in any lane of a group, for each group of each row.
    fn or_groups(rows: &[Self; BLOCK_ROWS * STRIP]) -> [u32; GROUPS];
    /// `self >> bits`, keeping its sign.
    fn shifted(self, bits: usize) -> Self;
    /// The lowest byte.
    fn low_byte(self) -> u8;
    /// Lanes as they are in memory.
    fn bytes_of(lanes: &[Self]) -> &[u8];
}

macro_rules! lane {
    ($t:ty) => {
        impl Lane for $t {
            const BYTES: usize = size_of::<$t>();
            #[inline(always)]
            fn from_i32(value: i32) -> Self {
                value as $t
            }
            #[inline(always)]
            fn to_i32(self) -> i32 {
                i32::from(self)
            }
            #[inline(always)]
            fn from_le(bytes: &[u8]) -> Option<Self> {
                bytes.first_chunk().map(|b| <$t>::from_le_bytes(*b))
            }
            #[inline(always)]
            fn weighted(from_z: Self, from_yz: Self, a: i16, b: i16) -> Self {
                from_z.wrapping_mul(a.into()).wrapping_add(from_yz.wrapping_mul(b.into())) >> 2
            }
            #[inline(always)]
            fn add(self, other: Self) -> Self {
                self.wrapping_add(other)
            }
            #[inline(always)]
            fn sub(self, other: Self) -> Self {
                self.wrapping_sub(other)
            }
            #[inline(always)]
            fn zigzag(self) -> Self {
                (self << 1) ^ (self >> (<$t>::BITS - 1))
            }
            #[inline(always)]
            fn or_groups(rows: &[Self; BLOCK_ROWS * STRIP]) -> [u32; GROUPS] {
                // By words of several lanes.
                const WORDS: usize = GROUP * size_of::<$t>() / 8;
                let words: [[u64; WORDS]; GROUPS] = bytemuck::must_cast(*rows);
                let mut any = words.map(|words| words.into_iter().fold(0, |any, word| any | word));
                let mut bits = 64;
                while bits > <$t>::BITS {
                    bits /= 2;
                    for any in &mut any {
                        *any |= *any >> bits;
                    }
                }
                any.map(|any| (any as u32) & (u32::MAX >> (32 - <$t>::BITS)))
            }
            #[inline(always)]
            fn shifted(self, bits: usize) -> Self {
                self >> bits
            }
            #[inline(always)]
            fn low_byte(self) -> u8 {
                self as u8
            }
            #[inline(always)]
            fn bytes_of(lanes: &[Self]) -> &[u8] {
                bytemuck::cast_slice(lanes)
            }
            #[inline(always)]
            fn append(self, nibble: u8) -> Self {
                (self << 4) | <$t>::from(nibble)
            }
        }
    };
}

lane!(i16);
lane!(i32);
