//! How a volume is looked at: which frames of it, and how their voxels are returned.

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

/// A way to look at a volume: one frame of it, or several as the channels of a patch, and how voxels
/// are returned. Cheap to clone, for any number of threads; all views of a volume share its opened
/// shards.
///
/// [`Volume::view`] gives the plain one: the first frame, voxels in the type of the source, nothing
/// outside of the volume. Each method that is named for a way to look gives another view, and leaves
/// this one as it is. A view reads in three ways, one patch or many at once: as a type that the code
/// names ([`View::read`], [`View::read_many`]), as whatever type it is ([`View::read_any`],
/// [`View::read_many_any`]), and into memory of any layout ([`View::read_bytes`],
/// [`View::read_many_bytes`]).
#[derive(Debug, Clone)]
pub struct View<D: Axes = Ix3> {
    look: Look,
    /// Numbers of the frames, counted in the order of time, then channel; one of `z, y, x` alone.
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
    /// The volume that is looked at.
    #[must_use]
    pub fn volume(&self) -> &Volume {
        &self.look.volume
    }

    /// Type of the voxels that are returned: that of the source, unless the view is to return
    /// another.
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
    /// then channel. The frames that this view shows make no difference.
    ///
    /// # Errors
    /// [`crate::Error::InvalidArgument`] if the time point is not there, or of several none is
    /// chosen.
    pub fn frames(&self, frames: Frames) -> Result<View<Ix4>> {
        let mut of = frames.of(self.volume().times(), self.volume().channels())?;
        let count = of.len();
        let first = of.next().map_or(Ok(0), |frame| self.volume().number_of(frame))?;
        Ok(View { look: self.look.clone(), frames: first..first + count, axes: PhantomData })
    }

    /// A view that fills what lies outside of the volume; without, such reads are errors. A constant
    /// must be one that the returned type holds: [`View::converted`] gives another.
    #[must_use]
    pub fn padded(&self, padding: Padding) -> Self {
        self.looking(|look| look.padding = Some(padding))
    }

    /// A view that returns each patch mirrored along these axes, `z, y, x`: the same region, its
    /// last voxel first. What pads it is mirrored with it. Twice is not at all.
    #[must_use]
    pub fn flipped(&self, axes: [bool; 3]) -> Self {
        self.looking(|look| look.flips = std::array::from_fn(|a| look.flips[a] != axes[a]))
    }

    /// A view that returns real values as `f32`: stored voxel x slope + intercept, where the
    /// source had such a scaling, computed in `f64` and rounded once. Read it as `f32`.
    ///
    /// Of this, [`View::normalised`] and [`View::converted`] the last one counts.
    #[must_use]
    pub fn scaled(&self) -> Self {
        self.looking(|look| look.values = Values::Real)
    }

    /// A view that returns normalised real values as `f32`: `(clip(v) - mean) / std` of the
    /// values that [`View::scaled`] returns, computed in `f64` and rounded once.
    /// [`Volume::z_score`] and its neighbours give the numbers of a volume.
    ///
    /// Of this, [`View::scaled`] and [`View::converted`] the last one counts.
    ///
    /// # Errors
    /// [`crate::Error::InvalidArgument`] for labels, a deviation that is not greater than 0, and
    /// bounds that are not finite and in order.
    pub fn normalised(&self, normalise: Normalise) -> Result<Self> {
        self.volume().measurements()?;
        let normalise = normalise.checked()?;
        Ok(self.looking(|look| look.values = Values::Normalised(normalise)))
    }

    /// A view that returns voxels as another type, not scaled. What fits becomes what `astype` of
    /// `NumPy` makes of it: integers stay what they are, to become floats they are rounded to
    /// nearest, and floats are cut off towards 0 to become integers. An integer type gives its
    /// least or its greatest for what does not fit, and 0 for NaN.
    ///
    /// Of this, [`View::scaled`] and [`View::normalised`] the last one counts.
    #[must_use]
    pub fn converted(&self, dtype: Dtype) -> Self {
        self.looking(|look| look.values = Values::Converted(dtype))
    }

    /// A view that keeps the chunks which it decodes in `cache`, and takes from there the chunks
    /// that are there. It returns the same voxels. Chunks are then decoded as a whole, even where
    /// less would do for one read alone.
    #[must_use]
    pub fn cached(&self, cache: &ChunkCache) -> Self {
        self.looking(|look| look.memory.cache = Some(cache.clone()))
    }

    /// Tells the system that a region will soon be read, in all frames of this view, so that what of
    /// it is not in memory is fetched meanwhile; what lies outside of the volume is left out. Reading
    /// does this by itself, for one region: whoever knows the next ones can have them fetched too.
    /// Opens the shards that the region touches, decodes nothing, and does not wait for the rest.
    /// Does nothing more where files are not mapped.
    ///
    /// # Errors
    /// [`crate::Error::CorruptStore`], [`crate::Error::Io`], [`crate::Error::Replaced`].
    pub fn prefetch(&self, region: Region) -> Result<()> {
        self.shown().try_for_each(|frame| self.look.announce(frame, region))
    }

    /// A view that returns voxels in the type that is on disk, and not mirrored.
    pub(crate) fn as_stored(&self) -> Self {
        self.looking(|look| (look.values, look.flips) = (Values::Stored, [false; 3]))
    }

    /// A view that takes these chunks, which are of its volume, from here.
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

    /// Refuses a padding that cannot be of the type which this view returns.
    pub(crate) fn check_padding(&self) -> Result<()> {
        self.padding().map_or(Ok(()), |padding| padding.check(self.returned_dtype()))
    }

    /// How this view's voxels are other than the source's, in words of no one's interest but to
    /// tell two views apart; empty if they are not.
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
    /// The frame that this view shows.
    pub(crate) fn looks_at(&self) -> Frame {
        self.volume().frame_of(self.frames.start)
    }
}
