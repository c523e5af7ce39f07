//! Checking everything that can be checked of a stored volume.

use std::collections::HashSet;
use std::io;
use std::path::PathBuf;

use rayon::prelude::*;
use serde::Serialize;

use super::digest::VoxelDigest;
use super::generation::Generation;
use super::sampling;
use super::shard::Shard;
use super::stored::Stored;
use super::strips::{self, Strips};
use super::volume::Volume;
use super::{DOCUMENT, Dataset, VolumeName, manifest, pointer};
use crate::disk::is_in_the_making;
use crate::{Error, Pool, Result};

/// The result of a verification.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct VerifyReport {
    /// The check of each volume, in the order of the dataset.
    pub volumes: Vec<VolumeCheck>,
}

/// The check of one volume.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct VolumeCheck {
    /// `SUBJECT/IMAGE`.
    pub name: String,
    /// Shard files read.
    pub shards: usize,
    /// Bytes of these files.
    pub bytes: u64,
    /// The damage; empty if the volume is as it was written.
    pub damage: Vec<Damage>,
}

/// One damaged file.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Damage {
    /// The damaged file.
    pub path: PathBuf,
    /// The kind of the damage.
    pub reason: String,
    /// The remedy.
    pub remedy: Remedy,
}

/// The remedy of a damage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Remedy {
    /// Write the volume again from its source.
    Write,
    /// Build the index for sampling again from the voxels: [`Dataset::build_index`].
    Index,
    /// Remove the document of the group: the next volume that is written below it makes another.
    Group,
}

impl Damage {
    fn voxels(path: PathBuf, reason: impl Into<String>) -> Self {
        Self { path, reason: reason.into(), remedy: Remedy::Write }
    }

    /// The damage of a whole volume, or of one file if the error names one.
    fn of(error: Error, volume: PathBuf, remedy: Remedy) -> Self {
        match error {
            Error::CorruptStore { path, reason } => Self { path, reason, remedy },
            other => Self { path: volume, reason: other.to_string(), remedy },
        }
    }
}

/// How often the check of a volume is begun again when the volume is replaced meanwhile.
const TRIES: usize = 3;

impl VerifyReport {
    /// True if nothing is damaged.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.volumes.iter().all(|v| v.damage.is_empty())
    }
}

impl Dataset {
    /// Checks every volume: the documents of its groups, its manifest and its own documents, length
    /// and digest of each shard, index and checksum of each chunk, the digest of all decoded
    /// voxels, that a published index for sampling exists and matches the voxels, and that there is
    /// no file among the shards that the manifest does not list. Reads and decodes everything once,
    /// one layer of chunks at a time. `progress` is called with the number of bytes checked since
    /// the last call, [`Volume::raw_bytes`] of each volume in all; if it returns false, the call is
    /// cancelled.
    ///
    /// Damage is part of the report, not an error. A volume that is replaced meanwhile is checked
    /// again.
    ///
    /// # Errors
    /// [`Error::Cancelled`]; [`Error::Io`] if a folder of the dataset cannot be listed or a document
    /// in it cannot be read, because volumes would be missing from the report.
    pub fn verify(
        &self,
        pool: &Pool,
        progress: &(dyn Fn(u64) -> bool + Sync),
    ) -> Result<VerifyReport> {
        let volumes = self.volumes()?;
        let mut volumes = self.verify_volumes(&volumes, pool, progress)?;
        volumes.extend(self.lost(None)?);
        Ok(VerifyReport { volumes })
    }

    /// Checks volumes, except for those that are removed meanwhile.
    pub(super) fn verify_volumes(
        &self,
        names: &[VolumeName],
        pool: &Pool,
        progress: &(dyn Fn(u64) -> bool + Sync),
    ) -> Result<Vec<VolumeCheck>> {
        let check = |name: &VolumeName| match self.verify_volume(name, pool, progress) {
            Err(Error::NotFound { .. }) => None,
            check => Some(check),
        };
        names.iter().filter_map(check).collect()
    }

