//! Views: which frames of a volume are read, and how voxels are returned.

use std::marker::PhantomData;
use std::ops::Range;
use std::sync::Arc;

use ndarray::{Dimension, Ix3, Ix4, RemoveAxis};

use super::cache::{ChunkCache, HeldChunks};
use super::look::Look;
use super::values::Values;
use super::volume::Volume;
use crate::normalise::Normalise;
use crate::padding::Padding;
use crate::{Dtype, Frame, Frames, Region, Result};

/// The axes of a patch: `z, y, x` of a view of one frame (`Ix3`), or `c, z, y, x` of a view of
/// several, which are the channels of its patches (`Ix4`). No other type has it.
pub trait Axes: Dimension<Larger: RemoveAxis> + sealed::Sealed + 'static {}

impl Axes for Ix3 {}
impl Axes for Ix4 {}

mod sealed {
    pub trait Sealed {}
    impl Sealed for ndarray::Ix3 {}
    impl Sealed for ndarray::Ix4 {}
}

/// The frames of a volume that a patch shows, and how the voxels of the patch are returned: one
/// frame, or several frames as the channels of a patch. Cheap to clone, for any number of threads;
/// all views of a volume share its opened shards.
///
/// [`Volume::view`] returns the plain view: the first frame, voxels in the type of the source, no
/// padding. Methods such as [`View::padded`] and [`View::scaled`] return another view, and do not
/// change this one. A view reads one patch or many patches at once, in three ways: as a type that the
/// caller names ([`View::read`], [`View::read_many`]), as the type that the view returns
/// ([`View::read_any`], [`View::read_many_any`]), and into memory of any layout
/// ([`View::read_bytes`], [`View::read_many_bytes`]).
#[derive(Debug, Clone)]
pub struct View<D: Axes = Ix3> {
    look: Look,
    /// Numbers of the frames, counted in the order of time, then channel. Exactly one if `D` is `Ix3`.
    frames: Range<usize>,
    axes: PhantomData<fn() -> D>,
}

impl Volume {
    /// The plain view: the first frame, voxels in the type of the source, not padded.
    #[must_use]
    pub fn view(&self) -> View {
        View { look: Look::plain(self.clone()), frames: 0..1, axes: PhantomData }
    }
}

impl<D: Axes> View<D> {
    /// The volume of the view.
    #[must_use]
    pub fn volume(&self) -> &Volume {
        &self.look.volume
    }

    /// Type of the voxels that reads return: the type of the source, unless the view was made with
    /// [`View::scaled`], [`View::normalised`] or [`View::converted`].
    #[must_use]
    pub fn returned_dtype(&self) -> Dtype {
        self.look.returned_dtype()
    }

    /// Number of the frames of a patch: 1, or the length of its channel axis.
    #[must_use]
    pub fn channels(&self) -> usize {
        self.frames.len()
    }

    /// A view of one frame, whose patches are `z, y, x`.
    ///
    /// # Errors
    /// [`crate::Error::InvalidArgument`] if there is no such time point or channel.
    pub fn frame(&self, frame: Frame) -> Result<View> {
        let n = self.volume().number_of(frame)?;
        Ok(View { look: self.look.clone(), frames: n..n + 1, axes: PhantomData })
    }

    /// A view of several frames, whose patches are `c, z, y, x`: the frames in the order of time,
    /// then channel. The new view does not depend on the frames of this view.
    ///
    /// # Errors
    /// [`crate::Error::InvalidArgument`] if the volume has no such time point, or if it has several
    /// time points and `frames` names none.
    pub fn frames(&self, frames: Frames) -> Result<View<Ix4>> {
        let mut of = frames.of(self.volume().times(), self.volume().channels())?;
        let count = of.len();
        let first = of.next().map_or(Ok(0), |frame| self.volume().number_of(frame))?;
        Ok(View { look: self.look.clone(), frames: first..first + count, axes: PhantomData })
    }

    /// A view that fills the part of a patch outside of the volume. Without padding, a read beyond
    /// the border is an error. The returned type must be able to hold a constant;
    /// [`View::converted`] changes this type.
    #[must_use]
    pub fn padded(&self, padding: Padding) -> Self {
        self.looking(|look| look.padding = Some(padding))
    }

    /// A view that mirrors each patch along these axes, `z, y, x`: the voxels of the same region, in
    /// reverse order. Padding is mirrored with the patch. Two mirrorings of an axis cancel each other.
    #[must_use]
    pub fn flipped(&self, axes: [bool; 3]) -> Self {
        self.looking(|look| look.flips = std::array::from_fn(|a| look.flips[a] != axes[a]))
    }

    /// A view that returns real values as `f32`: stored voxel x slope + intercept if the source has
    /// such a scaling, computed in `f64` and rounded once.
    ///
    /// Replaces an earlier [`View::normalised`] or [`View::converted`].
    #[must_use]
    pub fn scaled(&self) -> Self {
        self.looking(|look| look.values = Values::Real)
    }

