//! Subjects that are open: the handles of their images, and their prepared sampler.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use super::request::ImageRequest;
use crate::Result;
use crate::exec::locked;
use crate::query::aligned::check_grid;
use crate::sample::{Regions, Sampler};
use crate::store::{Dataset, Volume, VolumeName};

/// A subject whose images were opened and found to be of one grid.
#[derive(Debug)]
pub(super) struct OpenSubject {
    /// In the order of the requests.
    pub(super) images: Vec<Volume>,
    pub(super) regions: Arc<dyn Regions>,
}

impl OpenSubject {
    /// Opens `images` of a subject and prepares `sampler` for the one called `sampled`.
    pub(super) fn open(
        dataset: &Dataset,
        subject: &str,
        images: &[ImageRequest],
        sampled: &str,
        sampler: &dyn Sampler,
    ) -> Result<Self> {
        let open = |image: &str| dataset.open_volume(&VolumeName::new(subject, image)?);
        let views: Vec<_> =
            images.iter().map(|image| image.apply(open(image.name())?)).collect::<Result<_>>()?;
        let field = match images.iter().position(|image| image.name() == sampled) {
            Some(n) => views[n].clone(),
            None => open(sampled)?,
        };
        for other in views[1..].iter().chain([&field]) {
            check_grid(&views[0], other)?;
        }
        Ok(Self { images: views, regions: sampler.prepare(Arc::new(field))? })
    }

    /// Bytes of the voxels of a patch.
    pub(super) fn patch_bytes(&self, shape: [usize; 3]) -> usize {
        let item = |image: &Volume| image.returned_dtype().size();
        let bytes = shape.into_iter().fold(1_usize, usize::saturating_mul);
        bytes.saturating_mul(self.images.iter().map(item).sum())
    }
}

/// The subjects used last. Two threads that want one at once open it once.
#[derive(Debug)]
pub(super) struct OpenSubjects {
    most: usize,
    slots: Mutex<Slots>,
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
        Self { most, slots: Mutex::default() }
    }

    /// As many, with none open; no lock of these is taken.
    pub(super) fn anew(&self) -> Self {
        Self::new(self.most)
    }

    /// The subject of this number, opened now if it is not. What failed is tried again next time.
    pub(super) fn get(
        &self,
        subject: usize,
        open: impl FnOnce() -> Result<OpenSubject>,
    ) -> Result<Arc<OpenSubject>> {
        let slot = locked(&self.slots).slot(subject, self.most);
        let mut slot = locked(&slot);
        if let Some(subject) = &*slot {
            return Ok(Arc::clone(subject));
        }
        Ok(Arc::clone(slot.insert(Arc::new(open()?))))
    }
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
