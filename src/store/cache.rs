//! Decoded chunks in memory: a cache under a budget, and the chunks of one batch.

use std::collections::HashMap;
use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};
use serde::Serialize;

use crate::codec::{ChunkDecoder, Part, Scratch, Target};
use crate::process::{Here, PerProcess};
use crate::{Frame, Result};

/// Decoded chunks under a budget of bytes, for any number of volumes, views and threads.
///
/// [`super::View::cached`] gives a view that reads through the cache. Whole chunks are kept, in the
/// stored type: views with different conversions ([`super::View::scaled`],
/// [`super::View::padded`]) share them, and so do all clones of an opened volume. A volume that
/// is opened again has its own chunks. The chunks of a dropped volume are evicted as others need
/// the room.
///
/// A chunk that several threads need at once is decoded by one of them. Errors are not kept, nor
/// chunks of zeros, which are not stored either. Approximately the least recently used chunks are
/// evicted first. A chunk larger than half the budget bypasses the cache.
///
/// Cheap to clone; every clone is the same cache. A forked process begins with an empty cache under
/// the same budget: a thread that does not exist there may hold the locks of the inherited one.
#[derive(Clone)]
pub struct ChunkCache {
    bytes: usize,
    chunks: Arc<PerProcess<CachedChunks>>,
}

/// The chunks of one process.
pub(super) struct CachedChunks {
    chunks: Cache<Key, Arc<Chunk>, Bytes>,
    /// Bytes of the largest chunk that is kept.
    largest: usize,
    hits: AtomicU64,
    misses: AtomicU64,
}

/// Counts of a [`ChunkCache`] in this process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct CacheCounts {
    /// How often a chunk was found in the cache.
    pub hits: u64,
    /// How often a chunk was not found, and was decoded.
    pub misses: u64,
    /// Bytes of the decoded chunks in the cache.
    pub bytes: u64,
}

impl ChunkCache {
    /// A cache of at most `bytes` bytes of decoded voxels. Overhead is not counted: some hundred
    /// bytes per chunk.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        Self { bytes, chunks: Arc::new(PerProcess::new(CachedChunks::new(bytes))) }
    }

    /// Hits and misses since the cache was made, and the bytes it holds.
    #[must_use]
    pub fn counts(&self) -> CacheCounts {
        let here = self.here();
        CacheCounts {
            hits: here.hits.load(Ordering::Relaxed),
            misses: here.misses.load(Ordering::Relaxed),
            bytes: here.chunks.weight(),
        }
    }

    /// The chunks of this process. Asking for the process id is a system call, so ask once per box,
    /// not once per chunk.
    pub(super) fn here(&self) -> Here<CachedChunks> {
        let Ok(here) = self.chunks.here(|| Ok::<_, Infallible>(CachedChunks::new(self.bytes)));
        here
    }
}

impl CachedChunks {
    /// The part of the budget that the policy reserves for chunks that were needed again, and the
    /// bound on the size of a chunk. The rest decides how soon a chunk must be needed again. With
    /// the library's default of 0.97, a grid of overlapping patches whose slab just fits decodes up
    /// to twice as much as under plain LRU; with a half, it decodes as much.
    const HOT: f64 = 0.5;

    fn new(bytes: usize) -> Self {
        let options = OptionsBuilder::new()
            // With several shards, each would have its own share of the budget, too small for large
            // chunks.
            .shards(1)
            .hot_allocation(Self::HOT)
            // The number of evicted keys that are remembered: a hint, for chunks of the usual size.
            .estimated_items_capacity((bytes >> 16).max(64))
            .weight_capacity(bytes as u64)
            .build()
            .expect("both capacities are given");
        let chunks = Cache::with_options(
            options,
            Bytes,
            DefaultHashBuilder::default(),
            DefaultLifecycle::default(),
        );
        let (hits, misses) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { chunks, largest: bytes / 2, hits, misses }
    }

    /// Whether a chunk of this many bytes is kept.
    pub(super) fn keeps(&self, bytes: usize) -> bool {
        bytes <= self.largest
    }

    /// Whether the chunk is in the cache; not counted as a use.
    pub(super) fn has(&self, key: &Key) -> bool {
        self.chunks.contains_key(key)
    }

    /// The chunk, from the cache or by `decode`; other threads that need the same chunk wait for
    /// it. `None` if `decode` returns that. `decode` must not use the cache.
    pub(super) fn get_or_decode(
        &self,
        key: Key,
        decode: impl FnOnce() -> Result<Option<Chunk>>,
    ) -> Result<Option<Arc<Chunk>>> {
        let mut counter = &self.hits;
        let chunk = self.chunks.get_or_insert_with(&key, || {
            counter = &self.misses;
            decode().map_err(Some)?.map(Arc::new).ok_or(None)
        });
        counter.fetch_add(1, Ordering::Relaxed);
        match chunk {
            Ok(chunk) => Ok(Some(chunk)),
            Err(None) => Ok(None),
            Err(Some(error)) => Err(error),
        }
    }
}

impl fmt::Debug for ChunkCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChunkCache")
            .field("budget", &self.bytes)
            .field("counts", &self.counts())
            .finish_non_exhaustive()
    }
}

/// The identity of a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key {
    /// The unique serial number of the opened volume in this process.
    pub(super) volume: u64,
    pub(super) frame: Frame,
    /// Position in the chunk grid, `z, y, x`.
    pub(super) at: [usize; 3],
}

#[derive(Debug, Clone, Copy)]
struct Bytes;

impl Weighter<Key, Arc<Chunk>> for Bytes {
    fn weight(&self, _: &Key, chunk: &Arc<Chunk>) -> u64 {
        chunk.voxels.len() as u64
    }
}

/// A decoded chunk: its voxels inside the volume, in the stored type.
#[derive(Debug)]
pub(crate) struct Chunk {
    /// Shape of these voxels, `z, y, x`.
    pub(super) shape: [usize; 3],
    pub(super) voxels: Vec<u8>,
}

impl Chunk {
    /// Copies a part into the target, as if decoded from the stored chunk.
    pub(super) fn copy(&self, part: &Part, target: &mut Target<'_>, scratch: &mut Scratch) {
        let part = Part { chunk: self.shape, ..*part };
        ChunkDecoder::Plain
            .decode(&self.voxels, &part, target, scratch)
            .expect("there are as many voxels as the shape has");
    }
}

/// Chunks of one volume by their frame and their position in its chunk grid, `z, y, x`.
pub(crate) type HeldChunks = HashMap<(Frame, [usize; 3]), Arc<Chunk>>;

/// Where a view looks for chunks before it decodes them.
#[derive(Debug, Clone, Default)]
pub(super) struct Memory {
    /// The chunks that the current batch has decoded already.
    pub(super) held: Option<Arc<HeldChunks>>,
    pub(super) cache: Option<ChunkCache>,
}
