//! Which images of a subject are wanted, and how they are looked at.

use std::fmt;
use std::sync::Arc;

use crate::store::Volume;
use crate::{Padding, Result};

type View = Arc<dyn Fn(Volume) -> Result<Volume> + Send + Sync>;

/// An image of each subject, and how its handle decides what is returned.
#[derive(Clone)]
pub struct ImageRequest {
    name: String,
    /// Each with the words that tell it from others.
    views: Vec<(String, View)>,
}

impl ImageRequest {
    /// The image of this name, voxels as the source has them.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), views: Vec::new() }
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
        self.views.iter().try_fold(volume, |volume, (_, view)| view(volume))
    }
}

impl fmt::Debug for ImageRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let views: Vec<_> = self.views.iter().map(|(words, _)| words).collect();
        f.debug_struct("ImageRequest").field("name", &self.name).field("views", &views).finish()
    }
}
