//! Volumes that come about shard by shard, by several processes, and over several runs.
//!
//! ```text
//! .aggregate-case01+organs/
//!   job.json             what is made, of what, in how many parts, and the generations of the outputs
//!   g-0123456789abcdef/  the first of these: what follows is of this very job
//!     part-0 ...         folders, each held by whoever makes the part
//!     fingerprint.json   how the model answered the patch that it is known by
//!     doubt-0.json ...   why what a part has written may be wrong, if so
//!     open-0-a.bin ...   what a part held of shards that were not finished when it was stopped
//!     publishing         a folder, held by whoever publishes the outputs
//!     complete.json      lengths and digests of the outputs' manifests, once all are complete
//! case01/organs/
//!   g-0123456789abcdef/  the shards, where they stay
//! ```
//!
//! The shards themselves are the journal: each is put as a whole, so that one that is there is
//! finished, and anybody who makes it again puts the same bytes. One of zeros alone is a file with
//! an index and no chunk until the job is complete, and then none. Nobody reads a generation that
//! no pointer names. [`state`] has the states of a job and the steps between them.
//!
//! What a part holds between patches is lost with its process, but for what `open-N-a.bin` keeps of
//! it now and then: whole, and of shards that were not written then. It is read by whoever goes on
//! with the part, and a shard that is there by then counts more. It is removed before shards of the
//! part are, as those are made anew.

mod behind;
mod checkpoint;
mod document;
mod notes;
mod overwrite;
mod publish;
mod shards;
mod state;
mod unfinished;

use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

pub(crate) use checkpoint::Checkpoint;
use checkpoint::Kept;
pub(crate) use document::{JobDocument, JobOutput};
pub(crate) use notes::Note;
pub use overwrite::Overwrite;
pub use unfinished::UnfinishedAggregation;

use behind::{Behind, ShardToWrite};
use state::Begun;

use super::Dataset;
use super::generation::Generation;
use super::name::VolumeName;
use super::staging;
use crate::codec::{ChunkEncoder, EncodeScratch};
use crate::disk::{Disk, Held};
use crate::exec::locked;
use crate::process::Maker;
use crate::{Error, Result};

/// One part of a job, which no one else makes while this is held.
///
/// Shards are written by a thread of its own. Dropped, it waits for those that were given to it; if
/// there is no shard at all then, and no checkpoint, of a job of one part, nothing is left of it.
pub(crate) struct Job {
    disk: Disk,
    begun: Begun,
    /// Of each output.
    generations: Vec<Generation>,
    /// Counted from 0.
    part: usize,
    codecs: Vec<ChunkEncoder>,
    behind: Behind,
    /// All shards are there, and some outputs perhaps published.
    is_complete: bool,
    /// Nothing of it was there when it was opened.
    is_new: bool,
    kept: Kept,
    /// Keys of the shards that were given to be written.
    written: Mutex<Vec<String>>,
    /// How many of them were when they were flushed.
    flushed: AtomicUsize,
    maker: Maker,
    /// Goes last.
    _part: Held,
}

impl Dataset {
    /// What the job whose first output has this name is about; `None` if there is none.
    pub(crate) fn job(&self, name: &VolumeName) -> Result<Option<JobDocument>> {
        let Some(job) = Begun::find(&self.disk, name)? else { return Ok(None) };
        if job.completed(&self.disk)?.is_some() && job.is_published(&self.disk)? {
            // All that was left to do was to say so.
            job.end(&self.disk, false)?;
            return Ok(None);
        }
        Ok(Some(job.document))
    }

    /// Begins a job, or goes on with the one that is there, which must make the same; and holds a
    /// part of it.
    pub(crate) fn open_job(
        &self,
        document: &JobDocument,
        part: usize,
        overwrite: Overwrite,
    ) -> Result<Job> {
        let name = document.name()?;
        let codecs = document.outputs.iter().map(|output| {
            let (array, layout) = (&output.array, &output.attributes.layout);
            staging::count_shards(array, layout)?;
            ChunkEncoder::new(layout, array.dtype)
        });
        let codecs = codecs.collect::<Result<_>>()?;
        let disk = self.disk.clone();
        let (begun, is_new, is_complete) = self.begin_job(document, &name, overwrite)?;
        let held = hold_part(&disk, &begun, part)?;
        let behind = Behind::start(disk.clone())?;
        Ok(Job {
            generations: begun.generations()?,
            disk,
            begun,
            part,
            codecs,
            behind,
            is_complete,
            is_new,
            kept: Kept::default(),
            written: Mutex::default(),
            flushed: AtomicUsize::default(),
            maker: Maker::new(),
            _part: held,
        })
    }

    /// The job that is there, begun now if there is none. Whether it was begun now, and whether it
    /// is complete.
    fn begin_job(
        &self,
        document: &JobDocument,
        name: &VolumeName,
        overwrite: Overwrite,
    ) -> Result<(Begun, bool, bool)> {
        let disk = &self.disk;
        let there = Begun::find(disk, name)?;
        let is_complete = match &there {
            Some(job) => job.completed(disk)?.is_some(),
            None => false,
        };
        // Some outputs of a complete one may be in their places already.
        if !is_complete {
            for output in &document.outputs {
                overwrite::check(disk, &output.name()?, overwrite)?;
            }
        }
        let (job, is_new) = match there {
            Some(job) => (job, false),
            None => Begun::begin(disk, name, document)?,
        };
        if !job.document.makes_the_same(document) {
            let reason = "another process has begun it in another way";
            return Err(Error::invalid("aggregation", name, reason));
        }
        Ok((job, is_new, is_complete))
    }

