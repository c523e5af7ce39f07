//! From a volume, through a model, to volumes.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use ndarray::{ArrayView5, s};

use super::answers::Answers;
use super::feeder::{Feed, Feeder};
use super::head::Head;
use super::model::Model;
use super::options::{HeadOutput, PredictOptions};
use super::report::{PredictReport, Step};
use crate::aggregate::{self, Aggregator, Output, Plan, Unfinished};
use crate::sample::Grid;
use crate::{Dataset, Error, Pool, Result, Volume};

/// Called with each step; a false answer ends it.
type Progress<'a> = &'a (dyn Fn(Step) -> bool + Sync);

/// Predicts a volume and writes the outputs: those patches that are still to come, if an earlier
/// run was not finished and is resumed. A part of several is left for
/// [`crate::aggregate::finalise`].
///
/// The volume's handle decides what the model is given: stored voxels or [`Volume::scaled`],
/// [`Volume::padded`] or not. The grid may leave the volume only if it is padded.
///
/// The model has ended when this returns. `progress` is called by the calling thread at least every
/// 50 ms while the model is waited for.
///
/// # Errors
/// [`Error::Model`] for a model that ends too early or with a failure, or that answers otherwise
/// than it should, naming the patch; those of [`Plan::new`], of [`Aggregator::begin`],
/// [`Aggregator::add_many`] and [`Aggregator::finish`], and of reading patches;
/// [`Error::Cancelled`]. Whatever it is, the model is killed, and shards that were written stay:
/// [`Unfinished::Resume`] goes on from them.
pub fn predict(
    volume: &Volume,
    dataset: &Dataset,
    model: Model,
    options: &PredictOptions,
    pool: &Pool,
    progress: Progress<'_>,
) -> Result<PredictReport> {
    check_vacant(dataset, options)?;
    let made_by = options.made_by(model.command(), volume);
    // Of what was begun before, it is not known yet what there is: one patch tells the shapes.
    let goes_on = options.part.is_some() || options.aggregate.unfinished == Unfinished::Resume;
    let first = if goes_on { 1 } else { options.batch };
    let mut driver = Driver::start(volume, model, options, progress)?;
    let (plan, asked) = driver.begin(volume, options, first)?;
    let aggregate = aggregate::AggregateOptions { made_by, ..options.aggregate.clone() };
    let (aggregator, part) = match options.part {
        Some((n, of)) => {
            let part = plan.split(of)?.swap_remove(n);
            let aggregator =
                Aggregator::begin_part(dataset, Arc::clone(&plan), part.clone(), &aggregate)?;
            (aggregator, Some(part))
        }
        None => (Aggregator::begin(dataset, Arc::clone(&plan), &aggregate)?, None),
    };
    let patches = driver.predict(&aggregator, &asked, pool)?;
    let mut report = driver.end(&plan, patches)?;
    (report.part, report.memory) = (part, aggregator.memory());
    aggregator.check_complete()?;
    if report.part.as_ref().is_none_or(|part| part.of == 1) {
        let checked = aggregator.finish(pool, &|bytes| progress(Step::Checked(bytes)))?;
        report.published = Some(checked);
    }
    Ok(report)
}

/// What [`predict`] would do, which depends on the model's answer to one patch: nothing else is
/// read, and nothing is written.
///
/// # Errors
/// Those of [`predict`] that have to do with the model, the volume and the plan.
pub fn plan(
    volume: &Volume,
    model: Model,
    options: &PredictOptions,
    progress: Progress<'_>,
) -> Result<Arc<Plan>> {
    let mut driver = Driver::start(volume, model, options, progress)?;
    let (plan, _) = driver.begin(volume, options, 1)?;
    driver.end(&plan, 1)?;
    Ok(plan)
}

/// Refuses to make what is there already, before a model has to do anything.
fn check_vacant(dataset: &Dataset, options: &PredictOptions) -> Result<()> {
    options.check()?;
    let aggregate = &options.aggregate;
    // What is resumed may be there in part.
    if aggregate.overwrite || aggregate.unfinished != Unfinished::Refuse || options.part.is_some() {
        return Ok(());
    }
    for HeadOutput { output, .. } in &options.outputs {
        if !matches!(dataset.open_volume(&output.name), Err(Error::NotFound { .. })) {
            let path = dataset.path().join(output.name.to_string());
            return Err(Error::AlreadyExists { path });
        }
    }
    Ok(())
}

