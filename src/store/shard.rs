//! One shard: chunks one after the other in C order, then an index.
//!
//! The index is the one of Zarr's `sharding_indexed` codec at the end of the file: for each chunk
//! of the shard in C order its offset and length as little-endian u64, both all ones for a chunk
//! that is not stored because every voxel of it is 0; then a CRC-32C of the index.

use std::sync::atomic::{AtomicU64, Ordering};

use super::disk::Blob;

const EMPTY: u64 = u64::MAX;
const CRC_BYTES: usize = 4;

/// The index of encoded chunks, given in C order, `None` where every voxel is 0. The file is the
/// chunks one after the other, then this.
pub(crate) fn index(chunks: &[Option<Vec<u8>>]) -> Vec<u8> {
    let mut index = Vec::with_capacity(index_bytes(chunks.len()));
    let mut end = 0;
    for chunk in chunks {
        let (offset, length) = chunk.as_ref().map_or((EMPTY, EMPTY), |c| (end, c.len() as u64));
        index.extend(offset.to_le_bytes());
        index.extend(length.to_le_bytes());
        end += chunk.as_ref().map_or(0, |c| c.len() as u64);
    }
    index.extend(crc32c::crc32c(&index).to_le_bytes());
    index
}

const fn index_bytes(chunks: usize) -> usize {
    chunks * 16 + CRC_BYTES
}

/// An opened shard: its bytes, its checked index, and which of its chunks have been verified.
#[derive(Debug)]
pub(crate) struct Shard {
    blob: Blob,
    /// Offset and length of each chunk, checked to lie inside the file.
    index: Box<[(u64, u64)]>,
    verified: Box<[AtomicU64]>,
}

impl Shard {
    /// Checks length, index checksum and every entry of the index.
    pub(crate) fn open(blob: Blob, chunks: usize, expected_bytes: u64) -> Result<Self, String> {
        if blob.len() as u64 != expected_bytes {
            return Err(format!("{} bytes, the manifest says {expected_bytes}", blob.len()));
        }
        let body = blob.len().checked_sub(index_bytes(chunks)).ok_or("shorter than its index")?;
        let (entries, crc) = blob[body..].split_at(chunks * 16);
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
        let verified = (0..chunks.div_ceil(64)).map(|_| AtomicU64::new(0)).collect();
        Ok(Self { blob, index: index.into_boxed_slice(), verified })
    }

    /// The encoded chunk without its checksum, which is verified at the first call for this
    /// chunk; `None` if every voxel is 0.
    pub(crate) fn chunk(&self, n: usize) -> Result<Option<&[u8]>, String> {
        let Some(bytes) = self.raw_chunk(n) else { return Ok(None) };
        let (encoded, crc) = bytes
            .len()
            .checked_sub(CRC_BYTES)
            .map(|at| bytes.split_at(at))
            .ok_or_else(|| format!("chunk {n} is shorter than its checksum"))?;
        let (word, bit) = (&self.verified[n / 64], 1 << (n % 64));
        // Several threads may verify the same chunk at once; each finds the same answer.
        if word.load(Ordering::Relaxed) & bit == 0 {
            if crc32c::crc32c(encoded).to_le_bytes() != crc {
                return Err(format!("the checksum of chunk {n} of the shard does not match"));
            }
            word.fetch_or(bit, Ordering::Relaxed);
        }
        Ok(Some(encoded))
    }

    /// The encoded chunk with its checksum, unverified; `None` if every voxel is 0.
    pub(crate) fn raw_chunk(&self, n: usize) -> Option<&[u8]> {
        let (offset, length) = self.index[n];
        #[allow(clippy::cast_possible_truncation)]
        (offset != EMPTY).then(|| &self.blob[offset as usize..][..length as usize])
    }

    /// Where a chunk begins in the file; the greatest number if it is not stored.
    pub(crate) fn offset(&self, n: usize) -> u64 {
        self.index[n].0
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.blob
    }
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
        let bytes = [chunks.iter().flatten().flatten().copied().collect(), index(&chunks)].concat();
        let open = |b: Vec<u8>| Shard::open(b.into(), 3, bytes.len() as u64);
        let shard = open(bytes.clone()).unwrap();
        assert_eq!(shard.chunk(0).unwrap(), Some(&b"abc"[..]));
        assert_eq!(shard.chunk(1).unwrap(), None);
        assert_eq!(shard.chunk(2).unwrap(), Some(&b""[..]));
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 4;
            let caught = open(damaged).map_or(true, |s| (0..3).any(|n| s.chunk(n).is_err()));
            assert!(caught, "byte {at}");
        }
        for length in 0..bytes.len() {
            assert!(open(bytes[..length].to_vec()).is_err());
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
