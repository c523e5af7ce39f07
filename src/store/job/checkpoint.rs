//! What is open of a part, kept for whoever goes on with it: sums of begun chunks and encoded
//! chunks of begun shards, in the words of whoever makes them.
//!
//! A part has two places, `open-N-a.bin` and `open-N-b.bin`. Each holds the mark of the format, the
//! BLAKE3 of the job's document, a number that grows from run to run, the content, and the BLAKE3 of
//! all that. A file that is anything else counts for none: shards alone are enough to go on from. A
//! run writes to the place that it does not go on from, again and again: if its predictions turn
//! out to be worth nothing, what the run before has kept is still there.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use super::Job;
use crate::disk::{Blob, is_absent};
use crate::{Error, Result};

const MARK: &[u8; 16] = b"voxpatch open 2\n";
const DIGEST: usize = blake3::OUT_LEN;
const HEAD: usize = MARK.len() + DIGEST + 8;

/// What was kept.
pub(crate) struct Checkpoint {
    blob: Blob,
    place: usize,
    /// The number of its run.
    run: u64,
}

impl Checkpoint {
    pub(crate) fn content(&self) -> &[u8] {
        &self.blob[HEAD..self.blob.len() - DIGEST]
    }
}

/// The names of the two places.
const PLACES: [&str; 2] = ["a", "b"];

/// What a run knows of what is kept.
#[derive(Debug, Default)]
pub(super) struct Kept {
    /// There is something.
    is_there: AtomicBool,
    /// The place that this run writes to, and the number of the run.
    place: AtomicUsize,
    run: AtomicU64,
    /// This run has written there, or tried to.
    is_own: AtomicBool,
}

/// Writes `content` to a file that can be streamed to.
pub(crate) type Content<'a> = &'a mut dyn FnMut(&mut dyn Write) -> io::Result<()>;

impl Job {
    /// Waits until the shards that were given are written, then keeps what is open. Both last when
    /// this returns; until then there is what was kept before.
    pub(crate) fn write_checkpoint(&self, content: Content<'_>) -> Result<()> {
        self.flush()?;
        let key = self.checkpoint_key(self.kept.place.load(Ordering::Relaxed));
        let head = self.checkpoint_head(self.kept.run.load(Ordering::Relaxed));
        let sink = self.disk.sink()?;
        // Also if it fails: the file may be there all the same.
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

    /// What was kept of this part, the newest first, as far as it is of this very job and whole.
    pub(crate) fn checkpoints(&self) -> Result<Vec<Checkpoint>> {
        let mut found = Vec::new();
        for place in 0..PLACES.len() {
            found.extend(self.read_checkpoint(place)?);
        }
        found.sort_by_key(|kept| std::cmp::Reverse(kept.run));
        if let Some(newest) = found.first() {
            // Also if nothing goes on from it: a run that fails must not have replaced it.
            self.goes_on_from(newest);
        }
        Ok(found)
    }

    /// Notes that this run goes on from that, which stays until the run has ended.
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

    /// Whether there is something that was kept, as far as this run has written or read it.
    pub(crate) fn has_checkpoint(&self) -> bool {
        self.kept.is_there.load(Ordering::Relaxed)
    }

    /// Removes what was kept, so that it does not come back.
    pub(crate) fn remove_checkpoint(&self) -> Result<()> {
        (0..PLACES.len()).try_for_each(|place| self.delete(&self.checkpoint_key(place)))?;
        self.flush_work()?;
        self.kept.is_there.store(false, Ordering::Relaxed);
        Ok(())
    }

    /// Removes what this run has kept, if anything; what was kept before stays.
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

/// Passes bytes on, and takes their digest.
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