/// A model at work.
struct Driver<'a> {
    // Dropped in this order: a model that was killed keeps nobody waiting.
    model: Model,
    feeder: Feeder,
    answers: Answers,
    grid: Grid,
    batch: usize,
    /// Output by output, which head it takes.
    takes: Vec<usize>,
    /// None until the first answer.
    heads: Vec<Head>,
    /// The numbers of each head's block.
    blocks: Vec<Vec<f32>>,
    progress: Progress<'a>,
    began: Instant,
}

impl<'a> Driver<'a> {
    fn start(
        volume: &Volume,
        mut model: Model,
        options: &PredictOptions,
        progress: Progress<'a>,
    ) -> Result<Self> {
        options.check()?;
        let grid = options.sampler.grid(volume.shape())?;
        let feed = Feed::new(volume, options.time, grid, options.batch)?;
        let (stdin, stdout) = model.pipes()?;
        Ok(Self {
            feeder: Feeder::start(feed, stdin)?,
            answers: Answers::new(stdout),
            model,
            grid,
            batch: options.batch,
            takes: options.outputs.iter().map(|output| output.head).collect(),
            heads: Vec::new(),
            blocks: vec![Vec::new(); options.heads()],
            progress,
            began: Instant::now(),
        })
    }

    /// Asks for the first patches, and plans by the answer. The numbers of these patches.
    fn begin(
        &mut self,
        volume: &Volume,
        options: &PredictOptions,
        first: usize,
    ) -> Result<(Arc<Plan>, Vec<u64>)> {
        let asked: Vec<u64> = aggregate::order(&self.grid).take(first).collect();
        self.feeder.ask(asked.clone());
        self.answer(&asked)?;
        let outputs = options.outputs.iter().map(|HeadOutput { head, output }| {
            let Head { channels, factor, .. } = self.heads[*head];
            Output { channels, factor, ..output.clone() }
        });
        let plan = Plan::new(volume, &options.sampler, options.blend, outputs.collect())?;
        Ok((Arc::new(plan), asked))
    }

    /// Gives the aggregator what is wanted of the first answer, and all others. How many patches
    /// were predicted.
    fn predict(&mut self, aggregator: &Aggregator, first: &[u64], pool: &Pool) -> Result<u64> {
        let wanted: Vec<u64> = aggregator.remaining().collect();
        let first: BTreeSet<(u64, usize)> = first.iter().copied().zip(0..).collect();
        let is_first = |number: u64| {
            first.range((number, 0)..).next().filter(|found| found.0 == number).map(|found| found.1)
        };
        self.step(Step::Begun { patches: wanted.len() as u64, bytes: bytes(aggregator.plan()) })?;
        let rest: Vec<u64> = wanted.iter().copied().filter(|n| is_first(*n).is_none()).collect();
        self.feeder.ask(rest.clone());
        self.feeder.end();
        for (number, row) in wanted.iter().filter_map(|n| Some((*n, is_first(*n)?))) {
            let views = self.views(first.len())?;
            let views: Vec<_> =
                views.iter().map(|v| v.slice(s![row..=row, .., .., .., ..])).collect();
            aggregator.add_many(&[number], &views, pool)?;
            self.step(Step::Predicted(1))?;
        }
        for numbers in rest.chunks(self.batch) {
            self.answer(numbers)?;
            aggregator.add_many(numbers, &self.views(numbers.len())?, pool)?;
            self.step(Step::Predicted(numbers.len() as u64))?;
        }
        Ok(wanted.len() as u64)
    }

