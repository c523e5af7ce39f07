//! Checking all that can be checked of a stored volume.

use std::path::PathBuf;

use rayon::prelude::*;
use serde::Serialize;

use super::digest::{self, VoxelDigest};
use super::volume::{Destination, Volume};
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
    /// checksum of each chunk, and the digest of all decoded voxels. Reads and decodes everything
    /// once, one band of shards at a time. `progress` is called with the number of decoded bytes
    /// since the last call; a false answer cancels.
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
    check.bytes = found.iter().map(|(bytes, _)| bytes).sum();
    check.damage.extend(found.into_iter().filter_map(|(_, damage)| damage));
    check_voxels(volume, check, progress)
}

/// Decodes everything. Shards already found damaged are decoded all the same: the report then
/// also says which of their chunks are unreadable.
fn check_voxels(
    volume: &Volume,
    check: &mut VolumeCheck,
    progress: &(dyn Fn(u64) -> bool + Sync),
) -> Result<()> {
    let shape = volume.shape();
    let layout = *volume.layout();
    let row = shape[2] * volume.dtype().size();
    let plane = shape[1] * row;
    let mut digest = VoxelDigest::new(volume.dtype(), volume.times(), volume.channels(), shape);
    let mut complete = true;
    let mut band = vec![0; plane * layout.chunk[0].min(shape[0])];
    for n in 0..volume.times() * volume.channels() {
        let frame = Frame { time: n / volume.channels(), channel: n % volume.channels() };
        let volume = volume.frame(frame)?;
        for z in (0..shape[0]).step_by(layout.chunk[0]) {
            let planes = layout.chunk[0].min(shape[0] - z);
            let band = &mut band[..planes * plane];
            // Strips of chunk rows are contiguous only within a plane, so that parallel work is
            // over strips of one plane each when the band is one plane high, else over planes.
            match read_band(&volume, z, planes, band) {
                Ok(()) => digest.add(frame, band, volume.dtype()),
                Err(error) => {
                    complete = false;
                    check.damage.push(damage(error, self_path(&volume)));
                }
            }
            if !progress(band.len() as u64) {
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

fn read_band(volume: &Volume, z: usize, planes: usize, band: &mut [u8]) -> Result<()> {
    let shape = volume.shape();
    let row = shape[2] * volume.dtype().size();
    let out = Destination { bytes: band, offset: 0, plane: shape[1] * row, row };
    volume.read_box([z, 0, 0], [planes, shape[1], shape[2]], out)
}
