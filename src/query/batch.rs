//! Reading many patches at once.

use ndarray::Array;

use super::bounds::{axes, check_batch, check_type, no_room};
use super::read::shaped;
use super::together;
use super::voxels::Voxels;
use crate::store::{Axes, Destination, View};
use crate::{Element, Error, Pool, Region, Result};

impl<D: Axes> View<D> {
    /// Reads regions of one shape as a new array of patches, C-contiguous: `n, z, y, x`, or
    /// `n, c, z, y, x` if the view is of several frames. The same voxels as reading each region by
    /// itself, for any number of threads.
    ///
    /// A chunk that several patches need is decoded once. Those are decoded first, in the order
    /// in which they are stored, and held until they are copied; the others go straight into
    /// their patch. At most 256 MiB of chunks are held: of a batch that shares more, a part at a
    /// time is read, and a chunk is decoded again where two parts share it. No regions give an
    /// array of shape 0, 0, 0, 0 or 0, c, 0, 0, 0.
    ///
    /// # Errors
    /// As [`View::read`], and [`Error::InvalidArgument`] if the shapes differ.
    pub fn read_many<T: Element>(
        &self,
        regions: &[Region],
        pool: &Pool,
    ) -> Result<Array<T, D::Larger>> {
        check_type::<T>(self)?;
        let n = check_batch(self, regions)?;
        let patch = regions.first().map_or([0; 3], |region| region.shape);
        let no_room = |()| no_room(self, regions.len(), patch);
        let mut voxels = bytemuck::allocation::try_zeroed_vec(n).map_err(no_room)?;
        self.read_many_checked(regions, bytemuck::cast_slice_mut(&mut voxels), pool)?;
        Ok(shaped(&axes(self, Some(regions.len()), patch), voxels))
    }

    /// Reads regions of one shape in whatever type the view returns ([`View::returned_dtype`]).
    ///
    /// As [`View::read_many`], which needs that type to be known where the code is written.
    ///
    /// # Errors
    /// As [`View::read_many`].
    pub fn read_many_any(&self, regions: &[Region], pool: &Pool) -> Result<Voxels<D::Larger>> {
        check_batch(self, regions)?;
        let patch = regions.first().map_or([0; 3], |region| region.shape);
        let shape = axes(self, Some(regions.len()), patch);
        let mut voxels = Voxels::new(self.returned_dtype(), &shape, None)
            .ok_or_else(|| no_room(self, regions.len(), patch))?;
        self.read_many_checked(regions, voxels.bytes_mut(), pool)?;
        Ok(voxels)
    }

    /// As [`View::read_many`], into a buffer of exactly the batch's number of voxels, one patch
    /// after the other. After an error the buffer holds anything.
    ///
    /// # Errors
    /// As [`View::read_many`], and [`Error::InvalidArgument`] if the buffer has another length.
    pub fn read_many_into<T: Element>(
        &self,
        regions: &[Region],
        out: &mut [T],
        pool: &Pool,
    ) -> Result<()> {
        check_type::<T>(self)?;
        let n = check_batch(self, regions)?;
        if out.len() != n {
            let each = match self.channels() {
                1 => " together".to_owned(),
                frames => format!(" in {frames} frames each"),
            };
            let reason = format!("the {} regions have {n} voxels{each}", regions.len());
            return Err(Error::invalid("buffer length", out.len(), reason));
        }
        self.read_many_checked(regions, bytemuck::cast_slice_mut(out), pool)
    }

    fn read_many_checked(&self, regions: &[Region], out: &mut [u8], pool: &Pool) -> Result<()> {
        let (patch, item) = (out.len() / regions.len().max(1), self.returned_dtype().size());
        // Without regions there is nothing to cut.
        let outs = out.chunks_exact_mut(patch.max(1));
        let placed = regions
            .iter()
            .zip(outs)
            .map(|(region, bytes)| (*region, Destination::dense(bytes, region.shape, item)));
        together::read(self, placed.collect(), pool, together::HELD_BYTES)
    }
}
