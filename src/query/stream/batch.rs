//! Several patches in one array.

use std::sync::Arc;

use ndarray::{Ix4, Ix5, RemoveAxis};

use super::PatchStream;
use super::patch::{Named, Origin, Patch, named};
use crate::query::Voxels;
use crate::{Error, Result};

/// Patches of one shape, one behind the other.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct Batch {
    /// Where each patch comes from.
    pub origins: Vec<Origin>,
    /// Name and voxels (`n, z, y, x`) of each image of one frame.
    pub images: Vec<(Arc<str>, Voxels<Ix4>)>,
    /// Name and voxels (`n, c, z, y, x`) of each image of several.
    pub frames: Vec<(Arc<str>, Voxels<Ix5>)>,
}

impl Batch {
    /// The voxels of the image of this name, which was asked for as one frame.
    #[must_use]
    pub fn image(&self, name: &str) -> Option<&Voxels<Ix4>> {
        named(&self.images, name)
    }

    /// The voxels of the image of this name, which was asked for as several frames:
    /// `n, c, z, y, x`.
    #[must_use]
    pub fn frames(&self, name: &str) -> Option<&Voxels<Ix5>> {
        named(&self.frames, name)
    }

    /// Bytes that the batch takes.
    pub(super) fn bytes(&self) -> usize {
        let images = self.images.iter().map(|(_, voxels)| voxels.bytes().len());
        let frames = self.frames.iter().map(|(_, voxels)| voxels.bytes().len());
        images.chain(frames).sum::<usize>() + self.origins.len() * size_of::<Patch>()
    }

    /// Leaves out the room for patches that did not come.
    pub(super) fn without_room(mut self) -> Self {
        let n = self.origins.len();
        self.images.iter_mut().for_each(|(_, voxels)| voxels.truncate(n));
        self.frames.iter_mut().for_each(|(_, voxels)| voxels.truncate(n));
        self
    }

    /// The first patch, if there is one.
    pub(super) fn into_first(mut self) -> Option<Patch> {
        fn first<D: RemoveAxis>(images: Named<D>) -> Named<D::Smaller> {
            images.into_iter().map(|(name, voxels)| (name, voxels.into_first())).collect()
        }
        let origin = self.origins.drain(..).next()?;
        Some(Patch { origin, images: first(self.images), frames: first(self.frames) })
    }
}

/// The patches of a stream, some at a time: see [`PatchStream::batches`].
#[derive(Debug)]
pub struct Batches<'a> {
    stream: &'a mut PatchStream,
    size: usize,
    drop_last: bool,
}

impl PatchStream {
    /// The rest of the epoch in batches of `size` patches; the last may have fewer, or is left
    /// out. After an error the batch that it was in is not counted as consumed.
    ///
    /// Each worker reads a batch of its own, patch after patch, straight into the batch's memory.
    /// So batches read ahead are of no use to a caller that goes on with another size, or with
    /// single patches: they are read again.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a size of 0.
    pub fn batches(&mut self, size: usize, drop_last: bool) -> Result<Batches<'_>> {
        if size == 0 {
            return Err(Error::invalid("batch size", size, "at least 1 is needed"));
        }
        Ok(Batches { stream: self, size, drop_last })
    }
}

impl Batches<'_> {
    /// The stream, as it stands after the batches given so far.
    #[must_use]
    pub fn stream(&self) -> &PatchStream {
        self.stream
    }
}

impl Iterator for Batches<'_> {
    type Item = Result<Batch>;

    /// The next batch. [`Error::InvalidArgument`] if two of its patches differ in shape or type.
    fn next(&mut self) -> Option<Self::Item> {
        let batch = self.stream.fetch(self.size)?;
        let is_short = batch.as_ref().is_ok_and(|batch| batch.origins.len() < self.size);
        (!(is_short && self.drop_last)).then_some(batch)
    }
}

impl std::iter::FusedIterator for Batches<'_> {}
