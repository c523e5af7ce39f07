//! Checkpoints of a part: the sums of begun chunks and the encoded chunks of begun shards, as
//! opaque bytes of the aggregation.
//!
//! A part has two files, `open-N-a.bin` and `open-N-b.bin`. Each holds the mark of the format, the
//! BLAKE3 of the job's document, a number that grows from run to run, the content, and the BLAKE3
//! of all these bytes. Any other file is ignored, because shards alone are enough for a resumption.
//! A run writes again and again to the file that it did not resume from: if its predictions turn
//! out to be worthless, the checkpoint of the run before still exists.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use super::Job;
use crate::disk::{Blob, is_absent};
use crate::{Error, Result};

const MARK: &[u8; 16] = b"voxpatch open 2\n";
const DIGEST: usize = blake3::OUT_LEN;
const HEAD: usize = MARK.len() + DIGEST + 8;

/// A checkpoint that was read.
pub(crate) struct Checkpoint {
    blob: Blob,
    place: usize,
    /// The number of the run that wrote it.
    run: u64,
}

impl Checkpoint {
    pub(crate) fn content(&self) -> &[u8] {
        &self.blob[HEAD..self.blob.len() - DIGEST]
    }
}

/// Suffixes of the two files.
const PLACES: [&str; 2] = ["a", "b"];

/// What a run knows of the checkpoints of its part.
#[derive(Debug, Default)]
pub(super) struct Kept {
    /// A checkpoint exists.
    is_there: AtomicBool,
    /// The file that this run writes to, and the number of the run.
    place: AtomicUsize,
    run: AtomicU64,
    /// This run has written its file, or tried to.
    is_own: AtomicBool,
}

/// Writes the content of a checkpoint to a stream.
pub(crate) type Content<'a> = &'a mut dyn FnMut(&mut dyn Write) -> io::Result<()>;

impl Job {
    /// Waits until all shards of the queue are written, then writes a checkpoint. Both are durable
    /// when this returns; until then the checkpoint before stays.
    pub(crate) fn write_checkpoint(&self, content: Content<'_>) -> Result<()> {
        self.flush()?;
        let key = self.checkpoint_key(self.kept.place.load(Ordering::Relaxed));
        let head = self.checkpoint_head(self.kept.run.load(Ordering::Relaxed));
        let sink = self.disk.sink()?;
        // Set before the write, because the file may exist even after an error.
        self.kept.is_own.store(true, Ordering::Relaxed);
        let written = sink.put_streamed(&key, &mut |out| {
            let mut digesting = Digesting { out, hasher: blake3::Hasher::new() };
            digesting.write_all(&head)?;
            content(&mut digesting)?;
            let Digesting { out, hasher } = digesting;
            out.write_all(hasher.finalize().as_bytes())
        });
        written.map_err(Error::io("write", self.disk.path(&key)))?;
        self.kept.is_there.store(true, Ordering::Relaxed);
        self.flush_work()
    }

    /// The checkpoints of this part, the newest first: complete ones of exactly this job.
    pub(crate) fn checkpoints(&self) -> Result<Vec<Checkpoint>> {
        let mut found = Vec::new();
        for place in 0..PLACES.len() {
            found.extend(self.read_checkpoint(place)?);
        }
        found.sort_by_key(|kept| std::cmp::Reverse(kept.run));
        if let Some(newest) = found.first() {
            // Even if the caller does not resume from it: a run that fails must not have replaced
            // it.
            self.goes_on_from(newest);
        }
        Ok(found)
    }

    /// Notes that this run resumes from `checkpoint`, which is kept until the run has ended.
    pub(crate) fn goes_on_from(&self, checkpoint: &Checkpoint) {
        self.kept.place.store(1 - checkpoint.place, Ordering::Relaxed);
        self.kept.run.fetch_max(checkpoint.run + 1, Ordering::Relaxed);
    }

    fn read_checkpoint(&self, place: usize) -> Result<Option<Checkpoint>> {
        let key = self.checkpoint_key(place);
        let blob = match self.disk.whole(&key) {
            Err(e) if is_absent(&e) => return Ok(None),
            blob => blob.map_err(Error::io("read", self.disk.path(&key)))?,
        };
        self.kept.is_there.store(true, Ordering::Relaxed);
        let run = |blob: &Blob| u64::from_le_bytes(blob[HEAD - 8..HEAD].try_into().expect("8"));
        let is_whole =
            blob.len() >= HEAD + DIGEST && blob[..HEAD] == self.checkpoint_head(run(&blob)) && {
                let (all, digest) = blob.split_at(blob.len() - DIGEST);
                blake3::hash(all).as_bytes()[..] == *digest
            };
        Ok(is_whole.then(|| Checkpoint { run: run(&blob), blob, place }))
    }

    /// Whether a checkpoint exists, as far as this run has read or written one.
    pub(crate) fn has_checkpoint(&self) -> bool {
        self.kept.is_there.load(Ordering::Relaxed)
    }

    /// Removes all checkpoints durably.
    pub(crate) fn remove_checkpoint(&self) -> Result<()> {
        (0..PLACES.len()).try_for_each(|place| self.delete(&self.checkpoint_key(place)))?;
        self.flush_work()?;
        self.kept.is_there.store(false, Ordering::Relaxed);
        Ok(())
    }

    /// Removes the checkpoint of this run; that of the run before stays.
    pub(super) fn take_back_checkpoint(&self) -> Result<()> {
        if !self.kept.is_own.swap(false, Ordering::Relaxed) {
            return Ok(());
        }
        let own = self.kept.place.load(Ordering::Relaxed);
        self.delete(&self.checkpoint_key(own))?;
        self.flush_work()?;
        let is_there = self.read_checkpoint(1 - own)?.is_some();
        self.kept.is_there.store(is_there, Ordering::Relaxed);
        Ok(())
    }

    fn checkpoint_key(&self, place: usize) -> String {
        self.begun.key(&format!("open-{}-{}.bin", self.part, PLACES[place]))
    }

    fn checkpoint_head(&self, run: u64) -> Vec<u8> {
        let document = self.begun.document.to_bytes();
        [&MARK[..], blake3::hash(&document).as_bytes(), &run.to_le_bytes()].concat()
    }
}

/// Passes bytes on, and digests them.
struct Digesting<'a> {
    out: &'a mut dyn Write,
    hasher: blake3::Hasher,
}

impl Write for Digesting<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
