//! Random patches of an uncompressed file without a conversion: the baseline for the store's speed.

use std::path::Path;

use super::NiftiScan;
use crate::error::show;
use crate::mapped::Mapped;
use crate::scan::ScanHeader;
use crate::{Element, Error, Region, Result};

/// The first frame of an uncompressed NIfTI file in the byte order of this machine, mapped into
/// memory: the fastest plain way to read patches, and the one that takes the most disk.
///
/// The file must not be truncated while this is alive: a read would then end the process.
#[derive(Debug)]
pub struct MappedNifti {
    header: ScanHeader,
    file: Mapped,
    /// Position of the first voxel, in bytes.
    offset: usize,
}

impl MappedNifti {
    /// Maps a file.
    ///
    /// # Errors
    /// Those of [`crate::scan::open`], and [`Error::UnsupportedScan`] if the file is compressed or
    /// of the other byte order.
    pub fn open(path: &Path) -> Result<Self> {
        let scan = NiftiScan::open(path)?;
        let source = scan.stream.path();
        if !scan.stream.is_plain() || scan.swapped {
            let reason = "only an uncompressed file in this machine's byte order can be mapped; \
                          unpack it first"
                .into();
            return Err(Error::UnsupportedScan { path: source.into(), reason });
        }
        let file = Mapped::open(source).map_err(Error::io("map", source))?;
        // Lossless: opening has checked the length of the file, and mapped bytes have addresses.
        let offset = usize::try_from(scan.stream.at()).unwrap_or(usize::MAX);
        Ok(Self { header: scan.header, file, offset })
    }

    /// The description of the voxels.
    #[must_use]
    pub const fn header(&self) -> &ScanHeader {
        &self.header
    }

    /// Copies a region inside the volume, row by row, into a buffer of exactly its number of
    /// voxels: `z, y, x`, C-contiguous.
    ///
    /// # Errors
    /// [`Error::DtypeMismatch`], [`Error::OutOfBounds`], [`Error::InvalidArgument`] for a buffer
    /// of another length.
    pub fn read_into<T: Element>(&self, region: Region, out: &mut [T]) -> Result<()> {
        let ScanHeader { dtype, shape, .. } = self.header;
        if dtype != T::DTYPE {
            return Err(Error::DtypeMismatch { stored: dtype, asked: T::DTYPE });
        }
        if !region.is_inside(shape) || region.shape.contains(&0) {
            return Err(Error::OutOfBounds { region, shape });
        }
        if region.voxels() != Some(out.len()) {
            let reason = format!("a region of {} has another length", show(&region.shape));
            return Err(Error::invalid("buffer length", out.len(), reason));
        }
        let start = region.start.map(|s| usize::try_from(s).unwrap_or(0));
        let row = region.shape[2] * size_of::<T>();
        let out: &mut [u8] = bytemuck::cast_slice_mut(out);
        for (n, out) in out.chunks_exact_mut(row).enumerate() {
            let (z, y) = (start[0] + n / region.shape[1], start[1] + n % region.shape[1]);
            let voxel = (z * shape[1] + y) * shape[2] + start[2];
            let from = self.offset + voxel * size_of::<T>();
            out.copy_from_slice(&self.file[from..from + row]);
        }
        Ok(())
    }
}
