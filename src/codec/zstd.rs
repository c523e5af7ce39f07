//! Zstandard frames of known length.

use std::io;

use ::zstd::bulk;

use super::refusal::{Refusal, exact};

/// A compressor, kept as long as chunks ask for the same level.
#[derive(Default)]
pub(super) struct Compressor(Option<(i32, bulk::Compressor<'static>)>);

impl Compressor {
    /// The compressor of a level. Its frames do not depend on what it compressed before.
    pub(super) fn at(&mut self, level: i32) -> io::Result<&mut bulk::Compressor<'static>> {
        if self.0.as_ref().is_none_or(|(kept, _)| *kept != level) {
            self.0 = Some((level, bulk::Compressor::new(level)?));
        }
        let (_, compressor) = self.0.as_mut().expect("it was made above");
        Ok(compressor)
    }
}

/// Decompresses one or more frames that must fill `out` exactly.
pub(super) fn decode_exact(
    state: &mut Option<bulk::Decompressor<'static>>,
    encoded: &[u8],
    out: &mut [u8],
) -> Result<(), Refusal> {
    let done = state.get_or_insert_default().decompress_to_buffer(encoded, out);
    exact(done.map_err(|e| format!("zstd: {e}"))?, out.len(), "zstd")
}
