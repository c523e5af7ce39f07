//! Chunks that are one stream, which is decoded as a whole, and chunks that are not compressed.

use super::gzip;
use super::refusal::Refusal;
use super::scratch::{Scratch, room};
use super::stretch::write_plain;
use super::target::{Part, Target};
use super::zstd;

/// Which stream.
#[derive(Debug, Clone, Copy)]
pub(super) enum Stream {
    Zstd,
    Gzip,
}

/// Decodes a part of a chunk that is one compressed stream.
pub(super) fn decode(
    stream: Stream,
    encoded: &[u8],
    part: &Part,
    target: &mut Target<'_>,
    scratch: &mut Scratch,
) -> Result<(), Refusal> {
    let Scratch { chunk, row, zstd: frames, inflate, .. } = scratch;
    let mut decompress = |out: &mut [u8]| match stream {
        Stream::Zstd => zstd::decode_exact(frames, encoded, out),
        Stream::Gzip => gzip::decode_exact(inflate, encoded, out),
    };
    if part.is_whole()
        && let Some(out) = target.run_mut(part)
    {
        return decompress(out);
    }
    let chunk = room(chunk, chunk_bytes(part)?);
    decompress(chunk)?;
    write_plain(chunk, part, target, row);
    Ok(())
}

/// Hands out a part of a chunk whose voxels lie in order, in native byte order.
pub(super) fn plain(
    voxels: &[u8],
    part: &Part,
    target: &mut Target<'_>,
    scratch: &mut Scratch,
) -> Result<(), Refusal> {
    let expected = chunk_bytes(part)?;
    if voxels.len() != expected {
        return Err(format!("{} bytes stored, {expected} expected", voxels.len()));
    }
    write_plain(voxels, part, target, &mut scratch.row);
    Ok(())
}

/// Bytes of the decoded chunk.
pub(super) fn chunk_bytes(part: &Part) -> Result<usize, Refusal> {
    part.chunk_bytes().ok_or_else(|| "the chunk is too large for this machine".to_owned())
}
