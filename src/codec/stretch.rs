//! From a stretch of a chunk's voxels to the rows of a patch.

use super::interleave::interleave;
use super::rows::{Rows, Steps};
use super::scratch::room;
use super::target::{Part, Target};

/// Bytes of stored rows that are put together before they are converted: less than a cache holds.
const CONVERTED_BYTES: usize = 8 << 10;

/// Some consecutive voxels of a chunk, decompressed.
#[derive(Debug, Clone, Copy)]
pub(super) enum Stretch<'a> {
    /// In order.
    Plain(&'a [u8]),
    /// The first bytes of all voxels, then the second, as the byte shuffle leaves them.
    Planes2([&'a [u8]; 2]),
    Planes4([&'a [u8]; 4]),
    Planes8([&'a [u8]; 8]),
}

/// A rectangle of a stretch: `count` rows of `width` voxels, `stride` voxels apart.
#[derive(Debug, Clone, Copy)]
struct Block {
    from: usize,
    width: usize,
    stride: usize,
    count: usize,
}

impl Stretch<'_> {
    /// Copies rows of voxels of `item` bytes to `out`, `out_stride` bytes apart.
    fn copy(&self, rows: Block, item: usize, out: &mut [u8], out_stride: usize) {
        match self {
            Self::Plain(bytes) => copy_rows::<1>([bytes], rows.scaled(item), out, out_stride),
            Self::Planes2(planes) => copy_rows(*planes, rows, out, out_stride),
            Self::Planes4(planes) => copy_rows(*planes, rows, out, out_stride),
            Self::Planes8(planes) => copy_rows(*planes, rows, out, out_stride),
        }
    }
}

impl Block {
    fn scaled(self, item: usize) -> Self {
        let Self { from, width, stride, count } = self;
        Self { from: from * item, width: width * item, stride: stride * item, count }
    }
}

fn copy_rows<const N: usize>(planes: [&[u8]; N], rows: Block, out: &mut [u8], out_stride: usize) {
    let Block { from, width, stride, count } = rows;
    if width == stride && width * N == out_stride {
        let length = width * count;
        return copy_row(planes.map(|p| &p[from..][..length]), &mut out[..length * N]);
    }
    // The usual widths of chunks, as constants to the compiler.
    match width {
        16 => copy_rows_of(16, planes, rows, out, out_stride),
        32 => copy_rows_of(32, planes, rows, out, out_stride),
        64 => copy_rows_of(64, planes, rows, out, out_stride),
        17..32 if N == 1 => copy_ends::<16>(planes[0], rows, out, out_stride),
        9..16 if N == 1 => copy_ends::<8>(planes[0], rows, out, out_stride),
        5..9 if N == 1 => copy_ends::<4>(planes[0], rows, out, out_stride),
        _ => copy_rows_of(width, planes, rows, out, out_stride),
    }
}

#[inline(always)]
#[allow(clippy::inline_always)]
fn copy_rows_of<const N: usize>(
    width: usize,
    planes: [&[u8]; N],
    Block { from, stride, count, .. }: Block,
    out: &mut [u8],
    out_stride: usize,
) {
    for i in 0..count {
        let mut row = planes;
        for plane in &mut row {
            *plane = &plane[from + i * stride..][..width];
        }
        copy_row(row, &mut out[i * out_stride..][..width * N]);
    }
}

/// Copies rows of `W` to `2 * W` bytes as their first and their last `W`: short copies of a length
/// that the compiler does not know are slow.
fn copy_ends<const W: usize>(bytes: &[u8], rows: Block, out: &mut [u8], out_stride: usize) {
    let Block { from, width, stride, count } = rows;
    for i in 0..count {
        let row = &bytes[from + i * stride..][..width];
        let out = &mut out[i * out_stride..][..width];
        if let (Some(row), Some(out)) = (row.first_chunk::<W>(), out.first_chunk_mut()) {
            *out = *row;
        }
        if let (Some(row), Some(out)) = (row.last_chunk::<W>(), out.last_chunk_mut()) {
            *out = *row;
        }
    }
}

#[inline(always)]
#[allow(clippy::inline_always)]
fn copy_row<const N: usize>(planes: [&[u8]; N], out: &mut [u8]) {
    if N == 1 { out.copy_from_slice(planes[0]) } else { interleave(planes, out) }
}

/// Walks the wanted rows of a part in the order of the chunk, as stretches come along.
#[derive(Debug)]
pub(super) struct Walk<'p> {
    part: &'p Part,
    /// The next voxel to write, counted from the part's start.
    next: [usize; 3],
}

impl<'p> Walk<'p> {
    pub(super) fn new(part: &'p Part) -> Self {
        Self { part, next: [0; 3] }
    }

    /// Where the next wanted voxel is, in voxels from the chunk's start; `None` after the last.
    pub(super) fn position(&self) -> Option<usize> {
        let Part { chunk, start, shape, .. } = self.part;
        let [z, y, x] = self.next;
        (z < shape[0]).then(|| ((start[0] + z) * chunk[1] + start[1] + y) * chunk[2] + start[2] + x)
    }

    /// Writes every wanted voxel of `stretch`, which holds the chunk's voxels `first..end`; the
    /// next wanted one is not before `first`.
    pub(super) fn write(
        &mut self,
        stretch: Stretch<'_>,
        [first, end]: [usize; 2],
        target: &mut Target<'_>,
        row_buffer: &mut Vec<u8>,
    ) {
        let stride = self.part.chunk[2];
        while let Some(at) = self.position().filter(|at| *at < end) {
            let [_, y, x] = self.next;
            let (width, left) = (self.part.shape[2] - x, end - at);
            // A row may be split between stretches; else as many rows of the plane as are here.
            let (width, count) = if x > 0 || left < width {
                (width.min(left), 1)
            } else {
                (width, ((left - width) / stride + 1).min(self.part.shape[1] - y))
            };
            self.put(stretch, Block { from: at - first, width, stride, count }, target, row_buffer);
            self.advance(width, count);
        }
    }

    fn put(
        &self,
        stretch: Stretch<'_>,
        rows: Block,
        target: &mut Target<'_>,
        row_buffer: &mut Vec<u8>,
    ) {
        let ([z, y, x], item) = (self.next, self.part.item);
        if let Some(stride) = target.straight() {
            stretch.copy(rows, item, target.rest_mut([z, y, x]), stride);
            return;
        }
        let width = rows.width;
        if let (Some(to), false) = (target.upwards(), matches!(target.rows, Rows::Copy)) {
            let (kind, from) = (target.rows, width * item);
            let most = (CONVERTED_BYTES / from).max(1);
            for first in (0..rows.count).step_by(most) {
                let count = most.min(rows.count - first);
                let some = Block { from: rows.from + first * rows.stride, count, ..rows };
                let stored = room(row_buffer, count * from);
                stretch.copy(some, item, stored, from);
                let steps = Steps { rows: count, width, from, to };
                kind.convert(stored, target.rest_mut([z, y + first, x]), steps);
            }
            return;
        }
        for i in 0..rows.count {
            let row = Block { from: rows.from + i * rows.stride, count: 1, ..rows };
            let at = [z, y + i, x];
            if matches!(target.rows, Rows::Copy) {
                let strides = target.strides;
                let out = target.row_mut(at, width);
                stretch.copy(row, item, out, 0);
                Target::turn(strides, out);
            } else {
                let stored = room(row_buffer, width * item);
                stretch.copy(row, item, stored, 0);
                target.put(at, stored, width);
            }
        }
    }

    fn advance(&mut self, width: usize, count: usize) {
        let [z, y, x] = &mut self.next;
        *x += width;
        if *x == self.part.shape[2] {
            *x = 0;
            *y += count;
        }
        if *y == self.part.shape[1] {
            *y = 0;
            *z += 1;
        }
    }
}

/// Writes `rows` rows of `width` bytes of stored voxels, `stride` bytes apart, to where `at` of the
/// part is.
#[inline]
pub(super) fn put_rows(
    bytes: &[u8],
    [rows, width, stride]: [usize; 3],
    [z, y, x]: [usize; 3],
    item: usize,
    target: &mut Target<'_>,
) {
    if let Some(to) = target.upwards() {
        let kind = target.rows;
        let out = target.rest_mut([z, y, x]);
        if matches!(kind, Rows::Copy) {
            copy_rows([bytes], Block { from: 0, width, stride, count: rows }, out, to);
        } else {
            kind.convert(bytes, out, Steps { rows, width: width / item, from: stride, to });
        }
        return;
    }
    for n in 0..rows {
        target.put([z, y + n, x], &bytes[n * stride..][..width], width / item);
    }
}

/// Writes a part of a chunk whose voxels lie in order.
pub(super) fn write_plain(
    chunk: &[u8],
    part: &Part,
    target: &mut Target<'_>,
    row_buffer: &mut Vec<u8>,
) {
    let voxels = chunk.len() / part.item;
    Walk::new(part).write(Stretch::Plain(chunk), [0, voxels], target, row_buffer);
}
