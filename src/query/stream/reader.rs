//! From a place in the order of an epoch to a patch.

use std::sync::Arc;

use super::options::StreamOptions;
use super::order::{Order, Place};
use super::patch::{Origin, Patch, padding};
use super::request::ImageRequest;
use super::subjects::{OpenSubject, OpenSubjects, until_in_place};
use crate::exec::caught;
use crate::sample::{Draw, Sampler};
use crate::store::{Dataset, Volume, VolumeName};
use crate::{Error, Result};

/// What all threads of a stream read with.
#[derive(Debug)]
pub(super) struct Reader {
    dataset: Dataset,
    pub(super) subjects: Vec<String>,
    /// For each subject, the seed of its draws.
    seeds: Vec<u64>,
    images: Vec<ImageRequest>,
    /// The images' names, shared with the patches.
    names: Vec<Arc<str>>,
    sampled: String,
    pub(super) sampler: Arc<dyn Sampler>,
    open: OpenSubjects,
}

impl Reader {
    pub(super) fn new(
        dataset: Dataset,
        subjects: Vec<String>,
        sampler: Arc<dyn Sampler>,
        options: &StreamOptions,
    ) -> Self {
        let images = options.images.clone();
        Self {
            dataset,
            seeds: subjects.iter().map(|subject| seed_of(options.seed, subject)).collect(),
            subjects,
            names: images.iter().map(|image| image.name().into()).collect(),
            images,
            sampled: options.sampled().to_owned(),
            sampler,
            open: OpenSubjects::new(options.open_subjects),
        }
    }

    /// The same, with no subject open.
    pub(super) fn anew(&self) -> Self {
        Self {
            dataset: self.dataset.clone(),
            subjects: self.subjects.clone(),
            seeds: self.seeds.clone(),
            images: self.images.clone(),
            names: self.names.clone(),
            sampled: self.sampled.clone(),
            sampler: Arc::clone(&self.sampler),
            open: self.open.anew(),
        }
    }

    /// The patch at a position of an epoch.
    ///
    /// # Errors
    /// [`Error::Subject`].
    pub(super) fn patch(&self, order: &Order, position: u64) -> Result<Patch> {
        let place = order.at(position);
        self.guarded(place.subject, || {
            let count = order.draws(place.subject);
            until_in_place(|| self.read(order.epoch(), place, count, position))
        })
    }

    /// The subject of this number, kept open.
    ///
    /// # Errors
    /// [`Error::Subject`].
    pub(super) fn subject(&self, n: usize) -> Result<Arc<OpenSubject>> {
        self.guarded(n, || self.open(n))
    }

    /// How often a subject was found to be replaced.
    pub(super) fn replaced(&self) -> u64 {
        self.open.replaced()
    }

    /// The volume of a subject that the sampler is told about, opened anew.
    pub(super) fn sampled_volume(&self, subject: usize) -> Result<Volume> {
        self.dataset.open_volume(&VolumeName::new(&self.subjects[subject], &self.sampled)?)
    }

    fn open(&self, subject: usize) -> Result<Arc<OpenSubject>> {
        self.open.get(subject, || {
            let name = &self.subjects[subject];
            OpenSubject::open(&self.dataset, name, &self.images, &self.sampled, &*self.sampler)
        })
    }

    /// Names the subject in whatever goes wrong, a panic of a sampler or a view included. A panic
    /// leaves nothing half done: what locks guard is replaced as a whole.
    fn guarded<T>(&self, subject: usize, work: impl FnOnce() -> Result<T>) -> Result<T> {
        caught("reading a patch", work).map_err(|error| {
            let subject = self.subjects[subject].clone();
            Error::Subject { subject, source: Box::new(error) }
        })
    }

    /// The patch of one place, of images that are in their places when it is begun; or of those
    /// that were, where all that is needed of them is open. `count` is the number of draws that the
    /// order has of the subject.
    fn read(&self, epoch: u64, place: Place, count: u64, position: u64) -> Result<Patch> {
        let Place { subject, draw: index } = place;
        let open = self.open(subject)?;
        if let Some(now) = open.regions.count().filter(|now| *now != count) {
            let reason = format!(
                "the sampler had {count} when the stream was made: a volume was replaced by one of \
                 another shape; make the stream anew"
            );
            return Err(Error::invalid("number of draws", now, reason));
        }
        let draw = Draw { seed: self.seeds[subject], epoch, index };
        let sample = open.regions.draw(draw)?;
        let (mut images, mut frames) = (Vec::new(), Vec::new());
        for ((name, request), view) in self.names.iter().zip(&self.images).zip(&open.images) {
            let (name, region) = (Arc::clone(name), sample.region);
            match request.channels() {
                None => images.push((name, view.read_any(region)?)),
                Some(of) => frames.push((name, view.frames(of)?.read_any(region)?)),
            }
        }
        let first = open.images[0].volume();
        let origin = Origin {
            subject: self.subjects[subject].clone(),
            region: sample.region,
            padding: padding(&sample.region, first.shape()),
            affine: first.affine().shifted(sample.region.start),
            spacing: first.spacing(),
            choice: sample.choice,
            draw,
            position,
        };
        Ok(Patch { origin, images, frames })
    }
}

/// The seed of a subject's draws: of its name, so that they stay the same when others come and go.
fn seed_of(seed: u64, subject: &str) -> u64 {
    let mut digest = blake3::Hasher::new();
    digest.update(&seed.to_le_bytes()).update(subject.as_bytes());
    let mut bytes = [0; 8];
    digest.finalize_xof().fill(&mut bytes);
    u64::from_le_bytes(bytes)
}
