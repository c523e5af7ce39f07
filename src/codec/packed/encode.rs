//! Encoding a chunk.

use super::kernel::PREDICTORS;
use super::lane::Lane;
use super::segment::split;
use super::view::{BLOCK_ROWS, GROUP, GROUPS, HEADER_BYTES, STRIP, View, is_key};

/// A row of a strip.
pub(super) type Row<L> = [L; STRIP];

/// What an encoder keeps between chunks.
#[derive(Debug, Default)]
pub(super) struct Planes<L> {
    /// Strips of rows of this plane, and of the plane before.
    this: Vec<Row<L>>,
    before: Vec<Row<L>>,
}

/// A chunk of lanes, in order.
pub(super) struct ToEncode<'a, L> {
    pub(super) view: &'a View,
    pub(super) key_every: u8,
    pub(super) lanes: &'a [L],
    pub(super) planes: &'a mut Planes<L>,
}

/// Appends the directory and the segments of `lanes`, in the order of the chunk.
#[inline(always)]
pub(super) fn encode_segments<L: Lane>(
    ToEncode { view, key_every, lanes, planes }: ToEncode<'_, L>,
    out: &mut Vec<u8>,
) {
    let strips = view.strips();
    let length_bytes = view.length_bytes(L::BYTES);
    let mut entry = out.len();
    out.resize(entry + view.planes * strips * length_bytes, 0);
    // Whatever they hold: every row is cut anew, and lanes beyond the last column are not coded.
    for plane in [&mut planes.this, &mut planes.before] {
        plane.resize(strips * view.rows, [L::default(); STRIP]);
    }
    for (n, voxels) in lanes.chunks(view.plane_voxels).enumerate() {
        cut(view, voxels, &mut planes.this);
        for strip in 0..strips {
            let rows = strip * view.rows..(strip + 1) * view.rows;
            let before = (!is_key(n, key_every)).then(|| &planes.before[rows.clone()]);
            let columns = (view.columns - strip * STRIP).min(STRIP);
            let start = out.len();
            encode_segment(&planes.this[rows], before, columns, out);
            let length = out.len() - start;
            #[allow(clippy::cast_possible_truncation)] // `length_bytes` is enough for any segment
            let length = (length as u32).to_le_bytes();
            out[entry..entry + length_bytes].copy_from_slice(&length[..length_bytes]);
            entry += length_bytes;
        }
        std::mem::swap(&mut planes.this, &mut planes.before);
    }
}

/// Cuts a plane into strips. A short row goes on with its last voxel, so that what is coded
/// depends on the chunk alone.
#[inline(always)]
fn cut<L: Lane>(view: &View, voxels: &[L], strips: &mut [Row<L>]) {
    for (y, row) in voxels.chunks(view.columns).enumerate() {
        let (full, rest) = row.as_chunks::<STRIP>();
        for (strip, lanes) in full.iter().enumerate() {
            strips[strip * view.rows + y] = *lanes;
        }
        if !rest.is_empty() {
            let lanes = &mut strips[full.len() * view.rows + y];
            lanes.fill(rest[rest.len() - 1]);
            lanes[..rest.len()].copy_from_slice(rest);
        }
    }
}

/// Four rows, one behind the other; those beyond the last of a plane are zeros.
type Rows<L> = [L; BLOCK_ROWS * STRIP];

/// What is predicted in a block, and what from, as differences: `row - z`, `y - z` and `y - yz`.
struct Block<L> {
    row: Rows<L>,
    y: Rows<L>,
    yz: Rows<L>,
}

impl<L: Lane> Block<L> {
    /// Row `k`, from the row itself and those beside it.
    #[inline(always)]
    fn put(&mut self, k: usize, row: &Row<L>, y: &Row<L>, z: &Row<L>, yz: &Row<L>) {
        let lanes = k * STRIP..(k + 1) * STRIP;
        let out = self.row[lanes.clone()].iter_mut();
        out.zip(row).zip(z).for_each(|((out, row), z)| *out = row.sub(*z));
        let out = self.y[lanes.clone()].iter_mut();
        out.zip(y).zip(z).for_each(|((out, y), z)| *out = y.sub(*z));
        let out = self.yz[lanes].iter_mut();
        out.zip(y).zip(yz).for_each(|((out, y), yz)| *out = y.sub(*yz));
    }

