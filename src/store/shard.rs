//! A shard: chunks one after the other, then a tag and an index.
//!
//! The chunks are ordered frame by frame, layer by layer of the shard, and in a layer line by line
//! along the axis, y or x, on which chunks are shorter. A patch crosses more chunks on that axis,
//! so that its chunks of a layer form a few long stretches, and a whole layer forms one. Readers
//! use only the index.
//!
//! The index is that of Zarr's `sharding_indexed` codec at the end of the file: for each chunk of
//! the shard in C order its offset and length as little-endian u64, both all ones for a chunk that
//! is not stored because every voxel of it is 0; then a CRC-32C of the index.
//!
//! The tag identifies the shard: it is a digest of the shard's key, its index and the checksums of
//! its chunks, and the manifest lists it. Comparing the tag costs nothing, because it lies beside
//! the index, and reveals a shard of another place or another volume for every codec: without
//! compression, all shards of one shape have the same index. No entry of the index points at the
//! tag, so other Zarr readers ignore it. The first stores of format version 1 have shards without a
//! tag.

use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::disk::{Blob, Disk, FetchError, Span};

const EMPTY: u64 = u64::MAX;
const CRC_BYTES: usize = 4;
const TAG_BYTES: usize = 16;

/// The positions of a box of the chunk grid, `z, y, x` from `first` to `last`, in the order in
/// which shards store chunks of this shape.
pub(super) fn file_order(
    chunk: [usize; 3],
    first: [usize; 3],
    last: [usize; 3],
) -> impl Iterator<Item = [usize; 3]> {
    let (line, along) = if chunk[1] < chunk[2] { (2, 1) } else { (1, 2) };
    (first[0]..=last[0]).flat_map(move |z| {
        (first[line]..=last[line]).flat_map(move |n| {
            (first[along]..=last[along]).map(move |m| {
                let mut at = [z; 3];
                (at[line], at[along]) = (n, m);
                at
            })
        })
    })
}

/// The parts of a shard's file, and its end, which follows them. The encoded chunks are given frame
/// by frame, each in C order of the `grid` of the shard, `None` if every voxel is 0. `chunk` is
/// their shape, `key` the shard's key inside the array.
pub(crate) fn parts<'a>(
    key: &str,
    chunks: &'a [Option<Vec<u8>>],
    grid: [usize; 3],
    chunk: [usize; 3],
) -> (Vec<&'a [u8]>, ShardEnd) {
    let mut body = Vec::with_capacity(chunks.len() + 1);
    let mut index = vec![u8::MAX; chunks.len() * 16];
    let mut end = 0_u64;
    let mut tag = blake3::Hasher::new();
    tag.update(key.as_bytes());
    let of_frame = grid.iter().product::<usize>().max(1);
    let places = (0..chunks.len() / of_frame).flat_map(|frame| {
        let places = file_order(chunk, [0; 3], grid.map(|n| n - 1));
        places.map(move |[z, y, x]| frame * of_frame + (z * grid[1] + y) * grid[2] + x)
    });
    for n in places {
        let Some(encoded) = &chunks[n] else { continue };
        let (offset, length) = index[n * 16..][..16].split_at_mut(8);
        offset.copy_from_slice(&end.to_le_bytes());
        length.copy_from_slice(&(encoded.len() as u64).to_le_bytes());
        end += encoded.len() as u64;
        tag.update(encoded.last_chunk::<CRC_BYTES>().map_or(&[], <[u8; CRC_BYTES]>::as_slice));
        body.push(encoded.as_slice());
    }
    tag.update(&index);
    let tag = tag.finalize().as_bytes()[..TAG_BYTES].to_vec();
    let crc = crc32c::crc32c(&index).to_le_bytes();
    let bytes = [&*tag, &index, &crc].concat();
    (body, ShardEnd { bytes, tag: hex(&tag) })
}

/// The bytes after the chunks of a shard.
pub(crate) struct ShardEnd {
    /// The tag, the index and its checksum.
    pub(crate) bytes: Vec<u8>,
    /// The tag in the form of the manifest.
    pub(crate) tag: String,
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

const fn index_bytes(chunks: usize) -> usize {
    chunks * 16 + CRC_BYTES
}

/// The range of the tag and the index in a shard of this many bytes and chunks.
pub(super) fn end_of(bytes: u64, chunks: usize) -> Result<Range<usize>, String> {
    let bytes = usize::try_from(bytes).map_err(|e| e.to_string())?;
    let index = bytes.checked_sub(index_bytes(chunks)).ok_or("shorter than its index")?;
    Ok(index.saturating_sub(TAG_BYTES)..bytes)
}

/// An opened shard: its bytes, if the disk has a view of them, its checked index, and a bit for
/// each of its chunks that was verified.
#[derive(Debug)]
pub(crate) struct Shard {
    blob: Option<Blob>,
    /// The tag in the form of the manifest; meaningless for a shard that was written without one.
    tag: String,
    /// Offset and length of each chunk, checked to lie inside the file.
    index: Box<[(u64, u64)]>,
    verified: Box<[AtomicU64]>,
    /// Chunks that were announced in the period below.
    announced: Box<[AtomicU64]>,
    period: AtomicU64,
}

impl Shard {
    /// Opens a shard in view. Checks length, index checksum and every entry of the index.
    pub(crate) fn open(blob: Blob, chunks: usize, expected_bytes: u64) -> Result<Self, String> {
        if blob.len() as u64 != expected_bytes {
            return Err(format!("{} bytes, the manifest says {expected_bytes}", blob.len()));
        }
        let end = end_of(expected_bytes, chunks)?;
        // The end only, not its surroundings.
        blob.will_need(end.clone());
        let shard = Self::of_end(&blob[end.clone()], end, chunks)?;
        Ok(Self { blob: Some(blob), ..shard })
    }

