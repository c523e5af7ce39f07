//! Publication of a job: complete shards become volumes.

use std::collections::BTreeSet;
use std::sync::Arc;

use rayon::prelude::*;

use super::document::{JobDocument, JobOutput};
use super::overwrite::{self, Overwrite};
use super::state::Begun;
use super::{hold_all, shards};
use crate::disk::{Disk, is_absent, is_in_the_making};
use crate::statistics::StatisticsAccumulator;
use crate::store::documents::Extent;
use crate::store::manifest::{self, Manifest, ShardFile, ShardRecord};
use crate::store::shard::Shard;
use crate::store::staging::{Complete, Staging};
use crate::store::strips::{self, Strips};
use crate::store::{Dataset, Volume, VolumeInfo, VolumeName, digest, lock};
use crate::{Error, Finding, Result};

/// The result of a job.
pub(crate) struct Published {
    pub(crate) document: JobDocument,
    /// The published volumes, in the order of the outputs.
    pub(crate) volumes: Vec<VolumeInfo>,
}

impl Dataset {
    /// Reads all shards of a job that no process is working on, and publishes its outputs; `None`
    /// if there is no job. `progress` is called with the number of bytes of voxels read since the
    /// last call; if it returns false, the call is cancelled. Runs in the current pool.
    pub(crate) fn publish_job(
        &self,
        name: &VolumeName,
        overwrite: Overwrite,
        progress: &(dyn Fn(u64) -> bool + Sync),
    ) -> Result<Option<Published>> {
        let disk = &self.disk;
        let Some(job) = Begun::find(disk, name)? else { return Ok(None) };
        let parts = hold_all(disk, &job)?;
        self.check_doubt(name, job.document.parts)?;
        let outputs = StagedOutput::of(disk, &job)?;
        let names = outputs.iter().map(|output| &output.staging.name);
        let held = names.map(|name| lock::hold(disk, name)).collect::<Result<Vec<_>>>()?;
        // Checked before the long work.
        for output in &outputs {
            if !output.staging.is_published()? {
                overwrite::check(disk, &output.staging.name, overwrite)?;
            }
        }
        let manifests = if let Some(manifests) = job.completed(disk)? {
            manifests
        } else {
            // For all outputs, before the first is read.
            let records = outputs.iter().map(StagedOutput::records).collect::<Result<Vec<_>>>()?;
            let complete =
                |(output, records): (&StagedOutput<'_>, _)| output.complete(records, progress);
            let manifests = outputs.iter().zip(records).map(complete);
            job.complete(disk, &manifests.collect::<Result<Vec<_>>>()?)?
        };
        for (output, manifest) in outputs.iter().zip(manifests) {
            output.publish(manifest, overwrite)?;
        }
        job.end(disk, false)?;
        drop((held, parts));
        let volumes = outputs.iter().filter_map(|output| {
            match Volume::open(disk, &output.staging.name) {
                // Removed since.
                Err(Error::NotFound { .. }) => None,
                volume => Some(volume.map(|volume| volume.info())),
            }
        });
        let volumes = volumes.collect::<Result<_>>()?;
        drop(outputs);
        Ok(Some(Published { document: job.document, volumes }))
    }
}

/// An output all of whose shards should be written.
struct StagedOutput<'a> {
    output: &'a JobOutput,
    staging: Staging,
}

impl<'a> StagedOutput<'a> {
    fn of(disk: &Disk, job: &'a Begun) -> Result<Vec<Self>> {
        let staged = job.document.outputs.iter().zip(job.outputs(disk)?);
        Ok(staged.map(|(output, staging)| Self { output, staging }).collect())
    }

    /// The record of every shard, in the order of the manifest.
    fn records(&self) -> Result<Vec<ShardRecord>> {
        let keys: Vec<_> = shards::keys(self.output).collect();
        let records: Vec<_> = keys.par_iter().map(|key| self.record(key)).collect::<Result<_>>()?;
        let missing = || records.iter().zip(&keys).filter(|(record, _)| record.is_none());
        if let Some((_, first)) = missing().next() {
            let reason = format!(
                "{} of its {} shards are missing, the first is {first}: add the predictions of \
                 their patches, in the parts that they belong to",
                missing().count(),
                keys.len()
            );
            let path = self.staging.disk.path(&self.output.name);
            return Err(Error::Unfinished { path, reason });
        }
        Ok(records.into_iter().flatten().collect())
    }