    /// A view that returns normalised real values as `f32`: `(clip(v) - mean) / std` of the
    /// values that [`View::scaled`] returns, computed in `f64` and rounded once.
    /// [`Volume::z_score`] and the methods beside it return the parameters for a volume.
    ///
    /// Replaces an earlier [`View::scaled`] or [`View::converted`].
    ///
    /// # Errors
    /// [`crate::Error::InvalidArgument`] for labels, a deviation that is not greater than 0, and
    /// bounds that are not finite and in order.
    pub fn normalised(&self, normalise: Normalise) -> Result<Self> {
        self.volume().measurements()?;
        let normalise = normalise.checked()?;
        Ok(self.looking(|look| look.values = Values::Normalised(normalise)))
    }

    /// A view that converts voxels to another type, without scaling. A value in the range of the new
    /// type is converted as by `astype` of `NumPy`: an integer stays the same integer, or is rounded
    /// to the nearest float, and a float is rounded towards 0 to an integer. A value beyond the range
    /// of an integer type becomes the nearest limit of the type, and NaN becomes 0.
    ///
    /// Replaces an earlier [`View::scaled`] or [`View::normalised`].
    #[must_use]
    pub fn converted(&self, dtype: Dtype) -> Self {
        self.looking(|look| look.values = Values::Converted(dtype))
    }

    /// A view that keeps decoded chunks in `cache`, and decodes only chunks that the cache does not
    /// hold. Returns the same voxels. Decodes whole chunks, even if one read alone needs only a part
    /// of a chunk.
    #[must_use]
    pub fn cached(&self, cache: &ChunkCache) -> Self {
        self.looking(|look| look.memory.cache = Some(cache.clone()))
    }

    /// Tells the system that a region will soon be read, in all frames of this view, so that the
    /// system fetches pages that are not in memory yet. Ignores the part of the region outside of the
    /// volume. A read does so for its own region; call this for the regions after that. Opens the
    /// shards that the region touches, decodes nothing, and does not wait for the pages. Where files
    /// are not mapped, shards are opened, and no page is fetched.
    ///
    /// # Errors
    /// [`crate::Error::CorruptStore`], [`crate::Error::Io`], [`crate::Error::Replaced`].
    pub fn prefetch(&self, region: Region) -> Result<()> {
        self.shown().try_for_each(|frame| self.look.announce(frame, region))
    }

    /// A view that returns voxels in the stored type, and not mirrored.
    pub(crate) fn as_stored(&self) -> Self {
        self.looking(|look| (look.values, look.flips) = (Values::Stored, [false; 3]))
    }

    /// A view that uses these decoded chunks of its volume.
    pub(crate) fn holding(&self, chunks: &Arc<HeldChunks>) -> Self {
        self.looking(|look| look.memory.held = Some(Arc::clone(chunks)))
    }

    fn looking(&self, change: impl FnOnce(&mut Look)) -> Self {
        let mut view = self.clone();
        change(&mut view.look);
        view
    }

    pub(crate) fn look(&self) -> &Look {
        &self.look
    }

    /// The frames of a patch, in the order of its channels.
    pub(crate) fn shown(&self) -> impl ExactSizeIterator<Item = Frame> + '_ {
        self.frames.clone().map(|n| self.volume().frame_of(n))
    }

    /// The frame of this number in a patch, below [`Self::channels`].
    pub(crate) fn frame_at(&self, number: usize) -> Frame {
        self.volume().frame_of(self.frames.start + number)
    }

    pub(crate) fn padding(&self) -> Option<Padding> {
        self.look.padding
    }

    /// Refuses a padding whose constant the returned type cannot hold.
    pub(crate) fn check_padding(&self) -> Result<()> {
        self.padding().map_or(Ok(()), |padding| padding.check(self.returned_dtype()))
    }

    /// A description of how this view changes the voxels of the source; empty if it does not. An
    /// aggregation compares descriptions to find out whether two views return the same voxels.
    pub(crate) fn words(&self) -> String {
        match (self.look.values, self.look.flips) {
            (Values::Source, [false, false, false]) => String::new(),
            (values, flips) => {
                let axes = ["z", "y", "x"].into_iter().zip(flips);
                let axes: Vec<_> = axes.filter_map(|(axis, flip)| flip.then_some(axis)).collect();
                let mirrored = match &axes[..] {
                    [] => String::new(),
                    axes => format!(", mirrored along {}", axes.join(" and ")),
                };
                format!(" ({}{mirrored})", values.words())
            }
        }
    }
}

impl View {
    /// The frame of this view.
    pub(crate) fn looks_at(&self) -> Frame {
        self.volume().frame_of(self.frames.start)
    }
}
