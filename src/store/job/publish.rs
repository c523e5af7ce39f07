//! From complete shards to volumes.

use std::io;
use std::sync::Arc;

use rayon::prelude::*;

use super::document::{self, JobDocument, JobOutput};
use super::overwrite::{self, Overwrite};
use super::{folder_of, remove_job, shards, sync_names};
use crate::statistics::StatisticsAccumulator;
use crate::store::disk::Disk;
use crate::store::lock::WriteLock;
use crate::store::manifest::{self, Manifest, ShardFile, ShardRecord};
use crate::store::shard::Shard;
use crate::store::staging::Staging;
use crate::store::strips::{self, Strips};
use crate::store::{Dataset, Volume, VolumeInfo, VolumeName, digest, sealed};
use crate::{Error, Finding, Result};

/// Name of the content of the document that says that all outputs are complete.
const NAME: &str = "seals";

/// What came of a job.
pub(crate) struct Published {
    pub(crate) document: JobDocument,
    /// By output.
    pub(crate) volumes: Vec<VolumeInfo>,
}

impl Dataset {
    /// Looks through all shards of a job that nobody is working on, and publishes its outputs;
    /// `None` if there is no job. `progress` is called with bytes of voxels that were looked
    /// through; a false answer cancels. Runs in the pool that it is called in.
    pub(crate) fn publish_job(
        &self,
        name: &VolumeName,
        overwrite: Overwrite,
        progress: &(dyn Fn(u64) -> bool + Sync),
    ) -> Result<Option<Published>> {
        let root = self.lock_root()?;
        let Some(document) = document::read(&*self.disk, &folder_of(name))? else {
            return Ok(None);
        };
        let parts = self.lock_all(name, document.parts)?;
        drop(root);
        self.check_doubt(name, document.parts)?;
        let outputs = self.staged_outputs(name, &document, overwrite != Overwrite::Nothing)?;
        let names = outputs.iter().map(|output| &output.staging.name);
        let locks = names.map(|name| WriteLock::take(&self.disk, name)).collect::<Result<Vec<_>>>();
        let locks = locks?;
        let seals =
            read_seals(&*self.disk, &folder_of(name))?.filter(|seals| seals.len() == outputs.len());
        for (n, StagedOutput { staging, .. }) in outputs.iter().enumerate() {
            if !seals.as_ref().is_some_and(|seals| staging.is_published(&seals[n])) {
                overwrite::check(&*self.disk, &staging.name, overwrite)?;
            }
        }
        let seals = match seals {
            Some(seals) => seals,
            None => self.seal_outputs(name, &outputs, progress)?,
        };
        for (output, seal) in outputs.iter().zip(&seals) {
            output.publish(seal)?;
        }
        drop(locks);
        let _root = self.lock_root()?;
        drop(parts);
        remove_job(&*self.disk, &folder_of(name))?;
        sync_names(&*self.disk, "")?;
        let volumes = outputs.iter().map(|output| {
            Volume::open(&self.disk, &output.staging.name).map(|volume| volume.info())
        });
        let volumes = volumes.collect::<Result<_>>()?;
        Ok(Some(Published { document, volumes }))
    }

    /// Removes what is left of a job all of whose outputs are published, or that was being removed.
    pub(super) fn remove_published_job(&self, name: &VolumeName) -> Result<()> {
        let folder = folder_of(name);
        let Some(document) = document::read(&*self.disk, &folder)? else {
            let path = self.disk.path(&folder);
            return self.disk.remove(&folder).map_err(Error::io("remove", path));
        };
        let Some(seals) = read_seals(&*self.disk, &folder)? else { return Ok(()) };
        let outputs = self.staged_outputs(name, &document, false)?;
        let is_published = outputs.len() == seals.len()
            && outputs.iter().zip(&seals).all(|(o, seal)| o.staging.is_published(seal));
        if !is_published {
            return Ok(());
        }
        for output in &outputs {
            output.staging.sync_parents()?;
        }
        remove_job(&*self.disk, &folder)
    }