    /// `None` if the shard is missing.
    fn record(&self, key: &str) -> Result<Option<ShardRecord>> {
        let disk = &self.staging.disk;
        let full = self.staging.generation.key(format!("0/{key}"));
        let chunks = self.output.attributes.layout.chunks_per_shard().iter().product();
        let found = match Shard::find(disk, &full, chunks) {
            Err(e) if is_absent(&e) => return Ok(None),
            found => found.map_err(Error::io("read", disk.path(&full)))?,
        };
        let (shard, bytes) =
            found.map_err(|reason| Error::corrupt_store(disk.path(&full), reason))?;
        let file = (0..chunks).any(|n| shard.range(n).is_some());
        // The digest is taken when the voxels are read.
        let file = file.then(|| ShardFile { bytes, blake3: String::new(), tag: None });
        Ok(Some(ShardRecord { key: key.to_owned(), file }))
    }

    /// Reads every voxel and writes the documents; gives the extent of the manifest.
    fn complete(
        &self,
        mut records: Vec<ShardRecord>,
        progress: &(dyn Fn(u64) -> bool + Sync),
    ) -> Result<Extent> {
        let Staging { disk, name, generation } = &self.staging;
        let JobOutput { array, attributes, .. } = self.output;
        let staged = (array, attributes);
        let volume = Volume::staged(disk, name, generation.clone(), staged, records.clone())?;
        let mut attributes = attributes.clone();
        let mut statistics = StatisticsAccumulator::new(array.dtype, attributes.kind);
        let mut tally = volume.stored.tally();
        let voxels = strips::look_through(
            &volume,
            |shards| {
                let file = |(n, shard): &(usize, Arc<Shard>)| {
                    let key = volume.stored.shard_key(*n);
                    let digest = digest::of_object(disk, &key);
                    let (blake3, bytes) = digest.map_err(Error::io("read", disk.path(&key)))?;
                    Ok((*n, ShardFile { bytes, blake3, tag: Some(shard.tag().to_owned()) }))
                };
                let files: Vec<_> = shards.par_iter().map(file).collect::<Result<_>>()?;
                for (n, file) in files {
                    records[n].file = Some(file);
                }
                Ok(())
            },
            |frame, _, strips: &Strips| {
                statistics.merge(strips.statistics(array.dtype, attributes.kind)?)?;
                let Some(tally) = &mut tally else { return Ok(()) };
                tally.add_planes(frame, strips.planes(), |plane, row| strips.row(plane, row))
            },
            progress,
        )?;
        attributes.statistics = statistics.finish();
        let index = match tally.map(|tally| tally.finish(voxels.clone())).transpose() {
            Ok(index) => index,
            Err(reason) => {
                let none = format!("there is no index for sampling: {reason}");
                attributes.findings.push(Finding::decided(none));
                None
            }
        };
        if let Some(index) = &index {
            self.staging.write_index(index)?;
        }
        let complete =
            self.staging.complete(array, &attributes, voxels, records, index.is_some())?;
        Ok(complete.manifest)
    }

    /// Sets the volume's pointer to the generation, unless it names it already.
    fn publish(&self, manifest: Extent, overwrite: Overwrite) -> Result<()> {
        let staging = &self.staging;
        if staging.is_published()? {
            return Ok(());
        }
        let key = staging.generation.key(manifest::KEY);
        if staging.disk.document(&key)?.is_none() {
            // Published by an earlier call, and replaced or removed since.
            return Ok(());
        }
        self.tidy(&manifest)?;
        let replaced = overwrite::check(&staging.disk, &staging.name, overwrite)?;
        let JobOutput { array, attributes, .. } = self.output;
        let complete: Complete = staging.completed(array, attributes, manifest);
        staging.publish(&complete, replaced.as_ref())
    }

    /// Removes the files of shards that hold only zeros, and the temporary files of killed writers.
    fn tidy(&self, extent: &Extent) -> Result<()> {
        let Staging { disk, generation, .. } = &self.staging;
        let key = generation.key(manifest::KEY);
        let (bytes, _) = disk.get(&key).map_err(Error::io("read", disk.path(&key)))?;
        let manifest = Manifest::from_bytes(&bytes)
            .ok()
            .filter(|_| digest::of_bytes(&bytes) == extent.blake3)
            .ok_or_else(|| {
                Error::corrupt_store(disk.path(&key), "it is not the one that was written")
            })?;
        let delete =
            |key: String| disk.sink()?.delete(&key).map_err(Error::io("remove", disk.path(&key)));
        for empty in manifest.shards.iter().filter(|record| record.file.is_none()) {
            delete(generation.key(format!("0/{}", empty.key)))?;
        }
        let above = |record: &ShardRecord| Some(record.key.rsplit_once('/')?.0.to_owned());
        let folders: BTreeSet<String> = manifest.shards.iter().filter_map(above).collect();
        for folder in folders {
            let key = generation.key(format!("0/{folder}"));
            let inside = disk.list(&key).map_err(Error::io("list", disk.path(&key)))?;
            for name in inside.iter().filter(|name| is_in_the_making(name)) {
                delete(format!("{key}/{name}"))?;
            }
        }
        self.staging.flush()
    }
}
