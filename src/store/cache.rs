//! Decoded chunks in memory: a cache under a budget, and those that one batch holds.

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
/// [`super::View::cached`] gives a view that reads through it. Whole chunks are kept, in the type
/// that is on disk: views that return them differently ([`super::View::scaled`],
/// [`super::View::padded`]) share them, and so do all clones of an opened volume. A volume that
/// is opened again has chunks of its own. Those of a dropped volume go as others need the room.
///
/// A chunk that several threads want at once is decoded by one of them. Errors are not kept, nor
/// chunks of zeros alone, which are not stored either. About the least recently used chunks go
/// first. A chunk larger than half the budget is read as if there was no cache.
///
/// Cheap to clone; every clone is the same cache. A process that is forked off begins with an empty
/// one under the same budget: the locks of the inherited one may be held by a thread that is not
/// there.
#[derive(Clone)]
pub struct ChunkCache {
    bytes: usize,
    chunks: Arc<PerProcess<CachedChunks>>,
}

/// The chunks of one process, of which every clone of a handle knows.
pub(super) struct CachedChunks {
    chunks: Cache<Key, Arc<Chunk>, Bytes>,
    /// Bytes of the largest chunk that is kept.
    largest: usize,
    hits: AtomicU64,
    misses: AtomicU64,
}

/// What a [`ChunkCache`] has done so far in this process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct CacheCounts {
    /// Times that a chunk was taken from the cache.
    pub hits: u64,
    /// Times that a chunk was not there, which is then decoded.
    pub misses: u64,
    /// Bytes of the decoded chunks that are held now.
    pub bytes: u64,
}

impl ChunkCache {
    /// A cache of at most `bytes` bytes of decoded voxels. What is needed beside the voxels is
    /// not counted: some hundred bytes a chunk.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        Self { bytes, chunks: Arc::new(PerProcess::new(CachedChunks::new(bytes))) }
    }

    /// Hits and misses since it was made, and the bytes that are held.
    #[must_use]
    pub fn counts(&self) -> CacheCounts {
        let here = self.here();
        CacheCounts {
            hits: here.hits.load(Ordering::Relaxed),
            misses: here.misses.load(Ordering::Relaxed),
            bytes: here.chunks.weight(),
        }
    }

    /// The chunks of this process. To ask for the process is a call to the system: once a box, not
    /// once a chunk.
    pub(super) fn here(&self) -> Here<CachedChunks> {
        let Ok(here) = self.chunks.here(|| Ok::<_, Infallible>(CachedChunks::new(self.bytes)));
        here
    }
}

impl CachedChunks {
    /// The part of the budget that the policy sets aside for chunks that were wanted again; none
    /// larger than that is kept. The rest is the time that a chunk has to be wanted again. With
    /// the library's default of 0.97, a grid of overlapping patches whose slab just fits decodes
    /// up to twice as much as if the least recently used went first; with a half, as much.
    const HOT: f64 = 0.5;

    fn new(bytes: usize) -> Self {
        let options = OptionsBuilder::new()
            // Each of several would have its own share of the budget, too small for large chunks.
            .shards(1)
            .hot_allocation(Self::HOT)
            // How many keys are remembered that went: a hint, for chunks of the usual size.
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

    /// Whether the chunk is there now; not counted as a use.
    pub(super) fn has(&self, key: &Key) -> bool {
        self.chunks.contains_key(key)
    }

    /// The chunk, from the cache or by `decode`; other threads that want the same wait for it.
    /// `None` if `decode` says so. `decode` must not come back to the cache.
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

/// What tells chunks apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key {
    /// The opened volume, by a number that no other in this process has.
    pub(super) volume: u64,
    pub(super) frame: Frame,
    /// Place in the chunk grid, `z, y, x`.
    pub(super) at: [usize; 3],
}

#[derive(Debug, Clone, Copy)]
struct Bytes;

impl Weighter<Key, Arc<Chunk>> for Bytes {
    fn weight(&self, _: &Key, chunk: &Arc<Chunk>) -> u64 {
        chunk.voxels.len() as u64
    }
}

/// A decoded chunk: what of it lies inside the volume, in the type that is on disk.
#[derive(Debug)]
pub(crate) struct Chunk {
    /// Shape of that, `z, y, x`.
    pub(super) shape: [usize; 3],
    pub(super) voxels: Vec<u8>,
}

impl Chunk {
    /// Hands out a part, as if it came from the stored chunk.
    pub(super) fn copy(&self, part: &Part, target: &mut Target<'_>, scratch: &mut Scratch) {
        let part = Part { chunk: self.shape, ..*part };
        ChunkDecoder::Plain
            .decode(&self.voxels, &part, target, scratch)
            .expect("there are as many voxels as the shape has");
    }
}

/// Chunks of one volume by their frame and their place in its chunk grid, `z, y, x`.
pub(crate) type HeldChunks = HashMap<(Frame, [usize; 3]), Arc<Chunk>>;

/// Where a view looks before it decodes.
#[derive(Debug, Clone, Default)]
pub(super) struct Memory {
    /// What a batch that is being read has decoded already.
    pub(super) held: Option<Arc<HeldChunks>>,
    pub(super) cache: Option<ChunkCache>,
}
