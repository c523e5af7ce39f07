//! Encoding a whole chunk: the choice of its form.

use super::chunk::{CONSTANT, LANES_16, LANES_32, VERSION, ZSTD};
use super::dispatch::Code;
use super::encode::{Planes, ToEncode};
use super::isa::Isa;
use super::view::View;
use crate::Dtype;

/// How chunks are encoded.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Encoder {
    /// Type of the voxels: an integer of at most 32 bits.
    pub(crate) dtype: Dtype,
    /// Every plane whose number is a multiple of it can be decoded by itself; 0: the first alone.
    pub(crate) key_every: u8,
}

/// What a task keeps between chunks.
#[derive(Default)]
pub(crate) struct EncodeScratch {
    lanes_16: Vec<i16>,
    lanes_32: Vec<i32>,
    planes_16: Planes<i16>,
    planes_32: Planes<i32>,
    quick: Option<zstd::bulk::Compressor<'static>>,
    thorough: Option<zstd::bulk::Compressor<'static>>,
}

/// The level at which Zstandard makes label maps smaller than blosc's does at 5.
const ZSTD_LEVEL: i32 = 9;

impl Encoder {
    /// True if chunks of this type can be encoded.
    pub(crate) fn takes(dtype: Dtype) -> bool {
        dtype.is_integer() && dtype.size() <= 4
    }

    /// The chunk of `shape`, `z, y, x`, that `voxels` holds as they are in memory.
    pub(crate) fn encode(
        self,
        voxels: &[u8],
        shape: [usize; 3],
        scratch: &mut EncodeScratch,
    ) -> std::io::Result<Vec<u8>> {
        let item = self.dtype.size();
        let view =
            View::new(shape).filter(|_| voxels.len() == item * shape.iter().product::<usize>());
        let view = view.ok_or_else(|| std::io::Error::other("not a chunk of its shape"))?;
        let first = &voxels[..item];
        if voxels.chunks_exact(item).all(|v| v == first) {
            return Ok([&[VERSION, CONSTANT], first].concat());
        }
        let mut out = Vec::with_capacity(voxels.len() / 2);
        let EncodeScratch { lanes_16, lanes_32, planes_16, planes_32, .. } = scratch;
        let alike = if widen(self.dtype, voxels, lanes_16) {
            out.extend([VERSION, LANES_16, self.key_every]);
            let (view, lanes, planes) = (&view, &lanes_16[..], planes_16);
            let chunk = ToEncode { view, key_every: self.key_every, lanes, planes };
            i16::encode(Isa::best(), chunk, &mut out);
            alike(lanes)
        } else {
            lanes_32.clear();
            lanes_32.extend(voxels.as_chunks().0.iter().map(|v| i32::from_ne_bytes(*v)));
            out.extend([VERSION, LANES_32, self.key_every]);
            let (view, lanes, planes) = (&view, &lanes_32[..], planes_32);
            let chunk = ToEncode { view, key_every: self.key_every, lanes, planes };
            i32::encode(Isa::best(), chunk, &mut out);
            alike(lanes)
        };
        if alike && let Some(frame) = scratch.much_smaller(voxels, out.len())? {
            return Ok([&[VERSION, ZSTD], &frame[..]].concat());
        }
        Ok(out)
    }
}

impl EncodeScratch {
    /// The voxels as a Zstandard frame, if that is much smaller than `packed` bytes, as it is where
    /// the same outlines return from plane to plane.
    fn much_smaller(&mut self, voxels: &[u8], packed: usize) -> std::io::Result<Option<Vec<u8>>> {
        let quick = match &mut self.quick {
            Some(quick) => quick,
            none => none.insert(zstd::bulk::Compressor::new(1)?),
        };
        if quick.compress(voxels)?.len() >= packed {
            return Ok(None);
        }
        let thorough = match &mut self.thorough {
            Some(thorough) => thorough,
            none => none.insert(zstd::bulk::Compressor::new(ZSTD_LEVEL)?),
        };
        Ok(Some(thorough.compress(voxels)?).filter(|frame| frame.len() <= packed / 4 * 3))
    }
}

/// True if three voxels of four are like the one before them, as in label maps and empty space.
fn alike<L: PartialEq>(lanes: &[L]) -> bool {
    // In pieces whose count fits 16 bits, so that many are compared at once.
    let pieces = lanes[1..].chunks(1 << 15).zip(lanes.chunks(1 << 15));
    let pairs = pieces.map(|(after, before)| {
        usize::from(before.iter().zip(after).fold(0, |n: u16, (b, a)| n + u16::from(b == a)))
    });
    pairs.sum::<usize>() >= lanes.len() / 4 * 3
}

/// The voxels as 16-bit lanes; false if there are some that do not fit.
fn widen(dtype: Dtype, voxels: &[u8], lanes: &mut Vec<i16>) -> bool {
    lanes.clear();
    match dtype {
        Dtype::UInt8 => lanes.extend(voxels.iter().map(|v| i16::from(*v))),
        Dtype::Int8 => lanes.extend(voxels.iter().map(|v| i16::from(v.cast_signed()))),
        Dtype::UInt16 | Dtype::Int16 => {
            lanes.extend(voxels.as_chunks().0.iter().map(|v| i16::from_ne_bytes(*v)));
        }
        _ => {
            let voxels = voxels.as_chunks().0.iter().map(|v| i32::from_ne_bytes(*v));
            // The same for both signs: large unsigned numbers are negative here.
            let fits = |v: i32| i16::try_from(v).is_ok();
            if !voxels.clone().all(fits) {
                return false;
            }
            #[allow(clippy::cast_possible_truncation)] // all fit
            lanes.extend(voxels.map(|v| v as i16));
        }
    }
    true
}
