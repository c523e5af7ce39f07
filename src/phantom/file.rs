//! A phantom as a scan.

use std::path::Path;

use rayon::prelude::*;

use super::ChestPhantom;
use crate::scan::nifti::{NiftiWriter, WriteHeader};
use crate::{Affine, Dtype, Error, Pool, Result};

impl ChestPhantom {
    /// Writes the intensities as an `int16` scan, `.nii` or `.nii.gz`, or with `labels` the labels as
    /// a `uint8` one. Memory holds a plane for each thread. `progress` is called with the number of
    /// bytes written since the last call; a false answer cancels, and leaves nothing.
    ///
    /// # Errors
    /// [`Error::Cancelled`], those of [`NiftiWriter`].
    pub fn write(
        &self,
        path: &Path,
        labels: bool,
        pool: &Pool,
        progress: &(dyn Fn(u64) -> bool + Sync),
    ) -> Result<()> {
        let is_compressed = path.extension().is_some_and(|end| end == "gz");
        let header = WriteHeader {
            dtype: if labels { Dtype::UInt8 } else { Dtype::Int16 },
            shape: self.shape,
            times: 1,
            channels: 1,
            affine: Affine::from_spacing(self.spacing),
            space: None,
            scaling: None,
            time_step: None,
            is_label: labels,
        };
        let mut writer = NiftiWriter::create(path, &header, is_compressed.then_some(1))?;
        let [depth, rows, columns] = self.shape;
        let bytes = rows * columns * header.dtype.size();
        let mut planes = vec![vec![0_u8; bytes]; pool.threads().min(depth)];
        pool.run(|| {
            for first in (0..depth).step_by(planes.len()) {
                let count = planes.len().min(depth - first);
                let planes = &mut planes[..count];
                planes
                    .par_iter_mut()
                    .enumerate()
                    .try_for_each(|(n, plane)| self.plane_bytes(first + n, labels, plane))?;
                for plane in planes {
                    writer.write_planes(plane)?;
                }
                if !progress((count * bytes) as u64) {
                    return Err(Error::Cancelled);
                }
            }
            writer.finish()
        })
    }

    /// Plane `z` of either, in the byte order of this machine.
    fn plane_bytes(&self, z: usize, labels: bool, out: &mut [u8]) -> Result<()> {
        if labels {
            return self.label_plane(z, out);
        }
        let mut voxels = vec![0_i16; out.len() / size_of::<i16>()];
        self.plane(z, &mut voxels)?;
        out.copy_from_slice(bytemuck::cast_slice(&voxels));
        Ok(())
    }
}
