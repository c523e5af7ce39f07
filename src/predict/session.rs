//! A running model, the patches that it was asked for, and its answers.

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

/// A model that has read its whole input and does not answer for this long may be waiting for more
/// patches.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long after the end of the model a wish of the caller to stop is waited for.
const HEARING: Duration = Duration::from_millis(200);

/// How far to trust the answers that came before an error of the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trust {
    /// The model failed by itself: its earlier answers are right.
    Sound,
    /// The model broke the protocol without failing: its answers may belong to other patches.
    InDoubt,
    /// The answers belong to other patches.
    OutOfStep,
}

/// Called with each step; if it returns false, the prediction is cancelled.
pub(super) type Progress<'a> = &'a (dyn Fn(Step) -> bool + Sync);

/// The model, with the threads and buffers at both ends of it.
pub(super) struct Session<'a> {
    // Fields are dropped in this order: the model is killed first, so that the feeder does not wait
    // for it.
    model: Model,
    feeder: Feeder,
    answers: Answers,
    grid: Grid,
    batch: usize,
    /// Batches whose answers were read.
    answered: usize,
    /// Patches that were asked for and not answered yet.
    asked: VecDeque<Box<dyn Iterator<Item = u64> + Send>>,
    /// While the first answer is awaited: how many patches were asked for, one by one.
    probes: Option<usize>,
    /// One for each head; `None` until its first block.
    heads: Vec<Option<Head>>,
    /// The numbers of each head's block.
    blocks: Vec<Vec<f32>>,
    progress: Progress<'a>,
    began: Instant,
    /// An answer was added to the outputs.
    pub(super) taken: bool,
    /// Answers are known to have been added for other patches than they belong to.
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

    /// The head `n`, once its first block has come.
    pub(super) fn head(&self, n: usize) -> Option<Head> {
        self.heads[n]
    }

    /// Demands the channels and the factor that an earlier run learned.
    pub(super) fn expect(&mut self, n: usize, channels: usize, factor: [usize; 3]) {
        self.heads[n] = Some(Head::known(channels, factor, self.grid.patch()));
    }

    /// Asks for these patches next.
    pub(super) fn ask(&mut self, patches: Patches) {
        self.asked.push_back(patches.numbers());
        self.feeder.ask(patches);
    }

    /// Asks for one patch, and for another whenever the model has read all patches and does not
    /// answer: the model may collect several patches before it answers. [`Self::probed`] gives
    /// their number once it has answered.
    pub(super) fn probe(&mut self) {
        self.ask(Patches::Listed([first(&self.grid, 0)].into_iter().flatten().collect()));
        self.probes = Some(1);
    }

    /// How many patches were asked for to learn the shape of answers.
    pub(super) fn probed(&mut self) -> usize {
        self.probes.take().unwrap_or(0)
    }

    /// Ends the model's input after the patches that were asked for.
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
            // If a patch could not be read, that is the cause of the model's end, and the error to
            // return.
            read.map_err(|error| feeder.failure().unwrap_or(error))?;
        }
        *answered += 1;
        if *answered > feeder.begun() {
            *out_of_step = true;
            let reason = format!(
                "it answered {} before it received any of it: it writes more blocks than one for \
                 each head of each batch; heads wanted: {}, which are those up to the highest that \
                 an output is made of",
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

    /// The latest answer, to `n` patches, of each head.
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

    /// Seconds since the session began, and how many of them were spent waiting for the model.
    pub(super) fn times(&self) -> [f64; 2] {
        [self.began.elapsed().as_secs_f64(), self.answers.waited.as_secs_f64()]
    }

    /// How far to trust the earlier answers, given an error of the model.
    pub(super) fn trust(&mut self) -> Trust {
        if !self.taken {
            // No answer of this run was added.
            Trust::Sound
        } else if self.out_of_step {
            Trust::OutOfStep
        } else if self.model.has_failed() {
            Trust::Sound
        } else {
            Trust::InDoubt
        }
    }

    /// Whether the caller wants to stop, or says so within [`HEARING`]: a signal to all processes
    /// of a job ends the model at the same moment as it reaches the caller.
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

    /// The numbers of the latest answer's first patch, of each head.
    pub(super) fn first_of_batch(&self, batch: usize) -> impl Iterator<Item = &[f32]> {
        self.blocks.iter().map(move |block| &block[..block.len() / batch.max(1)])
    }

    /// An error of the model.
    pub(super) fn error(&self, reason: impl Into<String>) -> Error {
        self.model.error(reason)
    }

    /// The known heads of a model that was asked for nothing.
    pub(super) fn abandon(&self) -> Vec<HeadReport> {
        self.heads.iter().flatten().map(Head::report).collect()
    }

    /// Waits until the model, which has answered everything, has ended.
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
                 error when its input ends. If its answers are good, resume: all of them are kept"
            );
            return Err(self.model.error(reason));
        }
        Ok(self.heads.iter().flatten().map(Head::report).collect())
    }
}

/// Refuses a grid that leaves a volume that is not padded, before the model does any work.
fn check_inside(view: &View, grid: &Grid) -> Result<()> {
    let shape = view.volume().shape();
    let ends = [Some(0), grid.len().checked_sub(1)].into_iter().flatten();
    let outside = |region: &Region| region.clip(shape) != Some(*region);
    match ends.filter_map(|number| grid.region(number)).find(outside) {
        Some(region) if view.padding().is_none() => Err(Error::OutOfBounds { region, shape }),
        _ => Ok(()),
    }
}

/// Reads one block; the first block of a head defines the shape of the others.
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

/// The `n`-th patch in the order in which the model is given them.
fn first(grid: &Grid, n: usize) -> Option<u64> {
    order(grid).nth(n)
}

/// The name of a batch in messages, or of one head's block in the answer to it.
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
