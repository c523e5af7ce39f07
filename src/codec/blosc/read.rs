//! Reading a container: blocks to the rows of a patch.

use super::{
    BIT_SHUFFLE, BYTE_SHUFFLE, FORMAT_VERSION, HEADER_BYTES, LZ4, MAX_SPLITS, MIN_SPLIT_ELEMENTS,
    NOT_SPLIT, RESERVED, STORED, ZSTD,
};
use crate::codec::interleave::unshuffle;
use crate::codec::refusal::{Refusal, exact};
use crate::codec::scratch::{Scratch, room};
use crate::codec::stretch::{Stretch, Walk, write_plain};
use crate::codec::target::{Part, Target};
use crate::codec::whole::chunk_bytes;
use crate::codec::zstd;

type Zstd = Option<::zstd::bulk::Decompressor<'static>>;

/// Decodes a part of a chunk that is a container.
pub(crate) fn decode(
    encoded: &[u8],
    part: &Part,
    target: &mut Target<'_>,
    scratch: &mut Scratch,
) -> Result<(), Refusal> {
    let container = Container::parse(encoded, chunk_bytes(part)?)?;
    let Scratch { packed, chunk, row, zstd, .. } = scratch;
    if let Some(stored) = container.stored {
        write_plain(stored, part, target, row);
        return Ok(());
    }
    if !container.holds_whole_voxels(part.item) {
        let chunk = room(chunk, container.bytes);
        container.decode_whole(chunk, packed, zstd)?;
        write_plain(chunk, part, target, row);
        return Ok(());
    }
    let mut walk = Walk::new(part);
    while let Some(position) = walk.position() {
        let (start, length) = container.block_at(position * part.item);
        let stretch = container.block(start, length, packed, zstd)?;
        let voxels = [start / part.item, (start + length) / part.item];
        walk.write(stretch, voxels, target, row);
    }
    Ok(())
}

#[derive(Debug, Clone, Copy)]
enum Compressor {
    Lz4,
    Zstd,
}

/// A container whose header makes sense. Offsets and lengths of blocks are yet to be checked.
#[derive(Debug)]
struct Container<'a> {
    encoded: &'a [u8],
    /// Decoded bytes of the chunk.
    bytes: usize,
    /// Decoded bytes of every block but the last; at least 1.
    block: usize,
    /// Bytes of an element of the filter; at least 1.
    element: usize,
    shuffled: bool,
    may_split: bool,
    compressor: Compressor,
    /// The chunk's own bytes, if it is not compressed at all.
    stored: Option<&'a [u8]>,
}

impl<'a> Container<'a> {
    /// Reads the header of a chunk that must hold `expected` bytes.
    fn parse(encoded: &'a [u8], expected: usize) -> Result<Self, Refusal> {
        let refuse = |what: &str| Err(format!("blosc: {what}"));
        let Some((header, content)) = encoded.split_first_chunk::<HEADER_BYTES>() else {
            return refuse("shorter than its header");
        };
        let [version, _, flags, element, ..] = *header;
        let [bytes, block, length] = [4, 8, 12].map(|at| number(header, at).unwrap_or(0));
        if version != FORMAT_VERSION || flags & RESERVED != 0 {
            return refuse("of an unknown version of the format");
        }
        if bytes != expected || length != encoded.len() {
            return Err(format!(
                "blosc: holds {bytes} bytes in {length}, not {expected} in {}",
                encoded.len()
            ));
        }
        if block == 0 || block > bytes || element == 0 {
            return refuse("blocks or elements of an impossible size");
        }
        let element = usize::from(element);
        let compressor = match flags >> 5 {
            LZ4 => Compressor::Lz4,
            ZSTD => Compressor::Zstd,
            _ if flags & STORED != 0 => Compressor::Lz4,
            _ => return refuse("compressed otherwise than the array's metadata says"),
        };
        if flags & (BIT_SHUFFLE | STORED) == BIT_SHUFFLE {
            return refuse("filtered otherwise than the array's metadata says");
        }
        let stored = (flags & STORED != 0).then_some(content);
        if stored.is_some_and(|s| s.len() != bytes) {
            return refuse("stored, but not of the chunk's length");
        }
        let shuffled = flags & BYTE_SHUFFLE != 0 && element > 1;
        let may_split = flags & NOT_SPLIT == 0;
        Ok(Self { encoded, bytes, block, element, shuffled, may_split, compressor, stored })
    }

    /// Whether each block can be decoded to voxels of `item` bytes by itself.
    fn holds_whole_voxels(&self, item: usize) -> bool {
        let filter_fits = !self.shuffled || (self.element == item && matches!(item, 2 | 4 | 8));
        filter_fits && self.block.is_multiple_of(item) && self.bytes.is_multiple_of(item)
    }

    /// Start and length of the block that holds the chunk's byte `at`.
    fn block_at(&self, at: usize) -> (usize, usize) {
        let start = at / self.block * self.block;
        (start, self.block.min(self.bytes - start))
    }

    /// Into how many pieces a block of this many decoded bytes is split.
    fn pieces(&self, length: usize) -> usize {
        let splits = self.may_split
            && length == self.block
            && self.element <= MAX_SPLITS
            && length / self.element >= MIN_SPLIT_ELEMENTS;
        if splits { self.element } else { 1 }
    }

