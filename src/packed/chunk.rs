//! A whole chunk: which form it has, and the walk over its planes and strips.

use super::kernel::{Lane, Out, SLACK, Segment};
use super::simd::{Code, Isa};
use super::view::{BLOCK_ROWS, STRIP, View, is_key};

pub(super) const VERSION: u8 = 1;
pub(super) const CONSTANT: u8 = 0;
pub(super) const LANES_16: u8 = 1;
pub(super) const LANES_32: u8 = 2;
pub(super) const ZSTD: u8 = 3;

/// Buffers that a thread keeps between chunks, so that decoding allocates nothing once warm.
#[derive(Default)]
pub(crate) struct Scratch {
    rows_16: Vec<[i16; STRIP]>,
    rows_32: Vec<[i32; STRIP]>,
    /// The end of a chunk, with room behind it.
    tail: Vec<u8>,
    /// Voxels on their way from a frame, or from lanes of another size.
    voxels: Vec<u8>,
    zstd: Option<zstd::zstd_safe::DCtx<'static>>,
}

impl Scratch {
    /// Gives back buffers of more than `most` bytes.
    pub(crate) fn trim(&mut self, most: usize) {
        let Self { rows_16, rows_32, tail, voxels, .. } = self;
        if rows_16.capacity() * 32 > most {
            *rows_16 = Vec::new();
        }
        if rows_32.capacity() * 64 > most {
            *rows_32 = Vec::new();
        }
        for buffer in [tail, voxels] {
            if buffer.capacity() > most {
                *buffer = Vec::new();
            }
        }
    }
}

/// A box of a chunk, `z, y, x` in voxels; not empty and inside the chunk.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window {
    /// Shape of the chunk.
    pub(crate) chunk: [usize; 3],
    /// First voxel of the box.
    pub(crate) start: [usize; 3],
    /// Shape of the box.
    pub(crate) shape: [usize; 3],
}

/// Voxels of a window as they are in memory: rows of one plane, one above the other.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Piece<'a> {
    /// Where in the window the piece begins, `z, y, x`.
    pub(crate) at: [usize; 3],
    /// The rows, and the end of the last.
    pub(crate) bytes: &'a [u8],
    /// Rows.
    pub(crate) rows: usize,
    /// Bytes of a row.
    pub(crate) width: usize,
    /// Bytes from one row to the next; not 0.
    pub(crate) stride: usize,
}

/// Where the voxels of a window go.
pub(crate) trait Sink {
    /// Takes a piece.
    fn put(&mut self, piece: Piece<'_>);

    /// The destination from voxel `at` of the window on, and the bytes from one row to the next,
    /// if voxels go there as they are: then rows may be written there instead of being put.
    fn rows(&mut self, at: [usize; 3]) -> Option<(&mut [u8], usize)>;
}

/// Decodes the box `window` of a chunk of voxels of `item` bytes, and gives it to `put`. Bytes that are no chunk of this shape are an error, before or after some voxels.
#[inline(always)]
pub(crate) fn decode_window(
    isa: Isa,
    encoded: &[u8],
    window: &Window,
    item: usize,
    scratch: &mut Scratch,
    put: &mut impl Sink,
) -> Result<(), String> {
    let view = View::new(window.chunk).ok_or("the chunk is too large for this machine")?;
    let [version, form, content @ ..] = encoded else {
        return Err("packed: shorter than its header".into());
    };
    if *version != VERSION {
        return Err(format!("packed: of version {version}; this one reads {VERSION}"));
    }
    let done = match *form {
        CONSTANT => constant(content, window, item, put),
        LANES_16 if item <= 4 => {
            let Scratch { rows_16, tail, voxels, .. } = scratch;
            lanes(isa, content, &view, window, item, rows_16, [tail, voxels], put)
        }
        LANES_32 if item == 4 => {
            let Scratch { rows_32, tail, voxels, .. } = scratch;
            lanes(isa, content, &view, window, item, rows_32, [tail, voxels], put)
        }
        ZSTD => frame(content, window, item, scratch, put),
        _ => Err("of an unknown form".into()),
    };
    done.map_err(|reason| format!("packed: {reason}"))
}

fn constant(
    content: &[u8],
    window: &Window,
    item: usize,
    put: &mut impl Sink,
) -> Result<(), String> {
    if content.len() != item {
        return Err("a constant of another size than a voxel".into());
    }
    let mut bytes = [0; 128];
    for voxel in bytes.chunks_exact_mut(item) {
        voxel.copy_from_slice(content);
    }
    let most = bytes.len() / item;
    for z in 0..window.shape[0] {
        for y in 0..window.shape[1] {
            for x in (0..window.shape[2]).step_by(most) {
                let width = most.min(window.shape[2] - x) * item;
                put.put(Piece { at: [z, y, x], bytes: &bytes, rows: 1, width, stride: width });
            }
        }
    }
    Ok(())
}

/// A chunk that is one Zstandard frame of its voxels. No more of it is decoded than up to the
/// last plane that is wanted.
fn frame(
    content: &[u8],
    window: &Window,
    item: usize,
    scratch: &mut Scratch,
    put: &mut impl Sink,
) -> Result<(), String> {
    use zstd::zstd_safe::{DCtx, DParameter, InBuffer, OutBuffer, ResetDirective, get_error_name};

    let [planes, rows, columns] = window.chunk;
    let plane = rows * columns * item;
    let wanted = plane * (window.start[0] + window.shape[0]);
    let Scratch { voxels, zstd, .. } = scratch;
    if voxels.len() < wanted {
        voxels.resize(wanted, 0);
    }
    let context = zstd.get_or_insert_with(DCtx::create);
    let zstd_says = |code| format!("zstd: {}", get_error_name(code));
    context.reset(ResetDirective::SessionOnly).map_err(zstd_says)?;
    // Room for the window that a frame asks for is made, so it must not be larger than the chunk,
    // as none that we write is. The bounds are the least window there is and zstd's own limit.
    let log = (plane * planes).clamp(1 << 10, 1 << 27).next_power_of_two().ilog2();
    context.set_parameter(DParameter::WindowLogMax(log)).map_err(zstd_says)?;
    let mut input = InBuffer::around(content);
    let mut output = OutBuffer::around(&mut voxels[..wanted]);
    let mut left = 1;
    while output.pos() < wanted {
        let before = (input.pos(), output.pos());
        left = context.decompress_stream(&mut output, &mut input).map_err(zstd_says)?;
        if left == 0 || before == (input.pos(), output.pos()) {
            break;
        }
    }
    let whole = wanted == plane * planes;
    if output.pos() < wanted || (whole && (left != 0 || input.pos() != content.len())) {
        return Err("a frame of another number of voxels".into());
    }
    for z in 0..window.shape[0] {
        let row = (window.start[0] + z) * rows + window.start[1];
        put.put(Piece {
            at: [z, 0, 0],
            bytes: &voxels[(row * columns + window.start[2]) * item..wanted],
            rows: window.shape[1],
            width: window.shape[2] * item,
            stride: columns * item,
        });
    }
    Ok(())
}

/// The lengths of all segments, by planes and then strips.
#[derive(Clone, Copy)]
struct Directory<'a> {
    bytes: &'a [u8],
    length_bytes: usize,
}