    /// Reads the blocks of one batch.
    fn answer(&mut self, numbers: &[u64]) -> Result<()> {
        let Self { model, answers, grid, feeder, progress, heads, blocks, .. } = self;
        let mut beat = || match feeder.failure() {
            Some(error) => Err(error),
            None if !progress(Step::Predicted(0)) => Err(Error::Cancelled),
            None => Ok(()),
        };
        let several = blocks.len() > 1;
        for (n, block) in blocks.iter_mut().enumerate() {
            let what = || name(grid, numbers, several.then_some(n));
            let read =
                read(answers, model, numbers.len(), (n, heads, block), grid, &what, &mut beat);
            // What the model says of its end follows from a patch that could not be read.
            read.map_err(|error| feeder.failure().unwrap_or(error))?;
        }
        Ok(())
    }

    /// The last answer, for each output.
    fn views(&self, n: usize) -> Result<Vec<ArrayView5<'_, f32>>> {
        let view = |head: &usize| {
            let Head { channels, shape: [z, y, x], .. } = self.heads[*head];
            ArrayView5::from_shape((n, channels, z, y, x), &self.blocks[*head])
                .map_err(|error| self.model.error(error.to_string()))
        };
        self.takes.iter().map(view).collect()
    }

    /// Ends the model's input, and waits until it has ended.
    fn end(mut self, plan: &Plan, patches: u64) -> Result<PredictReport> {
        self.feeder.end();
        let seconds = self.began.elapsed().as_secs_f64();
        let progress = self.progress;
        let mut beat = || if progress(Step::Predicted(0)) { Ok(()) } else { Err(Error::Cancelled) };
        self.answers.end(&mut self.model, &mut beat)?;
        let status = self.model.wait(&mut beat)?;
        if !status.success() {
            let reason = format!(
                "it has answered every patch, and then failed ({status}); it should end without an \
                 error when its input does"
            );
            return Err(self.model.error(reason));
        }
        Ok(PredictReport {
            command: self.model.command().to_owned(),
            heads: self.heads.iter().map(Head::report).collect(),
            patches,
            of: plan.grid().len(),
            part: None,
            memory: aggregate::MemoryUse { budget: 0, held: 0, peak: 0, spilled_peak: 0 },
            seconds,
            waited: self.answers.waited.as_secs_f64(),
            published: None,
        })
    }

    fn step(&self, step: Step) -> Result<()> {
        if (self.progress)(step) { Ok(()) } else { Err(Error::Cancelled) }
    }
}

/// Reads one block; that of a head whose first it is tells what the others must be.
fn read(
    answers: &mut Answers,
    model: &mut Model,
    n: usize,
    (head, heads, block): (usize, &mut Vec<Head>, &mut Vec<f32>),
    grid: &Grid,
    what: &dyn Fn() -> String,
    beat: &mut dyn FnMut() -> Result<()>,
) -> Result<()> {
    let header = answers.header(model, what, beat)?;
    let known = match heads.get(head) {
        Some(known) => known.check(&header, n).map(|()| *known),
        None => Head::learn(&header, n, grid.patch()),
    };
    let counted = known.and_then(|known| {
        let count = known.numbers(n).ok_or("it has more numbers than can be counted")?;
        Ok((known, count))
    });
    let refused = |reason: String| model.error(format!("its answer to {}: {reason}", what()));
    let (known, count) = counted.map_err(refused)?;
    if head == heads.len() {
        heads.push(known);
    }
    block.clear();
    answers.numbers((header.number, count), block, model, what, beat)
}

/// What messages call a batch, or one block of the answer to it.
fn name(grid: &Grid, numbers: &[u64], head: Option<usize>) -> String {
    let patch = match numbers {
        [] => "no patch".to_owned(),
        [first, more @ ..] => {
            let region = grid.region(*first).map_or_else(String::new, |r| format!(", {r}"));
            let more =
                if more.is_empty() { String::new() } else { format!(" and {} more", more.len()) };
            format!("patch {first}{region}{more}")
        }
    };
    head.map_or(patch.clone(), |head| format!("{patch}, head {head}"))
}

/// Bytes of the voxels of all outputs.
fn bytes(plan: &Plan) -> u64 {
    let one = |output: &Output| {
        let shape: [usize; 3] =
            std::array::from_fn(|a| plan.grid().volume()[a] / output.factor[a].max(1));
        let channels = output.values.channels(output.channels);
        (shape.iter().product::<usize>() * channels * output.values.dtype(output.channels).size())
            as u64
    };
    plan.outputs().map(one).sum()
}
