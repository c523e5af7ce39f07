//! Patches of many subjects, shuffled, read ahead of whoever trains on them.
//!
//! ```
//! use std::sync::Arc;
//!
//! use voxpatch::sample::Sampler;
//! use voxpatch::stream::{ImageRequest, PatchStream, StreamOptions};
//! use voxpatch::{Dataset, Padding, Result};
//!
//! fn train(dataset: &Dataset, sampler: Arc<dyn Sampler>, epochs: usize) -> Result<()> {
//!     let ct = ImageRequest::new("ct").scaled().padded(Padding::Constant(-1024.0));
//!     let label = ImageRequest::new("label").padded(Padding::Edge);
//!     let images = vec![ct, label];
//!     let options =
//!         StreamOptions::default().images(images).sample_by(Some("label".into())).workers(4);
//!     let mut patches = PatchStream::new(dataset, dataset.subjects()?, sampler, &options)?;
//!     for _ in 0..epochs {
//!         for patch in &mut patches {
//!             let patch = patch?;
//!             let ct = patch.image("ct").and_then(|ct| ct.as_array::<f32>());
//!             // ... patch.origin tells where it comes from.
//!         }
//!         patches.next_epoch();
//!     }
//!     Ok(())
//! }
//! # let _ = train;
//! ```
//!
//! What is given, and in which order, follows from seed and epoch alone: position `p` of an epoch
//! is a certain draw of a certain subject, worked out when it is needed. So it is the same for any
//! number of workers; a stream is resumed from a few numbers; processes that share an epoch need
//! not speak with each other; and shuffling holds no voxels back.

mod ahead;
mod batch;
mod census;
mod next;
mod options;
mod order;
mod patch;
mod reader;
mod request;
mod running;
mod share;
mod skipped;
mod state;
mod stop;
mod subjects;

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use census::{Census, census, check_names};
use order::Order;
use reader::Reader;
use running::{Running, Start};
use share::Share;
use skipped::note;
use stop::Stop;

use crate::sample::Sampler;
use crate::store::Dataset;
use crate::{Error, Result};

pub use batch::{Batch, Batches};
pub use options::{OnError, StreamOptions};
pub use patch::{Origin, Patch};
pub use request::ImageRequest;
pub use share::Remainder;
pub use skipped::Skipped;
pub use state::{Configuration, StreamState};

/// The patches of one epoch after the other, as an iterator that ends with each epoch:
/// [`Self::next_epoch`] begins the next one.
///
/// Every subject is visited once per epoch, in an order of the epoch's own: the sampler draws
/// [`StreamOptions::patches_per_visit`] patches from it, or, if its draws are not without end (a
/// grid), each of them once. Patches are then shuffled within windows.
///
/// Workers are started by the first patch that is asked for, go on until the epoch ends, and are
/// stopped and waited for when the stream is dropped. The memory of a patch or a batch goes back to
/// the stream when it is dropped, for one to come: of each image as many as there are workers, and two more.
///
/// A volume may be replaced meanwhile ([`crate::ConvertOptions::overwrite`]). Each patch begins
/// with a look at its subject: if one of the volumes was replaced, all are opened again, and the
/// sampler is prepared for the new ones. Patches that were read ahead by then hold the old voxels,
/// those begun later the new ones, none holds both, and none is left out. A subject that cannot be
/// read any more is an error like any other: an image has gone or is on another grid than the
/// others, or a grid of patches has another number of places.
///
/// A process that is forked off in between has a copy of the stream, which goes on from the same
/// patch with workers of its own. Both then give the same patches: set [`StreamOptions::rank`] and
/// [`StreamOptions::world`] to share an epoch.
#[derive(Debug)]
pub struct PatchStream {
    reader: Arc<Reader>,
    options: StreamOptions,
    /// Draws of each subject in an epoch.
    counts: Vec<u64>,
    configuration: Configuration,
    /// Digest of what is drawn from, and how many replaced subjects were known then; made when a
    /// state is first asked for.
    draws: ArcSwapOption<(u64, String)>,
    /// Bytes that a patch is expected to take.
    expected: usize,
    order: Arc<Order>,
    share: Share,
    /// Positions of the share that were given or skipped.
    taken: u64,
    /// After an error.
    ended: bool,
    ahead: Option<Running>,
    stop: Stop,
    /// The process whose threads may hold locks of the reader.
    process: u32,
    skipped: Vec<Skipped>,
}

