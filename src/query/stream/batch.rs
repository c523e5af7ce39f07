//! Several patches in one array.

use std::sync::Arc;

use ndarray::{Dimension, Ix4, Ix5, RemoveAxis};

use super::PatchStream;
use super::patch::{Origin, Patch, named};
use crate::query::Voxels;
use crate::{Error, Result};

/// Patches of one shape, one behind the other.
#[derive(Debug, Clone, PartialEq)]
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

    /// Puts patches together.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if there are none, or two differ in shape, type or images.
    pub fn stack(patches: Vec<Patch>) -> Result<Self> {
        let images = stacked(&patches, |patch| &patch.images)?;
        let frames = stacked(&patches, |patch| &patch.frames)?;
        if images.is_empty() && frames.is_empty() {
            return Err(Error::invalid("batch", patches.len(), "there is nothing to put together"));
        }
        let origins = patches.into_iter().map(|patch| patch.origin).collect();
        Ok(Self { origins, images, frames })
    }
}

/// Images of a number of axes, by name.
type Named<D> = Vec<(Arc<str>, Voxels<D>)>;

/// Each of the first patch's images, with those of the others behind it.
fn stacked<D: Dimension<Larger: RemoveAxis> + 'static>(
    patches: &[Patch],
    images: impl Fn(&Patch) -> &Named<D>,
) -> Result<Named<D::Larger>> {
    let first = patches.first().map_or(&[][..], |patch| images(patch));
    let stack = |(name, _): &(Arc<str>, _)| {
        let voxels: Option<Vec<_>> =
            patches.iter().map(|patch| named(images(patch), name)).collect();
        let stacked = voxels.and_then(|voxels| Voxels::stack(voxels.into_iter()));
        Ok((Arc::clone(name), stacked.ok_or_else(|| differing(name, patches, &images))?))
    };
    first.iter().map(stack).collect()
}

/// Names the first patch that is not like the one in front.
fn differing<D: Dimension + 'static>(
    image: &str,
    patches: &[Patch],
    images: impl Fn(&Patch) -> &Named<D>,
) -> Error {
    let like = |patch: &Patch| {
        named(images(patch), image).map(|voxels| (voxels.dtype(), voxels.shape().to_owned()))
    };
    let show = |patch: &Patch| {
        let subject = &patch.origin.subject;
        match like(patch) {
            Some((dtype, shape)) => format!("{dtype} {shape:?} of subject {subject}"),
            None => format!("none of subject {subject}"),
        }
    };
    let first = &patches[0];
    let other = patches.iter().find(|patch| like(patch) != like(first)).unwrap_or(first);
    let reason = format!(
        "{} and {} do not fit in one array; scaled views are all of one type",
        show(first),
        show(other)
    );
    Error::invalid("image", image, reason)
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

    fn next(&mut self) -> Option<Self::Item> {
        let before = self.stream.taken;
        let patches: Result<Vec<_>> = self.stream.by_ref().take(self.size).collect();
        let batch = match patches {
            Ok(patches) if patches.is_empty() => return None,
            Ok(patches) if patches.len() < self.size && self.drop_last => return None,
            patches => patches.and_then(Batch::stack),
        };
        if batch.is_err() {
            self.stream.end_at(before);
        }
        Some(batch)
    }
}

impl std::iter::FusedIterator for Batches<'_> {}
