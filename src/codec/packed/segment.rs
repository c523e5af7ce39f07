//! Decoding a segment: the part of a plane that lies in one strip. Written once, over a [`Kernel`]
//! that knows how to do each step on a row.

#![allow(clippy::cast_possible_truncation, reason = "voxels are bits here")]
#![allow(clippy::trivially_copy_pass_by_ref, reason = "references to bytes within a chunk")]

use super::kernel::{Kernel, Near, PREDICTORS, Widths};
use super::lane::Lane;
use super::view::{BLOCK_ROWS, GROUP, HEADER_BYTES, STRIP};

/// Bytes that a kernel may read beyond the last byte of a segment.
pub(super) const SLACK: usize = FOUR_BYTES;

/// Room for a block of [`Four`], whatever its widths.
const FOUR_BYTES: usize = 144;

/// The widths by the most in the block and the four bits of the row: how much less the groups
/// have, 0 to 3, the first group in the lower two bits.
static WIDTHS: [[Widths; 16]; 9] = {
    let mut table = [[Widths { groups: [0; 2], pair: 0, bytes: 0 }; 16]; 9];
    let mut most = 0_u8;
    while most < 9 {
        let mut less = 0_u8;
        while less < 16 {
            let [first, second] = [most.saturating_sub(less % 4), most.saturating_sub(less / 4)];
            table[most as usize][less as usize] = Widths::new(first, second);
            less += 1;
        }
        most += 1;
    }
    table
};

/// A segment's bytes, and what must be known to read them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Segment<'a> {
    /// The segment, and at least [`SLACK`] bytes more, whatever they are.
    pub(super) bytes: &'a [u8],
    /// Bytes of the segment itself.
    pub(super) length: usize,
    /// Blocks in the whole segment.
    pub(super) blocks: usize,
    /// Groups in each row: 1 or 2.
    pub(super) groups: usize,
    /// Coded without the plane before.
    pub(super) key: bool,
}

/// Where rows go as they are decoded, beside the buffer of the plane.
#[derive(Debug)]
pub(super) struct Out<'a> {
    /// From the first byte of the first row that is wanted on.
    pub(super) bytes: &'a mut [u8],
    /// Bytes from one row to the next; not 0.
    pub(super) stride: usize,
    /// Rows that are decoded before the first that is wanted.
    pub(super) skipped: usize,
    /// Rows that are wanted.
    pub(super) rows: usize,
}

/// What is wrong with a segment.
pub(super) type Fault = &'static str;

/// Decodes the first rows of a segment, and copies those that `out` wants to it. `rows` holds the
/// rows of the plane before in the same strip and is overwritten by those of this plane; it may end
/// before the plane does, behind a block.
#[inline(always)]
pub(super) fn decode_segment<K: Kernel>(
    kernel: K,
    segment: Segment<'_>,
    rows: &mut [[K::Lane; STRIP]],
    out: Option<Out<'_>>,
) -> Result<(), Fault> {
    match (segment.key, out) {
        (true, Some(out)) => decode_rows::<K, true, true>(kernel, segment, rows, out),
        (false, Some(out)) => decode_rows::<K, false, true>(kernel, segment, rows, out),
        (true, None) => decode_rows::<K, true, false>(kernel, segment, rows, Out::nothing()),
        (false, None) => decode_rows::<K, false, false>(kernel, segment, rows, Out::nothing()),
    }
}

impl Out<'_> {
    fn nothing() -> Self {
        Self { bytes: &mut [], stride: 1, skipped: usize::MAX, rows: 0 }
    }

    /// Copies decoded rows, the first of which is the plane's `first`, as far as they are wanted.
    #[inline(always)]
    fn put<L: Lane>(&mut self, first: usize, rows: &[[L; STRIP]]) {
        for (k, row) in rows.iter().enumerate() {
            let n = (first + k).wrapping_sub(self.skipped);
            if n < self.rows {
                self.bytes[n * self.stride..][..STRIP * L::BYTES].copy_from_slice(L::bytes_of(row));
            }
        }
    }
}

