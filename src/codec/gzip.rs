//! One gzip member of known length, by RFC 1952.

use std::io::{self, Read as _};

use flate2::bufread::GzEncoder;
use flate2::{Compression, Crc, Decompress, FlushDecompress, Status};

use super::refusal::Refusal;

/// Bits of the flag byte: a checksum of the header, an extra field, a name, a comment.
const HEADER_CRC: u8 = 1 << 1;
const EXTRA: u8 = 1 << 2;
const NAME: u8 = 1 << 3;
const COMMENT: u8 = 1 << 4;
/// Bits 5 to 7 must be zero; what they would mean is not known.
const RESERVED: u8 = 0b1110_0000;

/// The gzip member of a chunk.
pub(super) fn encode(voxels: &[u8], level: u32) -> io::Result<Vec<u8>> {
    let mut encoded = Vec::new();
    GzEncoder::new(voxels, Compression::new(level)).read_to_end(&mut encoded)?;
    Ok(encoded)
}

/// Decompresses the gzip member `encoded`, which must fill `out` exactly, and compares its
/// checksum.
pub(super) fn decode_exact(
    state: &mut Option<Decompress>,
    encoded: &[u8],
    out: &mut [u8],
) -> Result<(), Refusal> {
    let body = skip_header(encoded).ok_or("gzip: not a gzip header")?;
    let (stream, trailer) = body.split_last_chunk::<8>().ok_or("gzip: ends too early")?;
    // The state reads raw deflate: reset to that, it keeps its memory.
    let inflate = state.get_or_insert_with(|| Decompress::new(false));
    inflate.reset(false);
    let status = inflate
        .decompress(stream, out, FlushDecompress::Finish)
        .map_err(|e| format!("gzip: {e}"))?;
    let all = inflate.total_in() == stream.len() as u64 && inflate.total_out() == out.len() as u64;
    if status != Status::StreamEnd || !all {
        return Err(format!("gzip: does not hold exactly {} bytes", out.len()));
    }
    let mut crc = Crc::new();
    crc.update(out);
    let [c0, c1, c2, c3, length @ ..] = *trailer;
    if crc.sum() != u32::from_le_bytes([c0, c1, c2, c3])
        || crc.amount() != u32::from_le_bytes(length)
    {
        return Err("gzip: its checksum does not match".to_owned());
    }
    Ok(())
}

/// What follows the header; `None` if it is no gzip header or does not end.
fn skip_header(encoded: &[u8]) -> Option<&[u8]> {
    let (&[0x1f, 0x8b, 8, flags, _, _, _, _, _, _], mut rest) =
        encoded.split_first_chunk::<10>()?
    else {
        return None;
    };
    if flags & RESERVED != 0 {
        return None;
    }
    if flags & EXTRA != 0 {
        let (length, behind) = rest.split_first_chunk::<2>()?;
        rest = behind.get(usize::from(u16::from_le_bytes(*length))..)?;
    }
    for text in [NAME, COMMENT] {
        if flags & text != 0 {
            let end = rest.iter().position(|byte| *byte == 0)?;
            rest = &rest[end + 1..];
        }
    }
    if flags & HEADER_CRC != 0 {
        rest = rest.get(2..)?;
    }
    Some(rest)
}
