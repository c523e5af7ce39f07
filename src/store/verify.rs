//! Checking all that can be checked of a stored volume.

use std::collections::HashSet;
use std::io;
use std::path::PathBuf;

use rayon::prelude::*;
use serde::Serialize;

use super::digest::{self, VoxelDigest};
use super::parts::Destination;
use super::volume::Volume;
use super::{Dataset, VolumeName};
use crate::{Error, Frame, Pool, Result};

/// What was checked, and what was found damaged.
#[derive(Debug, Clone, Serialize)]
pub struct VerifyReport {
    /// Each volume, in the order of the dataset.
    pub volumes: Vec<VolumeCheck>,
}

/// One volume.
#[derive(Debug, Clone, Serialize)]
pub struct VolumeCheck {
    /// `SUBJECT/IMAGE`.
    pub name: String,
    /// Shard files read.
    pub shards: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Nothing, if the volume is as it was written.
    pub damage: Vec<Damage>,
}

/// One thing that is not as it was written.
#[derive(Debug, Clone, Serialize)]
pub struct Damage {
    /// The damaged file.
    pub path: PathBuf,
    /// What is wrong.
    pub reason: String,
}

impl VerifyReport {
    /// True if nothing is damaged.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.volumes.iter().all(|v| v.damage.is_empty())
    }
}

impl Dataset {
    /// Checks every volume: manifest, documents, length and digest of each shard, index and
    /// checksum of each chunk, the digest of all decoded voxels, and that no file stands among
    /// the shards that the manifest does not name. Reads and decodes everything
    /// once, one layer of chunks at a time. `progress` is called with the number of bytes checked
    /// since the last call, [`Volume::raw_bytes`] of each volume in all; a false answer cancels.
    ///
    /// Damage is part of the report, not an error.
    ///
    /// # Errors
    /// [`Error::Cancelled`], [`Error::Io`] if the dataset cannot be listed.
    pub fn verify(
        &self,
        pool: &Pool,
        progress: &(dyn Fn(u64) -> bool + Sync),
    ) -> Result<VerifyReport> {
        let volumes = self.volumes()?;
        let check = |name: &VolumeName| self.verify_volume(name, pool, progress);
        Ok(VerifyReport { volumes: volumes.iter().map(check).collect::<Result<_>>()? })
    }

    /// Checks one volume as [`Self::verify`] does.
    ///
    /// # Errors
    /// [`Error::Cancelled`].
    pub fn verify_volume(
        &self,
        name: &VolumeName,
        pool: &Pool,
        progress: &(dyn Fn(u64) -> bool + Sync),
    ) -> Result<VolumeCheck> {
        let mut check =
            VolumeCheck { name: name.to_string(), shards: 0, bytes: 0, damage: Vec::new() };
        if let Some(error) = self.subject_damage(name.subject()) {
            check.damage.push(damage(error, self.path().join(name.subject())));
        }
        match self.open_volume(name) {
            Ok(volume) => pool.run(|| check_volume(&volume, &mut check, progress))?,
            Err(error) => check.damage.push(damage(error, self.path().join(name.to_string()))),
        }
        Ok(check)
    }
}

fn damage(error: Error, place: PathBuf) -> Damage {
    match error {
        Error::CorruptStore { path, reason } => Damage { path, reason },
        other => Damage { path: place, reason: other.to_string() },
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
            let problem = match stored.shard(n) {
                Ok(Some(shard)) if digest::of_bytes(shard.bytes()) != file.blake3 => {
                    Some("its digest is not the one the manifest names".to_owned())
                }
                Ok(_) => None,
                Err(error) => Some(damage(error, PathBuf::new()).reason),
            };
            (file.bytes, problem.map(|reason| Damage { path: stored.shard_path(n), reason }))
        })
        .collect();
    check.shards = found.len();
    check.bytes = found.iter().fold(0, |sum, (bytes, _)| sum.saturating_add(*bytes));
    check.damage.extend(found.into_iter().filter_map(|(_, damage)| damage));
    check_strays(volume, check);
    check_voxels(volume, check, progress)
}

/// Looks for files among the shards that the manifest does not name: other readers would take one
/// at the key of an empty shard for voxels.
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
        let stray = |key: &str, reason: String| Damage {
            path: stored.disk.path(&format!("{}/0/{key}", stored.name)),
            reason,
        };
        let inside = match stored.disk.list(&format!("{}/0/{folder}", stored.name)) {
            Ok(inside) => inside,
            Err(e) if e.kind() == io::ErrorKind::NotADirectory => {
                check.damage.push(stray(&folder, "not named in the manifest".into()));
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
            } else if !named.contains(&*key) {
                check.damage.push(stray(&key, "not named in the manifest".into()));
            }
        }
    }
}

fn parent(key: &str) -> Option<&str> {
    key.rsplit_once('/').map(|(folder, _)| folder)
}

/// Decodes everything. Shards already found damaged are decoded all the same: the report then
/// also says which of their chunks are unreadable.
fn check_voxels(
    volume: &Volume,
    check: &mut VolumeCheck,
    progress: &(dyn Fn(u64) -> bool + Sync),
) -> Result<()> {
    let shape = volume.shape();
    let depth = volume.layout().chunk[0];
    let dtype = volume.stored_dtype();
    let mut digest = VoxelDigest::new(dtype, volume.times(), volume.channels(), shape);
    let mut complete = true;
    for n in 0..volume.times() * volume.channels() {
        let frame = Frame { time: n / volume.channels(), channel: n % volume.channels() };
        let volume = volume.frame(frame)?.as_stored();
        for z in (0..shape[0]).step_by(depth) {
            let planes = depth.min(shape[0] - z);
            match read_strips(&volume, z, planes) {
                Ok(strips) => {
                    // Strips side by side make the rows of a plane.
                    for plane in 0..planes {
                        for strip in &strips {
                            let bytes = strip.len() / planes;
                            digest.add(frame, &strip[plane * bytes..][..bytes], dtype);
                        }
                    }
                }
                Err(error) => {
                    complete = false;
                    let found = damage(error, self_path(&volume));
                    // A damaged file is met again in each of its layers.
                    if check.damage.iter().all(|known| known.path != found.path) {
                        check.damage.push(found);
                    }
                }
            }
            if !progress((planes * shape[1] * shape[2] * volume.dtype().size()) as u64) {
                return Err(Error::Cancelled);
            }
        }
    }
    if complete && digest.finish() != volume.voxel_digest() {
        check.damage.push(Damage {
            path: self_path(volume),
            reason: "the decoded voxels are not the ones the manifest names".into(),
        });
    }
    Ok(())
}

fn self_path(volume: &Volume) -> PathBuf {
    volume.stored.disk.path(&volume.name().to_string())
}

/// The planes of one layer of chunks, decoded in parallel: strips of whole chunk rows along y.
fn read_strips(volume: &Volume, z: usize, planes: usize) -> Result<Vec<Vec<u8>>> {
    let [_, rows, columns] = volume.shape();
    let height = volume.layout().chunk[1];
    let item = volume.returned_dtype().size();
    let strips = (0..rows.div_ceil(height)).into_par_iter().map(|n| {
        let height = height.min(rows - n * height);
        let mut strip = vec![0; planes * height * columns * item];
        let out = Destination::dense(&mut strip, [planes, height, columns], item);
        volume.read_box([z, n * volume.layout().chunk[1], 0], [planes, height, columns], out)?;
        Ok(strip)
    });
    strips.collect()
}
