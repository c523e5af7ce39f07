//! Batches that workers read ahead.

use std::sync::Arc;

use super::ahead::{Ahead, Limits};
use super::batch::Batch;
use super::order::Order;
use super::reader::Reader;
use super::share::Share;
use super::stop::Stop;
use crate::{Error, Result};

/// A batch that was read, up to the first patch that could not be.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) batch: Batch,
    pub(super) error: Option<Error>,
}

/// Where workers begin, and how far ahead they go.
#[derive(Debug, Clone, Copy)]
pub(super) struct Start {
    /// The first position of the share to read.
    pub(super) first: u64,
    /// Patches of a batch.
    pub(super) size: usize,
    pub(super) workers: usize,
    /// Bytes that may be read ahead.
    pub(super) bytes: usize,
    /// Bytes that a patch is expected to take.
    pub(super) patch_bytes: usize,
}

/// Workers that read the rest of an epoch, batch by batch.
#[derive(Debug)]
pub(super) struct Running {
    ahead: Ahead<Read>,
    size: u64,
    /// Where the next batch begins, and where the last one ends, in positions of the share.
    next: u64,
    end: u64,
}

impl Running {
    /// Starts the workers.
    ///
    /// # Errors
    /// [`Error::Io`] if the system refuses to start a thread.
    pub(super) fn start(
        reader: Arc<Reader>,
        order: Arc<Order>,
        share: Share,
        Start { first, size, workers, bytes, patch_bytes }: Start,
    ) -> Result<Self> {
        let (size, end) = (size as u64, share.count());
        let room = move |from: u64| usize::try_from(size.min(end - from)).unwrap_or(usize::MAX);
        let expected = patch_bytes.saturating_mul(room(first));
        let limits = Limits { count: (end - first).div_ceil(size), workers, bytes, expected };
        let ahead = Ahead::start(limits, move |n| {
            let (from, mut batch) = (first + n * size, Batch::default());
            let taken = from..end.min(from.saturating_add(size));
            let positions = taken.map(|taken| share.position(taken));
            let error = reader.fill(&mut batch, room(from), &order, positions).err();
            // An error keeps the room of the patches it stands for.
            let bytes = if error.is_some() { expected } else { batch.bytes() };
            (Read { batch, error }, bytes)
        });
        Ok(Self { ahead: ahead?, size, next: first, end })
    }

    /// Whether the next batch is of this size and begins at this position of the share.
    pub(super) fn is_at(&self, position: u64, size: usize) -> bool {
        (self.next, self.size) == (position, size as u64)
    }

    /// The next batch, which the caller knows to be there; `None` if `stop` asks to wait no longer.
    pub(super) fn next(&mut self, stop: &Stop) -> Option<Read> {
        let read = self.ahead.next(stop)?;
        self.next = self.end.min(self.next.saturating_add(self.size));
        Some(read)
    }
}