    fn staged_outputs<'a>(
        &self,
        job: &VolumeName,
        document: &'a JobDocument,
        replace: bool,
    ) -> Result<Vec<StagedOutput<'a>>> {
        let staged = |(n, output): (usize, &'a JobOutput)| {
            let (disk, name) = (Arc::clone(&self.disk), output.name()?);
            let made = format!("{}/{n}", folder_of(job));
            let staging = Staging { disk, name, folder: made, replace };
            Ok(StagedOutput { output, staging, sealed: format!("{}/sealed-{n}", folder_of(job)) })
        };
        document.outputs.iter().enumerate().map(staged).collect()
    }

    /// Completes every output, and notes that all are.
    fn seal_outputs(
        &self,
        name: &VolumeName,
        outputs: &[StagedOutput<'_>],
        progress: &(dyn Fn(u64) -> bool + Sync),
    ) -> Result<Vec<String>> {
        // Of all, before the first is looked through.
        let records = outputs.iter().map(StagedOutput::records).collect::<Result<Vec<_>>>()?;
        for output in outputs {
            // Without the word that all was complete, nothing tells what is there.
            let path = self.disk.path(&output.sealed);
            self.disk.remove(&output.sealed).map_err(Error::io("remove", path))?;
        }
        let seal = |(output, records): (&StagedOutput<'_>, _)| output.seal(records, progress);
        let seals = outputs.iter().zip(records).map(seal).collect::<Result<Vec<_>>>()?;
        let (disk, folder) = (&*self.disk, folder_of(name));
        disk.sync(&folder).map_err(Error::io("sync", disk.path(&folder)))?;
        document::write_sealed(disk, &format!("{folder}/{NAME}.json"), NAME, &seals)?;
        sync_names(disk, &folder)?;
        Ok(seals)
    }
}

/// Whether all outputs are complete.
pub(super) fn is_sealed(disk: &dyn Disk, folder: &str) -> Result<bool> {
    read_seals(disk, folder).map(|seals| seals.is_some())
}

/// The digests of the outputs' manifests, if all are complete.
fn read_seals(disk: &dyn Disk, folder: &str) -> Result<Option<Vec<String>>> {
    let key = format!("{folder}/{NAME}.json");
    let path = disk.path(&key);
    let bytes = match disk.read(&key) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        bytes => bytes.map_err(Error::io("read", &path))?,
    };
    let seals = sealed::open(NAME, &bytes)
        .and_then(|seals| serde_json::from_str(seals).map_err(|e| e.to_string()));
    seals.map(Some).map_err(|reason| Error::corrupt_store(path, reason))
}

/// A volume all of whose shards are said to be there.
struct StagedOutput<'a> {
    output: &'a JobOutput,
    /// Where its shards are made.
    staging: Staging,
    /// Key of the folder that it is published from, to which a volume goes that it replaces.
    sealed: String,
}

