//! From a place in the order of an epoch to a patch.

use std::sync::Arc;

use super::batch::Batch;
use super::next::Next;
use super::options::StreamOptions;
use super::order::{Order, Place};
use super::patch::{Origin, padding};
use super::request::ImageRequest;
use super::subjects::{OpenSubject, OpenSubjects, until_in_place};
use crate::exec::caught;
use crate::query::buffer::Spare;
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
    /// Memory of patches and batches that were dropped.
    spare: Arc<Spare>,
}

impl Reader {
    pub(super) fn new(
        dataset: Dataset,
        subjects: Vec<String>,
        sampler: Arc<dyn Sampler>,
        options: &StreamOptions,
    ) -> Self {
        let images = options.images.clone();
        // Of each image what each worker fills next, and what the caller drops meanwhile.
        let spare = Spare::new(images.len() * (options.workers + 2));
        Self {
            dataset,
            seeds: subjects.iter().map(|subject| seed_of(options.seed, subject)).collect(),
            subjects,
            names: images.iter().map(|image| image.name().into()).collect(),
            images,
            sampled: options.sampled().to_owned(),
            sampler,
            open: OpenSubjects::new(options.open_subjects),
            spare,
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
            spare: self.spare.anew(),
        }
    }

    /// Reads the patches at these positions of an epoch, behind those that a batch has. An empty
    /// batch gets memory for `size` patches; one that is not has room for as many as come.
    ///
    /// # Errors
    /// Of the first patch that cannot be read; those before it are in the batch. [`Error::Subject`],
    /// or [`Error::InvalidArgument`] if the patch does not fit to those before it.
    pub(super) fn fill(
        &self,
        batch: &mut Batch,
        size: usize,
        order: &Order,
        positions: impl Iterator<Item = u64>,
    ) -> Result<()> {
        for position in positions {
            let place = order.at(position);
            let count = order.draws(place.subject);
            let read = self.guarded(place.subject, || {
                until_in_place(|| self.read(batch, size, order.epoch(), place, count, position))
            });
            batch.origins.push(read??);
        }
        Ok(())
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

    /// Reads the patch of one place behind those of a batch, of images that are in their places
    /// when it is begun; or of those that were, where all that is needed of them is open. `count`
    /// is the number of draws that the order has of the subject.
    ///
    /// The inner error is of a patch that does not fit to those before it.
    fn read(
        &self,
        batch: &mut Batch,
        size: usize,
        epoch: u64,
        place: Place,
        count: u64,
        position: u64,
    ) -> Result<Result<Origin>> {
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
        let Batch { origins: before, images, frames } = batch;
        let next = Next { before, origin: &origin, size, spare: &self.spare };
        for ((name, request), view) in self.names.iter().zip(&self.images).zip(&open.images) {
            let fits = match request.channels() {
                None => next.read(name, view, images)?,
                Some(of) => next.read(name, &view.frames(of)?, frames)?,
            };
            if let Err(error) = fits {
                return Ok(Err(error));
            }
        }
        Ok(Ok(origin))
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
