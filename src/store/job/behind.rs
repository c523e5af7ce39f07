//! Shards are written by a thread of its own, so that whoever makes them need not wait for the
//! disk.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::disk::Disk;
use crate::exec::{Workers, caught, locked};
use crate::layout::ChunkLayout;
use crate::store::shard;
use crate::{Error, Result};

/// Bytes that may be waiting before a further shard has to.
const WAITING_BYTES: usize = 64 << 20;

/// A shard whose chunks are all there.
#[derive(Debug)]
pub(super) struct ShardToWrite {
    pub(super) key: String,
    /// The key inside the array.
    pub(super) inside: String,
    /// Encoded, in C order of the shard's grid.
    pub(super) chunks: Vec<Option<Vec<u8>>>,
    pub(super) layout: ChunkLayout,
}

impl ShardToWrite {
    fn bytes(&self) -> usize {
        self.chunks.iter().flatten().map(Vec::len).sum()
    }

    /// Where it goes, as messages name it, whatever the disk does.
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

/// The thread, and what it is given.
#[derive(Debug)]
pub(super) struct Behind {
    queue: Arc<Queue>,
    workers: Workers,
}

#[derive(Debug, Default)]
struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<ShardToWrite>,
    /// Of what waits and of what is being written.
    bytes: usize,
    is_writing: bool,
    /// Nothing more is written after the first error, at this shard.
    failed: Option<PathBuf>,
    /// The first error, kept until a caller has received it.
    error: Option<Error>,
    is_closed: bool,
}

impl State {
    /// The error, told once in full.
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

    fn wait_while(&self, busy: impl Fn(&State) -> bool) -> Result<MutexGuard<'_, State>> {
        if !self.workers.are_here() {
            let reason = "was begun before this process was forked off; begin it here";
            return Err(Error::invalid("aggregation", std::process::id(), reason));
        }
        let state = self.queue.lock();
        let wait = |state: &mut State| state.failed.is_none() && busy(state);
        let state = self.queue.changed.wait_while(state, wait);
        let mut state = state.unwrap_or_else(PoisonError::into_inner);
        state.check().map(|()| state)
    }
}

impl Drop for Behind {
    fn drop(&mut self) {
        // A lock that another thread held when this process was forked off is never released.
        if self.workers.are_here() {
            self.queue.lock().is_closed = true;
            self.queue.changed.notify_all();
        }
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, State> {
        locked(&self.state)
    }

    /// Writes what is there, until it is closed and nothing is left.
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
