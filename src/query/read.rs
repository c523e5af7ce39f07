//! Reading one patch.

use ndarray::Array3;

use super::bounds::{inside, too_large};
use super::padded;
use crate::error::show;
use crate::store::{Destination, Volume};
use crate::{Element, Error, Region, Result};

impl Volume {
    /// Reads a region as a new array of its shape, `z, y, x`, C-contiguous.
    ///
    /// Runs on the calling thread. Each chunk that the region touches is decoded once, as far as
    /// it is needed; [`Volume::cost`] tells how much that is.
    ///
    /// # Errors
    /// [`Error::DtypeMismatch`] if `T` is not [`Volume::returned_dtype`]; [`Error::OutOfBounds`] if
    /// the region leaves the volume and the handle is not [`Volume::padded`];
    /// [`Error::CorruptStore`] if a check fails; [`Error::InvalidArgument`] for a region without
    /// voxels, or more than memory holds; [`Error::Io`].
    pub fn read<T: Element>(&self, region: Region) -> Result<Array3<T>> {
        let n = self.check::<T>(region)?;
        let mut voxels = bytemuck::allocation::try_zeroed_vec(n).map_err(|()| too_large(region))?;
        self.fetch(region, &mut voxels)?;
        Ok(Array3::from_shape_vec(region.shape, voxels).expect("as many voxels as the shape has"))
    }

    /// Reads a region into a buffer of exactly its number of voxels, `z, y, x`, C-contiguous.
    ///
    /// As [`Volume::read`], and without allocating once the handle and the calling thread are
    /// warm, unless the region is padded. After an error the buffer holds anything.
    ///
    /// # Errors
    /// As [`Volume::read`], and [`Error::InvalidArgument`] if the buffer has another length.
    pub fn read_into<T: Element>(&self, region: Region, out: &mut [T]) -> Result<()> {
        let n = self.check::<T>(region)?;
        if out.len() != n {
            let reason = format!("the region {region} has {n} voxels");
            return Err(Error::invalid("buffer length", out.len(), reason));
        }
        self.fetch(region, out)
    }

    /// The number of voxels, if this handle can return them as `T`.
    pub(super) fn check<T: Element>(&self, region: Region) -> Result<usize> {
        let stored = self.returned_dtype();
        if stored != T::DTYPE {
            return Err(Error::DtypeMismatch { stored, asked: T::DTYPE });
        }
        self.check_padding()?;
        if region.shape.contains(&0) {
            let reason = "every axis (z, y, x) must be at least 1";
            return Err(Error::invalid("patch shape", show(&region.shape), reason));
        }
        if self.padding().is_none() && !region.is_inside(self.shape()) {
            return Err(Error::OutOfBounds { region, shape: self.shape() });
        }
        let bytes = region.voxels().and_then(|n| n.checked_mul(size_of::<T>()));
        match (bytes, region.voxels()) {
            (Some(bytes), Some(n)) if isize::try_from(bytes).is_ok() => Ok(n),
            _ => Err(too_large(region)),
        }
    }

    /// Refuses a padding that cannot be of the type which this handle returns.
    pub(crate) fn check_padding(&self) -> Result<()> {
        self.padding().map_or(Ok(()), |padding| padding.check(self.returned_dtype()))
    }

    pub(super) fn fetch<T: Element>(&self, region: Region, out: &mut [T]) -> Result<()> {
        match self.padding() {
            Some(padding) if !region.is_inside(self.shape()) => {
                padded::read(self, region, padding, out)
            }
            _ => {
                let bytes = bytemuck::cast_slice_mut(out);
                let out = Destination::dense(bytes, region.shape, size_of::<T>())
                    .flipped(self.flips(), region.shape);
                self.read_box(inside(region), region.shape, out)
            }
        }
    }
}
