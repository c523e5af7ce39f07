//! A model at work: what it was asked, and what it has answered.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use ndarray::ArrayView5;

use super::answers::Answers;
use super::feeder::{Feed, Feeder};
use super::head::Head;
use super::model::Model;
use super::options::PredictOptions;
use super::patches::{Patches, order};
use super::report::{HeadReport, Step};
use crate::sample::Grid;
use crate::{Error, Region, Result, View};

/// A model that has read all it was given and has not answered for so long may be waiting for more.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long after the end of the model a wish to stop is waited for.
const HEARING: Duration = Duration::from_millis(200);

/// What is to be thought of the answers before an error of the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trust {
    /// The model failed by itself: they are what they were.
    Sound,
    /// The model did not do as it should, and did not fail: they may be those to other patches.
    InDoubt,
    /// They are those to other patches.
    OutOfStep,
}

/// Called with each step; a false answer ends it.
pub(super) type Progress<'a> = &'a (dyn Fn(Step) -> bool + Sync);

/// The model with both its ends.
pub(super) struct Session<'a> {
    // Dropped in this order: a model that was killed keeps nobody waiting.
    model: Model,
    feeder: Feeder,
    answers: Answers,
    grid: Grid,
    batch: usize,
    /// Batches whose answers were read.
    answered: usize,
    /// What was asked and not answered yet.
    asked: VecDeque<Box<dyn Iterator<Item = u64> + Send>>,
    /// Patches that are asked one by one, as long as no answer comes.
    probes: Option<usize>,
    /// Nothing until a head is known.
    heads: Vec<Option<Head>>,
    /// The numbers of each head's block.
    blocks: Vec<Vec<f32>>,
    progress: Progress<'a>,
    began: Instant,
    /// Anything came of an answer.
    pub(super) taken: bool,
    /// It is known that answers were taken for those to other patches.
    out_of_step: bool,
}

impl<'a> Session<'a> {
    pub(super) fn start(
        view: &View,
        mut model: Model,
        options: &PredictOptions,
        progress: Progress<'a>,
    ) -> Result<Self> {
        view.check_padding()?;
        let grid = options.sampler.grid(view.volume().shape())?;
        check_inside(view, &grid)?;
        let feed = Feed::new(view, options.frames, grid, options.batch)?;
        let (stdin, stdout) = model.pipes()?;
        Ok(Self {
            feeder: Feeder::start(feed, stdin)?,
            answers: Answers::new(stdout),
            model,
            grid,
            batch: options.batch,
            answered: 0,
            asked: VecDeque::new(),
            probes: None,
            heads: vec![None; options.heads()],
            blocks: vec![Vec::new(); options.heads()],
            progress,
            began: Instant::now(),
            taken: false,
            out_of_step: false,
        })
    }

    /// A head, once it is known.
    pub(super) fn head(&self, n: usize) -> Option<Head> {
        self.heads[n]
    }

    /// Demands what was learned another time.
    pub(super) fn expect(&mut self, n: usize, channels: usize, factor: [usize; 3]) {
        self.heads[n] = Some(Head::known(channels, factor, self.grid.patch()));
    }

    /// Gives the model these patches next.
    pub(super) fn ask(&mut self, patches: Patches) {
        self.asked.push_back(patches.numbers());
        self.feeder.ask(patches);
    }

    /// Gives the model one patch, and another whenever it has read that and does not answer: it may
    /// hold back what it has to say until it has more of it. How many it was given is known when it
    /// answers.
    pub(super) fn probe(&mut self) {
        self.ask(Patches::Listed([first(&self.grid, 0)].into_iter().flatten().collect()));
        self.probes = Some(1);
    }

    /// The patches that were given to find out what answers look like.
    pub(super) fn probed(&mut self) -> usize {
        self.probes.take().unwrap_or(0)
    }

    /// The model's input ends when it was given everything.
    pub(super) fn no_more(&mut self) {
        self.feeder.end();
    }