impl PatchStream {
    /// A stream at the beginning of [`StreamOptions::epoch`].
    ///
    /// Looks that every image of every subject is there, and opens the first subject; with a
    /// sampler whose draws are to be counted (a grid), every subject.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for no subjects, a subject or an image given twice, too few
    /// patches for every rank to get one, and numbers that make no sense; [`Error::NotFound`] for a
    /// subject or an image that the dataset does not have; [`Error::Subject`] if a subject cannot
    /// be opened: its images are damaged or of different grids, of several frames none is chosen,
    /// or the sampler finds nothing to draw. With [`OnError::Skip`] that is an error only if no subject can be opened.
    pub fn new(
        dataset: &Dataset,
        subjects: Vec<String>,
        sampler: Arc<dyn Sampler>,
        options: &StreamOptions,
    ) -> Result<Self> {
        options.check()?;
        check_names(dataset, &subjects, options)?;
        let options = options.clone();
        let reader = Reader::new(dataset.clone(), subjects, sampler, &options);
        let Census { counts, expected, skipped } = census(&reader, &options)?;
        let configuration = Configuration::new(&reader, &counts, &options);
        let total = counts.iter().try_fold(0_u64, |sum, &n| sum.checked_add(n));
        let Some(total) = total.filter(|&total| i64::try_from(total).is_ok()) else {
            let reason = "an epoch would have more than 2^63 patches";
            return Err(Error::invalid("patches per visit", options.patches_per_visit, reason));
        };
        let share = Share::new(options.rank, options.world, total, options.remainder);
        if share.count() == 0 {
            let reason = format!(
                "an epoch has {total} patches, too few for each of {} ranks to get one",
                options.world
            );
            return Err(Error::invalid("subjects", reader.subjects.len(), reason));
        }
        let order = Order::new(options.seed, options.epoch, options.shuffle_window, &counts);
        Ok(Self {
            reader: Arc::new(reader),
            counts,
            configuration,
            draws: ArcSwapOption::empty(),
            expected,
            order: Arc::new(order),
            share,
            taken: 0,
            ended: false,
            ahead: None,
            stop: Stop::default(),
            process: std::process::id(),
            skipped,
            options,
        })
    }