    /// The compressed pieces of the block that starts at the chunk's byte `start`.
    fn pieces_at(&self, start: usize) -> Result<Pieces<'a>, Refusal> {
        let at = HEADER_BYTES + start / self.block * 4;
        number(self.encoded, at)
            .and_then(|offset| self.encoded.get(offset..))
            .map(Pieces)
            .ok_or_else(|| "blosc: a block beyond the end of the chunk".to_owned())
    }

    /// Decodes the block at `start`, of `length` bytes. Pieces stored as they are stay in place.
    fn block<'s>(
        &self,
        start: usize,
        length: usize,
        packed: &'s mut Vec<u8>,
        zstd: &mut Zstd,
    ) -> Result<Stretch<'s>, Refusal>
    where
        'a: 's,
    {
        let mut pieces = self.pieces_at(start)?;
        let count = self.pieces(length);
        if !self.shuffled && count > 1 {
            let out = room(packed, length);
            self.decode_pieces(pieces, count, out, zstd)?;
            return Ok(Stretch::Plain(out));
        }
        // One piece, or one for each byte of an element: either way planes of equal length.
        let packed = room(packed, length);
        let plane = length / if self.shuffled { self.element } else { 1 };
        let mut planes: [&[u8]; 8] = [&[]; 8];
        let mut slots = packed.chunks_exact_mut(length / count);
        let mut filled = planes.iter_mut();
        for _ in 0..count {
            let slot = slots.next().ok_or("blosc: a block of no bytes")?;
            let piece = pieces.next()?;
            let decoded: &'s [u8] = if piece.len() == slot.len() {
                piece
            } else {
                self.decompress(piece, slot, zstd)?;
                slot
            };
            for (plane, into) in decoded.chunks_exact(plane).zip(&mut filled) {
                *into = plane;
            }
        }
        let [a, b, c, d, ..] = planes;
        Ok(match (self.shuffled, self.element) {
            (true, 2) => Stretch::Planes2([a, b]),
            (true, 4) => Stretch::Planes4([a, b, c, d]),
            (true, 8) => Stretch::Planes8(planes),
            _ => Stretch::Plain(a),
        })
    }

    /// Decodes every block of the chunk to `out`, whatever the sizes of blocks and elements.
    fn decode_whole(
        &self,
        out: &mut [u8],
        packed: &mut Vec<u8>,
        zstd: &mut Zstd,
    ) -> Result<(), Refusal> {
        for (i, out) in out.chunks_mut(self.block).enumerate() {
            let pieces = self.pieces_at(i * self.block)?;
            let count = self.pieces(out.len());
            if self.shuffled {
                let packed = room(packed, out.len());
                self.decode_pieces(pieces, count, packed, zstd)?;
                unshuffle(self.element, packed, out);
            } else {
                self.decode_pieces(pieces, count, out, zstd)?;
            }
        }
        Ok(())
    }

    /// Decodes `count` pieces, one behind the other, to `out`.
    fn decode_pieces(
        &self,
        mut pieces: Pieces<'_>,
        count: usize,
        out: &mut [u8],
        zstd: &mut Zstd,
    ) -> Result<(), Refusal> {
        if !out.len().is_multiple_of(count) {
            return Err("blosc: a split block that is no whole number of elements".to_owned());
        }
        for slot in out.chunks_exact_mut(out.len() / count) {
            let piece = pieces.next()?;
            if piece.len() == slot.len() {
                slot.copy_from_slice(piece);
            } else {
                self.decompress(piece, slot, zstd)?;
            }
        }
        Ok(())
    }

    fn decompress(&self, piece: &[u8], out: &mut [u8], state: &mut Zstd) -> Result<(), Refusal> {
        match self.compressor {
            Compressor::Lz4 => lz4_exact(piece, out),
            Compressor::Zstd => zstd::decode_exact(state, piece, out),
        }
    }
}

/// The pieces of a block and whatever follows.
struct Pieces<'a>(&'a [u8]);

impl<'a> Pieces<'a> {
    fn next(&mut self) -> Result<&'a [u8], Refusal> {
        let cut = number(self.0, 0).and_then(|length| self.0[4..].split_at_checked(length));
        let (piece, behind) = cut.ok_or("blosc: a block that ends too early")?;
        self.0 = behind;
        Ok(piece)
    }
}

/// Decompresses an LZ4 block that must fill `out` exactly.
fn lz4_exact(encoded: &[u8], out: &mut [u8]) -> Result<(), Refusal> {
    let length = i32::try_from(out.len()).map_err(|_| "lz4: a block beyond 2 GiB".to_owned())?;
    let done = lz4::block::decompress_to_buffer(encoded, Some(length), out);
    exact(done.map_err(|e| format!("lz4: {e}"))?, out.len(), "lz4")
}

/// The number at byte `at`: 32 bits, little-endian, not negative.
fn number(bytes: &[u8], at: usize) -> Option<usize> {
    let four = bytes.get(at..)?.first_chunk::<4>()?;
    usize::try_from(i32::from_le_bytes(*four)).ok()
}
