//! Jobs: volumes that are made shard by shard, by several processes and over several runs.
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
//! The shards themselves are the journal: each is put as a whole, so an existing shard is finished,
//! and any process that makes it again puts the same bytes. Until the job is complete, a shard of
//! zeros is a file with an index and no chunk; then it is removed. No reader looks into a
//! generation that no pointer names. [`state`] has the states of a job and the steps between them.
//!
//! The state that a part holds between patches is lost with its process, except for the checkpoints
//! in `open-N-a.bin`. Whoever resumes the part reads the latest; a shard that is written by then
//! has priority. Checkpoints are removed before shards of the part are, because these shards are
//! made anew.

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

/// One part of a job, which no other process makes meanwhile.
///
/// A separate thread writes shards; dropping the job waits for the thread. If a job of one part
/// then has no shard and no checkpoint, nothing is left of it.
pub(crate) struct Job {
    disk: Disk,
    begun: Begun,
    /// The generations of the outputs.
    generations: Vec<Generation>,
    /// Index of the part.
    part: usize,
    codecs: Vec<ChunkEncoder>,
    behind: Behind,
    /// All shards are written, and some outputs may be published.
    is_complete: bool,
    /// The job did not exist before it was opened.
    is_new: bool,
    kept: Kept,
    /// Keys of the shards that were queued for writing.
    written: Mutex<Vec<String>>,
    /// How many of them had been queued at the last flush.
    flushed: AtomicUsize,
    maker: Maker,
    /// Must be dropped last, so that no other process begins while shards are written.
    _part: Held,
}

impl Dataset {
    /// The document of the job whose first output has this name; `None` if there is none.
    pub(crate) fn job(&self, name: &VolumeName) -> Result<Option<JobDocument>> {
        let Some(job) = Begun::find(&self.disk, name)? else { return Ok(None) };
        if job.completed(&self.disk)?.is_some() && job.is_published(&self.disk)? {
            // Every output is published, and only the job's documents are left.
            job.end(&self.disk, false)?;
            return Ok(None);
        }
        Ok(Some(job.document))
    }

    /// Begins a job, or resumes an existing job, which must make the same volumes; and holds a part
    /// of it.
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
        let (begun, is_new) = self.begin_job(document, &name, overwrite)?;
        let held = hold_part(&disk, &begun, part)?;
        // Looked up again, because another process may have ended or completed the job before the
        // part was held.
        let is_complete = begun.check_current(&disk)?;
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

    /// The existing job, begun now if there is none, and whether it was begun now.
    fn begin_job(
        &self,
        document: &JobDocument,
        name: &VolumeName,
        overwrite: Overwrite,
    ) -> Result<(Begun, bool)> {
        let disk = &self.disk;
        let there = Begun::find(disk, name)?;
        let is_complete = match &there {
            Some(job) => job.completed(disk)?.is_some(),
            None => false,
        };
        // Some outputs of a complete job may be published already.
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
            let reason = "another process has begun the aggregation with other settings";
            return Err(Error::invalid("aggregation", name, reason));
        }
        Ok((job, is_new))
    }

    /// Discards a job that no process is working on, whatever its document says.
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

/// Marks all parts of a job as in use.
fn hold_all(disk: &Disk, job: &Begun) -> Result<Vec<Held>> {
    let publishing = hold_publishing(disk, job)?;
    let parts = (0..job.document.parts).map(|part| hold_part(disk, job, part));
    parts.chain([Ok(publishing)]).collect()
}