    /// Opens a shard that no manifest lists, by its index alone; gives its length, too. The outer
    /// error is that of the disk.
    pub(super) fn find(
        disk: &Disk,
        key: &str,
        chunks: usize,
    ) -> io::Result<Result<(Self, u64), String>> {
        let bytes = disk.length(key)?;
        let range = match end_of(bytes, chunks) {
            Ok(range) => range,
            Err(reason) => return Ok(Err(reason)),
        };
        let mut end = Vec::new();
        let span = Span { key, range: range.start as u64..range.end as u64 };
        let fetched = disk.fetch(&[span], &mut |_, bytes| end = bytes);
        fetched.map_err(|FetchError { source, .. }| source)?;
        Ok(Self::of_end(&end, range, chunks).map(|shard| (shard, bytes)))
    }

    /// Opens a shard whose chunks are fetched, from the bytes at [`end_of`]. Checks the index.
    pub(crate) fn of_end(end: &[u8], range: Range<usize>, chunks: usize) -> Result<Self, String> {
        let index = end.len().checked_sub(index_bytes(chunks)).ok_or("shorter than its index")?;
        let body = range.start + index;
        let (tag, index) = end.split_at(index);
        let (entries, crc) = index.split_at(chunks * 16);
        if crc32c::crc32c(entries).to_le_bytes() != crc {
            return Err("the checksum of the shard index does not match".into());
        }
        let word = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().expect("8 bytes"));
        let mut index = Vec::with_capacity(chunks);
        for (n, entry) in entries.chunks_exact(16).enumerate() {
            let (offset, length) = (word(&entry[..8]), word(&entry[8..]));
            let empty = (offset, length) == (EMPTY, EMPTY);
            let inside = offset.checked_add(length).is_some_and(|end| end <= body as u64);
            if !empty && !inside {
                return Err(format!("the shard index places chunk {n} outside the file"));
            }
            index.push((offset, length));
        }
        let none = || (0..chunks.div_ceil(64)).map(|_| AtomicU64::new(0)).collect();
        let (verified, announced, period) = (none(), none(), AtomicU64::new(0));
        let index = index.into_boxed_slice();
        Ok(Self { blob: None, tag: hex(tag), index, verified, announced, period })
    }

    /// The tag in the form of the manifest; meaningless for a shard that was written without one.
    pub(crate) fn tag(&self) -> &str {
        &self.tag
    }

    /// The range of the encoded chunk in the file, checksum included; `None` if every voxel is 0.
    #[allow(clippy::cast_possible_truncation, reason = "checked to lie inside the file")]
    pub(crate) fn range(&self, n: usize) -> Option<Range<usize>> {
        let (offset, length) = self.index[n];
        (offset != EMPTY).then(|| offset as usize..(offset + length) as usize)
    }

    /// A range of the file, if the shard is in view.
    pub(crate) fn view(&self, range: &Range<usize>) -> Option<&[u8]> {
        self.blob.as_ref().map(|blob| &blob[range.clone()])
    }

    /// The encoded chunk without its checksum, given both. For a shard in view, whose bytes do not
    /// change, the checksum is verified at the first call for this chunk; otherwise at every call.
    pub(crate) fn check<'a>(&self, n: usize, bytes: &'a [u8]) -> Result<&'a [u8], String> {
        let (encoded, crc) = bytes
            .len()
            .checked_sub(CRC_BYTES)
            .map(|at| bytes.split_at(at))
            .ok_or_else(|| format!("chunk {n} is shorter than its checksum"))?;
        let (word, bit) = bit_of(&self.verified, n);
        // Several threads may verify the same chunk at once, with the same result.
        if self.blob.is_none() || word.load(Ordering::Relaxed) & bit == 0 {
            if crc32c::crc32c(encoded).to_le_bytes() != crc {
                return Err(format!("the checksum of chunk {n} of the shard does not match"));
            }
            word.fetch_or(bit, Ordering::Relaxed);
        }
        Ok(encoded)
    }

    /// The range of the chunk in the file, if it is stored and was not announced in this period.
    pub(super) fn to_announce(&self, n: usize, period: u64) -> Option<Range<usize>> {
        if self.period.load(Ordering::Relaxed) != period {
            // If two threads get here at once, a chunk may be announced twice or not at all, which
            // affects only speed.
            self.period.store(period, Ordering::Relaxed);
            self.announced.iter().for_each(|word| word.store(0, Ordering::Relaxed));
        }
        let (word, bit) = bit_of(&self.announced, n);
        if word.load(Ordering::Relaxed) & bit != 0 {
            return None;
        }
        word.fetch_or(bit, Ordering::Relaxed);
        self.range(n)
    }

    /// Whether the disk has a view of the shard, so that its chunks need not be fetched.
    pub(super) fn is_in_view(&self) -> bool {
        self.blob.is_some()
    }

    /// Tells the system that this range of the file is about to be read.
    pub(super) fn will_need(&self, range: Range<usize>) {
        if let Some(blob) = &self.blob {
            blob.will_need(range);
        }
    }

    /// The offset of a chunk in the file; the greatest number if the chunk is not stored.
    pub(crate) fn offset(&self, n: usize) -> u64 {
        self.index[n].0
    }
}

