//! What a stream is told.

use serde::{Deserialize, Serialize};

use super::request::ImageRequest;
use super::share::Remainder;
use crate::setters::setters;
use crate::{Error, Result};

/// What a [`super::PatchStream`] gives, in which order, and how it works.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct StreamOptions {
    /// The images read at each place, of one grid: the same shape, and affines that agree to a
    /// hundredth of a voxel. By default one, called `image`.
    pub images: Vec<ImageRequest>,
    /// The image that the sampler is told about, of the same grid; without, the first of
    /// [`Self::images`]. One of them is sampled as its views show it; another is not read for the
    /// patches. Of a volume of several frames whose voxels decide what is drawn, one has to be
    /// chosen: have it among the images, with [`ImageRequest::frame`].
    pub sample_by: Option<String>,
    /// Patches of each subject in each epoch, for samplers that draw at random without end; 8 by
    /// default. Of others, such as grids, every draw is taken once.
    pub patches_per_visit: usize,
    /// Patches that are shuffled among each other; 256 by default, 0 or 1 for subject after
    /// subject. It costs no memory, but the subjects of a window
    /// (`shuffle_window / patches_per_visit`) are in use together: see [`Self::open_subjects`].
    pub shuffle_window: usize,
    /// What the order and all draws follow from, together with the epoch.
    pub seed: u64,
    /// The epoch to begin with.
    pub epoch: u64,
    /// Which of the processes that share an epoch this is, from 0.
    pub rank: u32,
    /// How many processes share an epoch; 1 by default. All must be given the same options but
    /// for [`Self::rank`].
    pub world: u32,
    /// What becomes of the last patches, if they are fewer than the processes.
    pub remainder: Remainder,
    /// Threads that read ahead of the consumer; 1 by default. With 0 the consumer's own thread
    /// reads each patch when it is asked for. What is given, and in which order, does not depend
    /// on it.
    pub workers: usize,
    /// Bytes of voxels that may be read ahead, those being read included; 64 MiB by default. One
    /// patch, or one batch, for each worker may be, whatever it takes.
    pub ahead_bytes: usize,
    /// Subjects kept open between patches, those used last; 64 by default. With fewer than a
    /// window has, one is opened again for nearly every patch: that reads a few small files for
    /// each of its images, and prepares the sampler. An open subject holds metadata, and one memory
    /// mapping, without a file descriptor, for each shard that was read; systems allow a process
    /// some ten thousand of them (Linux: `vm.max_map_count`).
    pub open_subjects: usize,
    /// What to do about a subject that cannot be read.
    pub on_error: OnError,
}

setters!(StreamOptions {
    images: Vec<ImageRequest>,
    sample_by: Option<String>,
    patches_per_visit: usize,
    shuffle_window: usize,
    seed: u64,
    epoch: u64,
    rank: u32,
    world: u32,
    remainder: Remainder,
    workers: usize,
    ahead_bytes: usize,
    open_subjects: usize,
    on_error: OnError,
});

impl Default for StreamOptions {
    fn default() -> Self {
        Self {
            images: vec![ImageRequest::new("image")],
            sample_by: None,
            patches_per_visit: 8,
            shuffle_window: 256,
            seed: 0,
            epoch: 0,
            rank: 0,
            world: 1,
            remainder: Remainder::Drop,
            workers: 1,
            ahead_bytes: 64 << 20,
            open_subjects: 64,
            on_error: OnError::Fail,
        }
    }
}

/// What to do about a subject that cannot be opened, sampled or read. Either way nothing is given
/// that was not checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnError {
    /// Give the error, which names the subject, and end.
    #[default]
    Fail,
    /// Leave out the patch, keep count ([`super::PatchStream::skipped`]) and go on. Other patches
    /// stay where they are. A panic ends the stream all the same.
    Skip,
}

impl OnError {
    /// Whether an error of a stream is passed over.
    pub(super) fn skips(self, error: &Error) -> bool {
        let Error::Subject { source, .. } = error else { return false };
        self == Self::Skip && !matches!(**source, Error::Panicked { .. })
    }
}

/// More threads than this are a mistake.
const MOST_WORKERS: usize = 1024;

impl StreamOptions {
    pub(super) fn check(&self) -> Result<()> {
        let least = |what, n: usize| match n {
            0 => Err(Error::invalid(what, n, "at least 1 is needed")),
            _ => Ok(()),
        };
        least("number of images", self.images.len())?;
        for (n, image) in self.images.iter().enumerate() {
            if self.images[..n].iter().any(|other| other.name() == image.name()) {
                return Err(Error::invalid("image", image.name(), "it is asked for twice"));
            }
        }
        least("patches per visit", self.patches_per_visit)?;
        least("open subjects", self.open_subjects)?;
        if self.rank >= self.world {
            let reason = format!("ranks are 0 to world - 1, and the world is {}", self.world);
            return Err(Error::invalid("rank", self.rank, reason));
        }
        if self.workers > MOST_WORKERS {
            let reason = format!("use 0 to {MOST_WORKERS}; one for each processor is plenty");
            return Err(Error::invalid("workers", self.workers, reason));
        }
        Ok(())
    }

    /// Name of the image that the sampler is told about.
    pub(super) fn sampled(&self) -> &str {
        self.sample_by.as_deref().unwrap_or_else(|| self.images[0].name())
    }
}
