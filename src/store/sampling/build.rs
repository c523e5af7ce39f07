//! Building the index of a stored volume.

use super::{IndexInfo, KEY, SamplingIndex};
use crate::store::lock;
use crate::store::strips::{self, Strips};
use crate::store::{Dataset, Volume, VolumeName};
use crate::{Error, Pool, Result};

impl Dataset {
    /// Builds the index for sampling of a label map or a map of weights, as a conversion does: for
    /// volumes without an index, or with a damaged one. An existing index is replaced in one step.
    ///
    /// Decodes all voxels once, one layer of chunks at a time. `progress` is called with the number
    /// of bytes processed since the last call, [`Volume::raw_bytes`] in all; if it returns false,
    /// the call is cancelled. Handles that found no index before find the new one.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a volume that cannot have an index, with the reason;
    /// [`Error::Busy`] while another process writes the volume; [`Error::Replaced`] if another
    /// process has replaced it; those of [`Dataset::open_volume`]; [`Error::CorruptStore`] if its
    /// voxels are not those that were written; [`Error::Cancelled`]; [`Error::Io`].
    pub fn build_index(
        &self,
        name: &VolumeName,
        pool: &Pool,
        progress: &(dyn Fn(u64) -> bool + Sync),
    ) -> Result<IndexInfo> {
        let found = self.open_volume(name)?;
        found.stored.counted().map_err(|reason| Error::invalid("volume", name, reason))?;
        let (disk, generation) = (&found.stored.disk, &found.stored.generation);
        let _held = lock::hold(disk, name)?;
        let index = pool.run(|| count(&found, progress))?;
        let key = generation.key(KEY);
        let path = disk.path(&key);
        let bytes = index.to_bytes(&path)?;
        let sink = disk.sink()?;
        sink.put(&key, &[&bytes]).map_err(Error::io("write", &path))?;
        let folder = generation.folder();
        sink.flush(folder).map_err(Error::io("sync", disk.path(folder)))?;
        found.check_in_place().inspect_err(|error| {
            if matches!(error, Error::Replaced { .. }) {
                // The volume was replaced, and its folder may be gone.
                let _ = sink.delete(&key);
            }
        })?;
        Ok(index.info())
    }
}

fn count(volume: &Volume, progress: &(dyn Fn(u64) -> bool + Sync)) -> Result<SamplingIndex> {
    let name = volume.name().clone();
    let refused = |reason: String| Error::invalid("volume", &name, reason);
    volume.stored.counted().map_err(refused)?;
    let mut tally = volume.stored.tally().expect("only intensities have none");
    let add = |frame, _, strips: &Strips| {
        tally.add_planes(frame, strips.planes(), |plane, row| strips.row(plane, row))
    };
    let voxels = strips::look_through(volume, |_| Ok(()), add, progress)?;
    // Intact chunks that have changed places would give a wrong index.
    if voxels != volume.voxel_digest() {
        let reason = "the decoded voxels do not match the manifest; verify tells more";
        return Err(Error::corrupt_store(volume.stored.path(), reason));
    }
    tally.finish(voxels).map_err(refused)
}