    /// Reads the answer to the next batch, and gives its patches; `None` if all are answered.
    pub(super) fn answer(&mut self) -> Result<Option<Vec<u64>>> {
        let Some(numbers) = self.next_batch() else { return Ok(None) };
        let Self {
            model,
            answers,
            grid,
            feeder,
            progress,
            heads,
            blocks,
            asked,
            probes,
            answered,
            out_of_step,
            ..
        } = self;
        let mut read_at = None;
        let mut beat = || {
            if let Some(error) = feeder.failure() {
                return Err(error);
            }
            if !progress(Step::Predicted(0)) {
                return Err(Error::Cancelled);
            }
            if let (Some(given), true) = (probes.as_mut(), feeder.is_idle()) {
                let since: &mut Instant = read_at.get_or_insert_with(Instant::now);
                if since.elapsed() > PATIENCE
                    && let Some(next) = first(grid, *given)
                {
                    let patches = Patches::Listed([next].into());
                    asked.push_back(patches.numbers());
                    feeder.ask(patches);
                    (*given, read_at) = (*given + 1, None);
                }
            }
            Ok(())
        };
        let count = blocks.len();
        for (n, block) in blocks.iter_mut().enumerate() {
            let what = || name(grid, &numbers, (count > 1).then_some((n, count)));
            let head = (&mut heads[n], block);
            let read = read(answers, model, numbers.len(), head, grid, &what, &mut beat);
            // What the model says of its end follows from a patch that could not be read.
            read.map_err(|error| feeder.failure().unwrap_or(error))?;
        }
        *answered += 1;
        if *answered > feeder.begun() {
            *out_of_step = true;
            let reason = format!(
                "it answered {} before it was given any of it: it writes more blocks than one for \
                 each head of each batch; heads wanted: {}, the highest that an output is made of \
                 and those before it",
                name(grid, &numbers, None),
                heads.len()
            );
            return Err(model.error(reason));
        }
        Ok(Some(numbers))
    }

    fn next_batch(&mut self) -> Option<Vec<u64>> {
        loop {
            let batch: Vec<u64> = self.asked.front_mut()?.take(self.batch).collect();
            if !batch.is_empty() {
                return Some(batch);
            }
            self.asked.pop_front();
        }
    }

    /// The last answer, to `n` patches, of each head.
    pub(super) fn views(&self, n: usize) -> Result<Vec<ArrayView5<'_, f32>>> {
        let view = |which: usize| {
            let head = self.heads[which];
            let [z, y, x] = head.map_or([0; 3], |head| head.shape);
            let channels = head.map_or(0, |head| head.channels);
            ArrayView5::from_shape((n, channels, z, y, x), &self.blocks[which])
                .map_err(|error| self.model.error(error.to_string()))
        };
        (0..self.heads.len()).map(view).collect()
    }

    pub(super) fn step(&self, step: Step) -> Result<()> {
        if (self.progress)(step) { Ok(()) } else { Err(Error::Cancelled) }
    }

    /// Seconds since it began, and those of them that the model was waited for.
    pub(super) fn times(&self) -> [f64; 2] {
        [self.began.elapsed().as_secs_f64(), self.answers.waited.as_secs_f64()]
    }

    /// What an error of the model says of the answers before it.
    pub(super) fn trust(&mut self) -> Trust {
        if !self.taken {
            // What there is is of other runs.
            Trust::Sound
        } else if self.out_of_step {
            Trust::OutOfStep
        } else if self.model.has_failed() {
            Trust::Sound
        } else {
            Trust::InDoubt
        }
    }

    /// Whether the caller wants to stop, or says so in a moment: a signal to all processes of a job
    /// ends the model as soon as it is heard here.
    pub(super) fn is_stopped(&self) -> bool {
        let until = Instant::now() + HEARING;
        loop {
            if !(self.progress)(Step::Predicted(0)) {
                return true;
            }
            if Instant::now() > until {
                return false;
            }
            std::thread::sleep(HEARING / 20);
        }
    }

    /// The numbers of the last answer's first patch, of each head.
    pub(super) fn first_of_batch(&self, batch: usize) -> impl Iterator<Item = &[f32]> {
        self.blocks.iter().map(move |block| &block[..block.len() / batch.max(1)])
    }

    /// An error about the model.
    pub(super) fn error(&self, reason: impl Into<String>) -> Error {
        self.model.error(reason)
    }

    /// What is known of the heads of a model that was asked nothing.
    pub(super) fn abandon(&self) -> Vec<HeadReport> {
        self.heads.iter().flatten().map(Head::report).collect()
    }

    /// Waits until the model has ended, which has answered everything.
    pub(super) fn end(&mut self) -> Result<Vec<HeadReport>> {
        self.feeder.end();
        let progress = self.progress;
        let mut beat = || if progress(Step::Predicted(0)) { Ok(()) } else { Err(Error::Cancelled) };
        if let Err(error) = self.answers.end(&mut self.model, &mut beat) {
            self.out_of_step = matches!(error, Error::Model { .. });
            return Err(error);
        }
        let status = self.model.wait(&mut beat)?;
        if !status.success() {
            let reason = format!(
                "it has answered every patch, and then failed ({status}); it should end without an \
                 error when its input does. If its answers are good, resume: all of them are there"
            );
            return Err(self.model.error(reason));
        }
        Ok(self.heads.iter().flatten().map(Head::report).collect())
    }
}

