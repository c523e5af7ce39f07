//! A volume by whole chunks: taken from memory where they are, or decoded to stay there.

use std::sync::Arc;

use super::Volume;
use super::cache::{CachedChunks, Chunk, ChunkCache, HeldChunks, Key};
use super::gather::Gathered;
use super::volume::SCRATCH;
use crate::Result;
use crate::codec::{Part, Rows, Scratch, Target, signed};
use crate::process::Here;

impl Volume {
    /// A handle that keeps the chunks which it decodes in `cache`, and takes from there what is
    /// there. It returns the same voxels. Chunks are then decoded as a whole, even where less
    /// would do for one read alone.
    #[must_use]
    pub fn cached(&self, cache: &ChunkCache) -> Self {
        let mut cached = self.clone();
        cached.memory.cache = Some(cache.clone());
        cached
    }

    /// A handle that takes these chunks, which are of its volume, from here.
    pub(crate) fn holding(&self, chunks: &Arc<HeldChunks>) -> Self {
        let mut holding = self.clone();
        holding.memory.held = Some(Arc::clone(chunks));
        holding
    }

    /// Where the chunk at `at` (chunk grid, `z, y, x`) is stored: number of the shard, and the
    /// place in its file. Sorted by this, chunks of any frames are read from each file
    /// forwards; what is not stored comes last.
    pub(crate) fn chunk_place(&self, at: [usize; 3]) -> Result<(usize, u64)> {
        let (shard, n) = self.stored.grid.locate(self.frame, at);
        Ok((shard, self.stored.shard(shard)?.map_or(u64::MAX, |opened| opened.offset(n))))
    }

    /// Shape of what of the chunk at `at` lies inside the volume.
    pub(crate) fn chunk_shape(&self, at: [usize; 3]) -> [usize; 3] {
        let (chunk, shape) = (self.layout().chunk, self.shape());
        std::array::from_fn(|a| chunk[a].min(shape[a] - at[a] * chunk[a]))
    }

    /// Bytes of that, decoded.
    pub(crate) fn chunk_bytes(&self, at: [usize; 3]) -> usize {
        self.chunk_shape(at).iter().product::<usize>() * self.stored_dtype().size()
    }

    /// The whole chunk at `at`, from the cache of this handle or decoded. `None` if it is to be
    /// read without holding it: every voxel is 0, or memory has no room.
    pub(crate) fn whole_chunk(&self, at: [usize; 3]) -> Result<Option<Arc<Chunk>>> {
        let cache = self.cache_here();
        SCRATCH.with_borrow_mut(|scratch| {
            let mut chunk = self.cached_chunk(cache.as_deref(), at, scratch)?;
            if chunk.is_none() && self.stored_chunk_bytes(at)?.is_some() {
                chunk = self.decode_chunk(at, scratch)?.map(Arc::new);
            }
            scratch.trim();
            Ok(chunk)
        })
    }

    /// What this process has cached for this handle.
    pub(super) fn cache_here(&self) -> Option<Here<CachedChunks>> {
        self.memory.cache.as_ref().map(ChunkCache::here)
    }

    /// A part of the chunk at `at`, from memory if it is there.
    pub(super) fn take_part(
        &self,
        (cache, gathered): (Option<&CachedChunks>, &Gathered),
        at: [usize; 3],
        part: &Part,
        target: &mut Target<'_>,
        scratch: &mut Scratch,
    ) -> Result<()> {
        if let Some(held) = &self.memory.held
            && let Some(chunk) = held.get(&(self.frame, at))
        {
            chunk.copy(part, target, scratch);
            return Ok(());
        }
        if let Some(chunk) = self.cached_chunk(cache, at, scratch)? {
            chunk.copy(part, target, scratch);
            return Ok(());
        }
        self.stored.read_part((self.frame, at), gathered, part, target, scratch)
    }

    /// Whether the chunk at `at` need not be read from its file.
    pub(super) fn has_in_memory(&self, cache: Option<&CachedChunks>, at: [usize; 3]) -> bool {
        let held = self.memory.held.as_ref();
        let is_held = held.is_some_and(|held| held.contains_key(&(self.frame, at)));
        is_held || cache.is_some_and(|cache| cache.has(&self.key(at)))
    }

    fn key(&self, at: [usize; 3]) -> Key {
        Key { volume: self.stored.serial, frame: self.frame, at }
    }

    /// The chunk by way of the cache; `None` if it is none to keep.
    fn cached_chunk(
        &self,
        cache: Option<&CachedChunks>,
        at: [usize; 3],
        scratch: &mut Scratch,
    ) -> Result<Option<Arc<Chunk>>> {
        let Some(cache) = cache else { return Ok(None) };
        if !cache.keeps(self.chunk_bytes(at)) || self.stored_chunk_bytes(at)?.is_none() {
            return Ok(None);
        }
        cache.get_or_decode(self.key(at), || self.decode_chunk(at, scratch))
    }

    /// The whole chunk at `at`; `None` if memory has no room.
    fn decode_chunk(&self, at: [usize; 3], scratch: &mut Scratch) -> Result<Option<Chunk>> {
        let Ok(mut voxels) = bytemuck::allocation::try_zeroed_vec(self.chunk_bytes(at)) else {
            return Ok(None);
        };
        let (shape, item) = (self.chunk_shape(at), self.stored_dtype().size());
        let part = Part { chunk: self.layout().chunk, start: [0; 3], shape, item };
        let row = shape[2] * item;
        let strides = [shape[1] * row, row, item].map(signed);
        let mut target = Target { bytes: &mut voxels, offset: 0, strides, rows: Rows::Copy };
        let at = (self.frame, at);
        self.stored.read_part(at, &Gathered::default(), &part, &mut target, scratch)?;
        Ok(Some(Chunk { shape, voxels }))
    }
}
