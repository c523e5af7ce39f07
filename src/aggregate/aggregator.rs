//! The aggregator takes predictions and writes finished chunks.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use ndarray::{ArrayView4, ArrayView5, Axis as NdAxis};
use rayon::prelude::*;

use super::arrived::Arrived;
use super::checkpoint::{self, Clock};
use super::context::{Context, StoreScratch};
use super::memory::{Memory, MemoryUse};
use super::open::Arrival;
use super::prediction::{Location, Prediction};
use super::report::Clipped;
use super::state::GroupState;
use super::{AggregateOptions, Part, Plan, begin};
use crate::exec::{caught, locked};
use crate::store::{Job, Note};
use crate::{Dataset, Error, Pool, Result};

/// Makes volumes of the predictions of overlapping patches, chunk by chunk.
///
/// Each prediction is given once, by [`Aggregator::add`] or [`Aggregator::add_many`], from any
/// number of threads and in any order; [`Plan::order`] takes the least memory. A chunk is finished
/// when the last patch that covers it has arrived, and a shard is written, once and whole, when its
/// last chunk is finished. [`Aggregator::finish`] publishes the volumes when all shards are there:
/// until then no reader sees them. The bytes are the same for any order and any number of threads.
///
/// Shards that were written survive: an aggregator that is dropped, or a process that is killed,
/// leaves a hidden folder in the dataset, from which [`super::Unfinished::Resume`] goes on.
/// [`Aggregator::checkpoint`] keeps the sums of shards that are not written yet. After a
/// resumption, [`Aggregator::remaining`] asks again for the patches of such shards that were added
/// since the last checkpoint.
///
/// After an error while adding, other than one about the prediction itself, nothing more is
/// accepted, because the sums are incomplete. Begin the aggregation again to resume from the shards
/// that are written.
pub struct Aggregator {
    pub(super) plan: Arc<Plan>,
    pub(super) part: Part,
    pub(super) options: AggregateOptions,
    pub(super) dataset: Dataset,
    pub(super) job: Job,
    pub(super) memory: Memory,
    pub(super) groups: Vec<GroupState>,
    pub(super) arrived: Arrived,
    /// Predictions were added since the last checkpoint.
    pub(super) changed: AtomicBool,
    pub(super) clock: Clock,
    pub(super) failed: AtomicBool,
    /// The process that began this: it owns the threads and the scratch file.
    process: u32,
    pub(super) scratch: Mutex<Vec<StoreScratch>>,
    pub(super) began: Instant,
}

impl Aggregator {
    /// Begins to make the outputs of a plan in `dataset`, or resumes it.
    ///
    /// # Errors
    /// [`Error::AlreadyExists`] if an output exists and is not to be replaced;
    /// [`Error::Unfinished`] if an aggregation of the same name was begun and the options do not
    /// say what to do about it; [`Error::InvalidArgument`] if the aggregation to resume was begun
    /// with another plan (the error names the difference), or if another process is working on it;
    /// [`Error::Io`].
    pub fn begin(
        dataset: &Dataset,
        plan: impl Into<Arc<Plan>>,
        options: &AggregateOptions,
    ) -> Result<Self> {
        let plan = plan.into();
        let part = plan.split(1)?.swap_remove(0);
        Self::begin_part(dataset, plan, part, options)
    }

    /// Begins to make one part of a plan ([`Plan::split`]), or resumes it. Any number of processes
    /// make the parts of one plan, each part by one process at a time; the first process begins the
    /// whole aggregation. [`super::finalise`] publishes the outputs when all parts are complete.
    ///
    /// # Errors
    /// Those of [`Self::begin`], except that other parts may exist.
    pub fn begin_part(
        dataset: &Dataset,
        plan: impl Into<Arc<Plan>>,
        part: Part,
        options: &AggregateOptions,
    ) -> Result<Self> {
        let plan = plan.into();
        if plan.split(part.of)?.get(part.index) != Some(&part) {
            let reason = "the part is not one of this plan: take it from Plan::split";
            return Err(Error::invalid("part", part.index, reason));
        }
        let job = begin::open(dataset, &plan, &part, options)?;
        let budget = options.budget.unwrap_or_else(|| 2 * plan.memory().max(begin::LEAST_BUDGET));
        let fresh = || {
            let (memory, arrived) =
                (Memory::new(budget, options.scratch_folder()), Arrived::none(plan.grid.len()));
            begin::states(&plan, &part, &job).map(|groups| (groups, arrived, memory))
        };
        let (mut groups, mut arrived, mut memory) = fresh()?;
        for kept in job.checkpoints()? {
            if checkpoint::restore(&kept, &plan, &mut groups, &arrived, &memory)? {
                job.goes_on_from(&kept);
                break;
            }
            (groups, arrived, memory) = fresh()?;
        }
        Ok(Self {
            part,
            options: options.clone(),
            dataset: dataset.clone(),
            memory,
            job,
            groups,
            arrived,
            changed: AtomicBool::new(false),
            clock: Clock::start(),
            failed: AtomicBool::new(false),
            process: std::process::id(),
            scratch: Mutex::default(),
            began: Instant::now(),
            plan,
        })
    }

