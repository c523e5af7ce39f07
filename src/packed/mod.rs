//! The `packed` codec.
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
    let item = dtype.size();
    decode_window(Isa::best(), encoded, &window, item, &mut Scratch::default(), |piece| {
        let [z, y, x] = piece.at;
        let first = ((z * shape[1] + y) * shape[2] + x) * item;
        let rows = out[first..].chunks_mut(shape[2] * item);
        for (row, from) in rows.zip(piece.bytes.chunks(piece.stride)).take(piece.rows) {
            row[..piece.width].copy_from_slice(&from[..piece.width]);
        }
    })
}

pub(crate) use chunk::{Piece, Scratch, Window, decode_window};
pub(crate) use encoder::{EncodeScratch, Encoder};
pub(crate) use simd::Isa;

mod encoder;
