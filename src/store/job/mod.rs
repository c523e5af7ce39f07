//! Volumes that come about shard by shard, by several processes, and over several runs.
//!
//! A job is a hidden folder of the dataset:
//!
//! ```text
//! .aggregate-case01+organs/
//!   job.json         what is made, of what, in how many parts: sealed, written first
//!   part-0 ...       folders, each locked by whoever makes the part
//!   fingerprint.json how the model answered the patch that it is known by
//!   doubt-0.json ... why what a part has written may be wrong, if so
//!   open-0.bin ...   what a part held of shards that were not finished when it was stopped
//!   before-0.bin ... the same of the run before
//!   publishing       a folder, locked by whoever publishes the outputs
//!   0/  1/ ...       a folder for each output, as it will be published
//!   seals.json       digests of the outputs' manifests, once all of them are complete
//!   sealed-0/ ...    the outputs on their way to their places; or the volumes that they replaced
//! ```
//!
//! The shards themselves are the journal: each is written beside its place, synced and renamed, so
//! that one that is there is finished. One of zeros alone is a file with an index and no chunk
//! until the volume is published, and then none. With `seals.json` in place the outputs are
//! published one after the other; who comes back after that was interrupted goes on with those that
//! are not there. In `0/` lies nothing but shards of this job, ever: a volume that was replaced
//! cannot be taken for what replaces it, whatever else is lost.
//!
//! What a part holds between patches is lost with its process, but for what `open-N.bin` keeps of
//! it now and then: whole, and of shards that were not written then. It is read by whoever goes on
//! with the part, and a shard that is there by then counts more. It is removed before shards of the
//! part are, as those are made anew.
//!
//! Names become durable in the order in which they are relied on: `job.json` before the first
//! shard, shards that are removed before others are written in their place, all outputs before
//! `seals.json`, that before the first output leaves its folder, and every output in its place
//! before `job.json` is removed, the first of all to go.

mod behind;
mod checkpoint;
mod document;
mod notes;
mod overwrite;
mod publish;
mod shards;
mod unfinished;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

pub(crate) use checkpoint::Checkpoint;
use checkpoint::Kept;
pub(crate) use document::{JobDocument, JobOutput};
pub(crate) use notes::Note;
pub use overwrite::Overwrite;
pub use unfinished::UnfinishedAggregation;

use behind::{Behind, ShardToWrite};

use super::Dataset;
use super::codec::{self, ChunkCodec};
use super::disk::Disk;
use super::name::VolumeName;
use super::staging::{self, Staging};
use crate::exec::locked;
use crate::{Error, Result};

pub(crate) use super::codec::EncodeScratch;

/// One part of a job, which no one else makes while this is held.
///
/// Shards are written by a thread of its own. Dropped, it waits for those that were given to it; if
/// there is no shard at all then, and no checkpoint, of a job of one part, nothing is left of it.
pub(crate) struct Job {
    disk: Arc<dyn Disk>,
    folder: String,
    document: JobDocument,
    /// Counted from 0.
    part: usize,
    codecs: Vec<ChunkCodec>,
    behind: Behind,
    /// All shards are there, and some outputs perhaps in their places.
    is_sealed: bool,
    /// Nothing of it was there when it was opened.
    is_new: bool,
    kept: Kept,
    /// Keys of the shards that were given to be written.
    written: Mutex<Vec<String>>,
    /// How many of them were when their names were synced.
    synced: AtomicUsize,
    /// Goes last.
    _part: Lock,
}

type Lock = Box<dyn Send + Sync>;

impl Dataset {
    /// What the job whose first output has this name is about; `None` if there is none.
    pub(crate) fn job(&self, name: &VolumeName) -> Result<Option<JobDocument>> {
        let _root = self.lock_root()?;
        self.remove_published_job(name)?;
        document::read(&*self.disk, &folder_of(name))
    }

    /// Begins a job, or goes on with the one that is there, which must be the same; and locks a
    /// part of it.
    pub(crate) fn open_job(
        &self,
        document: JobDocument,
        part: usize,
        overwrite: Overwrite,
    ) -> Result<Job> {
        let name = document.name()?;
        let folder = folder_of(&name);
        let codecs = document.outputs.iter().map(|output| {
            let (array, layout) = (&output.array, &output.attributes.layout);
            staging::count_shards(array, layout)?;
            codec::for_array(array, layout)
        });
        let codecs = codecs.collect::<Result<_>>()?;
        let root = self.lock_root()?;
        let (is_new, is_sealed) = self.begin_job(&document, &folder, overwrite)?;
        let publishing = self.lock_publishing(&name)?;
        let lock = self.lock_part(&name, part)?;
        drop((publishing, root));
        let disk = Arc::clone(&self.disk);
        let behind = Behind::start(Arc::clone(&disk))?;
        let (written, synced) = <(Mutex<_>, AtomicUsize)>::default();
        Ok(Job {
            disk,
            folder,
            document,
            part,
            codecs,
            behind,
            is_sealed,
            is_new,
            kept: Kept::default(),
            written,
            synced,
            _part: lock,
        })
    }

