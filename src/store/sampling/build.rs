//! Building the index of a volume that is stored already.

use super::{IndexInfo, KEY, SamplingIndex};
use crate::store::lock;
use crate::store::strips::{self, Strips};
use crate::store::{Dataset, Volume, VolumeName};
use crate::{Error, Pool, Result};

impl Dataset {
    /// Builds the index of a label map or a map of weights for sampling, as converting does: for
    /// volumes without one, or whose index is damaged. One that is there is replaced in one step.
    ///
    /// Decodes everything once, one layer of chunks at a time. `progress` is called with the number
    /// of bytes dealt with since the last call, [`Volume::raw_bytes`] in all; a false answer
    /// cancels. Handles that found no index before find this one.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a volume that cannot have one, with the reason;
    /// [`Error::Busy`] while another process writes the volume; [`Error::Replaced`] if one has
    /// replaced it; those of [`Dataset::open_volume`];
    /// [`Error::CorruptStore`] if its voxels are not the ones that were written;
    /// [`Error::Cancelled`]; [`Error::Io`].
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
                // It was written for nobody, into a folder that may be gone.
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
    // Chunks that are intact but in each other's places would make a wrong index.
    if voxels != volume.voxel_digest() {
        let reason = "the decoded voxels are not the ones the manifest names; verify tells more";
        return Err(Error::corrupt_store(volume.stored.path(), reason));
    }
    tally.finish(voxels).map_err(refused)
}