    /// The epoch that the next patch is of.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.order.epoch()
    }

    /// How many patches an epoch has for this rank, those that will be skipped included: as many
    /// as for each other rank.
    #[must_use]
    pub fn patches_per_epoch(&self) -> u64 {
        self.share.after(0).count()
    }

    /// How many of them are left, at most.
    #[must_use]
    pub fn remaining(&self) -> u64 {
        if self.ended { 0 } else { self.share.count() - self.taken }
    }

    /// Goes to the beginning of the epoch after this one, whether or not this one has ended.
    pub fn next_epoch(&mut self) {
        self.set_epoch(self.epoch().wrapping_add(1));
    }

    /// Goes to the beginning of an epoch.
    pub fn set_epoch(&mut self, epoch: u64) {
        self.restart(epoch, 0);
    }

    /// How far the stream has come; what was read ahead is not counted. After an error, the patch
    /// that it stands for is the next one.
    ///
    /// The first one, and the first after a subject was found to be replaced, opens the sampled
    /// volume of every subject, for the digest of its voxels; one that cannot be opened counts as
    /// one without voxels.
    #[must_use]
    pub fn state(&self) -> StreamState {
        StreamState {
            seed: self.options.seed,
            epoch: self.epoch(),
            consumed: self.share.consumed(self.taken),
            configuration: self.whole_configuration(),
        }
    }

    fn whole_configuration(&self) -> Configuration {
        let replaced = self.reader.replaced();
        let known = self.draws.load_full().filter(|known| known.0 == replaced);
        let draws = known.unwrap_or_else(|| {
            let (draws, are_whole) = state::draws(&self.reader);
            let draws = Arc::new((replaced, draws));
            // Otherwise they are looked for again next time.
            if are_whole {
                self.draws.store(Some(Arc::clone(&draws)));
            }
            draws
        });
        self.configuration.with_draws(&draws.1)
    }

    /// Goes to where a stream of the same configuration was when its state was taken.
    ///
    /// Ranks, workers, bytes ahead, open subjects and what is done about errors may be others. With
    /// another number of ranks, the new ones take what was left.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] naming what differs: the seed, the subjects, the images, the
    /// sampler, the order or the sampled voxels; or for a state that cannot be.
    pub fn resume(&mut self, state: &StreamState) -> Result<()> {
        state.check(self.options.seed, &self.whole_configuration(), self.order.total())?;
        self.restart(state.epoch, state.consumed);
        Ok(())
    }

    /// What [`OnError::Skip`] has left out since the stream was made, in order of occurrence.
    #[must_use]
    pub fn skipped(&self) -> &[Skipped] {
        &self.skipped
    }

    fn restart(&mut self, epoch: u64, consumed: u64) {
        self.ahead = None;
        let (seed, window) = (self.options.seed, self.options.shuffle_window);
        self.order = Arc::new(Order::new(seed, epoch, window, &self.counts));
        self.share = self.share.after(consumed);
        self.taken = 0;
        self.ended = false;
    }

    /// Ends the epoch for now, as if only so many had been taken.
    fn end_at(&mut self, taken: u64) {
        self.ahead = None;
        self.taken = taken;
        self.ended = true;
    }

    /// Has `stop` asked some twenty times a second while a caller waits for a patch or a batch, and
    /// before each patch that the caller's own thread reads. If true is returned, the caller gets
    /// [`Error::Cancelled`], and the stream can go on from where it was.
    pub fn stop_when(&mut self, stop: impl Fn() -> bool + Send + Sync + 'static) {
        self.stop = Stop::when(stop);
    }

    /// The next patches, `size` or those that the epoch has left; `None` if there are none.
    fn fetch(&mut self, size: usize) -> Option<Result<Batch>> {
        self.come_here();
        let (first, mut batch) = (self.taken, Batch::default());
        // Noted when the batch is given: one that is not is read once more.
        let mut left_out = Vec::new();
        while batch.origins.len() < size && self.remaining() > 0 {
            let before = batch.origins.len();
            let read = self.read_on(&mut batch, size);
            self.taken += (batch.origins.len() - before) as u64;
            match read {
                Ok(()) => {}
                Err(Error::Cancelled) => {
                    self.taken = first;
                    return Some(Err(Error::Cancelled));
                }
                Err(error) if self.options.on_error.skips(&error) => {
                    self.taken += 1;
                    left_out.push(error);
                }
                // What was left out in front of a batch is done with.
                Err(error) if batch.origins.is_empty() => {
                    self.note(&left_out);
                    self.end_at(self.taken);
                    return Some(Err(error));
                }
                Err(error) => {
                    self.end_at(first);
                    return Some(Err(error));
                }
            }
        }
        self.note(&left_out);
        if batch.origins.is_empty() {
            self.ahead = None;
            return None;
        }
        Some(Ok(batch.without_room()))
    }

    fn note(&mut self, left_out: &[Error]) {
        for error in left_out {
            note(&mut self.skipped, error, 1);
        }
    }

    /// Goes on with a batch of `size` patches: all of it at once if it was read ahead, else by one
    /// patch.
    fn read_on(&mut self, batch: &mut Batch, size: usize) -> Result<()> {
        if self.options.workers == 0 || !batch.origins.is_empty() {
            if self.stop.is_asked_for() {
                return Err(Error::Cancelled);
            }
            let position = self.share.position(self.taken);
            let room = usize::try_from(self.remaining()).map_or(size, |left| size.min(left));
            return self.reader.fill(batch, room, &self.order, std::iter::once(position));
        }
        // After a patch that was left out, what was read ahead begins at other places.
        if !self.ahead.as_ref().is_some_and(|ahead| ahead.is_at(self.taken, size)) {
            self.ahead = None;
            let StreamOptions { workers, ahead_bytes: bytes, .. } = self.options;
            let (first, patch_bytes) = (self.taken, self.expected);
            let start = Start { first, size, workers, bytes, patch_bytes };
            let (reader, order) = (Arc::clone(&self.reader), Arc::clone(&self.order));
            self.ahead = Some(Running::start(reader, order, self.share, start)?);
        }
        let running = self.ahead.as_mut().expect("it was just started");
        let read = running.next(&self.stop).ok_or(Error::Cancelled)?;
        *batch = read.batch;
        read.error.map_or(Ok(()), Err)
    }

    /// In a process that was forked off, leaves the threads and the locks of the other behind.
    fn come_here(&mut self) {
        let process = std::process::id();
        if self.process != process {
            self.ahead = None;
            self.reader = Arc::new(self.reader.anew());
            self.process = process;
        }
    }
}

impl Iterator for PatchStream {
    type Item = Result<Patch>;

    /// The next patch; `None` at the end of the epoch and after an error.
    fn next(&mut self) -> Option<Self::Item> {
        let batch = self.fetch(1)?;
        batch.map(Batch::into_first).transpose()
    }

    /// Skipped patches and an error may make it fewer.
    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, usize::try_from(self.remaining()).ok())
    }
}

impl std::iter::FusedIterator for PatchStream {}