impl Directory<'_> {
    fn length(&self, n: usize) -> usize {
        match self.length_bytes {
            2 => u16::from_le_bytes([self.bytes[2 * n], self.bytes[2 * n + 1]]).into(),
            _ => {
                let bytes = self.bytes[4 * n..].first_chunk().expect("four bytes an entry");
                u32::from_le_bytes(*bytes) as usize
            }
        }
    }

    /// The sum of `count` lengths from the `first` on; at most 2^32 times the bytes of a chunk.
    fn sum(&self, first: usize, count: usize) -> usize {
        let bytes = &self.bytes[first * self.length_bytes..][..count * self.length_bytes];
        match self.length_bytes {
            2 => {
                let lengths = bytes.as_chunks().0.iter();
                lengths.map(|b| usize::from(u16::from_le_bytes(*b))).sum()
            }
            _ => bytes.as_chunks().0.iter().map(|b| u32::from_le_bytes(*b) as usize).sum(),
        }
    }
}

#[inline(always)]
#[allow(clippy::too_many_arguments)]
fn lanes<L: Code>(
    isa: Isa,
    content: &[u8],
    view: &View,
    window: &Window,
    item: usize,
    buffer: &mut Vec<[L; STRIP]>,
    [tail, stored]: [&mut Vec<u8>; 2],
    put: &mut impl Sink,
) -> Result<(), String> {
    let (&key_every, content) = content.split_first().ok_or("shorter than its header")?;
    let (strips, length_bytes) = (view.strips(), view.length_bytes(L::BYTES));
    let entries = view.planes * strips;
    let bytes = content.get(..entries * length_bytes).ok_or("shorter than its directory")?;
    let directory = Directory { bytes, length_bytes };
    let segments = &content[bytes.len()..];
    let wanted = Wanted::of(view, window);

    let first_plane = match usize::from(key_every) {
        0 => 0,
        every => wanted.planes.start / every * every,
    };
    // The plane before is needed unless all are keys; then one strip of rows does.
    let kept = if key_every == 1 || wanted.planes.end - first_plane == 1 { 0 } else { view.rows };
    let needed = kept * wanted.strips.len().saturating_sub(1) + view.rows;
    if buffer.len() < needed {
        let more = needed - buffer.len();
        buffer.try_reserve(more).map_err(|_| "no memory for a plane of rows")?;
        buffer.resize(needed, [L::default(); STRIP]);
    }
    // Whole blocks, so that a segment's length can be checked where all of it is decoded.
    let decoded_rows = wanted.rows.end.next_multiple_of(BLOCK_ROWS).min(view.rows);
    let mut at = directory.sum(0, first_plane * strips);
    for plane in first_plane..wanted.planes.end {
        let key = is_key(plane, key_every);
        at += directory.sum(plane * strips, wanted.strips.start);
        for strip in wanted.strips.clone() {
            let length = directory.length(plane * strips + strip);
            let rest = segments.get(at..).filter(|rest| length <= rest.len());
            let mut bytes = rest.ok_or("shorter than its segments")?;
            at += length;
            if bytes.len() < length + SLACK {
                tail.clear();
                tail.extend_from_slice(&bytes[..length]);
                tail.resize(length + SLACK, 0);
                bytes = tail;
            }
            let groups = view.groups(strip);
            let segment = Segment { bytes, length, blocks: view.blocks(), groups, key };
            let rows = &mut buffer[kept * (strip - wanted.strips.start)..][..decoded_rows];
            // A whole strip goes straight to its destination, where it is not to be converted.
            let direct = plane >= wanted.planes.start && wanted.is_whole_strip(view, window, strip);
            let place = if direct && item == L::BYTES {
                put.rows([plane - window.start[0], 0, strip * STRIP - window.start[2]])
            } else {
                None
            };
            let out = place.map(|(bytes, stride)| {
                let skipped = wanted.rows.start;
                Out { bytes, stride, skipped, rows: wanted.rows.end - skipped }
            });
            let is_out = out.is_some();
            L::decode(isa, segment, rows, out)?;
            if plane >= wanted.planes.start && !is_out {
                wanted.put(view, window, [plane, strip], rows, item, stored, put);
            }
        }
        at += directory.sum(plane * strips + wanted.strips.end, strips - wanted.strips.end);
    }
    if wanted.planes.end == view.planes && at != segments.len() {
        return Err("its segments do not add up to its length".into());
    }
    Ok(())
}

