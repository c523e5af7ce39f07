//! What is open of a part, kept for whoever goes on with it: sums of begun chunks and encoded
//! chunks of begun shards, in the words of whoever makes them.
//!
//! `open-N.bin` is the mark of the format, the BLAKE3 of the job's document, the content, and the
//! BLAKE3 of all that. A file that is anything else counts for none: shards alone are enough to go
//! on from. What a run goes on from is set aside, as `before-N.bin`, when that run first keeps
//! something itself: if its predictions turn out to be worth nothing, the others' are still there.

use std::io::{self, ErrorKind, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use super::{Job, sync_names};
use crate::store::disk::Blob;
use crate::{Error, Result};

const MARK: &[u8; 16] = b"voxpatch open 1\n";
const DIGEST: usize = blake3::OUT_LEN;
const HEAD: usize = MARK.len() + DIGEST;

/// What was kept.
pub(crate) struct Checkpoint {
    blob: Blob,
    is_newest: bool,
}

impl Checkpoint {
    pub(crate) fn content(&self) -> &[u8] {
        &self.blob[HEAD..self.blob.len() - DIGEST]
    }
}

/// The names of what is kept, the newest first.
const NAMES: [&str; 2] = ["open", "before"];

/// What a run knows of what is kept.
#[derive(Debug, Default)]
pub(super) struct Kept {
    /// There is something.
    is_there: AtomicBool,
    /// This run goes on from the newest, which is to be set aside.
    goes_on: AtomicBool,
    /// The newest is of this run, if there is one.
    is_own: AtomicBool,
}

/// Writes `content` to a file that can be streamed to.
pub(crate) type Content<'a> = &'a mut dyn FnMut(&mut dyn Write) -> io::Result<()>;

impl Job {
    /// Waits until the shards that were given are written, then keeps what is open. Both last when
    /// this returns; until then there is what was kept before.
    pub(crate) fn write_checkpoint(&self, content: Content<'_>) -> Result<()> {
        self.flush()?;
        let [key, before] = self.checkpoint_keys();
        // Once: where it was moved though that failed, trying again would remove it.
        if self.kept.goes_on.swap(false, Ordering::Relaxed) {
            self.disk.remove(&before).map_err(Error::io("remove", self.disk.path(&before)))?;
            let moved = self.disk.rename(&key, &before);
            moved.map_err(Error::io("rename", self.disk.path(&key)))?;
            sync_names(&*self.disk, &self.folder)?;
        }
        // Also if it fails: the file may be there all the same.
        self.kept.is_own.store(true, Ordering::Relaxed);
        let written = self.disk.write_streamed(&key, &mut |out| {
            let mut digesting = Digesting { out, hasher: blake3::Hasher::new() };
            digesting.write_all(&self.checkpoint_head())?;
            content(&mut digesting)?;
            let Digesting { out, hasher } = digesting;
            out.write_all(hasher.finalize().as_bytes())
        });
        written.map_err(Error::io("write", self.disk.path(&key)))?;
        self.kept.is_there.store(true, Ordering::Relaxed);
        sync_names(&*self.disk, &self.folder)
    }

    /// What was kept of this part, the newest first, as far as it is of this very job and whole.
    pub(crate) fn checkpoints(&self) -> impl Iterator<Item = Result<Checkpoint>> {
        let keys = self.checkpoint_keys().into_iter().enumerate();
        keys.filter_map(|(n, key)| self.read_checkpoint(&key, n == 0).transpose())
    }

    /// Notes that this run goes on from that.
    pub(crate) fn goes_on_from(&self, checkpoint: &Checkpoint) {
        self.kept.goes_on.store(checkpoint.is_newest, Ordering::Relaxed);
    }

    fn read_checkpoint(&self, key: &str, is_newest: bool) -> Result<Option<Checkpoint>> {
        let blob = match self.disk.read(key) {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
            blob => blob.map_err(Error::io("read", self.disk.path(key)))?,
        };
        self.kept.is_there.store(true, Ordering::Relaxed);
        let is_whole = blob.len() >= HEAD + DIGEST && blob[..HEAD] == self.checkpoint_head() && {
            let (all, digest) = blob.split_at(blob.len() - DIGEST);
            blake3::hash(all).as_bytes()[..] == *digest
        };
        Ok(is_whole.then_some(Checkpoint { blob, is_newest }))
    }

    /// Whether there is something that was kept, as far as this run has written or read it.
    pub(crate) fn has_checkpoint(&self) -> bool {
        self.kept.is_there.load(Ordering::Relaxed)
    }

    /// Removes what was kept, so that it does not come back.
    pub(crate) fn remove_checkpoint(&self) -> Result<()> {
        for key in self.checkpoint_keys() {
            self.disk.remove(&key).map_err(Error::io("remove", self.disk.path(&key)))?;
        }
        sync_names(&*self.disk, &self.folder)?;
        self.kept.is_there.store(false, Ordering::Relaxed);
        Ok(())
    }

    /// Removes what this run has kept, if anything; what was kept before stays.
    pub(super) fn take_back_checkpoint(&self) -> Result<()> {
        if !self.kept.is_own.swap(false, Ordering::Relaxed) {
            return Ok(());
        }
        let [key, before] = self.checkpoint_keys();
        self.disk.remove(&key).map_err(Error::io("remove", self.disk.path(&key)))?;
        sync_names(&*self.disk, &self.folder)?;
        let is_there = self.read_checkpoint(&before, false)?.is_some();
        self.kept.is_there.store(is_there, Ordering::Relaxed);
        Ok(())
    }

    fn checkpoint_keys(&self) -> [String; 2] {
        NAMES.map(|name| format!("{}/{name}-{}.bin", self.folder, self.part))
    }

    fn checkpoint_head(&self) -> Vec<u8> {
        let document = serde_json::to_vec(&self.document).expect("a document is JSON");
        [&MARK[..], blake3::hash(&document).as_bytes()].concat()
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