    /// Throws away a job that nobody is working on, whatever its document says.
    pub(crate) fn discard_job(&self, name: &VolumeName) -> Result<()> {
        let disk = &self.disk;
        match Begun::find(disk, name) {
            Ok(None) => Ok(()),
            Ok(Some(job)) => {
                let _held = hold_all(disk, &job)?;
                job.end(disk, true)
            }
            Err(Error::CorruptStore { .. }) => state::end_damaged(disk, name),
            Err(error) => Err(error),
        }
    }
}

/// Tells everybody else that all of a job is in use.
fn hold_all(disk: &Disk, job: &Begun) -> Result<Vec<Held>> {
    let publishing = hold_publishing(disk, job)?;
    let parts = (0..job.document.parts).map(|part| hold_part(disk, job, part));
    parts.chain([Ok(publishing)]).collect()
}

fn hold_part(disk: &Disk, job: &Begun, part: usize) -> Result<Held> {
    let reason = "another process is making this part of its predictions right now";
    match hold(disk, job, &format!("part-{part}"), reason) {
        // Whoever publishes holds all parts.
        Err(error @ Error::Busy { .. }) => hold_publishing(disk, job).and(Err(error)),
        held => held,
    }
}

fn hold_publishing(disk: &Disk, job: &Begun) -> Result<Held> {
    hold(disk, job, "publishing", "another process is publishing it right now")
}

fn hold(disk: &Disk, job: &Begun, what: &str, reason: &'static str) -> Result<Held> {
    let key = job.key(what);
    disk.sink()?.hold(&key).map_err(|source| match source.kind() {
        std::io::ErrorKind::WouldBlock => {
            Error::Busy { path: disk.path(&job.document.outputs[0].name), reason }
        }
        _ => Error::Io { action: "lock", path: disk.path(&key), source },
    })
}

impl Job {
    /// Where the shards of the first output are put.
    pub(crate) fn folder(&self) -> PathBuf {
        self.disk.path(self.generations[0].folder())
    }

    /// Which shards of an output are there, in C order of channel, z, y, x.
    pub(crate) fn done(&self, output: usize) -> Result<Vec<bool>> {
        let document = &self.begun.document.outputs[output];
        if self.is_complete {
            return Ok(shards::keys(document).map(|_| true).collect());
        }
        shards::written(&self.disk, &self.generations[output], document)
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
            path: self.disk.path(&self.begun.document.outputs[output].name),
            source: source.into(),
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
        let JobOutput { array, attributes, .. } = &self.begun.document.outputs[output];
        let inside = array.shard_key(0, channel, at);
        let key = self.generations[output].key(format!("0/{inside}"));
        locked(&self.written).push(key.clone());
        self.behind.write(ShardToWrite { key, inside, chunks, layout: attributes.layout })
    }

    /// Waits until all shards that were given are written, and makes them last.
    ///
    /// # Errors
    /// That of a shard.
    pub(crate) fn flush(&self) -> Result<()> {
        // Refused in a process that was forked off, where the lock below may be held for ever.
        self.behind.flush()?;
        let written = locked(&self.written).len();
        self.behind.flush()?;
        if written > self.flushed.load(Ordering::Relaxed) {
            self.flush_generations()?;
            self.flushed.fetch_max(written, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Makes all that was put into the generations and deleted from them last.
    fn flush_generations(&self) -> Result<()> {
        self.generations.iter().try_for_each(|generation| self.flush_folder(generation.folder()))
    }

    /// The same of what lies beside the job's document.
    fn flush_work(&self) -> Result<()> {
        self.flush_folder(&self.begun.work())
    }

    fn flush_folder(&self, folder: &str) -> Result<()> {
        self.disk.sink()?.flush(folder).map_err(Error::io("sync", self.disk.path(folder)))
    }

    fn delete(&self, key: &str) -> Result<()> {
        self.disk.sink()?.delete(key).map_err(Error::io("remove", self.disk.path(key)))
    }

    /// Removes the shards that were written since this was opened, and what this run has kept of
    /// others.
    pub(crate) fn take_back(&self) -> Result<()> {
        let forgotten = self.take_back_checkpoint();
        // What could not be written is not there.
        let _ = self.behind.flush();
        let written = std::mem::take(&mut *locked(&self.written));
        self.flushed.store(0, Ordering::Relaxed);
        self.remove(written).and(forgotten)
    }

    /// Removes shards so that none comes back: others may be written in their place from here on,
    /// which are not of the same predictions.
    fn remove(&self, keys: impl IntoIterator<Item = String>) -> Result<()> {
        keys.into_iter().try_for_each(|key| self.delete(&key))?;
        self.flush_generations()
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
        let JobOutput { array, name, .. } = &self.begun.document.outputs[output];
        if self.is_complete {
            let reason = "all of it is complete; finalise it before it is made again";
            return Err(Error::invalid("aggregation", name, reason));
        }
        let generation = &self.generations[output];
        self.remove(
            shards.map(|(channel, at)| {
                generation.key(format!("0/{}", array.shard_key(0, channel, at)))
            }),
        )
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        // Refused in a process that was forked off, where the lock may be held for ever.
        let is_flushed = self.flush().is_ok();
        let is_empty = || locked(&self.written).is_empty() && !self.has_checkpoint();
        let is_alone = self.is_new && self.begun.document.parts == 1;
        if self.maker.is_here() && is_alone && is_flushed && is_empty() {
            // Best effort: it can be gone on with.
            let _ = self.begun.end(&self.disk, true);
        }
    }
}

/// What the folders of all jobs begin with.
pub(super) const PREFIX: &str = ".aggregate-";

/// Key of a job's folder.
fn folder_of(name: &VolumeName) -> String {
    format!("{PREFIX}{}+{}", name.subject(), name.image())
}