    /// Makes the folder of a job, if it is not there. Whether it was made, and whether the job is
    /// complete.
    fn begin_job(
        &self,
        document: &JobDocument,
        folder: &str,
        overwrite: Overwrite,
    ) -> Result<(bool, bool)> {
        let disk = &*self.disk;
        let there = document::read(disk, folder)?;
        if there.as_ref().is_some_and(|there| there != document) {
            let reason = "another process has begun it in another way";
            return Err(Error::invalid("aggregation", &document.outputs[0].name, reason));
        }
        if there.is_some() && publish::is_sealed(disk, folder)? {
            // Some outputs may be in their places already.
            return Ok((false, true));
        }
        for output in &document.outputs {
            let name = output.name()?;
            if overwrite::check(disk, &name, overwrite)? {
                let folder = format!(".probe-{}+{}", name.subject(), name.image());
                let disk = Arc::clone(&self.disk);
                Staging { disk, name, folder, replace: true }.probe_exchange()?;
            }
        }
        if there.is_none() {
            // What is left of one that was being removed.
            disk.remove(folder).map_err(Error::io("remove", disk.path(folder)))?;
            document::write(disk, folder, document)?;
            sync_names(disk, folder)?;
            sync_names(disk, "")?;
        }
        Ok((there.is_none(), false))
    }

    /// Throws away a job that nobody is working on, whatever its document says.
    pub(crate) fn discard_job(&self, name: &VolumeName) -> Result<()> {
        let _root = self.lock_root()?;
        let folder = folder_of(name);
        let inside = self.disk.list(&folder).map_err(Error::io("list", self.disk.path(&folder)))?;
        let _publishing = self.lock_publishing(name)?;
        let parts = inside.iter().filter_map(|name| name.strip_prefix("part-")?.parse().ok());
        let _parts = parts.map(|part| self.lock_part(name, part)).collect::<Result<Vec<_>>>()?;
        remove_job(&*self.disk, &folder)
    }

    /// Held while a job appears or disappears.
    fn lock_root(&self) -> Result<Lock> {
        self.disk.lock("", true).map_err(Error::io("lock", self.disk.path("")))
    }

    /// Keeps everybody else away from a job.
    fn lock_all(&self, name: &VolumeName, parts: usize) -> Result<Vec<Lock>> {
        let publishing = self.lock_publishing(name)?;
        let mut locks = (0..parts).map(|part| self.lock_part(name, part)).collect::<Result<_>>()?;
        Vec::push(&mut locks, publishing);
        Ok(locks)
    }

    fn lock_part(&self, name: &VolumeName, part: usize) -> Result<Lock> {
        let making = format!("another process is making part {} of it right now", part + 1);
        self.lock_of_job(name, &format!("part-{part}"), &making)
    }

    fn lock_publishing(&self, name: &VolumeName) -> Result<Lock> {
        self.lock_of_job(name, "publishing", "another process is publishing it right now")
    }

    fn lock_of_job(&self, name: &VolumeName, lock: &str, is_held: &str) -> Result<Lock> {
        let key = format!("{}/{lock}", folder_of(name));
        self.disk.lock(&key, false).map_err(|source| match source.kind() {
            std::io::ErrorKind::WouldBlock => Error::invalid("aggregation", name, is_held),
            _ => Error::Io { action: "lock", path: self.disk.path(&key), source },
        })
    }
}

impl Job {
    /// A folder for what is only needed meanwhile.
    pub(crate) fn folder(&self) -> PathBuf {
        self.disk.path(&self.folder)
    }

    /// Which shards of an output are there, in C order of channel, z, y, x.
    pub(crate) fn done(&self, output: usize) -> Result<Vec<bool>> {
        if self.is_sealed {
            return Ok(shards::keys(&self.document.outputs[output]).map(|_| true).collect());
        }
        shards::written(&*self.disk, &self.folder, output, &self.document.outputs[output])
    }

    /// The encoded chunk of voxels in native byte order; `None` if each is 0.
    pub(crate) fn encode(
        &self,
        output: usize,
        voxels: &[u8],
        scratch: &mut EncodeScratch,
    ) -> Result<Option<Vec<u8>>> {
        if voxels.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        self.codecs[output].encode(voxels, scratch).map(Some).map_err(|source| Error::Store {
            action: "encode a chunk",
            path: self.disk.path(&self.document.outputs[output].name),
            source,
        })
    }

