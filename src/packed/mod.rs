#![doc = include_str!("format.md")]
#![allow(clippy::inline_always)]

use crate::Dtype;

mod chunk;
mod encode;
mod kernel;
mod simd;
#[cfg(test)]
mod tests;
mod view;

/// The codec's name in `zarr.json`.
pub(crate) const NAME: &str = "voxpatch.packed";

/// A chunk of any rank as `z, y, x`: all axes before the last two are taken as one. `None` if its
/// number of voxels does not fit.
pub(crate) fn fold(shape: &[usize]) -> Option<[usize; 3]> {
    let (planes, [y, x]) = match shape {
        [] => (&[][..], [1, 1]),
        [x] => (&[][..], [1, *x]),
        [planes @ .., y, x] => (planes, [*y, *x]),
    };
    let z = planes.iter().try_fold(1_usize, |z, n| z.checked_mul(*n))?;
    crate::voxels([z, y, x]).map(|_| [z, y, x])
}

/// Decodes a whole chunk of `shape`, `z, y, x`, into `out`, as voxels are in memory. `out` must
/// have the length of the chunk; after an error it holds anything.
pub(crate) fn decode(
    encoded: &[u8],
    shape: [usize; 3],
    dtype: Dtype,
    out: &mut [u8],
) -> Result<(), String> {
    let window = Window { chunk: shape, start: [0; 3], shape };
    let mut dense = Dense { shape, item: dtype.size(), out };
    decode_window(Isa::best(), encoded, &window, dtype.size(), &mut Scratch::default(), &mut dense)
}

/// A whole chunk in order.
struct Dense<'a> {
    shape: [usize; 3],
    item: usize,
    out: &'a mut [u8],
}

impl Sink for Dense<'_> {
    fn put(&mut self, Piece { at, bytes, rows, width, stride }: Piece<'_>) {
        let Some((out, step)) = self.rows(at) else { return };
        for (out, row) in out.chunks_mut(step).zip(bytes.chunks(stride)).take(rows) {
            out[..width].copy_from_slice(&row[..width]);
        }
    }

    fn rows(&mut self, [z, y, x]: [usize; 3]) -> Option<(&mut [u8], usize)> {
        let row = self.shape[2] * self.item;
        Some((&mut self.out[(z * self.shape[1] + y) * row + x * self.item..], row))
    }
}

pub(crate) use chunk::{Piece, Scratch, Sink, Window, decode_window};
pub(crate) use encoder::{EncodeScratch, Encoder};
pub(crate) use simd::Isa;

mod encoder;