#[inline(always)]
fn decode_rows<K: Kernel, const KEY: bool, const OUT: bool>(
    kernel: K,
    segment: Segment<'_>,
    rows: &mut [[K::Lane; STRIP]],
    mut out: Out<'_>,
) -> Result<(), Fault> {
    let Segment { bytes, length, blocks, groups, .. } = segment;
    let mut at = 0;
    let mut y = if KEY {
        let seed = bytes.get(..length).and_then(K::Lane::from_le);
        at = K::Lane::BYTES;
        kernel.splat(seed.ok_or("a key plane without a seed")?)
    } else {
        // The row above the first is the one before it, which makes every predictor that one.
        kernel.load(rows.first().ok_or("no rows")?)
    };
    let mut yz = y;
    if length == at {
        if KEY {
            for lanes in rows.iter_mut() {
                kernel.store(y, lanes);
            }
        }
        if OUT {
            out.put(0, rows);
        }
        return Ok(());
    }
    let map_bytes = blocks.div_ceil(8);
    let map = bytes.get(at..at + map_bytes).ok_or(SHORT)?;
    let spare = map.last().map_or(0, |last| last >> ((blocks - 1) % 8) >> 1);
    if spare != 0 {
        return Err("a block beyond the last of the plane");
    }
    let coded: u32 = map.iter().map(|b| b.count_ones()).sum();
    if coded == 0 {
        return Err("a map of no block");
    }
    at += map_bytes;
    let headers_end = at + coded as usize * HEADER_BYTES;
    let mut headers = bytes.get(at..headers_end).ok_or(SHORT)?.as_chunks::<HEADER_BYTES>().0.iter();
    let whole = rows.len().div_ceil(BLOCK_ROWS) == blocks;
    at = headers_end;
    for (n, block) in rows.chunks_mut(BLOCK_ROWS).enumerate() {
        if map[n / 8] >> (n % 8) & 1 == 0 {
            for lanes in block.iter_mut() {
                if KEY {
                    kernel.store(y, lanes);
                } else {
                    y = kernel.load(lanes);
                    yz = y;
                }
            }
            if OUT {
                out.put(n * BLOCK_ROWS, block);
            }
            continue;
        }
        let &[head, low, high] = headers.next().ok_or("a block beyond the last of the plane")?;
        let factors = PREDICTORS[usize::from(head >> 5)];
        let (nibbles, width) = split(head & 31);
        if usize::from(head & 31) > K::Lane::BYTES * 8 {
            return Err("a width beyond that of a voxel");
        }
        let less = u16::from_le_bytes([low, high]);
        if groups == 2
            && nibbles <= 1
            && let Some(block) = block.first_chunk_mut::<BLOCK_ROWS>()
        {
            let packed = array_at(bytes, at).ok_or(SHORT)?;
            let four = Four { packed, widths: &WIDTHS[width], less, factors };
            let used = if nibbles == 0 {
                decode_four::<K, KEY, 0>(kernel, four, block, &mut y, &mut yz)
            } else {
                decode_four::<K, KEY, 1>(kernel, four, block, &mut y, &mut yz)
            };
            at += used;
            if OUT {
                out.put(n * BLOCK_ROWS, block);
            }
            continue;
        }
        for (k, lanes) in block.iter_mut().enumerate() {
            let mut lower = [&[0; 8]; MOST_NIBBLES];
            for plane in &mut lower[..nibbles] {
                *plane = array_at(bytes, at).ok_or(SHORT)?;
                at += groups * GROUP / 2;
            }
            let mut widths = WIDTHS[width][usize::from(less >> (4 * k) & 15)];
            if groups == 1 {
                widths = Widths::new(widths.groups[0], 0);
            }
            let mut residual = kernel.unpack(array_at(bytes, at).ok_or(SHORT)?, widths);
            at += usize::from(widths.bytes);
            for plane in lower[..nibbles].iter().rev() {
                residual = kernel.append(residual, plane);
            }
            (y, yz) = next_row::<K, KEY>(kernel, lanes, y, yz, factors, residual);
        }
        if OUT {
            out.put(n * BLOCK_ROWS, block);
        }
    }
    if at > length || (whole && (at != length || headers.next().is_some())) {
        return Err("its widths do not add up to its length");
    }
    Ok(())
}

/// A block of four rows of two groups, with at most one nibble below the packed bits.
#[derive(Clone, Copy)]
struct Four<'a> {
    packed: &'a [u8; FOUR_BYTES],
    widths: &'a [Widths; 16],
    less: u16,
    factors: (i16, i16),
}

/// Decodes a block without a check or a branch; gives the bytes that it took.
#[inline(always)]
fn decode_four<K: Kernel, const KEY: bool, const NIBBLES: usize>(
    kernel: K,
    Four { packed, widths, less, factors }: Four<'_>,
    block: &mut [[K::Lane; STRIP]; BLOCK_ROWS],
    y: &mut K::Row,
    yz: &mut K::Row,
) -> usize {
    let mut at = 0;
    for (k, lanes) in block.iter_mut().enumerate() {
        let widths = widths[usize::from(less >> (4 * k) & 15)];
        // At most 72 here and 80 below, which the compiler cannot know.
        let nibbles: &[u8; 8] = packed[at & 127..].first_chunk().expect("within the array");
        at += NIBBLES * STRIP / 2;
        let bits = packed[at & 127..].first_chunk().expect("within the array");
        at += usize::from(widths.bytes);
        let residual = if NIBBLES == 0 {
            kernel.unpack(bits, widths)
        } else {
            kernel.unpack_above(bits, widths, nibbles)
        };
        (*y, *yz) = next_row::<K, KEY>(kernel, lanes, *y, *yz, factors, residual);
    }
    at
}

/// Replaces the row before by this one; gives what is above and before-above the next.
#[inline(always)]
fn next_row<K: Kernel, const KEY: bool>(
    kernel: K,
    lanes: &mut [K::Lane; STRIP],
    y: K::Row,
    yz: K::Row,
    factors: (i16, i16),
    residual: K::Row,
) -> (K::Row, K::Row) {
    let (predicted, z) = if KEY {
        (y, yz)
    } else {
        let z = kernel.load(lanes);
        (kernel.predict(Near { y, z, yz }, factors), z)
    };
    let row = kernel.add(predicted, residual);
    kernel.store(row, lanes);
    (row, z)
}

const SHORT: Fault = "shorter than its blocks";

#[inline(always)]
fn array_at<const N: usize>(bytes: &[u8], at: usize) -> Option<&[u8; N]> {
    bytes.get(at..)?.first_chunk()
}

/// Nibbles below the packed bits of a 32-bit voxel.
const MOST_NIBBLES: usize = 6;

/// How a voxel's bits are stored, from the five bits of a header, which are the width, but 31
/// stands for 32: the number of nibbles stored as they are, and the width of the packed bits above
/// them, at most 8.
pub(super) fn split(code: u8) -> (usize, usize) {
    let width = if code == 31 { 32 } else { usize::from(code) };
    let nibbles = width.saturating_sub(8).div_ceil(4);
    (nibbles, width - 4 * nibbles)
}
