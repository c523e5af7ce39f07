#![doc = include_str!("format.md")]
#![allow(clippy::inline_always)]

use serde::{Deserialize, Serialize};

use crate::error::show;
use crate::{Dtype, Error, Result};

mod chunk;
mod dispatch;
mod encode;
mod encoder;
mod isa;
mod kernel;
mod lane;
mod lanes;
mod segment;
#[cfg(test)]
mod tests;
mod view;
mod window;

pub(crate) use chunk::{Scratch, decode_window};
pub(crate) use encoder::{EncodeScratch, Encoder};
pub(crate) use isa::Isa;
pub(crate) use window::{Piece, Sink, Window};

/// The codec's name in `zarr.json`.
pub(crate) const NAME: &str = "voxpatch.packed";

/// The codec's configuration there.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Configuration {
    /// See [`Encoder::key_every`].
    pub(crate) key_every: u8,
}

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

/// Encodes the chunk of `shape`, `z, y, x`, that `voxels` holds as they are in memory. Every plane
/// whose number is a multiple of `key_every` can be decoded by itself; 0: the first alone.
///
/// # Errors
///
/// If `dtype` is not an integer of 8, 16 or 32 bits, an axis is 0, or `voxels` is not as long as
/// the chunk.
pub fn encode(voxels: &[u8], shape: [usize; 3], dtype: Dtype, key_every: u8) -> Result<Vec<u8>> {
    check(voxels.len(), shape, dtype)?;
    Encoder { dtype, key_every }
        .encode(voxels, shape, &mut EncodeScratch::default())
        .map_err(|e| refuse(shape, dtype, e.to_string()))
}

/// Decodes a whole chunk of `shape`, `z, y, x`, into `out`, as voxels are in memory. After an error
/// `out` holds anything.
///
/// # Errors
///
/// If `dtype` is not an integer of 8, 16 or 32 bits, an axis is 0, `out` is not as long as the
/// chunk, or `encoded` is no chunk of this shape and size of voxel.
pub fn decode(encoded: &[u8], shape: [usize; 3], dtype: Dtype, out: &mut [u8]) -> Result<()> {
    check(out.len(), shape, dtype)?;
    decode_with(Isa::best(), encoded, shape, dtype, out)
}

/// As [`decode`], by one of the kernels that this processor can run, the portable one first; `None`
/// beyond the last. For tests, as all must agree, and for benchmarks.
#[doc(hidden)]
pub fn decode_on(
    kernel: usize,
    encoded: &[u8],
    shape: [usize; 3],
    dtype: Dtype,
    out: &mut [u8],
) -> Option<Result<()>> {
    let isa = *Isa::available().get(kernel)?;
    let checked = check(out.len(), shape, dtype);
    Some(checked.and_then(|()| decode_with(isa, encoded, shape, dtype, out)))
}

/// Both lengths are those of the chunk, and neither is 0.
fn check(bytes: usize, shape: [usize; 3], dtype: Dtype) -> Result<()> {
    if !Encoder::takes(dtype) {
        return Err(refuse(shape, dtype, not_taken(dtype)));
    }
    if cfg!(target_endian = "big") {
        return Err(refuse(shape, dtype, "packed is not made for big-endian machines"));
    }
    let expected = crate::voxels(shape).and_then(|n| n.checked_mul(dtype.size()));
    match expected {
        Some(0) => Err(refuse(shape, dtype, "an axis is 0")),
        Some(n) if n == bytes => Ok(()),
        _ => Err(refuse(shape, dtype, format!("its voxels are not {bytes} bytes"))),
    }
}

/// Why voxels of a type cannot be encoded, and the remedy.
pub(crate) fn not_taken(dtype: impl std::fmt::Display) -> String {
    format!(
        "packed stores integers of 8, 16 and 32 bits, not {dtype}; use blosc or zstd, or narrow \
         voxels that are small whole numbers"
    )
}

fn refuse(shape: [usize; 3], dtype: Dtype, reason: impl Into<String>) -> Error {
    Error::invalid("chunk", format!("{} {dtype}", show(&shape)), reason)
}

fn decode_with(
    isa: Isa,
    encoded: &[u8],
    shape: [usize; 3],
    dtype: Dtype,
    out: &mut [u8],
) -> Result<()> {
    let window = Window { chunk: shape, start: [0; 3], shape };
    let mut dense = Dense { shape, item: dtype.size(), out };
    decode_window(isa, encoded, &window, dtype.size(), &mut Scratch::default(), &mut dense)
        .map_err(|reason| refuse(shape, dtype, reason))
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
