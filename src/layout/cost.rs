//! The cost of reading a patch, for a chunk shape: exact counts, then a simple model of time.
//!
//! The counts are exact averages over all starts of a patch. The time is that of one core, with the
//! store in the page cache and checksums verified; it is linear in the counts:
//!
//! ```text
//! chunks * per_chunk + units * per_unit + bytes_decoded / decode
//!   + rows * per_row + bytes_returned / copy
//! ```
//!
//! Layouts are compared by that time plus `bytes_read / first_read`, a share of the cost of the
//! first touch of a chunk: a read decodes a part of the chunk, but the first touch reads and
//! verifies all of it.
//!
//! Every number that is not a count is in [`CostConstants`].

use serde::Serialize;

use super::{Access, BloscCompressor, Codec};

/// Nanoseconds, rates and losses of one codec on one core.
///
/// `cargo bench --bench read_cost` measured the first five on a CT of 275 x 512 x 512 16-bit voxels
/// and an AMD EPYC core with AVX-512 at 2.6 GHz; the fit is within 9 % for half of the reads and
/// within 17 % for nine in ten (uncompressed: 35 %). Those of `packed` were measured with AVX2 on a
/// slower core, where the fit is within 16 % for half of the reads, and scaled by the times of
/// LZ4HC on both cores. Rates are in GB/s, which is bytes per nanosecond.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct CostConstants {
    /// Finding a chunk in its shard's index and setting up its decoder, in ns.
    pub per_chunk_ns: f64,
    /// Beginning a decode unit, in ns.
    pub per_unit_ns: f64,
    /// Decoding, in GB/s of decoded bytes.
    pub decode_gb_per_s: f64,
    /// Addressing one row of voxels in the destination, in ns.
    pub per_row_ns: f64,
    /// Copying decoded voxels into the patch, in GB/s.
    pub copy_gb_per_s: f64,
    /// Reading and verifying encoded bytes, in GB/s, as weighted for the comparison of layouts:
    /// between a checksum in memory (above 15) and a disk (about 1), because training reads a chunk
    /// many times for each time that it comes from disk. A choice, not a measurement.
    pub first_read_gb_per_s: f64,
    /// Encoded bytes per decoded byte, for large chunks of 16-bit CT and MR.
    pub ratio: f64,
    /// Further bytes per chunk: its index entry (16), checksum (4), header, and the compression
    /// lost because a compressor starts anew.
    pub lost_bytes_per_chunk: f64,
}

impl CostConstants {
    /// The constants of a codec. Compression levels change them too little to affect a layout.
    #[must_use]
    pub const fn of(codec: Codec) -> Self {
        let base = Self {
            per_chunk_ns: 0.0,
            per_unit_ns: 490.0,
            decode_gb_per_s: 5.5,
            per_row_ns: 2.1,
            copy_gb_per_s: 13.0,
            first_read_gb_per_s: 8.0,
            ratio: 0.55,
            lost_bytes_per_chunk: 200.0,
        };
        match codec {
            Codec::Blosc { compressor: BloscCompressor::Lz4, .. } => base,
            Codec::Blosc { compressor: BloscCompressor::Lz4hc, .. } => {
                Self { per_unit_ns: 600.0, decode_gb_per_s: 8.8, ratio: 0.5, ..base }
            }
            Codec::Blosc { compressor: BloscCompressor::Zstd, .. } => Self {
                per_chunk_ns: 40.0,
                per_unit_ns: 2000.0,
                decode_gb_per_s: 1.6,
                per_row_ns: 5.2,
                copy_gb_per_s: 40.0,
                ratio: 0.42,
                ..base
            },
            Codec::Zstd { .. } => Self {
                per_chunk_ns: 2500.0,
                per_unit_ns: 0.0,
                decode_gb_per_s: 0.9,
                per_row_ns: 5.6,
                copy_gb_per_s: 40.0,
                ratio: 0.5,
                ..base
            },
            Codec::Gzip { .. } => Self {
                per_chunk_ns: 4900.0,
                per_unit_ns: 0.0,
                decode_gb_per_s: 0.5,
                per_row_ns: 8.9,
                copy_gb_per_s: 4.4,
                ratio: 0.5,
                ..base
            },
            Codec::Packed { key_every: 1 } => Self {
                per_chunk_ns: 380.0,
                per_unit_ns: 39.0,
                decode_gb_per_s: 10.8,
                per_row_ns: 0.0,
                copy_gb_per_s: 16.0,
                ratio: 0.45,
                lost_bytes_per_chunk: 60.0,
                ..base
            },
            Codec::Packed { .. } => Self {
                per_chunk_ns: 70.0,
                per_unit_ns: 306.0,
                decode_gb_per_s: 13.5,
                per_row_ns: 2.0,
                copy_gb_per_s: 19.0,
                ratio: 0.41,
                lost_bytes_per_chunk: 200.0,
                ..base
            },
            Codec::None => Self {
                per_chunk_ns: 240.0,
                per_unit_ns: 0.0,
                decode_gb_per_s: 25.0,
                per_row_ns: 3.0,
                copy_gb_per_s: 48.0,
                ratio: 1.0,
                lost_bytes_per_chunk: 20.0,
                ..base
            },
        }
    }
}