/// What must be decoded for a window.
struct Wanted {
    planes: std::ops::Range<usize>,
    strips: std::ops::Range<usize>,
    rows: std::ops::Range<usize>,
}

impl Wanted {
    fn of(view: &View, window: &Window) -> Self {
        let Window { start, shape, chunk } = window;
        let end: [usize; 3] = std::array::from_fn(|a| start[a] + shape[a]);
        if !view.folded {
            let strips = start[2] / STRIP..end[2].div_ceil(STRIP);
            return Self { planes: start[0]..end[0], strips, rows: start[1]..end[1] };
        }
        let at = |z: usize, y: usize, x: usize| (z * chunk[1] + y) * chunk[2] + x;
        if view.planes == chunk[0] {
            let rows = at(0, start[1], start[2]) / STRIP..at(0, end[1] - 1, end[2]).div_ceil(STRIP);
            return Self { planes: start[0]..end[0], strips: 0..1, rows };
        }
        let first = at(start[0], start[1], start[2]) / STRIP;
        let last = at(end[0] - 1, end[1] - 1, end[2]).div_ceil(STRIP);
        Self { planes: 0..1, strips: 0..1, rows: first..last }
    }

    /// True if every column of a strip is wanted, and its rows are the window's.
    fn is_whole_strip(&self, view: &View, window: &Window, strip: usize) -> bool {
        let columns = strip * STRIP..(strip + 1) * STRIP;
        let end = window.start[2] + window.shape[2];
        !view.folded && window.start[2] <= columns.start && columns.end <= end
    }

    /// Hands out what a window has of a decoded segment.
    #[inline(always)]
    fn put<L: Lane>(
        &self,
        view: &View,
        window: &Window,
        [plane, strip]: [usize; 2],
        rows: &[[L; STRIP]],
        item: usize,
        stored: &mut Vec<u8>,
        put: &mut impl Sink,
    ) {
        let Window { start, shape, chunk } = *window;
        let bytes = if item == L::BYTES {
            L::bytes_of(rows.as_flattened())
        } else {
            narrow_or_widen(rows.as_flattened(), item, stored);
            stored
        };
        if !view.folded {
            let left = strip * STRIP;
            let from = start[2].max(left);
            let to = (start[2] + shape[2]).min(left + STRIP);
            return put.put(Piece {
                at: [plane - start[0], 0, from - start[2]],
                bytes: &bytes[(self.rows.start * STRIP + from - left) * item..],
                rows: shape[1],
                width: (to - from) * item,
                stride: STRIP * item,
            });
        }
        // One plane of the view is one of the chunk, or all of them.
        let one = view.planes == chunk[0];
        let planes = if one { plane..plane + 1 } else { start[0]..start[0] + shape[0] };
        for z in planes {
            let above = if one { 0 } else { z * chunk[1] } + start[1];
            put.put(Piece {
                at: [z - start[0], 0, 0],
                bytes: &bytes[(above * chunk[2] + start[2]) * item..],
                rows: shape[1],
                width: shape[2] * item,
                stride: chunk[2] * item,
            });
        }
    }
}

/// Lanes as voxels of `item` bytes in memory.
fn narrow_or_widen<L: Lane>(lanes: &[L], item: usize, voxels: &mut Vec<u8>) {
    voxels.clear();
    if item == 1 {
        voxels.extend(lanes.iter().map(|lane| lane.low_byte()));
    } else {
        voxels.resize(lanes.len() * 4, 0);
        for (voxel, lane) in voxels.as_chunks_mut().0.iter_mut().zip(lanes) {
            *voxel = lane.to_i32().to_ne_bytes();
        }
    }
}
