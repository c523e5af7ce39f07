//! From a chunk's encoded bytes to the rows of a patch.
//!
//! A [`Decoder`] is told which box of the chunk is wanted and where its rows go. What is not
//! wanted need not be decoded, and where the format allows, nothing stands between the encoded
//! bytes and the destination. [`decoder_for`] tells when an array is opened whether its codecs
//! are decoded here; the others are left to the general library.

mod blosc;
mod gzip;
mod interleave;
mod packed;
mod rows;
mod stretch;
mod target;
#[cfg(test)]
mod tests;
mod whole;

pub(crate) use rows::{Cast, Real, Rows};
pub(crate) use target::{Part, Target, signed};

/// Buffers and decoder states that a thread keeps between chunks, so that reading allocates
/// nothing once warm.
#[derive(Default)]
pub(crate) struct Scratch {
    /// Decompressed bytes, filters not yet undone.
    packed: Vec<u8>,
    /// A whole chunk's voxels in order, where they cannot go to the destination directly.
    chunk: Vec<u8>,
    /// One row's stored voxels on their way to being converted.
    row: Vec<u8>,
    /// What the codec of our own keeps.
    packed_codec: crate::packed::Scratch,
    zstd: Option<zstd::bulk::Decompressor<'static>>,
    inflate: Option<flate2::Decompress>,
}

/// Buffers larger than this are not kept: a thread may live long after its last large chunk.
const KEPT_BYTES: usize = 16 << 20;

impl Scratch {
    /// To be called after a read.
    pub(crate) fn trim(&mut self) {
        for buffer in [&mut self.packed, &mut self.chunk, &mut self.row] {
            if buffer.capacity() > KEPT_BYTES {
                *buffer = Vec::new();
            }
        }
        self.packed_codec.trim(KEPT_BYTES);
    }
}

/// Why a chunk could not be decoded; the caller adds which chunk of which file.
pub(crate) type Refusal = String;

/// Decodes chunks of one array. Given arbitrary bytes it returns an error or voxels; it never
/// panics, and never allocates by a length that it read. After an error the destination may hold
/// some of the voxels.
pub(crate) trait Decoder: Send + Sync + std::fmt::Debug {
    /// Decodes the box `part` of the chunk `encoded` into `target`. The checksum behind the
    /// chunk has been verified and taken off.
    fn decode(
        &self,
        encoded: &[u8],
        part: &Part,
        target: &mut Target<'_>,
        scratch: &mut Scratch,
    ) -> Result<(), Refusal>;
}

/// One codec between the voxels' bytes and the stored bytes, as the array's metadata has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CodecSpec<'a> {
    /// Zarr's `blosc`.
    Blosc {
        /// Compressor inside, such as `lz4`.
        cname: &'a str,
        /// `noshuffle`, `shuffle` or `bitshuffle`.
        shuffle: &'a str,
        /// Bytes of an element of the filter; absent where there is no filter.
        typesize: Option<usize>,
    },
    /// Zarr's `zstd`.
    Zstd,
    /// Zarr's `gzip`.
    Gzip,
    /// [`crate::packed`], which is from voxels to bytes in one.
    Packed,
}

/// The decoder of an array whose voxels of `item` bytes are stored little-endian and then through
/// `codecs`, the checksum left out. `None` if they are to be decoded by the general library.
pub(crate) fn decoder_for(codecs: &[CodecSpec<'_>], item: usize) -> Option<Box<dyn Decoder>> {
    let native = item == 1 || cfg!(target_endian = "little");
    if !native || !matches!(item, 1 | 2 | 4 | 8) {
        return None;
    }
    match codecs {
        [] => Some(Box::new(whole::Plain)),
        [CodecSpec::Zstd] => Some(Box::new(whole::Whole(whole::Format::Zstd))),
        [CodecSpec::Packed] => Some(Box::new(packed::Packed)),
        [CodecSpec::Gzip] => Some(Box::new(whole::Whole(whole::Format::Gzip))),
        [CodecSpec::Blosc { cname, shuffle, typesize }] => {
            let compressor = matches!(*cname, "lz4" | "lz4hc" | "zstd");
            let filter = match *shuffle {
                "noshuffle" => true,
                "shuffle" => typesize.is_some_and(|t| (1..=255).contains(&t)),
                _ => false,
            };
            (compressor && filter).then(|| Box::new(blosc::Blosc) as Box<dyn Decoder>)
        }
        _ => None,
    }
}

/// Hands out a part of a chunk that is decoded already, in native byte order.
pub(crate) fn plain(
    decoded: &[u8],
    part: &Part,
    target: &mut Target<'_>,
    scratch: &mut Scratch,
) -> Result<(), Refusal> {
    whole::Plain.decode(decoded, part, target, scratch)
}

/// The first `length` bytes of a buffer that grows to its largest use and stays there.
fn room(buffer: &mut Vec<u8>, length: usize) -> &mut [u8] {
    if buffer.len() < length {
        buffer.resize(length, 0);
    }
    &mut buffer[..length]
}

/// Decompresses one or more Zstandard frames that must fill `out` exactly.
fn zstd_exact(
    state: &mut Option<zstd::bulk::Decompressor<'static>>,
    encoded: &[u8],
    out: &mut [u8],
) -> Result<(), Refusal> {
    let done = state.get_or_insert_default().decompress_to_buffer(encoded, out);
    exact(done.map_err(|e| format!("zstd: {e}"))?, out.len(), "zstd")
}

/// Decompresses an LZ4 block that must fill `out` exactly.
fn lz4_exact(encoded: &[u8], out: &mut [u8]) -> Result<(), Refusal> {
    let length = i32::try_from(out.len()).map_err(|_| "lz4: a block beyond 2 GiB".to_owned())?;
    let done = lz4::block::decompress_to_buffer(encoded, Some(length), out);
    exact(done.map_err(|e| format!("lz4: {e}"))?, out.len(), "lz4")
}

fn exact(decoded: usize, expected: usize, format: &str) -> Result<(), Refusal> {
    if decoded == expected {
        Ok(())
    } else {
        Err(format!("{format}: {decoded} bytes decoded, {expected} expected"))
    }
}
