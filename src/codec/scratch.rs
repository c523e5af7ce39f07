//! What a thread keeps between the chunks that it decodes.

use super::packed;

/// Buffers and decoder states that a thread keeps between chunks, so that reading allocates
/// nothing once warm.
#[derive(Default)]
pub(crate) struct Scratch {
    /// Decompressed bytes, filters not yet undone.
    pub(super) packed: Vec<u8>,
    /// A whole chunk's voxels in order, where they cannot go to the destination directly.
    pub(super) chunk: Vec<u8>,
    /// One row's stored voxels on their way to being converted.
    pub(super) row: Vec<u8>,
    /// What the codec of our own keeps.
    pub(super) packed_codec: packed::Scratch,
    pub(super) zstd: Option<zstd::bulk::Decompressor<'static>>,
    pub(super) inflate: Option<flate2::Decompress>,
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

/// The first `length` bytes of a buffer that grows to its largest use and stays there.
pub(super) fn room(buffer: &mut Vec<u8>, length: usize) -> &mut [u8] {
    if buffer.len() < length {
        buffer.resize(length, 0);
    }
    &mut buffer[..length]
}
