//! Which images of a subject are wanted, and how they are looked at.

use std::fmt;
use std::sync::Arc;

use crate::store::{View, Volume};
use crate::{Error, Frame, Frames, Padding, Result};

type Change = Arc<dyn Fn(View) -> Result<View> + Send + Sync>;

/// An image of each subject, and how it is looked at.
#[derive(Clone)]
pub struct ImageRequest {
    name: String,
    frame: Option<Frame>,
    frames: Option<Frames>,
    /// Each with the words that tell it from others.
    views: Vec<(String, Change)>,
}

impl ImageRequest {
    /// The image of this name, voxels as the source has them.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), frame: None, frames: None, views: Vec::new() }
    }

    /// This time point and channel: [`View::frame`]. A volume of several frames of which none is
    /// chosen is an error, as its first may not be the one that is meant. With [`Self::frames`],
    /// the frame that patches are drawn by, if they are drawn by the voxels of this image.
    #[must_use]
    pub fn frame(mut self, frame: Frame) -> Self {
        self.frame = Some(frame);
        let words = format!("frame {},{}", frame.time, frame.channel);
        self.view(words, move |view| view.frame(frame))
    }

    /// Several frames, as the channels of patches `c, z, y, x`: [`View::frames`]. Patches
    /// and batches have them in [`super::Patch::frames`] and [`super::Batch::frames`].
    #[must_use]
    pub fn frames(self, frames: Frames) -> Self {
        Self { frames: Some(frames), ..self }
    }

    /// Real values as `f32`: [`View::scaled`].
    #[must_use]
    pub fn scaled(self) -> Self {
        self.view("scaled", |view| Ok(view.scaled()))
    }

    /// With voxels made up outside of the volume: [`View::padded`]. Without, a patch that leaves
    /// the volume is an error.
    #[must_use]
    pub fn padded(self, padding: Padding) -> Self {
        self.view(format!("padded {padding}"), move |view| Ok(view.padded(padding)))
    }

    /// Any other view, after those that were asked for before. It is made each time a subject is
    /// opened. `words` tell it from other views: a [`super::StreamState`] is for a stream that uses
    /// the same.
    #[must_use]
    pub fn view(
        mut self,
        words: impl Into<String>,
        view: impl Fn(View) -> Result<View> + Send + Sync + 'static,
    ) -> Self {
        self.views.push((words.into(), Arc::new(view)));
        self
    }

    /// Name of the image.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The frames that are the channels of its patches; `None` if a patch is of one frame.
    pub(super) fn channels(&self) -> Option<Frames> {
        self.frames
    }

    /// The view to read by; of several frames, [`Self::channels`] are taken.
    pub(super) fn apply(&self, volume: &Volume) -> Result<View> {
        let view = self.views.iter().try_fold(volume.view(), |view, (_, change)| change(view))?;
        match self.frames {
            Some(frames) => view.frames(frames).map(drop)?,
            None if !self.names_a_frame(&view) => {
                let reason = format!(
                    "it has {}, and none is chosen: name one by ImageRequest::frame, or take \
                     several as channels by ImageRequest::frames",
                    frames_of(view.volume())
                );
                return Err(Error::invalid("image", &self.name, reason));
            }
            None => {}
        }
        Ok(view)
    }

    /// Whether it is clear which frame the view of this request shows.
    pub(super) fn names_a_frame(&self, view: &View) -> bool {
        self.frame.is_some() || looks_at_one(view)
    }
}

/// Whether a view shows the only frame, or another than the first, which the plain view shows.
pub(super) fn looks_at_one(view: &View) -> bool {
    view.volume().times() * view.volume().channels() == 1 || view.looks_at() != Frame::default()
}

/// How many frames there are, in words.
pub(super) fn frames_of(volume: &Volume) -> String {
    format!("{} time points and {} channels", volume.times(), volume.channels())
}

impl fmt::Debug for ImageRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let views: Vec<_> = self.views.iter().map(|(words, _)| words).collect();
        let mut shown = f.debug_struct("ImageRequest");
        shown.field("name", &self.name).field("frame", &self.frame).field("views", &views);
        // States of streams of single frames are from before there was another kind.
        if let Some(frames) = self.frames {
            shown.field("frames", &frames.to_string());
        }
        shown.finish()
    }
}
