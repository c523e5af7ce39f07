//! Formats that decode a chunk as a whole, and chunks that are not compressed.

use super::gzip::gzip_exact;
use super::stretch::write_plain;
use super::{Decoder, Part, Refusal, Scratch, Target, room, zstd_exact};

/// Chunks stored as they are.
#[derive(Debug)]
pub(super) struct Plain;

impl Decoder for Plain {
    fn decode(
        &self,
        encoded: &[u8],
        part: &Part,
        target: &mut Target<'_>,
        scratch: &mut Scratch,
    ) -> Result<(), Refusal> {
        let expected = chunk_bytes(part)?;
        if encoded.len() != expected {
            return Err(format!("{} bytes stored, {expected} expected", encoded.len()));
        }
        write_plain(encoded, part, target, &mut scratch.row);
        Ok(())
    }
}

/// Chunks that are one compressed stream.
#[derive(Debug)]
pub(super) struct Whole(pub(super) Format);

/// Which stream.
#[derive(Debug, Clone, Copy)]
pub(super) enum Format {
    Zstd,
    Gzip,
}

impl Decoder for Whole {
    fn decode(
        &self,
        encoded: &[u8],
        part: &Part,
        target: &mut Target<'_>,
        scratch: &mut Scratch,
    ) -> Result<(), Refusal> {
        let Scratch { chunk, row, zstd, inflate, .. } = scratch;
        let mut decompress = |out: &mut [u8]| match self.0 {
            Format::Zstd => zstd_exact(zstd, encoded, out),
            Format::Gzip => gzip_exact(inflate, encoded, out),
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
}

/// Bytes of the decoded chunk.
pub(super) fn chunk_bytes(part: &Part) -> Result<usize, Refusal> {
    part.chunk_bytes().ok_or_else(|| "the chunk is too large for this machine".to_owned())
}
