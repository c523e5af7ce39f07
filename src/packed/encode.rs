//! Encoding a chunk.

use super::kernel::{Lane, PREDICTORS, split};
use super::view::{BLOCK_ROWS, GROUP, HEADER_BYTES, STRIP, View, is_key};

/// A row of a strip.
pub(super) type Row<L> = [L; STRIP];

/// What an encoder keeps between chunks.
#[derive(Debug, Default)]
pub(super) struct Planes<L> {
    /// Strips of rows of this plane, and of the plane before.
    this: Vec<Row<L>>,
    before: Vec<Row<L>>,
}

/// Appends the directory and the segments of `lanes`, in the order of the chunk. Gives the number
/// of blocks that are not as the predictors say.
#[inline(always)]
pub(super) fn encode_segments<L: Lane>(
    view: &View,
    key_every: u8,
    lanes: &[L],
    planes: &mut Planes<L>,
    out: &mut Vec<u8>,
) -> usize {
    let strips = view.strips();
    let length_bytes = view.length_bytes(L::BYTES);
    let mut entry = out.len();
    out.resize(entry + view.planes * strips * length_bytes, 0);
    for plane in [&mut planes.this, &mut planes.before] {
        plane.clear();
        plane.resize(strips * view.rows, [L::default(); STRIP]);
    }
    let mut coded = 0;
    for (n, voxels) in lanes.chunks(view.plane_voxels).enumerate() {
        cut(view, voxels, &mut planes.this);
        for strip in 0..strips {
            let rows = strip * view.rows..(strip + 1) * view.rows;
            let before = (!is_key(n, key_every)).then(|| &planes.before[rows.clone()]);
            let columns = (view.columns - strip * STRIP).min(STRIP);
            let start = out.len();
            coded += encode_segment(&planes.this[rows], before, columns, out);
            let length = out.len() - start;
            #[allow(clippy::cast_possible_truncation)] // `length_bytes` is enough for any segment
            let length = (length as u32).to_le_bytes();
            out[entry..entry + length_bytes].copy_from_slice(&length[..length_bytes]);
            entry += length_bytes;
        }
        std::mem::swap(&mut planes.this, &mut planes.before);
    }
    coded
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

/// The residuals of a block, and the width of each group in each row.
#[derive(Clone, Copy)]
struct Residuals<L> {
    rows: [Row<L>; BLOCK_ROWS],
    widths: [[u32; 2]; BLOCK_ROWS],
}

/// What the predictors see of a row: the row itself, above it, before it, above and before it.
type Near<L> = [Row<L>; 4];

/// The predictor that is the plane before, unchanged.
const STILL: usize = 1;

#[inline(always)]
fn encode_segment<L: Lane>(
    rows: &[Row<L>],
    before: Option<&[Row<L>]>,
    columns: usize,
    out: &mut Vec<u8>,
) -> usize {
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
        let mut near = [[[L::default(); STRIP]; 4]; BLOCK_ROWS];
        for (k, row) in block.iter().enumerate() {
            let z = before.map_or(above, |b| b[n * BLOCK_ROWS + k]);
            near[k] = match before {
                Some(_) => [*row, above, z, above_before],
                None => [*row, above, above, above],
            };
            (above, above_before) = (*row, z);
        }
        let near = &near[..block.len()];
        // A key plane has but the row above, which any predictor gives.
        let still = residuals::<L>(near, STILL, columns);
        let groups = columns.div_ceil(GROUP);
        if still.widths == [[0; 2]; BLOCK_ROWS] {
            continue;
        }
        let (predictor, best) = match before {
            Some(_) => cheapest(near, still, columns),
            None => (STILL, still),
        };
        let header = write_block(&best, block.len(), groups, out);
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
    coded
}

/// What stands above the first row of a key plane: the middle of that row.
fn seed_of<L: Lane>(row: &[L]) -> L {
    let bounds = row.iter().map(|v| i64::from(v.to_i32()));
    let (low, high) = bounds.fold((i64::MAX, i64::MIN), |(l, h), v| (l.min(v), h.max(v)));
    #[allow(clippy::cast_possible_truncation)] // between two lanes
    L::from_i32(((low + high) >> 1) as i32)
}

#[inline(always)]
fn residuals<L: Lane>(near: &[Near<L>], predictor: usize, columns: usize) -> Residuals<L> {
    let (a, b) = PREDICTORS[predictor];
    let mut rows = [[L::default(); STRIP]; BLOCK_ROWS];
    let mut widths = [[0; 2]; BLOCK_ROWS];
    for (k, [row, y, z, yz]) in near.iter().enumerate() {
        for i in 0..STRIP {
            let predicted = L::predict(y[i], z[i], yz[i], a, b);
            rows[k][i] = row[i].sub(predicted);
        }
        if columns < STRIP {
            rows[k][columns..].fill(L::default());
        }
        widths[k] = widths_in(&rows[k]);
    }
    Residuals { rows, widths }
}

/// The bits that the widest number of each group needs, sign included.
#[inline(always)]
fn widths_in<L: Lane>(row: &Row<L>) -> [u32; 2] {
    let mut bits = [L::default(); STRIP];
    for i in 0..STRIP {
        bits[i] = row[i].zigzag();
    }
    for step in [4, 2, 1] {
        for i in 0..STRIP - step {
            bits[i] = bits[i].or(bits[i + step]);
        }
    }
    [bits[0].bits(), bits[GROUP].bits()]
}

/// The predictor that needs the fewest bytes; of equals the first tried.
#[inline(always)]
fn cheapest<L: Lane>(
    near: &[Near<L>],
    still: Residuals<L>,
    columns: usize,
) -> (usize, Residuals<L>) {
    let mut best = (STILL, still, bytes_for(&still.widths));
    for predictor in (0..PREDICTORS.len()).filter(|p| *p != STILL) {
        let found = residuals(near, predictor, columns);
        let bytes = bytes_for(&found.widths);
        if bytes < best.2 {
            best = (predictor, found, bytes);
        }
    }
    (best.0, best.1)
}

/// Bytes of a block, but for groups that need fewer than their lowest bytes.
#[inline(always)]
fn bytes_for(widths: &[[u32; 2]; BLOCK_ROWS]) -> u32 {
    let all = widths.as_flattened();
    let most = all.iter().fold(0, |most, w| most.max(*w));
    let least = most.saturating_sub(3);
    all.iter().map(|w| least.max(*w)).sum()
}

/// Writes the rows of a block, and gives its header without the predictor.
#[inline(always)]
fn write_block<L: Lane>(
    residuals: &Residuals<L>,
    rows: usize,
    groups: usize,
    out: &mut Vec<u8>,
) -> [u8; HEADER_BYTES] {
    let mut widths = residuals.widths;
    let most = widths.as_flattened().iter().fold(0, |most, w| most.max(*w));
    #[allow(clippy::cast_possible_truncation)] // at most 32
    let code = most.min(31) as u8;
    let (nibbles, most) = split(code);
    let mut tops = residuals.rows;
    if nibbles > 0 {
        for (row, widths) in tops.iter_mut().zip(&mut widths) {
            for lane in row.iter_mut() {
                *lane = lane.shifted(4 * nibbles);
            }
            *widths = widths_in(row);
        }
    }
    let mut offsets = 0_u16;
    for k in 0..rows {
        for plane in 0..nibbles {
            let low = residuals.rows[k].map(|lane| lane.shifted(4 * plane).low_byte() & 15);
            let pairs = low.as_chunks::<2>().0.iter().map(|[low, high]| low | high << 4);
            out.extend(pairs.take(groups * GROUP / 2));
        }
        for group in 0..groups {
            let offset = (most - widths[k][group] as usize).min(3);
            #[allow(clippy::cast_possible_truncation)] // at most 3
            let bits = offset as u16;
            offsets |= bits << (4 * k + 2 * group);
            let width = most.saturating_sub(offset);
            let lanes = tops[k][group * GROUP..].first_chunk::<GROUP>().expect("two groups a row");
            out.extend(&pack(lanes, width).to_le_bytes()[..width]);
        }
    }
    let [low, high] = offsets.to_le_bytes();
    [code, low, high]
}

/// The lowest `width` bits of each lane, one behind the other.
#[inline(always)]
fn pack<L: Lane>(lanes: &[L; GROUP], width: usize) -> u64 {
    let mask = (1_u64 << width) - 1;
    let bits = lanes.iter().enumerate().map(|(i, lane)| {
        #[allow(clippy::cast_sign_loss)] // bits
        let bits = lane.to_i32() as u64;
        (bits & mask) << (i * width)
    });
    bits.fold(0, |word, bits| word | bits)
}