/// The average cost of reading one patch.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[non_exhaustive]
pub struct PatchCost {
    /// Chunks touched.
    pub chunks: f64,
    /// Decode units touched ([`Codec::decode_unit`]).
    pub units: f64,
    /// Encoded bytes that are read and verified: whole chunks.
    pub bytes_read: f64,
    /// Decoded bytes: whole units.
    pub bytes_decoded: f64,
    /// Rows of voxels copied; a row lies inside one chunk.
    pub rows: f64,
    /// Bytes of the patch inside the volume.
    pub bytes_returned: f64,
    /// Expected time on one core, in nanoseconds.
    pub nanoseconds: f64,
}

impl PatchCost {
    /// Bytes decoded per byte returned, at least 1.
    #[must_use]
    pub fn amplification(&self) -> f64 {
        self.bytes_decoded / self.bytes_returned
    }
}

/// The quantities that stay the same while chunk shapes are compared.
#[derive(Debug, Clone, Copy)]
pub struct CostModel {
    /// Shape of the volume, `z, y, x`; no axis is 0.
    pub volume: [usize; 3],
    /// Bytes of a voxel.
    pub item_bytes: usize,
    /// How chunks are compressed.
    pub codec: Codec,
    /// Where patches start.
    pub access: Access,
    /// Times and rates.
    pub constants: CostConstants,
}

impl CostModel {
    /// A model with the constants of the codec.
    #[must_use]
    pub const fn new(volume: [usize; 3], item_bytes: usize, codec: Codec, access: Access) -> Self {
        Self { volume, item_bytes, codec, access, constants: CostConstants::of(codec) }
    }

    /// The average cost of a patch for a chunk shape, both `z, y, x` in voxels.
    #[must_use]
    pub fn patch(&self, patch: [usize; 3], chunk: [usize; 3]) -> PatchCost {
        self.patch_with(patch, chunk, |axis, unit| self.along(patch, axis, unit))
    }

    /// [`expected_chunks_along`] one axis, 0 for z, for units of `unit` voxels.
    pub(super) fn along(&self, patch: [usize; 3], axis: usize, unit: usize) -> f64 {
        let access = AxisAccess::of(self.access, axis);
        expected_chunks_along(self.volume[axis], patch[axis], unit, access)
    }

    /// As [`CostModel::patch`], with the counts along each axis from `along(axis, unit)`, so that a
    /// search over many chunk shapes can cache them.
    pub(super) fn patch_with(
        &self,
        patch: [usize; 3],
        chunk: [usize; 3],
        mut along: impl FnMut(usize, usize) -> f64,
    ) -> PatchCost {
        let unit = self.codec.decode_unit(chunk, self.item_bytes);
        let inside: [f64; 3] = std::array::from_fn(|a| float(patch[a].min(self.volume[a])));
        let touched: [f64; 3] = std::array::from_fn(|a| along(a, chunk[a]));
        // The starts along the axes are independent, so averages multiply.
        let chunks = touched.iter().product::<f64>();
        let units: f64 = (0..3)
            .map(|a| if unit[a] == chunk[a] { touched[a] } else { along(a, unit[a]) })
            .product();
        let bytes_read = chunks * self.encoded_bytes(chunk);
        let bytes_decoded = units * self.bytes(unit);
        let rows = inside[0] * inside[1] * touched[2];
        let bytes_returned = inside.iter().product::<f64>() * float(self.item_bytes);
        let c = &self.constants;
        let nanoseconds = chunks * c.per_chunk_ns
            + units * c.per_unit_ns
            + bytes_decoded / c.decode_gb_per_s
            + rows * c.per_row_ns
            + bytes_returned / c.copy_gb_per_s;
        PatchCost { chunks, units, bytes_read, bytes_decoded, rows, bytes_returned, nanoseconds }
    }

    /// Expected size of an encoded chunk, in bytes: the codec's ratio, and a fixed loss.
    #[must_use]
    pub fn encoded_bytes(&self, chunk: [usize; 3]) -> f64 {
        self.bytes(chunk) * self.constants.ratio + self.constants.lost_bytes_per_chunk
    }

    /// The size of the store relative to a store of one endless chunk. Always above 1; largest for
    /// small chunks.
    #[must_use]
    pub fn growth(&self, chunk: [usize; 3]) -> f64 {
        self.encoded_bytes(chunk) / (self.bytes(chunk) * self.constants.ratio)
    }