fn bit_of(words: &[AtomicU64], n: usize) -> (&AtomicU64, u64) {
    (&words[n / 64], 1 << (n % 64))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed(body: &[u8]) -> Vec<u8> {
        [body, &crc32c::crc32c(body).to_le_bytes()].concat()
    }

    #[test]
    fn chunks_come_back_and_every_flip_is_an_error() {
        let chunks = [Some(sealed(b"abc")), None, Some(sealed(b""))];
        let (body, end) = parts("c/0/0/0", &chunks, [1, 3, 1], [4, 2, 2]);
        let bytes = [body.concat(), end.bytes].concat();
        let open = |b: Vec<u8>| Shard::open(b.into(), 3, bytes.len() as u64);
        // In view, and by its end alone.
        let fetched = |b: &[u8]| {
            let end = end_of(b.len() as u64, 3)?;
            Shard::of_end(&b[end.clone()], end, 3)
        };
        for shard in [open(bytes.clone()).unwrap(), fetched(&bytes).unwrap()] {
            let chunk = |n| shard.range(n).map(|range| shard.check(n, &bytes[range]).unwrap());
            assert_eq!([chunk(0), chunk(1), chunk(2)], [Some(&b"abc"[..]), None, Some(&b""[..])]);
            assert_eq!(shard.tag(), end.tag);
        }
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 4;
            for shard in [fetched(&damaged), open(damaged.clone())] {
                let is_damaged = |shard: &Shard, n: usize| {
                    shard.range(n).is_some_and(|range| shard.check(n, &damaged[range]).is_err())
                };
                let caught = shard.map_or(true, |shard| {
                    shard.tag() != end.tag || (0..3).any(|n| is_damaged(&shard, n))
                });
                assert!(caught, "byte {at}");
            }
        }
        for length in 0..bytes.len() {
            assert!(open(bytes[..length].to_vec()).is_err());
        }
    }

    #[test]
    fn shards_of_one_length_have_tags_of_their_own() {
        let shard = |key: &str, content: &[u8]| {
            parts(key, &[Some(sealed(content))], [1; 3], [1, 1, 3]).1.tag
        };
        let tags = [shard("c/0/0/0", b"abc"), shard("c/0/0/1", b"abc"), shard("c/0/0/0", b"abd")];
        assert!(tags[0] != tags[1] && tags[0] != tags[2] && tags[1] != tags[2], "{tags:?}");
        assert_eq!(tags[0], shard("c/0/0/0", b"abc"));
    }

    #[test]
    fn a_layer_is_one_stretch_and_its_lines_run_where_chunks_are_shorter() {
        for (chunk, line) in [([9, 4, 8], 1), ([1, 8, 4], 2), ([4, 4, 4], 2)] {
            let order: Vec<_> = file_order(chunk, [1, 2, 3], [3, 6, 5]).collect();
            let mut places = order.clone();
            places.sort_unstable();
            places.dedup();
            assert_eq!((places.len(), order.len()), (45, 45));
            assert!(order.is_sorted_by_key(|at| at[0]));
            let length = if line == 1 { 5 } else { 3 };
            for line_of_chunks in order.chunks(length) {
                let across = 3 - line;
                assert!(line_of_chunks.iter().all(|at| at[across] == line_of_chunks[0][across]));
                assert!(line_of_chunks.is_sorted_by_key(|at| at[line]));
            }
        }
    }

    #[test]
    fn an_index_that_points_outside_is_refused() {
        for (offset, length) in [(0, 5), (4, 1), (u64::MAX, 3), (3, u64::MAX), (1 << 63, 1 << 63)] {
            let index: Vec<u8> =
                [offset, length].iter().flat_map(|w: &u64| w.to_le_bytes()).collect();
            let crc = crc32c::crc32c(&index).to_le_bytes();
            let bytes = [b"body".as_slice(), &index, &crc].concat();
            let n = bytes.len() as u64;
            assert!(Shard::open(bytes.into(), 1, n).is_err(), "{offset} {length}");
        }
    }
}
