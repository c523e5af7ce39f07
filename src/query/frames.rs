//! Reading several frames at once, as the channels of patches.

use ndarray::{Array4, Array5};

use super::batch::{HELD_BYTES, no_room, read_within};
use super::bounds::too_large;
use crate::store::Volume;
use crate::{Element, Error, Frames, Pool, Region, Result};

impl Volume {
    /// Reads a region of several frames as a new array `c, z, y, x`, C-contiguous: each frame as
    /// [`Volume::read`] gives it, in the order of [`Volume::frames`].
    ///
    /// Runs on the calling thread; costs as much as reading each frame by itself.
    ///
    /// # Errors
    /// As [`Volume::read`] and [`Volume::frames`].
    pub fn read_frames<T: Element>(&self, region: Region, frames: Frames) -> Result<Array4<T>> {
        let n = self.check_frames::<T>(region, frames)?;
        let mut voxels = bytemuck::allocation::try_zeroed_vec(n).map_err(|()| too_large(region))?;
        self.fetch_frames(region, frames, &mut voxels)?;
        let ([z, y, x], channels) = (region.shape, self.frames(frames)?.len());
        let shape = (channels, z, y, x);
        Ok(Array4::from_shape_vec(shape, voxels).expect("as many voxels as the shape has"))
    }

    /// As [`Volume::read_frames`], into a buffer of exactly as many voxels, one frame after the
    /// other. Allocates where [`Volume::read_into`] does. After an error the buffer holds anything.
    ///
    /// # Errors
    /// As [`Volume::read_frames`], and [`Error::InvalidArgument`] if the buffer has another length.
    pub fn read_frames_into<T: Element>(
        &self,
        region: Region,
        frames: Frames,
        out: &mut [T],
    ) -> Result<()> {
        let n = self.check_frames::<T>(region, frames)?;
        if out.len() != n {
            let channels = self.frames(frames)?.len();
            let reason = format!("the region {region} has {n} voxels in {channels} frames");
            return Err(Error::invalid("buffer length", out.len(), reason));
        }
        self.fetch_frames(region, frames, out)
    }

    /// Reads regions of one shape, of several frames each, as a new array `n, c, z, y, x`,
    /// C-contiguous; the same voxels as [`Volume::read_frames`] gives for each region, for any
    /// number of threads.
    ///
    /// The threads share pieces of all frames, and each chunk that several patches need is decoded
    /// once, as in [`Volume::read_many`]. No regions give an array of shape 0, c, 0, 0, 0.
    ///
    /// # Errors
    /// As [`Volume::read_many`] and [`Volume::frames`].
    pub fn read_many_frames<T: Element>(
        &self,
        regions: &[Region],
        frames: Frames,
        pool: &Pool,
    ) -> Result<Array5<T>> {
        let channels = self.frames(frames)?.len();
        let n = self.check_many::<T>(channels, regions)?;
        let no_room = |()| no_room(channels, regions);
        let mut voxels = bytemuck::allocation::try_zeroed_vec(n).map_err(no_room)?;
        self.read_many_frames_into(regions, frames, &mut voxels, pool)?;
        let [z, y, x] = regions.first().map_or([0; 3], |region| region.shape);
        let shape = (regions.len(), channels, z, y, x);
        Ok(Array5::from_shape_vec(shape, voxels).expect("as many voxels as the shape has"))
    }

    /// As [`Volume::read_many_frames`], into a buffer of exactly the batch's number of voxels, one
    /// patch after the other, and of each one frame after the other. After an error the buffer
    /// holds anything.
    ///
    /// # Errors
    /// As [`Volume::read_many_frames`], and [`Error::InvalidArgument`] if the buffer has another
    /// length.
    pub fn read_many_frames_into<T: Element>(
        &self,
        regions: &[Region],
        frames: Frames,
        out: &mut [T],
        pool: &Pool,
    ) -> Result<()> {
        let handles: Vec<_> = self.frames(frames)?.collect();
        let n = self.check_many::<T>(handles.len(), regions)?;
        if out.len() != n {
            let (regions, frames) = (regions.len(), handles.len());
            let reason = format!("the {regions} regions have {n} voxels in {frames} frames each");
            return Err(Error::invalid("buffer length", out.len(), reason));
        }
        read_within(&handles, regions, out, pool, HELD_BYTES)
    }

    /// The number of voxels of all frames, if this handle can return them as `T`.
    fn check_frames<T: Element>(&self, region: Region, frames: Frames) -> Result<usize> {
        let channels = self.frames(frames)?.len();
        let n = self.check::<T>(region)?.checked_mul(channels);
        let bytes = n.and_then(|n| n.checked_mul(size_of::<T>()));
        n.filter(|_| bytes.is_some_and(|bytes| isize::try_from(bytes).is_ok()))
            .ok_or_else(|| too_large(region))
    }

    fn fetch_frames<T: Element>(
        &self,
        region: Region,
        frames: Frames,
        out: &mut [T],
    ) -> Result<()> {
        let handles = || self.frames(frames);
        // Reading announces its own chunks, but those of later frames only when their turn comes.
        handles()?.skip(1).try_for_each(|volume| volume.prefetch(region))?;
        let n = out.len() / handles()?.len();
        handles()?
            .zip(out.chunks_exact_mut(n))
            .try_for_each(|(volume, out)| volume.fetch(region, out))
    }
}
