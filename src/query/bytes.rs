//! Patches into memory of a caller that has its own arrays: bytes, and strides in bytes.

use super::bounds::check_region;
use super::{fetch, together};
use crate::store::{Axes, Destination, View};
use crate::{Error, Pool, Region, Result};

/// A patch of a batch, and the memory that it goes to ([`View::read_many_bytes`]).
#[derive(Debug)]
pub struct PatchBuffer<'a> {
    /// The region to read, start and shape in `z, y, x`.
    pub region: Region,
    /// The memory, from the lowest byte of the array on; what lies between and behind its voxels is
    /// left as it is.
    pub bytes: &'a mut [u8],
    /// Bytes from a voxel to the next along each axis of the patch, `(c,) z, y, x`.
    pub strides: &'a [isize],
}

impl<D: Axes> View<D> {
    /// Reads a region into memory that a caller has laid out, such as an array of another language:
    /// voxels of [`View::returned_dtype`] in native byte order, at any alignment.
    ///
    /// `strides` are in bytes, one for each axis that [`View::read`] returns (`z, y, x`, or
    /// `c, z, y, x`), of any sign and in any order. `bytes` begins at the lowest byte of the array:
    /// along an axis with a negative stride, the first voxel is the one that lies furthest in. The
    /// strides of axes of length 1 make no difference. Bytes between and behind the voxels are left
    /// as they are.
    ///
    /// Costs as much as [`View::read`], and allocates no more than [`View::read_into`]: chunks are
    /// decoded straight into place where the voxels of a row lie side by side, forwards or
    /// backwards, and by way of a buffer of one chunk where they do not.
    ///
    /// # Errors
    /// As [`View::read`]. [`Error::InvalidArgument`] for another number of strides, and for strides
    /// by which voxels overlap or lie outside of `bytes`; nothing is written then. Axes must not
    /// interlock: each steps over all voxels of the axes with smaller strides. After another error
    /// the voxels hold anything.
    pub fn read_bytes(&self, region: Region, bytes: &mut [u8], strides: &[isize]) -> Result<()> {
        check_region(self, region)?;
        fetch::patch(self, region, self.destination(region, bytes, strides)?)
    }

    /// Reads a batch of patches, each into memory of its own, as [`View::read_bytes`] does. Their
    /// shapes may differ.
    ///
    /// As in [`View::read_many`], a chunk that several patches need is decoded once, and the threads
    /// of the pool share the work: frames and layers of one patch too, where they lie apart in its
    /// memory. The bytes are the same for any number of threads.
    ///
    /// # Errors
    /// As [`View::read_bytes`], for any of the patches: nothing is written if one of them is
    /// refused.
    pub fn read_many_bytes(&self, patches: &mut [PatchBuffer<'_>], pool: &Pool) -> Result<()> {
        let placed = patches.iter_mut().map(|PatchBuffer { region, bytes, strides }| {
            check_region(self, *region)?;
            Ok((*region, self.destination(*region, bytes, strides)?))
        });
        let placed = placed.collect::<Result<Vec<_>>>()?;
        together::read(self, placed, pool, together::HELD_BYTES)
    }

    fn destination<'a>(
        &self,
        region: Region,
        bytes: &'a mut [u8],
        strides: &[isize],
    ) -> Result<Destination<'a>> {
        let [z, y, x] = region.shape;
        let shape = [self.channels(), z, y, x];
        let refused = |reason: String| Error::invalid("strides", format!("{strides:?}"), reason);
        let by_frame = match *strides {
            [z, y, x] if D::NDIM == Some(3) => [0, z, y, x],
            [c, z, y, x] if D::NDIM == Some(4) => [c, z, y, x],
            _ => {
                let axes = if D::NDIM == Some(4) { "c, z, y, x" } else { "z, y, x" };
                return Err(refused(format!("give one for each axis of the patch: {axes}")));
            }
        };
        let item = self.returned_dtype().size();
        Destination::strided(bytes, shape, by_frame, item).map_err(refused)
    }
}