/// Refuses a grid that leaves a volume which is not padded, before a model has to do anything.
fn check_inside(view: &View, grid: &Grid) -> Result<()> {
    let shape = view.volume().shape();
    let ends = [Some(0), grid.len().checked_sub(1)].into_iter().flatten();
    let outside = |region: &Region| region.clip(shape) != Some(*region);
    match ends.filter_map(|number| grid.region(number)).find(outside) {
        Some(region) if view.padding().is_none() => Err(Error::OutOfBounds { region, shape }),
        _ => Ok(()),
    }
}

/// Reads one block; that of a head whose first it is tells what the others must be.
fn read(
    answers: &mut Answers,
    model: &mut Model,
    n: usize,
    (head, block): (&mut Option<Head>, &mut Vec<f32>),
    grid: &Grid,
    what: &dyn Fn() -> String,
    beat: &mut dyn FnMut() -> Result<()>,
) -> Result<()> {
    let header = answers.header(model, what, beat)?;
    let known = match head {
        Some(known) => known.check(&header, n),
        None => Head::learn(&header, n, grid.patch()),
    };
    let counted = known.and_then(|known| {
        let count = known.numbers(n).ok_or("it has more numbers than can be counted")?;
        Ok((known, count))
    });
    let refused = |reason: String| model.error(format!("its answer to {}: {reason}", what()));
    let (known, count) = counted.map_err(refused)?;
    *head = Some(known);
    block.clear();
    answers.numbers((header.number, count), block, model, what, beat)
}

/// The `n`-th patch in the order in which they are given.
fn first(grid: &Grid, n: usize) -> Option<u64> {
    order(grid).nth(n)
}

/// What messages call a batch, or one block of the answer to it: a head, of so many.
fn name(grid: &Grid, numbers: &[u64], head: Option<(usize, usize)>) -> String {
    let Some(first) = numbers.first() else { return "no patch".to_owned() };
    let region = grid.region(*first).map_or_else(String::new, |region| format!(", {region}"));
    let more = match numbers.len() {
        1 => String::new(),
        n => format!(" and {} more", n - 1),
    };
    let head = head.map_or_else(String::new, |(head, of)| {
        format!(", head {head} of the {of} that outputs are made of (@0 to @{})", of - 1)
    });
    format!("patch {first}{region}{more}{head}")
}