    /// The plan.
    #[must_use]
    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// Takes the predictions of one patch: for each head of the plan, from the first, an array `c,
    /// z, y, x` of the shape [`Plan::prediction`]. For a head that no output is made of, the array
    /// is not looked at. The calling thread does all the work, including the writing of shards.
    ///
    /// A patch whose shards were all written in an earlier run is accepted and changes nothing.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a location that is not in the plan or not in this part, a
    /// patch that was added before, a wrong number of predictions, a wrong shape, and numbers that
    /// are not finite ([`super::NonFinite`]): the prediction is not added then, and others may
    /// follow. Errors of writing shards, after which no prediction is accepted.
    pub fn add(
        &self,
        location: impl Into<Location>,
        predictions: &[ArrayView4<'_, f32>],
    ) -> Result<()> {
        let number = self.plan.number(location.into())?;
        let views = predictions.iter().map(|prediction| prediction.view());
        let prediction = self.plan.check(number, views, self.options.non_finite)?;
        self.take(&[prediction], false)
    }

    /// Takes the predictions of several patches: for each head an array `n, c, z, y, x`, whose
    /// first axis is that of `locations`. The threads of the pool work on the chunks.
    ///
    /// # Errors
    /// Those of [`Self::add`]; if one patch is refused, none is added.
    pub fn add_many<L: Into<Location> + Copy>(
        &self,
        locations: &[L],
        predictions: &[ArrayView5<'_, f32>],
        pool: &Pool,
    ) -> Result<()> {
        if let Some(wrong) = predictions.iter().find(|p| p.shape()[0] != locations.len()) {
            let reason = format!(
                "there are {} locations; the first axis of each prediction must have one \
                         entry for each",
                locations.len()
            );
            return Err(Error::invalid("predictions", wrong.shape()[0], reason));
        }
        let check = |(n, location): (usize, &L)| {
            let number = self.plan.number((*location).into())?;
            let views = predictions.iter().map(|p| p.index_axis(NdAxis(0), n));
            self.plan.check(number, views, self.options.non_finite)
        };
        let checked = locations.iter().enumerate().map(check).collect::<Result<Vec<_>>>()?;
        pool.run(|| self.take(&checked, true))
    }

    /// Adds predictions that were checked; in parallel if the caller runs in a pool.
    fn take(&self, predictions: &[Prediction<'_>], parallel: bool) -> Result<()> {
        self.check_sound()?;
        self.claim(predictions)?;
        self.changed.store(true, Ordering::Relaxed);
        let tasks = self.tasks(predictions);
        let runs: Vec<&[Task]> = tasks.chunk_by(|a, b| a.chunk == b.chunk).collect();
        let work = |run: &&[Task]| self.receive(predictions, run);
        let done = caught("adding a prediction", || {
            if parallel {
                runs.par_iter().try_for_each(work)
            } else {
                runs.iter().try_for_each(work)
            }
        });
        if done.is_err() {
            self.failed.store(true, Ordering::Relaxed);
        }
        done
    }

    /// Refuses to go on after an error, which left incomplete sums, and in a forked process:
    /// predictions that it takes do not reach the process that began, whose scratch file it would
    /// overwrite.
    pub(super) fn check_sound(&self) -> Result<()> {
        if self.process != std::process::id() {
            let reason = format!(
                "process {} began the aggregation, and this process was forked off later: hand \
                 predictions to that process, or begin a part of the plan here",
                self.process
            );
            return Err(Error::invalid("aggregation", self.plan.name(), reason));
        }
        if self.failed.load(Ordering::Relaxed) {
            let path = self.job.folder();
            let reason = "an earlier patch could not be written; resume to go on from the shards \
                          that were written";
            return Err(Error::invalid("aggregation", path.display(), reason));
        }
        Ok(())
    }

    /// Marks patches as arrived; marks none if one has arrived before or does not touch this part.
    fn claim(&self, predictions: &[Prediction<'_>]) -> Result<()> {
        for (n, prediction) in predictions.iter().enumerate() {
            let refused = if !self.is_inside(prediction.place) {
                let Part { index, of, region, .. } = self.part;
                Some(format!("the patch does not touch part {} of {of}: {region}", index + 1))
            } else if self.arrived.set(prediction.number, true) {
                Some("the prediction of this patch was added before; add each once".to_owned())
            } else {
                None
            };
            if let Some(reason) = refused {
                for earlier in &predictions[..n] {
                    self.arrived.set(earlier.number, false);
                }
                let value = self.plan.patch_name(prediction.number);
                return Err(Error::invalid("location", value, reason));
            }
        }
        Ok(())
    }

    /// The contributions of the predictions, sorted by chunk, then by rank.
    fn tasks(&self, predictions: &[Prediction<'_>]) -> Vec<Task> {
        let mut tasks = Vec::new();
        for (n, group) in self.plan.groups.iter().enumerate() {
            for (member, prediction) in predictions.iter().enumerate() {
                for chunk in group.chunks_of(prediction.place) {
                    if self.groups[n].wants(&self.plan, chunk) {
                        let rank = group.rank(self.plan.walk, chunk, prediction.place);
                        tasks.push(Task { chunk: (n, chunk), rank, member });
                    }
                }
            }
        }
        tasks.sort_unstable();
        tasks
    }

    /// Adds the contributions to one chunk.
    fn receive(&self, predictions: &[Prediction<'_>], run: &[Task]) -> Result<()> {
        let (n, at) = run[0].chunk;
        let group = &self.plan.groups[n];
        let arrival = |task: &Task| {
            let prediction = &predictions[task.member];
            Arrival {
                rank: task.rank,
                chunk_box: group.chunk_box(prediction.place, at),
                predicted: prediction.of_group(group),
            }
        };
        let arrivals: Vec<_> = run.iter().map(arrival).collect();
        self.with_scratch(|scratch| self.groups[n].receive(&self.context(), at, &arrivals, scratch))
    }

    pub(super) fn with_scratch<T>(&self, work: impl FnOnce(&mut StoreScratch) -> T) -> T {
        let mut scratch = locked(&self.scratch).pop().unwrap_or_default();
        let done = work(&mut scratch);
        locked(&self.scratch).push(scratch);
        done
    }

    pub(super) fn context(&self) -> Context<'_> {
        Context { plan: &self.plan, memory: &self.memory, job: &self.job }
    }

    /// Whether any voxel of a patch lies in this part.
    fn is_inside(&self, place: [usize; 3]) -> bool {
        let (axis, part) = (self.part.axis, &self.part);
        if part.of == 1 {
            // With `Blend::Crop` a patch may own no voxel; it is accepted and changes nothing.
            return true;
        }
        self.plan.groups.iter().any(|group| {
            let [from, to] = self.plan.inside(part, group);
            let span = group.axes[axis].span(place[axis]);
            span.start.max(from) < span.end.min(to)
        })
    }

    /// Whether a patch touches a shard that is still to be written.
    fn is_wanted(&self, place: [usize; 3]) -> bool {
        let groups = self.plan.groups.iter().zip(&self.groups);
        groups.into_iter().any(|(group, state)| {
            group.chunks_of(place).any(|chunk| state.wants(&self.plan, chunk))
        })
    }

    /// The numbers of the patches whose predictions are still to come, in the order of
    /// [`Plan::order`].
    pub fn remaining(&self) -> impl Iterator<Item = u64> + '_ {
        self.plan.order().filter(|number| {
            !self.arrived.has(*number) && self.is_wanted(self.plan.place_of(*number))
        })
    }

    /// How many bytes were held in memory, and how many in the scratch file.
    #[must_use]
    pub fn memory(&self) -> MemoryUse {
        self.memory.used()
    }

    /// For each output, in the plan's order: how many of the voxels finished since this aggregator
    /// was opened were cut off. Voxels that an earlier run finished are not counted.
    #[must_use]
    pub fn clipped(&self) -> Vec<Clipped> {
        let outputs = self.groups.iter().flat_map(|group| &group.outputs);
        let mut counts: Vec<_> =
            outputs.map(|output| (output.n, output.clipped.counts())).collect();
        counts.sort_unstable();
        let clipped = |(n, [below, above]): (usize, [u64; 2])| {
            let output = self.plan.outputs[n].output.name.to_string();
            Clipped { output, below, above }
        };
        counts.into_iter().map(clipped).collect()
    }

    /// Keeps the model's answer to the patch that identifies the model, or gives the answer that
    /// was kept before.
    pub(crate) fn fingerprint(&self, of: &serde_json::Value) -> Result<serde_json::Value> {
        self.job.note(Note::Fingerprint, of)
    }

    /// Notes why written voxels may be wrong: whoever resumes has to decide what to do.
    pub(crate) fn doubt(&self, reason: &str) -> Result<()> {
        self.job.note(Note::Doubt(self.part.index), &reason.into()).map(drop)
    }

    /// Gives up, and removes the shards written since this aggregator was opened, because
    /// predictions turned out to belong to other patches than they were given for.
    pub(crate) fn take_back(self) -> Result<()> {
        self.job.take_back()
    }
}

impl std::fmt::Debug for Aggregator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (plan, part) = (&self.plan, &self.part);
        f.debug_struct("Aggregator").field("plan", plan).field("part", part).finish_non_exhaustive()
    }
}

/// The contribution of a prediction to one chunk.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Task {
    /// Number of the group, and place in its chunk grid.
    chunk: (usize, [usize; 3]),
    rank: usize,
    /// The index of the prediction among those that are being added.
    member: usize,
}
