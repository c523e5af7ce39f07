//! A thread that writes shards, so that callers need not wait for the disk.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::disk::Disk;
use crate::exec::{Workers, caught, locked};
use crate::layout::ChunkLayout;
use crate::store::shard;
use crate::{Error, Result};

/// Bytes of waiting shards above which callers wait.
const WAITING_BYTES: usize = 64 << 20;

/// A shard with all its chunks.
#[derive(Debug)]
pub(super) struct ShardToWrite {
    pub(super) key: String,
    /// The key inside the array.
    pub(super) inside: String,
    /// Encoded chunks, in C order of the shard's grid.
    pub(super) chunks: Vec<Option<Vec<u8>>>,
    pub(super) layout: ChunkLayout,
}

impl ShardToWrite {
    fn bytes(&self) -> usize {
        self.chunks.iter().flatten().map(Vec::len).sum()
    }

    /// The path for messages; the key if the disk panics.
    fn path(&self, disk: &Disk) -> PathBuf {
        let path = caught("naming a shard", || Ok(disk.path(&self.key)));
        path.unwrap_or_else(|_| PathBuf::from(&self.key))
    }

    fn write(&self, disk: &Disk) -> Result<()> {
        let ChunkLayout { chunk, .. } = self.layout;
        let grid = self.layout.chunks_per_shard();
        let (mut parts, end) = shard::parts(&self.inside, &self.chunks, grid, chunk);
        parts.push(&end.bytes);
        disk.sink()?.put(&self.key, &parts).map_err(Error::io("write", disk.path(&self.key)))
    }
}

/// The thread, and its queue.
#[derive(Debug)]
pub(super) struct Behind {
    queue: Arc<Queue>,
    workers: Workers,
}

#[derive(Debug, Default)]
struct Queue {
    state: Mutex<QueueState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct QueueState {
    waiting: VecDeque<ShardToWrite>,
    /// Bytes of the shards that wait or are being written.
    bytes: usize,
    is_writing: bool,
    /// The path of the shard that failed first, after which no shard is written.
    failed: Option<PathBuf>,
    /// The first error, kept until a caller has received it.
    error: Option<Error>,
    is_closed: bool,
}

impl QueueState {
    /// The first error, returned once in full; later calls get a short one.
    fn check(&mut self) -> Result<()> {
        match (self.error.take(), &self.failed) {
            (Some(error), _) => Err(error),
            (None, Some(shard)) => {
                let source = std::io::Error::other("it failed before; nothing more is written");
                Err(Error::Io { action: "write", path: shard.clone(), source })
            }
            (None, None) => Ok(()),
        }
    }
}

impl Behind {
    pub(super) fn start(disk: Disk) -> Result<Self> {
        let queue = Arc::<Queue>::default();
        let mut workers = Workers::new();
        let served = Arc::clone(&queue);
        workers.start(move || served.serve(&disk))?;
        Ok(Self { queue, workers })
    }

    pub(super) fn write(&self, shard: ShardToWrite) -> Result<()> {
        let mut state = self.wait_while(|state| state.bytes > WAITING_BYTES)?;
        state.bytes += shard.bytes();
        state.waiting.push_back(shard);
        self.queue.changed.notify_all();
        Ok(())
    }

    pub(super) fn flush(&self) -> Result<()> {
        self.wait_while(|state| state.is_writing || !state.waiting.is_empty()).map(drop)
    }

    fn wait_while(&self, busy: impl Fn(&QueueState) -> bool) -> Result<MutexGuard<'_, QueueState>> {
        if !self.workers.are_here() {
            let reason = "was begun before this process was forked; begin it in this process";
            return Err(Error::invalid("aggregation", std::process::id(), reason));
        }
        let state = self.queue.lock();
        let wait = |state: &mut QueueState| state.failed.is_none() && busy(state);
        let state = self.queue.changed.wait_while(state, wait);
        let mut state = state.unwrap_or_else(PoisonError::into_inner);
        state.check().map(|()| state)
    }
}

impl Drop for Behind {
    fn drop(&mut self) {
        // A lock that another thread held during the fork is never released in this process.
        if self.workers.are_here() {
            self.queue.lock().is_closed = true;
            self.queue.changed.notify_all();
        }
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, QueueState> {
        locked(&self.state)
    }

    /// Writes shards until the queue is closed and empty.
    fn serve(&self, disk: &Disk) {
        let mut state = self.lock();
        loop {
            let Some(shard) = state.waiting.pop_front() else {
                if state.is_closed {
                    return;
                }
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            state.is_writing = true;
            drop(state);
            let written = caught("writing a shard", || shard.write(disk));
            let failed = written.is_err().then(|| shard.path(disk));
            state = self.lock();
            state.is_writing = false;
            state.bytes -= shard.bytes();
            if let Err(error) = written {
                state.failed = failed;
                state.error = Some(error);
                state.waiting.clear();
            }
            self.changed.notify_all();
        }
    }
}