impl StagedOutput<'_> {
    /// The record of every shard, in the order of the manifest.
    fn records(&self) -> Result<Vec<ShardRecord>> {
        let keys: Vec<_> = shards::keys(self.output).collect();
        let records: Vec<_> = keys.par_iter().map(|key| self.record(key)).collect::<Result<_>>()?;
        let missing = || records.iter().zip(&keys).filter(|(record, _)| record.is_none());
        if let Some((_, first)) = missing().next() {
            let reason = format!(
                "{} of its {} shards are not there yet, the first is {first}: have the predictions \
                 of their patches added, in the parts that they belong to",
                missing().count(),
                keys.len()
            );
            return Err(Error::Unfinished { path: self.staging.target(), reason });
        }
        Ok(records.into_iter().flatten().collect())
    }

    /// `None` if the shard is missing.
    fn record(&self, key: &str) -> Result<Option<ShardRecord>> {
        let disk = &self.staging.disk;
        let full = format!("{}/0/{key}", self.staging.folder);
        let blob = match disk.read(&full) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            blob => blob.map_err(Error::io("read", disk.path(&full)))?,
        };
        let bytes = blob.len() as u64;
        let chunks = self.output.attributes.layout.chunks_per_shard().iter().product();
        let shard = Shard::open(blob, chunks, bytes)
            .map_err(|reason| Error::corrupt_store(disk.path(&full), reason))?;
        let file = (0..chunks).any(|n| shard.raw_chunk(n).is_some());
        // Its digest is taken when its voxels are looked at.
        let file = file.then(|| ShardFile { bytes, blake3: String::new(), tag: None });
        Ok(Some(ShardRecord { key: key.to_owned(), file }))
    }

    /// Looks at every voxel and writes the documents; gives the digest of the manifest.
    fn seal(
        &self,
        mut records: Vec<ShardRecord>,
        progress: &(dyn Fn(u64) -> bool + Sync),
    ) -> Result<String> {
        let Staging { disk, name, folder, .. } = &self.staging;
        let JobOutput { array, attributes, .. } = self.output;
        let staged = (array, attributes);
        let volume = Volume::staged(disk, name, folder.clone(), staged, records.clone())?;
        let mut attributes = attributes.clone();
        let mut statistics = StatisticsAccumulator::new(array.dtype, attributes.kind);
        let mut tally = volume.stored.tally();
        let voxels = strips::look_through(
            &volume,
            |shards| {
                let digest = |(n, shard): &(usize, Arc<Shard>)| {
                    let bytes = shard.bytes();
                    let (blake3, tag) = (digest::of_bytes(bytes), Some(shard.tag()));
                    (*n, ShardFile { bytes: bytes.len() as u64, blake3, tag })
                };
                let digests: Vec<_> = shards.par_iter().map(digest).collect();
                for (n, file) in digests {
                    records[n].file = Some(file);
                }
            },
            |frame, _, strips: &Strips| {
                statistics.merge(strips.statistics(array.dtype, attributes.kind)?)?;
                let Some(tally) = &mut tally else { return Ok(()) };
                tally.add_planes(frame, strips.planes(), |plane, row| strips.row(plane, row))
            },
            progress,
        )?;
        attributes.statistics = statistics.finish();
        match tally.map(|tally| tally.finish(voxels.clone())).transpose() {
            Ok(index) => index.iter().try_for_each(|index| self.staging.write_index(index))?,
            Err(reason) => {
                let none = format!("there is no index for sampling: {reason}");
                attributes.findings.push(Finding::decided(none));
            }
        }
        self.staging.seal(array, &attributes, voxels, records)
    }

    /// Puts the volume into its place, unless it is there.
    fn publish(&self, seal: &str) -> Result<()> {
        if self.staging.is_published(seal) {
            // It may not have been made durable.
            return self.staging.sync_parents();
        }
        let staging = self.set_apart()?;
        let (disk, folder) = (&staging.disk, &staging.folder);
        let key = format!("{folder}/{}", manifest::KEY);
        let bytes = disk.read(&key).map_err(Error::io("read", disk.path(&key)))?;
        let manifest = Manifest::from_bytes(&bytes)
            .ok()
            .filter(|_| digest::of_bytes(&bytes) == seal)
            .ok_or_else(|| {
                Error::corrupt_store(disk.path(&key), "it is not the one that was written")
            })?;
        // Files that only said that they would hold nothing.
        for empty in manifest.shards.iter().filter(|record| record.file.is_none()) {
            let key = format!("{folder}/0/{}", empty.key);
            disk.remove(&key).map_err(Error::io("remove", disk.path(&key)))?;
        }
        staging.publish(seal, &mut false)
    }

    /// Moves the volume out of the folder that it was made in, unless that is done, and gives it as
    /// it is staged there.
    fn set_apart(&self) -> Result<Staging> {
        let Staging { disk, name, folder, replace } = &self.staging;
        let there = disk.list(&self.sealed).map_err(Error::io("list", disk.path(&self.sealed)))?;
        if there.is_empty() {
            let moved = disk.rename(folder, &self.sealed);
            moved.map_err(Error::io("move", disk.path(folder)))?;
        }
        let job = folder.rsplit_once('/').map_or("", |(job, _)| job);
        sync_names(&**disk, job)?;
        let (disk, name) = (Arc::clone(disk), name.clone());
        Ok(Staging { disk, name, folder: self.sealed.clone(), replace: *replace })
    }
}
