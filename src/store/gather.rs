//! Requests all parts of shards that a box needs at once, before any chunk of the box is decoded.
//!
//! The chunks of a shard in view are announced to the system. Without the announcement, decoding
//! waits for one page after another; with the announcement, the system reads all pages by few
//! requests, and no other pages. A chunk that was announced a few seconds ago counts as still in
//! memory, so a box of such chunks needs no system call. The chunks of other shards are fetched, and
//! the box is decoded from the fetched bytes.

use std::ops::Range;
use std::sync::Arc;

use super::cache::CachedChunks;
use super::look::Look;
use super::parts::chunks_of;
use super::shard::Shard;
use crate::{Frame, Region, Result};

/// A chunk is not announced again for this number of seconds. The system keeps pages that were just
/// used for longer, even when memory is short.
const PERIOD: u64 = 4;

/// Stretches of shards that were fetched for one read, by the number of the shard and the place in
/// its file, ascending.
#[derive(Debug, Default)]
pub(super) struct Gathered(Vec<(usize, usize, Vec<u8>)>);

impl Gathered {
    /// The bytes of a shard at this place, if they were fetched.
    pub(super) fn get(&self, shard: usize, range: &Range<usize>) -> Option<&[u8]> {
        let after = self.0.partition_point(|(n, start, _)| (*n, *start) <= (shard, range.start));
        let (n, start, bytes) = self.0.get(after.checked_sub(1)?)?;
        // The stretch before may be of another shard.
        if *n != shard {
            return None;
        }
        bytes.get(range.start - start..range.end - start)
    }
}

impl Look {
    /// Announces the chunks of a region of a frame, without waiting for the chunks. Ignores the part
    /// of the region outside of the volume.
    pub(crate) fn announce(&self, frame: Frame, region: Region) -> Result<()> {
        let Some(region) = region.clip(self.volume.shape()) else { return Ok(()) };
        let start = region.start.map(|s| usize::try_from(s).expect("clipped to the volume"));
        let cache = self.cache_here();
        self.stretches(cache.as_deref(), frame, start, region.shape).map(drop)
    }

    /// Announces or fetches the chunks of a box inside the volume, `z, y, x` in voxels.
    pub(super) fn gather(
        &self,
        cache: Option<&CachedChunks>,
        frame: Frame,
        start: [usize; 3],
        shape: [usize; 3],
    ) -> Result<Gathered> {
        let stretches = self.stretches(cache, frame, start, shape)?;
        let mut gathered: Vec<_> =
            stretches.iter().map(|(shard, range)| (*shard, range.start, Vec::new())).collect();
        if !stretches.is_empty() {
            self.volume.stored.fetch(&stretches, &mut |n, bytes| gathered[n].2 = bytes)?;
        }
        gathered.sort_unstable_by_key(|(shard, start, _)| (*shard, *start));
        Ok(Gathered(gathered))
    }

    /// Announces the chunks of a box that lie in shards in view, and returns the stretches of other
    /// shards that hold the rest of the chunks.
    fn stretches(
        &self,
        cache: Option<&CachedChunks>,
        frame: Frame,
        start: [usize; 3],
        shape: [usize; 3],
    ) -> Result<Vec<(usize, Range<usize>)>> {
        let stored = &*self.volume.stored;
        let period = stored.opened.elapsed().as_secs() / PERIOD;
        let mut to_fetch = Vec::new();
        let mut joined = Joined {
            gap: stored.disk.gap(),
            stretch: None,
            take: |(n, shard): (usize, &Shard), range: Range<usize>| {
                if shard.is_in_view() { shard.will_need(range) } else { to_fetch.push((n, range)) }
            },
        };
        for at in chunks_of(self.volume.layout().chunk, start, shape) {
            if self.has_in_memory(cache, (frame, at)) {
                continue;
            }
            let (shard_n, n) = stored.grid.locate(frame, at);
            let Some(shard) = stored.shard(shard_n)? else { continue };
            let range =
                if shard.is_in_view() { shard.to_announce(n, period) } else { shard.range(n) };
            if let Some(range) = range {
                joined.add(shard_n, &shard, range);
            }
        }
        joined.flush();
        Ok(to_fetch)
    }
}

/// Joins successive chunks of one file into stretches, if the gaps between the chunks are small.
struct Joined<T: FnMut((usize, &Shard), Range<usize>)> {
    gap: usize,
    stretch: Option<Stretch>,
    take: T,
}

/// A range of bytes of a shard, with the number of the shard and the shard.
type Stretch = ((usize, Arc<Shard>), Range<usize>);

impl<T: FnMut((usize, &Shard), Range<usize>)> Joined<T> {
    fn add(&mut self, n: usize, shard: &Arc<Shard>, chunk: Range<usize>) {
        match &mut self.stretch {
            Some(((_, current), stretch))
                if Arc::ptr_eq(current, shard)
                    && (stretch.start..=stretch.end + self.gap).contains(&chunk.start) =>
            {
                stretch.end = stretch.end.max(chunk.end);
            }
            _ => {
                self.flush();
                self.stretch = Some(((n, Arc::clone(shard)), chunk));
            }
        }
    }

    fn flush(&mut self) {
        if let Some(((n, shard), stretch)) = self.stretch.take() {
            (self.take)((n, &shard), stretch);
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
    const GAP_BYTES: usize = 16 << 10;

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
                let mut joined = Joined {
                    gap: GAP_BYTES,
                    stretch: None,
                    take: |_: (usize, &Shard), range| told.push(range),
                };
                // The second time, every chunk was announced before.
                for n in wanted.iter().chain(&wanted) {
                    if let Some(range) = shard.to_announce(*n, period) {
                        joined.add(0, &shard, range);
                    }
                }
                joined.flush();
                let inside = |n: &usize| match shard.range(*n) {
                    None => true,
                    Some(range) => {
                        told.iter().filter(|t| t.start <= range.start && range.end <= t.end).count() == 1
                    }
                };
                prop_assert!(wanted.iter().all(inside));
                prop_assert!(told.windows(2).all(|t| t[0].end + GAP_BYTES < t[1].start));
                let total: usize = told.iter().map(Range::len).sum();
                let asked: usize = wanted.iter().filter_map(|n| shard.range(*n)).map(|range| range.len()).sum();
                prop_assert!(total <= asked + wanted.len() * GAP_BYTES);
            }
        }
    }
}
