//! The portable kernel.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "voxels are bits here"
)]

use super::{Kernel, Near, Widths};
use crate::codec::packed::lane::Lane;
use crate::codec::packed::view::{GROUP, STRIP};

/// Plain Rust that the compiler vectorises.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::codec::packed) struct Portable<L>(std::marker::PhantomData<L>);

impl<L: Lane> Kernel for Portable<L> {
    type Lane = L;
    type Row = [L; STRIP];

    #[inline(always)]
    fn splat(self, lane: L) -> [L; STRIP] {
        [lane; STRIP]
    }

    #[inline(always)]
    fn load(self, lanes: &[L; STRIP]) -> [L; STRIP] {
        *lanes
    }

    #[inline(always)]
    fn store(self, row: [L; STRIP], lanes: &mut [L; STRIP]) {
        *lanes = row;
    }

    #[inline(always)]
    fn add(self, a: [L; STRIP], b: [L; STRIP]) -> [L; STRIP] {
        std::array::from_fn(|i| a[i].add(b[i]))
    }

    #[inline(always)]
    fn unpack(self, bytes: &[u8; 16], widths: Widths) -> [L; STRIP] {
        // A group is `width` bytes, so it fits a word.
        let all = u128::from_le_bytes(*bytes);
        let words = [all, all >> (8 * widths.groups[0])].map(|word| word as u64);
        let mut row = [L::default(); STRIP];
        for (group, (word, width)) in words.into_iter().zip(widths.groups).enumerate() {
            if width > 0 {
                let lanes = row[group * GROUP..].iter_mut().take(GROUP);
                for (i, lane) in lanes.enumerate() {
                    let top = (word >> (i * usize::from(width))) as u32;
                    *lane = L::from_i32(((top << (32 - width)) as i32) >> (32 - width));
                }
            }
        }
        row
    }

    #[inline(always)]
    fn append(self, row: [L; STRIP], nibbles: &[u8; 8]) -> [L; STRIP] {
        std::array::from_fn(|i| row[i].append(nibbles[i / 2] >> (i % 2 * 4) & 15))
    }

    #[inline(always)]
    fn predict(self, near: Near<[L; STRIP]>, (a, b): (i16, i16)) -> [L; STRIP] {
        std::array::from_fn(|i| {
            let (y, z, yz) = (near.y[i], near.z[i], near.yz[i]);
            z.add(L::weighted(y.sub(z), y.sub(yz), a, b))
        })
    }
}
