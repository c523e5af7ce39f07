//! The open shards of a handle, each mapped; their number in the whole process is bounded.
//!
//! No lock is taken, so that a process that is forked while another thread opens a shard never
//! waits for that thread.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arc_swap::{ArcSwapOption, Guard};

use super::shard::Shard;

/// When this many shards, each one memory map, are open in this process, a handle closes its own
/// before it opens another. Linux allows 65,530 maps, which the program needs for other purposes
/// too.
const MOST_OPEN: usize = 16_384;

/// Shards that are open in this process.
static OPEN: AtomicUsize = AtomicUsize::new(0);

/// A shard that is counted while it is open.
#[derive(Debug)]
struct Counted(Arc<Shard>);

impl Counted {
    fn new(shard: Shard) -> Self {
        OPEN.fetch_add(1, Ordering::Relaxed);
        Self(Arc::new(shard))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        OPEN.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A slot for each shard of a volume, in the order of the manifest.
#[derive(Debug)]
pub(super) struct OpenShards {
    places: Box<[ArcSwapOption<Counted>]>,
    most: usize,
}

/// A shard in use: it stays open until this is dropped.
pub(super) struct OpenedShard(Guard<Option<Arc<Counted>>>);

impl OpenedShard {
    fn new(guard: Guard<Option<Arc<Counted>>>) -> Option<Self> {
        guard.is_some().then_some(Self(guard))
    }
}

impl Deref for OpenedShard {
    type Target = Arc<Shard>;

    fn deref(&self) -> &Arc<Shard> {
        &self.0.as_ref().expect("only made of a shard that is there").0
    }
}

impl OpenShards {
    /// `count` slots, none with an open shard.
    pub(super) fn new(count: usize) -> Self {
        Self { places: (0..count).map(|_| ArcSwapOption::empty()).collect(), most: MOST_OPEN }
    }

    /// A shard by its number, if it is open.
    pub(super) fn get(&self, n: usize) -> Option<OpenedShard> {
        OpenedShard::new(self.places[n].load())
    }

    /// Keeps a shard open. If too many are open, all of this handle are closed first; they are
    /// opened again when needed.
    pub(super) fn keep(&self, n: usize, shard: Shard) -> OpenedShard {
        if OPEN.load(Ordering::Relaxed) >= self.most {
            self.close();
        }
        // Two threads may open the same shard; the last one is kept.
        let shard = Arc::new(Counted::new(shard));
        self.places[n].store(Some(Arc::clone(&shard)));
        OpenedShard(Guard::from_inner(Some(shard)))
    }

    /// Closes all shards that are not in use.
    pub(super) fn close(&self) {
        for place in &self.places {
            if place.load().is_some() {
                place.store(None);
            }
        }
    }

    /// The open shards, with their numbers.
    pub(super) fn all(&self) -> Vec<(usize, Arc<Shard>)> {
        let open = |n| Some((n, Arc::clone(&*self.get(n)?)));
        (0..self.places.len()).filter_map(open).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::shard;

    fn shard() -> Shard {
        let chunks = [Some(vec![7; 9])];
        let (body, end) = shard::parts("c/0/0/0", &chunks, [1; 3], [1; 3]);
        let bytes = [body.concat(), end.bytes].concat();
        let length = bytes.len() as u64;
        Shard::open(bytes.into(), 1, length).expect("sound")
    }

    #[test]
    fn a_handle_closes_its_shards_where_too_many_are_open() {
        let mut shards = OpenShards::new(9);
        // Other tests of this process open shards meanwhile.
        shards.most = 0;
        let used = shards.keep(3, shard());
        assert_eq!(shards.all().len(), 1);
        for n in 0..9 {
            shards.keep(n, shard());
            assert_eq!(shards.all().len(), 1, "{n}");
        }
        // One that is in use stays open.
        assert_eq!(used.view(&(0..9)), Some(&[7; 9][..]));
        assert!(shards.get(8).is_some());
        shards.close();
        assert!(shards.get(8).is_none());
    }
}
