//! Reading one patch.

use ndarray::{Array, ArrayD};

use super::bounds::{axes, check_region, check_type, too_large};
use super::fetch;
use super::voxels::Voxels;
use crate::store::{Axes, Destination, View};
use crate::{Element, Error, Region, Result};

impl<D: Axes> View<D> {
    /// Reads a region as a new array, C-contiguous: `z, y, x` of the region's shape, or
    /// `c, z, y, x` with a channel for each frame if the view is of several.
    ///
    /// Runs on the calling thread. Of each frame, each chunk that the region touches is decoded
    /// once, as far as it is needed; [`View::cost`] tells how much that is.
    ///
    /// # Errors
    /// [`Error::DtypeMismatch`] if `T` is not [`View::returned_dtype`]; [`Error::OutOfBounds`] if
    /// the region leaves the volume and the view is not [`View::padded`];
    /// [`Error::CorruptStore`] if a check fails; [`Error::InvalidArgument`] for a region without
    /// voxels, or more than memory holds; [`Error::Io`].
    pub fn read<T: Element>(&self, region: Region) -> Result<Array<T, D>> {
        check_type::<T>(self)?;
        let n = check_region(self, region)?;
        let mut voxels = bytemuck::allocation::try_zeroed_vec(n).map_err(|()| too_large(region))?;
        self.read_checked(region, bytemuck::cast_slice_mut(&mut voxels))?;
        Ok(shaped(&axes(self, None, region.shape), voxels))
    }

    /// Reads a region in whatever type the view returns ([`View::returned_dtype`]).
    ///
    /// As [`View::read`], which needs that type to be known where the code is written.
    ///
    /// # Errors
    /// As [`View::read`].
    pub fn read_any(&self, region: Region) -> Result<Voxels<D>> {
        check_region(self, region)?;
        let (dtype, shape) = (self.returned_dtype(), axes(self, None, region.shape));
        let mut voxels = Voxels::new(dtype, &shape, None).ok_or_else(|| too_large(region))?;
        self.read_checked(region, voxels.bytes_mut())?;
        Ok(voxels)
    }

    /// Reads a region into a buffer of exactly its number of voxels, C-contiguous in the axes that
    /// [`View::read`] has.
    ///
    /// As [`View::read`], and without allocating once the view and the calling thread are warm,
    /// unless the region is padded. After an error the buffer holds anything.
    ///
    /// # Errors
    /// As [`View::read`], and [`Error::InvalidArgument`] if the buffer has another length.
    pub fn read_into<T: Element>(&self, region: Region, out: &mut [T]) -> Result<()> {
        check_type::<T>(self)?;
        let n = check_region(self, region)?;
        if out.len() != n {
            let frames = match self.channels() {
                1 => String::new(),
                frames => format!(" in {frames} frames"),
            };
            let reason = format!("the region {region} has {n} voxels{frames}");
            return Err(Error::invalid("buffer length", out.len(), reason));
        }
        self.read_checked(region, bytemuck::cast_slice_mut(out))
    }

    /// Reads a region that was checked into as many bytes as the voxels of a patch have.
    pub(super) fn read_checked(&self, region: Region, out: &mut [u8]) -> Result<()> {
        let item = self.returned_dtype().size();
        fetch::patch(self, region, Destination::dense(out, region.shape, item))
    }
}

/// Voxels as an array of this shape, which has as many.
pub(super) fn shaped<T: Element, D: ndarray::Dimension>(
    shape: &[usize],
    voxels: Vec<T>,
) -> Array<T, D> {
    let array = ArrayD::from_shape_vec(shape, voxels).expect("as many voxels as the shape has");
    array.into_dimensionality().expect("as many axes as the view has")
}