fn hold_part(disk: &Disk, job: &Begun, part: usize) -> Result<Held> {
    let reason = "another process is making this part of the predictions right now";
    match hold(disk, job, &format!("part-{part}"), reason) {
        // A process that publishes holds all parts.
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
    /// The generation of the first output, whose path names the job in messages.
    pub(crate) fn folder(&self) -> PathBuf {
        self.disk.path(self.generations[0].folder())
    }

    /// Which shards of an output are written, in C order of channel, z, y, x.
    pub(crate) fn done(&self, output: usize) -> Result<Vec<bool>> {
        let document = &self.begun.document.outputs[output];
        if self.is_complete {
            return Ok(shards::keys(document).map(|_| true).collect());
        }
        shards::written(&self.disk, &self.generations[output], document)
    }

    /// The encoded chunk of voxels in native byte order; `None` if all voxels are 0.
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

    /// Queues a shard for writing: its encoded chunks in C order. Waits only if much is queued
    /// already.
    ///
    /// # Errors
    /// The error of an earlier shard.
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

    /// Waits until all queued shards are written, and makes them durable.
    ///
    /// # Errors
    /// The error of a shard.
    pub(crate) fn flush(&self) -> Result<()> {
        // Fails in a forked process, where the lock below may be held for ever.
        self.behind.flush()?;
        let written = locked(&self.written).len();
        self.behind.flush()?;
        if written > self.flushed.load(Ordering::Relaxed) {
            self.flush_generations()?;
            self.flushed.fetch_max(written, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Makes all puts into the generations and all deletions from them durable.
    fn flush_generations(&self) -> Result<()> {
        self.generations.iter().try_for_each(|generation| self.flush_folder(generation.folder()))
    }

    /// Makes the files beside the job's document durable.
    fn flush_work(&self) -> Result<()> {
        self.flush_folder(&self.begun.work())
    }

    fn flush_folder(&self, folder: &str) -> Result<()> {
        self.disk.sink()?.flush(folder).map_err(Error::io("sync", self.disk.path(folder)))
    }

    fn delete(&self, key: &str) -> Result<()> {
        self.disk.sink()?.delete(key).map_err(Error::io("remove", self.disk.path(key)))
    }

    /// Removes the shards that were written since this was opened, and this run's checkpoint.
    pub(crate) fn take_back(&self) -> Result<()> {
        let forgotten = self.take_back_checkpoint();
        // A shard that could not be written does not exist.
        let _ = self.behind.flush();
        let written = std::mem::take(&mut *locked(&self.written));
        self.flushed.store(0, Ordering::Relaxed);
        self.remove(written).and(forgotten)
    }

    /// Removes shards durably: the next shards under these keys may come from other predictions,
    /// and the old ones must not reappear.
    fn remove(&self, keys: impl IntoIterator<Item = String>) -> Result<()> {
        let mut keys = keys.into_iter().peekable();
        // Shards of a complete job may belong to a published volume.
        if keys.peek().is_some() && self.begun.check_current(&self.disk)? {
            let name = &self.begun.document.outputs[0].name;
            let reason = "another process has completed it meanwhile; its shards stay";
            return Err(Error::invalid("aggregation", name, reason));
        }
        keys.try_for_each(|key| self.delete(&key))?;
        self.flush_generations()
    }

    /// Removes shards, each given by channel and index. Checkpoints must have been removed before.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if the job is complete, because some volumes may be published.
    pub(crate) fn remove_shards(
        &self,
        output: usize,
        shards: impl Iterator<Item = (usize, [usize; 3])>,
    ) -> Result<()> {
        let JobOutput { array, name, .. } = &self.begun.document.outputs[output];
        if self.is_complete {
            let reason = "all of it is complete; finalise it before making it again";
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
        // Fails in a forked process, where the lock may be held for ever.
        let is_flushed = self.flush().is_ok();
        let is_empty = || locked(&self.written).is_empty() && !self.has_checkpoint();
        let is_alone = self.is_new && self.begun.document.parts == 1;
        // Another machine may have joined the job.
        let nobody_wrote = || {
            let outputs = 0..self.generations.len();
            outputs.into_iter().all(|n| self.done(n).is_ok_and(|done| !done.contains(&true)))
        };
        if self.maker.is_here() && is_alone && is_flushed && is_empty() && nobody_wrote() {
            // Errors are ignored, because the job can still be resumed.
            let _ = self.begun.end(&self.disk, true);
        }
    }
}

/// Prefix of the folders of all jobs.
pub(super) const PREFIX: &str = ".aggregate-";

/// Key of a job's folder.
fn folder_of(name: &VolumeName) -> String {
    format!("{PREFIX}{}+{}", name.subject(), name.image())
}