    /// Zeros from a column on: nothing is coded there.
    fn cut(&mut self, columns: usize) {
        for rows in [&mut self.row, &mut self.y, &mut self.yz] {
            for row in rows.chunks_mut(STRIP) {
                row[columns..].fill(L::default());
            }
        }
    }
}

/// The predictor that is the plane before, unchanged.
const STILL: usize = 1;

#[inline(always)]
fn encode_segment<L: Lane>(
    rows: &[Row<L>],
    before: Option<&[Row<L>]>,
    columns: usize,
    out: &mut Vec<u8>,
) {
    let mut above = before.map_or_else(|| [seed_of(&rows[0][..columns]); STRIP], |b| b[0]);
    if before.is_none() {
        out.extend(&above[0].to_i32().to_le_bytes()[..L::BYTES]);
    }
    let mut above_before = above;
    let blocks = rows.len().div_ceil(BLOCK_ROWS);
    let map = out.len();
    let headers = map + blocks.div_ceil(8);
    let payload = headers + blocks * HEADER_BYTES;
    out.resize(payload, 0);
    let mut coded = 0;
    for (n, block) in rows.chunks(BLOCK_ROWS).enumerate() {
        let zeros = [L::default(); BLOCK_ROWS * STRIP];
        let mut near = Block { row: zeros, y: zeros, yz: zeros };
        for (k, row) in block.iter().enumerate() {
            let z = before.map_or(above, |b| b[n * BLOCK_ROWS + k]);
            near.put(k, row, &above, &z, &above_before);
            (above, above_before) = (*row, z);
        }
        if columns < STRIP {
            near.cut(columns);
        }
        // A key plane has but the row above, which any predictor gives.
        if L::or_groups(&near.row) == [0; GROUPS] {
            continue;
        }
        let predictor = if before.is_some() { cheapest(&near) } else { STILL };
        let header = write_block(&residuals(&near, predictor), block.len(), columns, out);
        out[map + n / 8] |= 1 << (n % 8);
        #[allow(clippy::cast_possible_truncation)] // there are 8
        let header = [header[0] | (predictor as u8) << 5, header[1], header[2]];
        out[headers + HEADER_BYTES * coded..][..HEADER_BYTES].copy_from_slice(&header);
        coded += 1;
    }
    if coded == 0 {
        out.truncate(map);
    } else {
        out.drain(headers + HEADER_BYTES * coded..payload);
    }
}

/// What stands above the first row of a key plane: the middle of that row.
fn seed_of<L: Lane>(row: &[L]) -> L {
    let bounds = row.iter().map(|v| i64::from(v.to_i32()));
    let (low, high) = bounds.fold((i64::MAX, i64::MIN), |(l, h), v| (l.min(v), h.max(v)));
    #[allow(clippy::cast_possible_truncation)] // between two lanes
    L::from_i32(((low + high) >> 1) as i32)
}

#[inline(always)]
fn residuals<L: Lane>(near: &Block<L>, predictor: usize) -> Rows<L> {
    let (a, b) = PREDICTORS[predictor];
    let mut rows = near.row;
    for ((row, y), yz) in rows.iter_mut().zip(&near.y).zip(&near.yz) {
        *row = row.sub(L::weighted(*y, *yz, a, b));
    }
    rows
}

/// The bits of each group of each row: what the widest number needs, sign included.
#[inline(always)]
fn widths_of<L: Lane>(rows: &Rows<L>) -> [u32; GROUPS] {
    let mut bits = *rows;
    for lane in &mut bits {
        *lane = lane.zigzag();
    }
    L::or_groups(&bits).map(|bits| {
        if L::BYTES == 2 {
            // The exponent of a float, exact for so few bits: it is had for all groups at once.
            #[allow(clippy::cast_precision_loss)]
            let float = bits.cast_signed() as f32;
            (float.to_bits() >> 23).saturating_sub(126)
        } else {
            u32::BITS - bits.leading_zeros()
        }
    })
}

