//! Before a box is decoded: the system is told of every stretch of the shards that will be read.
//!
//! Decoding waits for one page at a time; told ahead, the system has all of them under way at
//! once, in few requests, and fetches nothing else. Chunks that were asked for a moment ago are
//! taken to be in memory still, so that a box whose chunks all are costs no call.

use std::ops::Range;
use std::sync::Arc;

use super::cache::CachedChunks;
use super::parts::chunks_of;
use super::shard::Shard;
use super::volume::Volume;
use crate::{Region, Result};

/// Chunks that lie at most this many bytes apart are fetched together with what is between.
const GAP_BYTES: usize = 16 << 10;
/// For as long, in seconds, a chunk is not announced again. Pages that were just used stay longer
/// than that, even where memory is short.
const PERIOD: u64 = 4;

impl Volume {
    /// Tells the system that a region will soon be read, so that what of it is not in memory is
    /// fetched meanwhile; what lies outside of the volume is left out. Reading does this by itself,
    /// for one region: whoever knows the next ones can have them fetched too. Opens the shards that
    /// the region touches, decodes nothing, and does not wait for the rest.
    ///
    /// # Errors
    /// [`crate::Error::CorruptStore`], [`crate::Error::Io`], [`crate::Error::Replaced`].
    pub fn prefetch(&self, region: Region) -> Result<()> {
        let Some(region) = region.clip(self.shape()) else { return Ok(()) };
        let start = region.start.map(|s| usize::try_from(s).expect("clipped to the volume"));
        let cache = self.cache_here();
        self.announce(cache.as_deref(), start, region.shape)
    }

    /// Announces the chunks of a box that lies inside the volume: `z, y, x` in voxels.
    pub(super) fn announce(
        &self,
        cache: Option<&CachedChunks>,
        start: [usize; 3],
        shape: [usize; 3],
    ) -> Result<()> {
        let stored = &*self.stored;
        let period = stored.opened.elapsed().as_secs() / PERIOD;
        let mut ahead = Ahead { stretch: None, tell: Shard::will_need };
        for at in chunks_of(self.layout().chunk, start, shape) {
            if self.has_in_memory(cache, at) {
                continue;
            }
            let (shard, n) = stored.grid.locate(self.frame, at);
            if let Some(shard) = stored.shard(shard)?
                && let Some(chunk) = shard.to_announce(n, period)
            {
                ahead.add(&shard, chunk);
            }
        }
        ahead.flush();
        Ok(())
    }
}

/// Joins chunks of one file that come along in its order.
struct Ahead<T: FnMut(&Shard, Range<usize>)> {
    stretch: Option<(Arc<Shard>, Range<usize>)>,
    tell: T,
}

impl<T: FnMut(&Shard, Range<usize>)> Ahead<T> {
    fn add(&mut self, shard: &Arc<Shard>, chunk: Range<usize>) {
        match &mut self.stretch {
            Some((current, stretch))
                if Arc::ptr_eq(current, shard)
                    && (stretch.start..=stretch.end + GAP_BYTES).contains(&chunk.start) =>
            {
                stretch.end = stretch.end.max(chunk.end);
            }
            _ => {
                self.flush();
                self.stretch = Some((Arc::clone(shard), chunk));
            }
        }
    }

    fn flush(&mut self) {
        if let Some((shard, stretch)) = self.stretch.take() {
            (self.tell)(&shard, stretch);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::store::shard;

    /// A shard of 3 x 5 x 4 chunks of these lengths, checksums not counted; none at 0.
    fn shard(lengths: &[usize], chunk: [usize; 3]) -> Arc<Shard> {
        let chunks: Vec<_> = lengths.iter().map(|n| (*n > 0).then(|| vec![7; n + 4])).collect();
        let (body, end) = shard::parts("c/0/0/0", &chunks, GRID, chunk);
        let bytes = [body.concat(), end.bytes].concat();
        let length = bytes.len() as u64;
        Arc::new(Shard::open(bytes.into(), chunks.len(), length).expect("sound"))
    }

    const GRID: [usize; 3] = [3, 5, 4];

    proptest! {
        #[test]
        fn stretches_hold_what_is_wanted_once_and_no_wide_gap(
            lengths in prop::collection::vec(prop_oneof![Just(0_usize), 1..40_000_usize], 60),
            first in (0..3_usize, 0..5_usize, 0..4_usize),
            last in (0..3_usize, 0..5_usize, 0..4_usize),
            chunk in prop::sample::select(vec![[2, 4, 8], [2, 8, 4], [2, 4, 4]]),
        ) {
            let shard = shard(&lengths, chunk);
            let (first, last) = ([first.0, first.1, first.2], [last.0, last.1, last.2]);
            let low = std::array::from_fn(|a| first[a].min(last[a]));
            let high = std::array::from_fn(|a| first[a].max(last[a]));
            let number = |[z, y, x]: [usize; 3]| (z * GRID[1] + y) * GRID[2] + x;
            let wanted: Vec<_> = shard::file_order(chunk, low, high).map(number).collect();
            for period in [0, 1] {
                let mut told = Vec::new();
                let mut ahead =
                    Ahead { stretch: None, tell: |_: &Shard, range| told.push(range) };
                // The second time around, nothing is left to be told.
                for n in wanted.iter().chain(&wanted) {
                    if let Some(range) = shard.to_announce(*n, period) {
                        ahead.add(&shard, range);
                    }
                }
                ahead.flush();
                let inside = |n: &usize| match shard.raw_chunk(*n) {
                    None => true,
                    Some(bytes) => {
                        let at = bytes.as_ptr().addr() - shard.bytes().as_ptr().addr();
                        told.iter().filter(|t| t.start <= at && at + bytes.len() <= t.end).count() == 1
                    }
                };
                prop_assert!(wanted.iter().all(inside));
                prop_assert!(told.windows(2).all(|t| t[0].end + GAP_BYTES < t[1].start));
                let total: usize = told.iter().map(Range::len).sum();
                let asked: usize = wanted.iter().filter_map(|n| shard.raw_chunk(*n)).map(<[u8]>::len).sum();
                prop_assert!(total <= asked + wanted.len() * GAP_BYTES);
            }
        }
    }
}