    /// Complete volumes without a document: of all subjects, or of one.
    pub(super) fn lost(&self, of: Option<&str>) -> Result<Vec<VolumeCheck>> {
        let of_jobs = match self.folders_of_jobs() {
            // The damage of an aggregation is told where it is resumed, discarded or swept.
            Err(Error::CorruptStore { .. }) => HashSet::new(),
            folders => folders?,
        };
        let mut lost = Vec::new();
        let subjects = of.map_or_else(|| self.folders(""), |of| Ok(vec![of.to_owned()]))?;
        for subject in subjects {
            for image in self.folders(&subject)? {
                let Ok(name) = VolumeName::new(&subject, image) else { continue };
                let inside = self.listed(&name.to_string())?;
                if inside.iter().any(|name| name == DOCUMENT)
                    || !self.has_complete(&name, inside, &of_jobs)?
                {
                    continue;
                }
                let path = self.disk.path(&pointer::key(&name));
                let reason = "the document of a complete volume is missing: it was lost, or its \
                              writer was killed at the last moment; sweep removes its files";
                let damage = vec![Damage::voxels(path, reason)];
                lost.push(VolumeCheck { name: name.to_string(), shards: 0, bytes: 0, damage });
            }
        }
        Ok(lost)
    }

    /// Whether one of the generations with these identifiers is complete, and no aggregation's.
    fn has_complete(
        &self,
        name: &VolumeName,
        ids: Vec<String>,
        of_jobs: &HashSet<String>,
    ) -> Result<bool> {
        for generation in ids.into_iter().filter_map(|id| Generation::of(name, id)) {
            let is_complete = || self.disk.document(&generation.key(manifest::KEY));
            if !of_jobs.contains(generation.folder()) && is_complete()?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Checks one volume as [`Self::verify`] does.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Cancelled`]; [`Error::Replaced`] if the volume is replaced again
    /// and again.
    pub fn verify_volume(
        &self,
        name: &VolumeName,
        pool: &Pool,
        progress: &(dyn Fn(u64) -> bool + Sync),
    ) -> Result<VolumeCheck> {
        let mut tries = 0;
        loop {
            let mut check =
                VolumeCheck { name: name.to_string(), shards: 0, bytes: 0, damage: Vec::new() };
            for (folder, role) in [("", "dataset"), (name.subject(), "subject")] {
                if let Some(error) = self.group_damage(folder, role) {
                    let place = self.path().join(folder);
                    check.damage.push(Damage::of(error, place, Remedy::Group));
                }
            }
            let volume = match self.open_volume(name) {
                Ok(volume) => volume,
                Err(error @ Error::NotFound { .. }) => return Err(error),
                Err(error) => {
                    let place = self.path().join(name.to_string());
                    check.damage.push(Damage::of(error, place, Remedy::Write));
                    return Ok(check);
                }
            };
            pool.run(|| check_volume(&volume, &mut check, progress))?;
            if check.damage.is_empty() {
                return Ok(check);
            }
            // After a replacement, the new volume is checked instead.
            match volume.stored.check_in_place() {
                Err(Error::Replaced { .. }) if tries < TRIES => tries += 1,
                Err(error @ Error::Replaced { .. }) => return Err(error),
                _ => return Ok(check),
            }
        }
    }
}

fn check_volume(
    volume: &Volume,
    check: &mut VolumeCheck,
    progress: &(dyn Fn(u64) -> bool + Sync),
) -> Result<()> {
    let stored = &*volume.stored;
    let found: Vec<_> = (0..stored.manifest.shards.len())
        .into_par_iter()
        .filter_map(|n| stored.record(n).file.as_ref().map(|file| (n, file)))
        .map(|(n, file)| {
            let problem = match stored.shard(n).and_then(|_| stored.shard_digest(n)) {
                Ok(found) if found != file.blake3 => {
                    Some("its digest does not match the manifest".to_owned())
                }
                Ok(_) => None,
                Err(error) => Some(Damage::of(error, PathBuf::new(), Remedy::Write).reason),
            };
            (file.bytes, problem.map(|reason| Damage::voxels(stored.shard_path(n), reason)))
        })
        .collect();
    check.shards = found.len();
    check.bytes = found.iter().fold(0, |sum, (bytes, _)| sum.saturating_add(*bytes));
    check.damage.extend(found.into_iter().filter_map(|(_, damage)| damage));
    check_strays(volume, check);
    check_voxels(volume, check, progress)
}

/// Looks for files among the shards that the manifest does not list: other readers would take a
/// file at the key of an empty shard for voxels.
fn check_strays(volume: &Volume, check: &mut VolumeCheck) {
    let stored = &*volume.stored;
    let shards = &stored.manifest.shards;
    let named: HashSet<&str> =
        shards.iter().filter(|s| s.file.is_some()).map(|s| s.key.as_str()).collect();
    // Only folders on the way to a shard are entered, so that links cannot lead in circles.
    let above = |key| std::iter::successors(parent(key), |folder| parent(folder));
    let folders: HashSet<&str> = shards.iter().flat_map(|s| above(&s.key)).collect();
    let mut left = vec!["c".to_owned()];
    while let Some(folder) = left.pop() {
        let stray = |key: &str, reason: String| {
            Damage::voxels(stored.disk.path(&stored.generation.key(format!("0/{key}"))), reason)
        };
        let inside = match stored.disk.list(&stored.generation.key(format!("0/{folder}"))) {
            Ok(inside) => inside,
            Err(e) if e.kind() == io::ErrorKind::NotADirectory => {
                check.damage.push(stray(&folder, "not listed in the manifest".into()));
                continue;
            }
            Err(e) => {
                check.damage.push(stray(&folder, format!("cannot be listed: {e}")));
                continue;
            }
        };
        for key in inside.into_iter().map(|name| format!("{folder}/{name}")) {
            if folders.contains(&*key) {
                left.push(key);
            } else if !named.contains(&*key) && !is_harmless(stored, &key) {
                check.damage.push(stray(&key, "not listed in the manifest".into()));
            }
        }
    }
}

/// Whether other readers ignore a file: a temporary file, or the index of an empty shard, which an
/// aggregation writes.
fn is_harmless(stored: &Stored, key: &str) -> bool {
    let name = key.rsplit_once('/').map_or(key, |(_, name)| name);
    let is_empty = || {
        let shards = &stored.manifest.shards;
        let chunks = stored.grid.chunks();
        shards.iter().any(|shard| shard.key == key)
            && Shard::find(&stored.disk, &stored.generation.key(format!("0/{key}")), chunks)
                .is_ok_and(|found| {
                    found.is_ok_and(|(shard, _)| (0..chunks).all(|n| shard.range(n).is_none()))
                })
    };
    is_in_the_making(name) || is_empty()
}

fn parent(key: &str) -> Option<&str> {
    key.rsplit_once('/').map(|(folder, _)| folder)
}

/// Decodes everything, even shards already found damaged: the report then also says which of their
/// chunks are unreadable. The index for sampling, if there is one, is compared with the voxels.
fn check_voxels(
    volume: &Volume,
    check: &mut VolumeCheck,
    progress: &(dyn Fn(u64) -> bool + Sync),
) -> Result<()> {
    let (stored, place) = (&*volume.stored, volume.stored.path());
    let index_path = stored.disk.path(&stored.generation.key(sampling::KEY));
    let index = match stored.indices() {
        Ok(None) if stored.manifest.indexed => Err(Error::corrupt_store(
            index_path.clone(),
            "the index for sampling, which was published with the volume, is missing",
        )),
        index => index,
    };
    let index = index.unwrap_or_else(|error| {
        let error = sampling::remedied(error, &place);
        check.damage.push(Damage::of(error, place.clone(), Remedy::Index));
        None
    });
    let shape = &stored.shape;
    let mut tally = index.as_ref().and_then(|_| stored.tally());
    let mut digest = VoxelDigest::new(shape.dtype, shape.times, shape.channels, shape.shape);
    let (mut complete, mut countable) = (true, true);
    for (frame, layer) in strips::layers(volume) {
        match Strips::read(volume, frame, layer) {
            Ok(strips) => {
                strips.add_to(&mut digest, frame, shape.dtype);
                if let Some(tally) = &mut tally {
                    let row = |plane, row| strips.row(plane, row);
                    countable &= tally.add_planes(frame, strips.planes(), row).is_ok();
                }
            }
            Err(error) => {
                complete = false;
                let found = Damage::of(error, place.clone(), Remedy::Write);
                // A damaged file comes up again in each of its layers.
                if check.damage.iter().all(|known| known.path != found.path) {
                    check.damage.push(found);
                }
            }
        }
        if !progress(strips::layer_bytes(volume, layer)) {
            return Err(Error::Cancelled);
        }
    }
    if !complete {
        return Ok(());
    }
    let voxels = digest.finish();
    if voxels != volume.voxel_digest() {
        let reason = "the decoded voxels do not match the manifest";
        check.damage.push(Damage::voxels(place, reason));
    } else if let (Some(index), Some(tally)) = (index, tally) {
        let found = tally.finish(voxels).ok().filter(|_| countable);
        if found.is_none_or(|found| found.into_frames() != *index) {
            let reason = "the index does not match the decoded voxels";
            let error = sampling::remedied(Error::corrupt_store(index_path, reason), &place);
            check.damage.push(Damage::of(error, place, Remedy::Index));
        }
    }
    Ok(())
}
