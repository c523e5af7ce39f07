//! The states of a job, and the steps between them. Each step is a single durable swap of a
//! document, made after everything that the document describes is durable: a crash always leaves
//! one of these states.
//!
//! | state | what is there | the step to it |
//! | --- | --- | --- |
//! | begun | `job.json` | [`Begun::begin`] creates the document |
//! | complete | and `complete.json` | [`Begun::complete`] flushes the generations, then creates it |
//! | published | and every output's pointer names its generation | `Staging::publish` swaps each |
//! | gone | no `job.json` | [`Begun::end`] removes the document, then all else |

use super::document::JobDocument;
use super::folder_of;
use crate::disk::{Disk, Swap, Version};
use crate::store::documents::Extent;
use crate::store::generation::Generation;
use crate::store::name::VolumeName;
use crate::store::sealed;
use crate::store::staging::Staging;
use crate::{Error, Result};

/// Name of the content of the document that marks all outputs as complete.
const COMPLETE: &str = "complete";

/// An existing job: begun at least.
#[derive(Debug, Clone)]
pub(super) struct Begun {
    pub(super) document: JobDocument,
    version: Version,
    /// Key of the job's folder.
    folder: String,
}

impl Begun {
    /// The job whose first output has this name; `None` if there is none.
    pub(super) fn find(disk: &Disk, name: &VolumeName) -> Result<Option<Self>> {
        Self::find_in(disk, folder_of(name))
    }

    /// The job in a folder.
    pub(super) fn find_in(disk: &Disk, folder: String) -> Result<Option<Self>> {
        let key = key_of(&folder);
        let Some((bytes, version)) = disk.document(&key)? else { return Ok(None) };
        let document = JobDocument::from_bytes(&bytes)
            .map_err(|reason| Error::corrupt_store(disk.path(&key), reason))?;
        Ok(Some(Self { document, version, folder }))
    }

    /// The step from nothing to begun. Gives the job that exists then, and whether this call began
    /// it.
    pub(super) fn begin(
        disk: &Disk,
        name: &VolumeName,
        document: &JobDocument,
    ) -> Result<(Self, bool)> {
        let key = key_of(&folder_of(name));
        let swapped = disk.sink()?.swap(&key, None, Some(&document.to_bytes()));
        // The answer of the swap may have been lost on the way, so the document is read again.
        if let Some(job) = Self::find(disk, name)? {
            let is_new = job.document.id() == document.id();
            // An error may mean that the document is there and is not durable yet.
            if swapped.is_err() {
                flush(disk, &job.folder)?;
            }
            return Ok((job, is_new));
        }
        let _ = swapped.map_err(Error::io("write", disk.path(&key)))?;
        let reason = "another process has just discarded the aggregation";
        Err(Error::Busy { path: disk.path(&name.to_string()), reason })
    }

    /// Key of the folder for the files of exactly this job, not of another job of the same name.
    pub(super) fn work(&self) -> String {
        format!("{}/{}", self.folder, self.document.id())
    }

    /// Key of a file in that folder.
    pub(super) fn key(&self, inside: &str) -> String {
        format!("{}/{inside}", self.work())
    }

    /// The staging of each output.
    pub(super) fn outputs(&self, disk: &Disk) -> Result<Vec<Staging>> {
        let staging = |output: &super::JobOutput| {
            Ok(Staging::new(disk, &output.name()?, output.generation()?))
        };
        self.document.outputs.iter().map(staging).collect()
    }

    /// The manifests of all outputs; `None` if the job is not complete.
    pub(super) fn completed(&self, disk: &Disk) -> Result<Option<Vec<Extent>>> {
        let key = self.key("complete.json");
        let Some((bytes, _)) = disk.document(&key)? else { return Ok(None) };
        let extents = sealed::open(COMPLETE, &bytes)
            .and_then(|extents| serde_json::from_str(extents).map_err(|e| e.to_string()))
            .and_then(|extents: Vec<Extent>| {
                let is_for_each = extents.len() == self.document.outputs.len();
                is_for_each.then_some(extents).ok_or_else(|| "it names other outputs".into())
            });
        extents.map(Some).map_err(|reason| Error::corrupt_store(disk.path(&key), reason))
    }

