//! The first frame of a volume as temporary plain files: a `.nii` to map, and a `.nii.gz` to
//! inflate.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::Options;
use super::watch::{Progress, Step, tell};
use crate::scan::nifti::{NiftiWriter, WriteHeader};
use crate::store::Volume;
use crate::{Element, Error, Hint, Pool, Region, Result};

/// Most bytes of a slab of planes, which are written together.
const SLAB_BYTES: usize = 128 << 20;
/// Level of the `.nii.gz`: the fastest to write, and hardly slower to inflate than others.
const LEVEL: u32 = 1;

/// A temporary folder for the files, removed when this is dropped.
pub(super) struct ScratchFolder {
    folder: TempDir,
    /// False for several frames: not all frames would be inflated for a patch, so there is no
    /// `.nii.gz`.
    has_gzip: bool,
}

impl ScratchFolder {
    /// A new folder, with room for the files of a volume.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if the files do not fit, [`Error::Io`].
    pub(super) fn new(options: &Options, volume: &Volume) -> Result<Self> {
        let parent = options.scratch.clone().unwrap_or_else(std::env::temp_dir);
        // Twice the frame, because noise does not shrink in a .nii.gz.
        let need = frame_bytes(volume).saturating_mul(2);
        let free = free_space(&parent)?;
        // Allows for the headers and the folder itself.
        if need.saturating_add(1 << 16) > free {
            let reason = format!(
                "has no room: an uncompressed copy of {} and its .nii.gz take {need} bytes, and \
                 {free} bytes are free there; name another folder, or measure without the copy",
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

    /// The compressed file, if there is one.
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
    scratch: &ScratchFolder,
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
    // Whole layers of chunks, so that each chunk is decoded only once.
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
