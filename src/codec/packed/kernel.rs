//! Decoding a segment: the part of a plane that lies in one strip.
//!
//! The algorithm is written once, over a [`Kernel`] that knows how to do each step on a row of 16
//! lanes; every kernel gives the same lanes.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "voxels are bits here"
)]
#![allow(clippy::trivially_copy_pass_by_ref, reason = "references to bytes within a chunk")]

use super::view::{BLOCK_ROWS, GROUP, GROUPS, HEADER_BYTES, STRIP};

/// The factors `(a, b)` of each predictor: `z + ((a * (y - z) + b * (y - yz)) >> 2)`.
pub(super) const PREDICTORS: [(i16, i16); 8] =
    [(4, 0), (0, 0), (2, 0), (0, 4), (1, 2), (1, 1), (3, 0), (1, 0)];

/// Bytes that a kernel may read beyond the last byte of a segment.
pub(super) const SLACK: usize = FOUR_BYTES;

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

impl Widths {
    const fn new(first: u8, second: u8) -> Self {
        Self { groups: [first, second], pair: 9 * first + second, bytes: first + second }
    }
}

/// Room for a block of [`Four`], whatever its widths.
const FOUR_BYTES: usize = 144;

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

/// The portable kernel: plain Rust that the compiler vectorises.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Portable<L>(std::marker::PhantomData<L>);

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
