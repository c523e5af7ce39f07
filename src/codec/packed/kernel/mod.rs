//! What a processor must be able to do to decode: the steps on a row of 16 lanes.
//!
//! The algorithm is written once, in [`super::segment`], over a [`Kernel`]; every kernel gives the
//! same lanes. Each has a file of its own, and [`super::dispatch`] chooses one.

#![allow(clippy::trivially_copy_pass_by_ref, reason = "references to bytes within a chunk")]

#[cfg(target_arch = "x86_64")]
pub(super) mod avx2;
pub(super) mod portable;

use super::lane::Lane;
use super::view::STRIP;

/// The factors `(a, b)` of each predictor: `z + ((a * (y - z) + b * (y - yz)) >> 2)`.
pub(super) const PREDICTORS: [(i16, i16); 8] =
    [(4, 0), (0, 0), (2, 0), (0, 4), (1, 2), (1, 1), (3, 0), (1, 0)];

/// The widths of both groups of a row.
#[derive(Debug, Clone, Copy)]
pub(super) struct Widths {
    /// At most 8 each.
    pub(super) groups: [u8; 2],
    /// Which of all pairs it is: `9 * groups[0] + groups[1]`.
    pub(super) pair: u8,
    /// Bytes of the row: a group of 8 voxels takes as many bytes as one of them takes bits.
    pub(super) bytes: u8,
}

impl Widths {
    pub(super) const fn new(first: u8, second: u8) -> Self {
        Self { groups: [first, second], pair: 9 * first + second, bytes: first + second }
    }
}

/// A row of 16 lanes, and the steps of decoding one.
pub(super) trait Kernel: Copy {
    /// One voxel: `i16` or `i32`, wrapping.
    type Lane: Lane;
    /// A row in registers.
    type Row: Copy;

    fn splat(self, lane: Self::Lane) -> Self::Row;
    fn load(self, lanes: &[Self::Lane; STRIP]) -> Self::Row;
    fn store(self, row: Self::Row, lanes: &mut [Self::Lane; STRIP]);
    fn add(self, a: Self::Row, b: Self::Row) -> Self::Row;
    /// Two groups of signed numbers of so many bits, the second group behind the first.
    fn unpack(self, bytes: &[u8; 16], widths: Widths) -> Self::Row;
    /// `(unpack(bytes, widths) << 4) | nibble`.
    fn unpack_above(self, bytes: &[u8; 16], widths: Widths, nibbles: &[u8; 8]) -> Self::Row {
        self.append(self.unpack(bytes, widths), nibbles)
    }
    /// `(row << 4) | nibble`, the nibbles of each byte in the order low, high.
    fn append(self, row: Self::Row, nibbles: &[u8; 8]) -> Self::Row;
    /// What [`PREDICTORS`] says.
    fn predict(self, near: Near<Self::Row>, factors: (i16, i16)) -> Self::Row;
}

/// The rows beside the one to be predicted: above it, before it (in the plane before), and above
/// that.
#[derive(Clone, Copy)]
pub(super) struct Near<Row> {
    pub(super) y: Row,
    pub(super) z: Row,
    pub(super) yz: Row,
}
