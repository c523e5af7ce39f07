//! A chunk of lanes: the walk over its planes and strips.

use super::dispatch::Code;
use super::isa::Isa;
use super::lane::Lane;
use super::segment::{Out, SLACK, Segment};
use super::view::{BLOCK_ROWS, STRIP, View, is_key};
use super::window::{Piece, Sink, Window};

/// The lengths of all segments, by planes and then strips.
#[derive(Clone, Copy)]
struct Directory<'a> {
    bytes: &'a [u8],
    length_bytes: usize,
}

impl Directory<'_> {
    /// The sum of `count` lengths from the `first` on; no more than a `usize` holds.
    fn sum(&self, first: usize, count: usize) -> usize {
        let bytes = &self.bytes[first * self.length_bytes..][..count * self.length_bytes];
        let sum: u64 = if self.length_bytes == 2 {
            bytes.as_chunks().0.iter().map(|b| u64::from(u16::from_le_bytes(*b))).sum()
        } else {
            bytes.as_chunks().0.iter().map(|b| u64::from(u32::from_le_bytes(*b))).sum()
        };
        usize::try_from(sum).unwrap_or(usize::MAX)
    }
}

/// Buffers for lanes of one size.
pub(super) struct Buffers<'a, L> {
    /// Rows of the plane before, which become those of this one.
    pub(super) rows: &'a mut Vec<[L; STRIP]>,
    /// The end of a chunk, with room behind it.
    pub(super) tail: &'a mut Vec<u8>,
    /// Voxels of another size than the lanes.
    pub(super) voxels: &'a mut Vec<u8>,
}

/// Decodes the content of a chunk of lanes, as far as it is wanted.
#[inline(always)]
pub(super) fn decode_lanes<L: Code>(
    isa: Isa,
    content: &[u8],
    wanted: &Wanted<'_>,
    Buffers { rows: buffer, tail, voxels }: Buffers<'_, L>,
    sink: &mut impl Sink,
) -> Result<(), String> {
    let Wanted { view, window, item, .. } = *wanted;
    let (&key_every, content) = content.split_first().ok_or("shorter than its header")?;
    let (strips, length_bytes) = (view.strips(), view.length_bytes(L::BYTES));
    let entries = view.planes * strips;
    let bytes = content.get(..entries * length_bytes).ok_or("shorter than its directory")?;
    let directory = Directory { bytes, length_bytes };
    let segments = &content[bytes.len()..];

    let first_plane = match usize::from(key_every) {
        0 => 0,
        every => wanted.planes.start / every * every,
    };
    // The plane before is needed unless all are keys; then one strip of rows does.
    let one = key_every == 1 || wanted.planes.end - first_plane == 1;
    // Whole blocks, so that a segment's length can be checked where all of it is decoded.
    let decoded_rows = wanted.rows.end.next_multiple_of(BLOCK_ROWS).min(view.rows);
    let kept = if one { 0 } else { decoded_rows };
    let needed = kept * wanted.strips.len().saturating_sub(1) + decoded_rows;
    if buffer.len() < needed {
        let more = needed - buffer.len();
        buffer.try_reserve(more).map_err(|_| "no memory for a plane of rows")?;
        buffer.resize(needed, [L::default(); STRIP]);
    }
    let mut at = directory.sum(0, first_plane * strips);
    for plane in first_plane..wanted.planes.end {
        let key = is_key(plane, key_every);
        at = at.saturating_add(directory.sum(plane * strips, wanted.strips.start));
        for strip in wanted.strips.clone() {
            let length = directory.sum(plane * strips + strip, 1);
            let rest = segments.get(at..).filter(|rest| length <= rest.len());
            let mut bytes = rest.ok_or("shorter than its segments")?;
            at = at.saturating_add(length);
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
            let direct = plane >= wanted.planes.start && wanted.is_whole_strip(strip);
            let place = if direct && item == L::BYTES {
                sink.rows([plane - window.start[0], 0, strip * STRIP - window.start[2]])
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
                wanted.put([plane, strip], rows, voxels, sink);
            }
        }
        let (behind, count) = (plane * strips + wanted.strips.end, strips - wanted.strips.end);
        at = at.saturating_add(directory.sum(behind, count));
    }
    if wanted.planes.end == view.planes && at != segments.len() {
        return Err("its segments do not add up to its length".into());
    }
    Ok(())
}

/// What must be decoded for a window.
pub(super) struct Wanted<'a> {
    view: &'a View,
    window: &'a Window,
    /// Bytes of a voxel.
    item: usize,
    planes: std::ops::Range<usize>,
    strips: std::ops::Range<usize>,
    rows: std::ops::Range<usize>,
}

impl<'a> Wanted<'a> {
    /// Of a chunk of voxels of `item` bytes that is seen as `view`.
    pub(super) fn of(view: &'a View, window: &'a Window, item: usize) -> Self {
        let Window { start, shape, chunk } = window;
        let end: [usize; 3] = std::array::from_fn(|a| start[a] + shape[a]);
        let at = |z: usize, y: usize, x: usize| (z * chunk[1] + y) * chunk[2] + x;
        let (planes, strips, rows) = if !view.folded {
            let strips = start[2] / STRIP..end[2].div_ceil(STRIP);
            (start[0]..end[0], strips, start[1]..end[1])
        } else if view.planes == chunk[0] {
            let rows = at(0, start[1], start[2]) / STRIP..at(0, end[1] - 1, end[2]).div_ceil(STRIP);
            (start[0]..end[0], 0..1, rows)
        } else {
            let first = at(start[0], start[1], start[2]) / STRIP;
            (0..1, 0..1, first..at(end[0] - 1, end[1] - 1, end[2]).div_ceil(STRIP))
        };
        Self { view, window, item, planes, strips, rows }
    }

    /// True if every column of a strip is wanted, and its rows are the window's.
    fn is_whole_strip(&self, strip: usize) -> bool {
        let (first, end) = (self.window.start[2], self.window.start[2] + self.window.shape[2]);
        !self.view.folded && first <= strip * STRIP && (strip + 1) * STRIP <= end
    }

    /// Hands out what a window has of a decoded segment.
    #[inline(always)]
    fn put<L: Lane>(
        &self,
        [plane, strip]: [usize; 2],
        rows: &[[L; STRIP]],
        voxels: &mut Vec<u8>,
        sink: &mut impl Sink,
    ) {
        let Self { view, window, item, .. } = *self;
        let Window { start, shape, chunk } = *window;
        let bytes = if item == L::BYTES {
            L::bytes_of(rows.as_flattened())
        } else {
            narrow_or_widen(rows.as_flattened(), item, voxels);
            voxels
        };
        if !view.folded {
            let left = strip * STRIP;
            let from = start[2].max(left);
            let to = (start[2] + shape[2]).min(left + STRIP);
            return sink.put(Piece {
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
            sink.put(Piece {
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