    /// The step from begun to complete: all files of all outputs are put, and have these manifests.
    pub(super) fn complete(&self, disk: &Disk, manifests: &[Extent]) -> Result<Vec<Extent>> {
        self.outputs(disk)?.iter().try_for_each(Staging::flush)?;
        let key = self.key("complete.json");
        let document = sealed::seal(COMPLETE, &manifests).expect("extents are JSON");
        let swapped = disk.sink()?.swap(&key, None, Some(&document));
        match self.completed(disk)? {
            // Another process has read the same voxels.
            Some(there) if *there == *manifests => {
                // An error may mean that the document is there and is not durable yet.
                if swapped.is_err() {
                    flush(disk, &self.work())?;
                }
                Ok(there)
            }
            Some(_) => {
                let reason = "it was completed with other voxels than those found now";
                Err(Error::corrupt_store(disk.path(&key), reason))
            }
            None => {
                let _ = swapped.map_err(Error::io("write", disk.path(&key)))?;
                let path = disk.path(&self.document.outputs[0].name);
                let reason = "another process has just discarded the aggregation";
                Err(Error::Busy { path, reason })
            }
        }
    }

    /// Whether the job is complete; an error if it has ended meanwhile.
    pub(super) fn check_current(&self, disk: &Disk) -> Result<bool> {
        let there = Self::find_in(disk, self.folder.clone())?;
        if there.is_some_and(|there| there.document.id() == self.document.id()) {
            return Ok(self.completed(disk)?.is_some());
        }
        let path = disk.path(&self.document.outputs[0].name);
        let reason = "another process has just finished or discarded the aggregation";
        Err(Error::Busy { path, reason })
    }

    /// Whether every output's pointer names its generation.
    pub(super) fn is_published(&self, disk: &Disk) -> Result<bool> {
        for output in self.outputs(disk)? {
            if !output.is_published()? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The step from any state to gone, with the outputs' generations if `with_generations` is set.
    pub(super) fn end(&self, disk: &Disk, with_generations: bool) -> Result<()> {
        let key = key_of(&self.folder);
        let sink = disk.sink()?;
        let swapped = sink.swap(&key, Some(&self.version), None);
        if let Swap::Lost = swapped.map_err(Error::io("remove", disk.path(&key)))? {
            // Another process has ended the job, or it never existed.
            return Ok(());
        }
        // Errors are ignored: no reader looks there, and `Dataset::sweep` removes the rest.
        if with_generations {
            for output in self.outputs(disk)? {
                // A published generation belongs to its volume, which stays.
                if output.is_published().is_ok_and(|published| !published) {
                    let _ = remove(disk, output.generation.folder());
                }
            }
        }
        let _ = remove(disk, &self.work());
        Ok(())
    }

    /// The generations of its outputs.
    pub(super) fn generations(&self) -> Result<Vec<Generation>> {
        self.document.outputs.iter().map(super::JobOutput::generation).collect()
    }
}

/// Discards a job whose document cannot be understood.
pub(super) fn end_damaged(disk: &Disk, name: &VolumeName) -> Result<()> {
    let folder = folder_of(name);
    let key = key_of(&folder);
    if let Some((_, version)) = disk.document(&key)? {
        let swapped = disk.sink()?.swap(&key, Some(&version), None);
        let _ = swapped.map_err(Error::io("remove", disk.path(&key)))?;
    }
    remove(disk, &folder)
}

fn remove(disk: &Disk, key: &str) -> Result<()> {
    disk.sink()?.delete(key).map_err(Error::io("remove", disk.path(key)))
}

fn flush(disk: &Disk, folder: &str) -> Result<()> {
    disk.sink()?.flush(folder).map_err(Error::io("sync", disk.path(folder)))
}

fn key_of(folder: &str) -> String {
    format!("{folder}/job.json")
}
