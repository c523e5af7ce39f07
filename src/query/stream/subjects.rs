//! Subjects that are open: the views of their images, and their prepared sampler.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use super::request::{ImageRequest, frames_of, looks_at_one};
use crate::exec::locked;
use crate::query::aligned::check_grid;
use crate::sample::{Regions, Sampler};
use crate::store::{Dataset, View, VolumeName};
use crate::{Error, Result};

/// A subject whose images were opened and found to be of one grid. All of them were in their places
/// at one moment, so that what is read of them belongs together.
#[derive(Debug)]
pub(super) struct OpenSubject {
    /// In the order of the requests.
    pub(super) images: Vec<View>,
    /// The image that is sampled, which may be another.
    field: View,
    pub(super) regions: Arc<dyn Regions>,
    /// Bytes of a voxel of all images and their frames together.
    item: usize,
}

impl OpenSubject {
    /// Opens `images` of a subject and prepares `sampler` for the one called `sampled`: all of them
    /// again if one is replaced meanwhile.
    pub(super) fn open(
        dataset: &Dataset,
        subject: &str,
        images: &[ImageRequest],
        sampled: &str,
        sampler: &dyn Sampler,
    ) -> Result<Self> {
        until_in_place(|| {
            let open = Self::open_once(dataset, subject, images, sampled, sampler)?;
            open.check_in_place()?;
            Ok(open)
        })
    }

    fn open_once(
        dataset: &Dataset,
        subject: &str,
        images: &[ImageRequest],
        sampled: &str,
        sampler: &dyn Sampler,
    ) -> Result<Self> {
        let open = |image: &str| dataset.open_volume(&VolumeName::new(subject, image)?);
        let views: Vec<_> =
            images.iter().map(|image| image.apply(&open(image.name())?)).collect::<Result<_>>()?;
        let asked = images.iter().position(|image| image.name() == sampled);
        let field = asked.map_or_else(|| Ok(open(sampled)?.view()), |n| Ok(views[n].clone()))?;
        let is_clear =
            asked.map_or_else(|| looks_at_one(&field), |n| images[n].names_a_frame(&field));
        if sampler.follows_voxels() && !is_clear {
            return Err(unclear(field.volume(), sampled));
        }
        for other in views[1..].iter().chain([&field]) {
            check_grid(views[0].volume(), other.volume())?;
        }
        let regions = sampler.prepare(Arc::new(field.clone()))?;
        let item = |(view, image): (&View, &ImageRequest)| {
            let frames = image.channels().map_or(Ok(1), |of| Ok(view.frames(of)?.channels()));
            Ok(view.returned_dtype().size() * frames?)
        };
        let item = views.iter().zip(images).map(item).sum::<Result<_>>()?;
        Ok(Self { images: views, field, regions, item })
    }

    /// Refuses to go on if one of the volumes was replaced or has gone since.
    fn check_in_place(&self) -> Result<()> {
        self.images.iter().try_for_each(|image| image.volume().check_in_place())?;
        // Otherwise it was looked at above.
        let field = self.field.volume();
        let is_apart = self.images.iter().all(|image| image.volume().name() != field.name());
        if is_apart { field.check_in_place() } else { Ok(()) }
    }

    /// Bytes of the voxels of a patch.
    pub(super) fn patch_bytes(&self, shape: [usize; 3]) -> usize {
        shape.into_iter().fold(self.item, usize::saturating_mul)
    }
}

/// Of the image that patches are drawn by, no frame is chosen.
fn unclear(field: &crate::Volume, sampled: &str) -> Error {
    let reason = format!(
        "patches are drawn by it, it has {}, and none is chosen: have it among the images, with \
         ImageRequest::frame to name the one to draw by (and ImageRequest::frames beside it, if \
         several are read)",
        frames_of(field)
    );
    Error::invalid("image", sampled, reason)
}

/// The subjects used last. Two threads that want one at once open it once.
#[derive(Debug)]
pub(super) struct OpenSubjects {
    most: usize,
    slots: Mutex<Slots>,
    /// How often one was found to be replaced.
    replaced: AtomicU64,
}

/// Locked while the subject in it is being opened.
type Slot = Arc<Mutex<Option<Arc<OpenSubject>>>>;

#[derive(Debug, Default)]
struct Slots {
    /// By number of the subject, with the time of last use.
    by_subject: HashMap<usize, (u64, Slot)>,
    /// Counts uses.
    clock: u64,
}

impl OpenSubjects {
    /// Keeps up to `most` subjects open, at least 1; those in use by a thread besides.
    pub(super) fn new(most: usize) -> Self {
        Self { most, slots: Mutex::default(), replaced: AtomicU64::new(0) }
    }

    /// As many, with none open; no lock of these is taken.
    pub(super) fn anew(&self) -> Self {
        Self { replaced: AtomicU64::new(self.replaced()), ..Self::new(self.most) }
    }

    /// How often a subject was found to be replaced.
    pub(super) fn replaced(&self) -> u64 {
        self.replaced.load(Ordering::Relaxed)
    }

    /// The subject of this number, opened now if it is not, or not as it is in place. What failed
    /// is tried again next time.
    pub(super) fn get(
        &self,
        subject: usize,
        open: impl FnOnce() -> Result<OpenSubject>,
    ) -> Result<Arc<OpenSubject>> {
        let slot = locked(&self.slots).slot(subject, self.most);
        let mut slot = locked(&slot);
        if let Some(subject) = &*slot {
            match subject.check_in_place() {
                Ok(()) => return Ok(Arc::clone(subject)),
                Err(Error::Replaced { .. }) => {
                    self.replaced.fetch_add(1, Ordering::Relaxed);
                    *slot = None;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(Arc::clone(slot.insert(Arc::new(open()?))))
    }
}

/// So often in a row is a volume that was just replaced opened again.
const TRIES: usize = 8;

/// Does `work` again, on volumes that it opens, as long as one of them is replaced meanwhile.
pub(super) fn until_in_place<T>(mut work: impl FnMut() -> Result<T>) -> Result<T> {
    for _ in 1..TRIES {
        match work() {
            Err(Error::Replaced { .. }) => {}
            done => return done,
        }
    }
    work()
}

impl Slots {
    fn slot(&mut self, subject: usize, most: usize) -> Slot {
        self.clock += 1;
        if self.by_subject.len() >= most && !self.by_subject.contains_key(&subject) {
            let oldest = self.by_subject.iter().min_by_key(|(_, (used, _))| *used);
            let oldest = oldest.map(|(subject, _)| *subject);
            oldest.and_then(|oldest| self.by_subject.remove(&oldest));
        }
        let (used, slot) = self.by_subject.entry(subject).or_default();
        *used = self.clock;
        Arc::clone(slot)
    }
}
