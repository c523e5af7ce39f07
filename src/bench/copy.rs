//! The first frame of a volume as plain files, written for the time: a `.nii` to map, and the same
//! as a `.nii.gz` to inflate.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::Options;
use super::watch::{Progress, Step, tell};
use crate::scan::nifti::{NiftiWriter, WriteHeader};
use crate::store::Volume;
use crate::{Element, Error, Hint, Pool, Region, Result};

/// Voxels are written in slabs of as many planes as this holds, at most.
const SLAB_BYTES: usize = 128 << 20;
/// Level of the `.nii.gz`: the fastest to write; how long inflating takes hardly depends on it.
const LEVEL: u32 = 1;

/// A folder for the files, which are removed with it when this is dropped.
pub(super) struct Scratch {
    folder: TempDir,
    /// Several frames would not all be inflated for a patch: a `.nii.gz` is of one.
    has_gzip: bool,
}

impl Scratch {
    /// A fresh folder, with room for the files of a volume.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if they do not fit, [`Error::Io`].
    pub(super) fn new(options: &Options, volume: &Volume) -> Result<Self> {
        let parent = options.scratch.clone().unwrap_or_else(std::env::temp_dir);
        // Noise is no smaller as a .nii.gz.
        let need = frame_bytes(volume).saturating_mul(2);
        let free = free_space(&parent)?;
        // The headers, and the folder itself.
        if need.saturating_add(1 << 16) > free {
            let reason = format!(
                "has no room: an uncompressed copy of {} and a .nii.gz of it, {need} bytes, do not \
                 fit the {free} bytes that are free there; name another folder, or measure without \
                 the copy",
                volume.name()
            );
            let error = Error::invalid("folder", parent.display(), reason);
            return Err(error.hinting(Hint::NoBaseline));
        }
        let folder = tempfile::Builder::new().prefix("voxpatch-bench-").tempdir_in(&parent);
        let folder = folder.map_err(Error::io("make a folder in", parent))?;
        Ok(Self { folder, has_gzip: volume.times() * volume.channels() == 1 })
    }

    /// The uncompressed file.
    pub(super) fn copy(&self) -> PathBuf {
        self.folder.path().join("copy.nii")
    }

    /// The compressed file, of a volume that has one.
    pub(super) fn gzip(&self) -> Option<PathBuf> {
        self.has_gzip.then(|| self.folder.path().join("copy.nii.gz"))
    }
}

/// Bytes of a frame, uncompressed.
pub(super) fn frame_bytes(volume: &Volume) -> u64 {
    volume.raw_bytes() / (volume.times() * volume.channels()).max(1) as u64
}

/// Writes the first frame to the files of the folder.
pub(super) fn write<T: Element>(
    volume: &Volume,
    scratch: &Scratch,
    progress: Progress<'_>,
) -> Result<()> {
    let shape @ [planes, rows, columns] = volume.shape();
    let header = WriteHeader {
        dtype: T::DTYPE,
        shape,
        times: 1,
        channels: 1,
        affine: *volume.affine(),
        space: None,
        scaling: None,
        time_step: None,
        is_label: false,
    };
    let mut plain = NiftiWriter::create(&scratch.copy(), &header, None)?;
    let gzip = scratch.gzip().map(|path| NiftiWriter::create(&path, &header, Some(LEVEL)));
    let mut gzip = gzip.transpose()?;
    // Whole layers of chunks, so that each chunk is decoded once.
    let most = (SLAB_BYTES / (rows * columns * size_of::<T>()).max(1)).max(1);
    let depth = volume.layout().chunk[0].min(most).min(planes);
    let mut slab = vec![T::default(); depth * rows * columns];
    Pool::new(0)?.run(|| {
        for first in (0..planes).step_by(depth) {
            let depth = depth.min(planes - first);
            let slab = &mut slab[..depth * rows * columns];
            let start = [i64::try_from(first).unwrap_or(i64::MAX), 0, 0];
            volume.read_into(Region::new(start, [depth, rows, columns]), slab)?;
            let bytes: &[u8] = bytemuck::cast_slice(slab);
            plain.write_planes(bytes)?;
            gzip.as_mut().map_or(Ok(()), |gzip| gzip.write_planes(bytes))?;
            tell(progress, Step::Copied(bytes.len() as u64))?;
        }
        plain.finish()?;
        gzip.map_or(Ok(()), NiftiWriter::finish)
    })
}

/// Bytes that this user may still write to the disk of a folder.
fn free_space(folder: &Path) -> Result<u64> {
    let disk = rustix::fs::statvfs(folder).map_err(std::io::Error::from);
    let disk = disk.map_err(Error::io("ask for the free space of", folder))?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}
