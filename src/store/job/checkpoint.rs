//! What is open of a part, kept for whoever goes on with it: sums of begun chunks and encoded
//! chunks of begun shards, in the words of whoever makes them.
//!
//! `open-N.bin` is the mark of the format, the BLAKE3 of the job's document, the content, and the
//! BLAKE3 of all that. A file that is anything else counts for none: shards alone are enough to go
//! on from.

use std::io::{self, ErrorKind, Write};
use std::sync::atomic::Ordering;

use super::{Job, sync_names};
use crate::store::disk::Blob;
use crate::{Error, Result};

const MARK: &[u8; 16] = b"voxpatch open 1\n";
const DIGEST: usize = blake3::OUT_LEN;
const HEAD: usize = MARK.len() + DIGEST;

/// What was kept.
pub(crate) struct Checkpoint(Blob);

impl Checkpoint {
    pub(crate) fn content(&self) -> &[u8] {
        &self.0[HEAD..self.0.len() - DIGEST]
    }
}

/// Writes `content` to a file that can be streamed to.
pub(crate) type Content<'a> = &'a mut dyn FnMut(&mut dyn Write) -> io::Result<()>;

impl Job {
    /// Waits until the shards that were given are written, then keeps what is open. Both last when
    /// this returns; until then there is what was kept before.
    pub(crate) fn write_checkpoint(&self, content: Content<'_>) -> Result<()> {
        self.flush()?;
        let key = self.checkpoint_key();
        let written = self.disk.write_streamed(&key, &mut |out| {
            let mut digesting = Digesting { out, hasher: blake3::Hasher::new() };
            digesting.write_all(&self.checkpoint_head())?;
            content(&mut digesting)?;
            let Digesting { out, hasher } = digesting;
            out.write_all(hasher.finalize().as_bytes())
        });
        written.map_err(Error::io("write", self.disk.path(&key)))?;
        self.has_checkpoint.store(true, Ordering::Relaxed);
        sync_names(&*self.disk, &self.folder)
    }

    /// What was kept of this part, if that is of this very job and whole.
    pub(crate) fn read_checkpoint(&self) -> Result<Option<Checkpoint>> {
        let key = self.checkpoint_key();
        let blob = match self.disk.read(&key) {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
            blob => blob.map_err(Error::io("read", self.disk.path(&key)))?,
        };
        self.has_checkpoint.store(true, Ordering::Relaxed);
        let is_whole = blob.len() >= HEAD + DIGEST && blob[..HEAD] == self.checkpoint_head() && {
            let (all, digest) = blob.split_at(blob.len() - DIGEST);
            blake3::hash(all).as_bytes()[..] == *digest
        };
        Ok(is_whole.then_some(Checkpoint(blob)))
    }

    /// Whether there is something that was kept, as far as this run has written or read it.
    pub(crate) fn has_checkpoint(&self) -> bool {
        self.has_checkpoint.load(Ordering::Relaxed)
    }

    /// Removes what was kept, so that it does not come back.
    pub(crate) fn remove_checkpoint(&self) -> Result<()> {
        let key = self.checkpoint_key();
        self.disk.remove(&key).map_err(Error::io("remove", self.disk.path(&key)))?;
        sync_names(&*self.disk, &self.folder)?;
        self.has_checkpoint.store(false, Ordering::Relaxed);
        Ok(())
    }

    fn checkpoint_key(&self) -> String {
        format!("{}/open-{}.bin", self.folder, self.part)
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