    /// Has a shard written: its encoded chunks in C order. Returns at once, unless much is waiting
    /// to be written already.
    ///
    /// # Errors
    /// That of an earlier shard.
    pub(crate) fn write_shard(
        &self,
        output: usize,
        channel: usize,
        at: [usize; 3],
        chunks: Vec<Option<Vec<u8>>>,
    ) -> Result<()> {
        let JobOutput { array, attributes, .. } = &self.document.outputs[output];
        let inside = array.shard_key(0, channel, at);
        let key = format!("{}/{output}/0/{inside}", self.folder);
        locked(&self.written).push(key.clone());
        self.behind.write(ShardToWrite { key, inside, chunks, layout: attributes.layout })
    }

    /// Waits until all shards that were given are written, and makes their names durable.
    ///
    /// # Errors
    /// That of a shard.
    pub(crate) fn flush(&self) -> Result<()> {
        // Refused in a process that was forked off, where the lock below may be held for ever.
        self.behind.flush()?;
        let written = locked(&self.written).len();
        self.behind.flush()?;
        if written > self.synced.load(Ordering::Relaxed) {
            // With the folders that were made for them.
            self.disk.sync(&self.folder).map_err(Error::io("sync", self.folder()))?;
            self.synced.fetch_max(written, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Removes the shards that were written since this was opened, and what this run has kept of
    /// others.
    pub(crate) fn take_back(&self) -> Result<()> {
        let forgotten = self.take_back_checkpoint();
        // What could not be written is not there.
        let _ = self.behind.flush();
        let written = std::mem::take(&mut *locked(&self.written));
        self.synced.store(0, Ordering::Relaxed);
        self.remove(written).and(forgotten)
    }

    /// Removes shards so that none comes back: others may be written in their place from here on,
    /// which are not of the same predictions.
    fn remove(&self, keys: impl IntoIterator<Item = String>) -> Result<()> {
        let mut folders = BTreeSet::new();
        for key in keys {
            self.disk.remove(&key).map_err(Error::io("remove", self.disk.path(&key)))?;
            folders.extend(key.rsplit_once('/').map(|(folder, _)| folder.to_owned()));
        }
        folders.iter().try_for_each(|folder| match sync_names(&*self.disk, folder) {
            // Nothing was ever written there.
            Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
                Ok(())
            }
            synced => synced,
        })
    }

    /// Removes shards, each given by channel and place. What is kept of others must be gone by
    /// then.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if the job is complete: some volumes may be in their places.
    pub(crate) fn remove_shards(
        &self,
        output: usize,
        shards: impl Iterator<Item = (usize, [usize; 3])>,
    ) -> Result<()> {
        if self.is_sealed {
            let reason = "all of it is complete; finalise it before it is made again";
            return Err(Error::invalid("aggregation", &self.document.outputs[0].name, reason));
        }
        let array = &self.document.outputs[output].array;
        self.remove(shards.map(|(channel, at)| {
            format!("{}/{output}/0/{}", self.folder, array.shard_key(0, channel, at))
        }))
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        // Refused in a process that was forked off, where the lock may be held for ever.
        let is_flushed = self.flush().is_ok();
        let is_empty = || locked(&self.written).is_empty() && !self.has_checkpoint();
        if self.is_new && self.document.parts == 1 && is_flushed && is_empty() {
            // Best effort: it is hidden, and can be gone on with.
            let _root = self.disk.lock("", true);
            let _ = remove_job(&*self.disk, &self.folder);
        }
    }
}

/// Removes the folder of a job, which the caller keeps others away from. Its document goes first:
/// among what is left, if it is interrupted, may be shards of a volume that was replaced, which are
/// nobody's to go on with.
fn remove_job(disk: &dyn Disk, folder: &str) -> Result<()> {
    let removed = disk
        .remove(&format!("{folder}/job.json"))
        .and_then(|()| if disk.list(folder)?.is_empty() { Ok(()) } else { disk.sync_names(folder) })
        .and_then(|()| disk.remove(folder));
    removed.map_err(Error::io("remove", disk.path(folder)))
}

fn sync_names(disk: &dyn Disk, folder: &str) -> Result<()> {
    disk.sync_names(folder).map_err(Error::io("sync", disk.path(folder)))
}

/// What the folders of all jobs begin with.
const PREFIX: &str = ".aggregate-";

/// Key of a job's folder.
fn folder_of(name: &VolumeName) -> String {
    format!("{PREFIX}{}+{}", name.subject(), name.image())
}