/// The predictor whose residuals need the fewest bytes; of equals the first tried.
#[inline(always)]
fn cheapest<L: Lane>(near: &Block<L>) -> usize {
    let mut best = (STILL, u32::MAX);
    for predictor in 0..PREDICTORS.len() {
        let widths = widths_of(&residuals(near, predictor));
        let bytes = widths.iter().sum();
        if bytes < best.1 {
            best = (predictor, bytes);
        }
    }
    best.0
}

/// Room for a block of any widths, and for a word behind it.
const BLOCK_BYTES: usize = BLOCK_ROWS * STRIP * 4 + 8;

/// Writes the rows of a block, and gives its header without the predictor.
#[inline(always)]
fn write_block<L: Lane>(
    residuals: &Rows<L>,
    rows: usize,
    columns: usize,
    out: &mut Vec<u8>,
) -> [u8; HEADER_BYTES] {
    let groups = columns.div_ceil(GROUP);
    let mut widths = widths_of(residuals);
    let most = widths.iter().fold(0, |most, w| most.max(*w));
    #[allow(clippy::cast_possible_truncation)] // at most 32
    let code = most.min(31) as u8;
    let (nibbles, most) = split(code);
    let mut tops = *residuals;
    if nibbles > 0 {
        for lane in &mut tops {
            *lane = lane.shifted(4 * nibbles);
        }
        widths = widths_of(&tops);
    }
    #[allow(clippy::cast_possible_truncation)] // at most 8
    let most = most as u32;
    let fewer = widths.map(|width| (most - width).min(3));
    let widths = fewer.map(|fewer| most.saturating_sub(fewer));
    let packed = pack(&bytes_of(&tops), &widths);
    let mut buffer = [0; BLOCK_BYTES];
    let mut at = 0;
    let mut put = |word: u64, bytes: usize| {
        buffer[at..at + 8].copy_from_slice(&word.to_le_bytes());
        at += bytes;
    };
    let mut less = 0_u16;
    for k in 0..rows {
        let row = residuals[k * STRIP..].first_chunk::<STRIP>().expect("four rows");
        for plane in 0..nibbles {
            let low = row.map(|lane| lane.shifted(4 * plane));
            let [first, second] = pack(&bytes_of(&low), &[4; 2]);
            put(second << 32 | first, groups * GROUP / 2);
        }
        for group in 2 * k..2 * k + groups {
            #[allow(clippy::cast_possible_truncation)] // at most 3
            let bits = fewer[group] as u16;
            less |= bits << (2 * group);
            put(packed[group], widths[group] as usize);
        }
    }
    out.extend(&buffer[..at]);
    let [low, high] = less.to_le_bytes();
    [code, low, high]
}

/// The lowest bytes of lanes, by groups.
#[inline(always)]
fn bytes_of<L: Lane, const LANES: usize, const N: usize>(lanes: &[L; LANES]) -> [u64; N] {
    let mut words = [0; N];
    for (word, group) in words.iter_mut().zip(lanes.as_chunks::<GROUP>().0) {
        *word = u64::from_le_bytes(group.map(Lane::low_byte));
    }
    words
}

/// Of each group the lowest `width` bits of its bytes, one behind the other. All groups at once,
/// as vectors have shifts by as many bits as each word wants.
#[inline(always)]
fn pack<const N: usize>(groups: &[u64; N], widths: &[u32; N]) -> [u64; N] {
    const EVEN_BYTES: u64 = 0x00FF_00FF_00FF_00FF;
    const EVEN_PAIRS: u64 = 0x0000_FFFF_0000_FFFF;
    const EVEN_FOURS: u64 = 0x0000_0000_FFFF_FFFF;
    std::array::from_fn(|n| {
        let width = u64::from(widths[n]);
        let mask = (1 << width) - 1;
        let bytes = groups[n] & (mask * 0x0101_0101_0101_0101);
        // Neighbours move together: bytes to pairs, pairs to fours, fours to the word.
        let pairs = (bytes & EVEN_BYTES) | ((bytes & !EVEN_BYTES) >> (8 - width));
        let fours = (pairs & EVEN_PAIRS) | ((pairs & !EVEN_PAIRS) >> (16 - 2 * width));
        (fours & EVEN_FOURS) | ((fours & !EVEN_FOURS) >> (32 - 4 * width))
    })
}
