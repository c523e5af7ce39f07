//! Which images of a subject are wanted, and how they are looked at.

use std::fmt;
use std::sync::Arc;

use crate::store::Volume;
use crate::{Error, Frame, Padding, Result};

type View = Arc<dyn Fn(Volume) -> Result<Volume> + Send + Sync>;

/// An image of each subject, and how its handle decides what is returned.
#[derive(Clone)]
pub struct ImageRequest {
    name: String,
    frame: Option<Frame>,
    /// Each with the words that tell it from others.
    views: Vec<(String, View)>,
}

impl ImageRequest {
    /// The image of this name, voxels as the source has them.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), frame: None, views: Vec::new() }
    }

    /// This time point and channel: [`Volume::frame`]. A volume of several frames of which none is
    /// chosen is an error, as its first may not be the one that is meant.
    #[must_use]
    pub fn frame(mut self, frame: Frame) -> Self {
        self.frame = Some(frame);
        let words = format!("frame {},{}", frame.time, frame.channel);
        self.view(words, move |volume| volume.frame(frame))
    }

    /// Real values as `f32`: [`Volume::scaled`].
    #[must_use]
    pub fn scaled(self) -> Self {
        self.view("scaled", |volume| Ok(volume.scaled()))
    }

    /// With voxels made up outside of the volume: [`Volume::padded`]. Without, a patch that leaves
    /// the volume is an error.
    #[must_use]
    pub fn padded(self, padding: Padding) -> Self {
        self.view(format!("padded {padding}"), move |volume| Ok(volume.padded(padding)))
    }

    /// Any other view, after those that were asked for before. It is made each time a subject is
    /// opened. `words` tell it from other views: a [`super::StreamState`] is for a stream that uses
    /// the same.
    #[must_use]
    pub fn view(
        mut self,
        words: impl Into<String>,
        view: impl Fn(Volume) -> Result<Volume> + Send + Sync + 'static,
    ) -> Self {
        self.views.push((words.into(), Arc::new(view)));
        self
    }

    /// Name of the image.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The handle to read from.
    pub(super) fn apply(&self, volume: Volume) -> Result<Volume> {
        let frames = volume.times() * volume.channels();
        let volume = self.views.iter().try_fold(volume, |volume, (_, view)| view(volume))?;
        if frames > 1 && self.frame.is_none() && volume.is_first_frame() {
            let reason = format!(
                "it has {} time points and {} channels, and patches are of one of them: choose it \
                 by ImageRequest::frame",
                volume.times(),
                volume.channels()
            );
            return Err(Error::invalid("image", &self.name, reason));
        }
        Ok(volume)
    }
}

impl fmt::Debug for ImageRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let views: Vec<_> = self.views.iter().map(|(words, _)| words).collect();
        f.debug_struct("ImageRequest")
            .field("name", &self.name)
            .field("frame", &self.frame)
            .field("views", &views)
            .finish()
    }
}