    fn bytes(&self, shape: [usize; 3]) -> f64 {
        shape.into_iter().map(float).product::<f64>() * float(self.item_bytes)
    }
}

#[allow(clippy::cast_precision_loss)]
fn float(n: usize) -> f64 {
    n as f64
}

/// [`Access`] along one axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AxisAccess {
    /// Every start is equally likely.
    Random,
    /// A grid whose neighbours share this many voxels.
    Grid {
        /// Voxels shared by neighbouring patches; less than the patch.
        overlap: usize,
    },
}

impl AxisAccess {
    /// The access along one axis, 0 for z.
    #[must_use]
    pub const fn of(access: Access, axis: usize) -> Self {
        match access {
            Access::Random => Self::Random,
            Access::Grid { overlap } => Self::Grid { overlap: overlap[axis] },
        }
    }
}

/// The exact average number of chunks that a patch touches along one axis, over all starts of
/// `access`. All in voxels. A patch larger than the volume is clipped to it; a chunk or patch of 0
/// counts as 1, and so does a grid's step below 1.
///
/// A patch of `P` starting at `s` touches `floor((s + P - 1) / C) - floor(s / C) + 1` chunks of
/// `C`; the sum of the two floors over equally spaced starts has a closed form.
#[must_use]
#[allow(clippy::cast_precision_loss)]
pub fn expected_chunks_along(volume: usize, patch: usize, chunk: usize, access: AxisAccess) -> f64 {
    let volume = volume.max(1) as u128;
    let patch = (patch.max(1) as u128).min(volume);
    let chunk = chunk.max(1) as u128;
    let last = volume - patch;
    let step = match access {
        AxisAccess::Random => 1,
        AxisAccess::Grid { overlap } => patch.saturating_sub(overlap as u128).max(1),
    };
    let regular = last / step + 1;
    let mut starts = regular;
    let mut sum = floor_sum(regular, chunk, step, patch - 1) - floor_sum(regular, chunk, step, 0);
    if !last.is_multiple_of(step) {
        starts += 1;
        sum += (volume - 1) / chunk - last / chunk;
    }
    1.0 + sum as f64 / starts as f64
}

/// Sum of `floor((a * i + b) / m)` for `i` from 0 to `n - 1`, by the Euclidean algorithm for
/// lattice points under a line. `m` is not 0; `a * n + b` is at most about `2^64`, so that no
/// intermediate result exceeds 128 bits.
fn floor_sum(mut n: u128, mut m: u128, mut a: u128, mut b: u128) -> u128 {
    let mut sum = 0;
    loop {
        sum += n * n.saturating_sub(1) / 2 * (a / m) + n * (b / m);
        a %= m;
        b %= m;
        let top = a * n + b;
        if top < m {
            return sum;
        }
        // Counts the same points by columns of the transposed line.
        (n, m, a, b) = (top / m, a, m, top % m);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_starts_match_the_textbook_amplification_far_from_borders() {
        // (P + C - 1) / C chunks on average when every phase is equally frequent.
        let along = expected_chunks_along(128 + 32 * 7 - 1, 128, 32, AxisAccess::Random);
        assert!((along - (128.0 + 31.0) / 32.0).abs() < 1e-12, "{along}");
    }

    #[test]
    fn the_largest_axes_do_not_overflow() {
        for chunk in [1, 3, 1 << 20, usize::MAX] {
            for patch in [1, 96, usize::MAX / 2, usize::MAX] {
                for access in [AxisAccess::Random, AxisAccess::Grid { overlap: patch / 2 }] {
                    let along = expected_chunks_along(usize::MAX, patch, chunk, access);
                    assert!(along >= 1.0 && along.is_finite());
                }
            }
        }
    }

    #[test]
    fn a_tiny_chunk_grows_the_store_and_a_large_one_hardly_does() {
        let model = CostModel::new([512; 3], 2, Codec::default(), Access::Random);
        assert!(model.growth([8, 16, 16]) > 1.05);
        assert!(model.growth([64, 64, 64]) < 1.01);
    }

    #[test]
    fn the_time_is_the_documented_sum() {
        let model = CostModel::new([64; 3], 2, Codec::Zstd { level: 3 }, Access::Random);
        let c = model.constants;
        let cost = model.patch([64; 3], [32; 3]);
        assert_eq!((cost.chunks, cost.units, cost.rows), (8.0, 8.0, 64.0 * 64.0 * 2.0));
        assert_eq!((cost.bytes_decoded, cost.amplification()), (524_288.0, 1.0));
        let expected = 8.0 * (c.per_chunk_ns + c.per_unit_ns)
            + 524_288.0 / c.decode_gb_per_s
            + cost.rows * c.per_row_ns
            + 524_288.0 / c.copy_gb_per_s;
        assert!((cost.nanoseconds - expected).abs() < 1e-6);
    }
}
