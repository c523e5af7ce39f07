//! A volume by whole chunks: taken from memory where they are, or decoded to stay there.

use std::cell::RefCell;
use std::sync::Arc;

use super::cache::{CachedChunks, Chunk, ChunkCache, Key};
use super::gather::Gathered;
use super::look::Look;
use crate::codec::{Part, Rows, Scratch, Target, signed};
use crate::process::Here;
use crate::{Frame, Result};

thread_local! {
    pub(super) static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// A chunk: its frame, and its place in the chunk grid, `z, y, x`.
pub(crate) type ChunkAt = (Frame, [usize; 3]);

impl Look {
    /// The whole chunk at `at`, from the cache of this view or decoded. `None` if the chunk is to be
    /// read without being held: every voxel is 0, or memory has no room.
    pub(crate) fn whole_chunk(&self, at: ChunkAt) -> Result<Option<Arc<Chunk>>> {
        let cache = self.cache_here();
        SCRATCH.with_borrow_mut(|scratch| {
            let none = Gathered::default();
            let mut chunk = self.cached_chunk((cache.as_deref(), &none), at, scratch)?;
            if chunk.is_none() && self.volume.stored_chunk_bytes(at.0, at.1)?.is_some() {
                chunk = self.decode_chunk(&none, at, scratch)?.map(Arc::new);
            }
            scratch.trim();
            Ok(chunk)
        })
    }

    /// The chunks that this process has cached for this view.
    pub(super) fn cache_here(&self) -> Option<Here<CachedChunks>> {
        self.memory.cache.as_ref().map(ChunkCache::here)
    }

    /// A part of the chunk at `at`, from memory if it is there.
    pub(super) fn take_part(
        &self,
        (cache, gathered): (Option<&CachedChunks>, &Gathered),
        at: ChunkAt,
        part: &Part,
        target: &mut Target<'_>,
        scratch: &mut Scratch,
    ) -> Result<()> {
        if let Some(held) = &self.memory.held
            && let Some(chunk) = held.get(&at)
        {
            chunk.copy(part, target, scratch);
            return Ok(());
        }
        if let Some(chunk) = self.cached_chunk((cache, gathered), at, scratch)? {
            chunk.copy(part, target, scratch);
            return Ok(());
        }
        self.volume.stored.read_part(at, gathered, part, target, scratch)
    }

    /// Whether the chunk at `at` need not be read from its file.
    pub(super) fn has_in_memory(&self, cache: Option<&CachedChunks>, at: ChunkAt) -> bool {
        let held = self.memory.held.as_ref();
        let is_held = held.is_some_and(|held| held.contains_key(&at));
        is_held || cache.is_some_and(|cache| cache.has(&self.key(at)))
    }

    fn key(&self, at: ChunkAt) -> Key {
        let (frame, at) = at;
        Key { volume: self.volume.stored.serial, frame, at }
    }

    /// The chunk by way of the cache; `None` if it is none to keep.
    fn cached_chunk(
        &self,
        (cache, gathered): (Option<&CachedChunks>, &Gathered),
        at: ChunkAt,
        scratch: &mut Scratch,
    ) -> Result<Option<Arc<Chunk>>> {
        let Some(cache) = cache else { return Ok(None) };
        if !cache.keeps(self.volume.chunk_bytes(at.1))
            || self.volume.stored_chunk_bytes(at.0, at.1)?.is_none()
        {
            return Ok(None);
        }
        cache.get_or_decode(self.key(at), || self.decode_chunk(gathered, at, scratch))
    }

    /// The whole chunk at `at`; `None` if memory has no room.
    fn decode_chunk(
        &self,
        gathered: &Gathered,
        at: ChunkAt,
        scratch: &mut Scratch,
    ) -> Result<Option<Chunk>> {
        let Ok(mut voxels) = bytemuck::allocation::try_zeroed_vec(self.volume.chunk_bytes(at.1))
        else {
            return Ok(None);
        };
        let (shape, item) = (self.volume.chunk_shape(at.1), self.volume.stored_dtype().size());
        let part = Part { chunk: self.volume.layout().chunk, start: [0; 3], shape, item };
        let row = shape[2] * item;
        let strides = [shape[1] * row, row, item].map(signed);
        let mut target = Target { bytes: &mut voxels, offset: 0, strides, rows: Rows::Copy };
        self.volume.stored.read_part(at, gathered, &part, &mut target, scratch)?;
        Ok(Some(Chunk { shape, voxels }))
    }
}
