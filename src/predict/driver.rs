//! Prediction of a volume: patches go to the model, its answers to the aggregator.

use std::collections::BTreeSet;
use std::sync::Arc;

use ndarray::s;

use super::fingerprint::Fingerprint;
use super::head::Head;
use super::model::Model;
use super::options::PredictOptions;
use super::patches::{self, Patches};
use super::report::{Checkpoints, PredictReport, Step};
use super::session::{Progress, Session, Trust};
use crate::aggregate::{self, AggregateOptions, Aggregator, Output, Plan, Unfinished};
use crate::{Dataset, Error, Hint, Pool, Result, View};

/// Predicts a volume and writes the outputs. If an earlier run is resumed, only the patches without
/// a prediction are predicted. One part of several is made but not published:
/// [`crate::aggregate::finalise`] does that.
///
/// The view decides which voxels the model is given: stored or [`View::scaled`], [`View::padded`] or
/// not. Its frame does not matter, because [`PredictOptions::frames`] chooses the frames. The grid may
/// leave the volume only if the view is padded.
///
/// The model has ended when this returns. The calling thread calls `progress` at least every 50 ms
/// while it waits for the model.
///
/// # Errors
/// [`Error::Model`] for a model that ends too early, fails, or gives a malformed answer; the error
/// names the patch. Those of [`Plan::new`], of [`Aggregator::begin`], [`Aggregator::add_many`] and
/// [`Aggregator::finish`], and of reading patches. [`Error::Cancelled`] if `progress` returns
/// false, also if the model ends first because it received the same signal.
///
/// After any error the model is killed, written shards stay, and a checkpoint keeps the sums of the
/// others: [`Unfinished::Resume`] goes on from there and predicts the patches that are not
/// answered. Checkpoints are also written during the run ([`AggregateOptions::checkpoint`]), in
/// case this process is killed. Two cases differ. If a model gave more answers than it was asked
/// for, everything that this run wrote is removed. If a model broke the protocol without failing,
/// written voxels may be wrong, and resuming asks for a decision ([`Unfinished::ResumeInDoubt`]).
///
/// The answer to the patch in the middle of the grid is kept with the unfinished aggregation. A
/// resumption, or another part, asks for that patch first: a model whose answer differs is not the
/// model that began, and is refused.
pub fn predict(
    view: &View,
    dataset: &Dataset,
    model: Model,
    options: &PredictOptions,
    pool: &Pool,
    progress: Progress<'_>,
) -> Result<PredictReport> {
    check(dataset, options)?;
    let command = model.command().to_owned();
    let made_by = options.made_by(&command, view);
    let begun = begun(dataset, options)?;
    let mut session = Session::start(view, model, options, progress)?;
    let first = first_answer(&mut session, view, options, begun.as_deref())
        .map_err(|error| unless_stopped(&session, error).without_hint())?;
    let plan = Arc::new(plan_of(&session, view, options)?);
    let made = AggregateOptions { made_by, ..options.aggregate.clone() };
    let (mut aggregator, part) = match options.part {
        Some((n, of)) => {
            let part = plan.split(of)?.swap_remove(n);
            let own = Aggregator::begin_part(dataset, Arc::clone(&plan), part.clone(), &made)?;
            (own, Some(part))
        }
        None => (Aggregator::begin(dataset, Arc::clone(&plan), &made)?, None),
    };
    // If all patches were predicted before, the model has nothing to answer.
    let is_needed = first.is_some() || aggregator.remaining().next().is_some();
    let mut checkpoints = Checkpoints::default();
    let taken = take_all(&mut session, &mut aggregator, &mut checkpoints, first, pool);
    let [seconds, waited] = session.times();
    let ended = taken.and_then(|patches| {
        let heads = if is_needed { session.end()? } else { session.abandon() };
        Ok((patches, heads))
    });
    let (patches, heads) = match ended {
        Err(error) => return Err(give_up(aggregator, &mut session, error)),
        Ok(ended) => ended,
    };
    // The model is not needed, and must not take memory, while outputs are published.
    drop(session);
    aggregator.check_complete()?;
    let (memory, clipped, of) = (aggregator.memory(), aggregator.clipped(), plan.grid().len());
    let published = if part.as_ref().is_some_and(|part| part.of > 1) {
        None
    } else {
        Some(aggregator.finish(pool, &|bytes| progress(Step::Checked(bytes)))?)
    };
    Ok(PredictReport {
        command,
        heads,
        patches,
        of,
        part,
        memory,
        clipped,
        checkpoints,
        seconds,
        waited,
        published,
    })
}

/// The plan that [`predict`] would follow, which depends on the model's answer to one patch: no
/// other patch is read, and nothing is written.
///
/// # Errors
/// Those of [`predict`] about the model, the volume and the plan.
pub fn plan(
    view: &View,
    model: Model,
    options: &PredictOptions,
    progress: Progress<'_>,
) -> Result<Plan> {
    options.check()?;
    let mut session = Session::start(view, model, options, progress)?;
    let grid = options.sampler.grid(view.volume().shape())?;
    // The end of its input tells the model that it need not wait for more patches.
    session.ask(Patches::Listed([patches::known(&grid)].into()));
    session.no_more();
    session.answer()?;
    let plan = plan_of(&session, view, options)?;
    session.end().map(|_| plan)
}

/// Refuses outputs that exist already, before the model does any work.
fn check(dataset: &Dataset, options: &PredictOptions) -> Result<()> {
    options.check()?;
    let aggregate = &options.aggregate;
    let Some(first) = options.outputs.first() else {
        return Err(Error::invalid("outputs", 0, "name at least one"));
    };
    if options.part.is_some() {
        return Ok(());
    }
    let is_begun = match dataset.job(&first.name) {
        // A restart discards the aggregation, readable or not.
        Err(Error::CorruptStore { .. }) if aggregate.unfinished == Unfinished::Restart => true,
        job => job?.is_some(),
    };
    if is_begun {
        return match aggregate.unfinished {
            Unfinished::Refuse => Err(aggregate::unfinished(dataset, &first.name)),
            _ => Ok(()),
        };
    }
    let names = options.outputs.iter().map(|output| &output.name);
    names.into_iter().try_for_each(|name| dataset.check_overwrite(name, aggregate.overwrite))
}

/// Channels of an output, and voxels of the volume per voxel of the output, `z, y, x`.
type Learned = (usize, [usize; 3]);

/// The channels and factors of the outputs, if an aggregation of them was begun and is resumed.
fn begun(dataset: &Dataset, options: &PredictOptions) -> Result<Option<Vec<Learned>>> {
    let alone = options.part.is_none();
    if options.aggregate.unfinished == Unfinished::Restart
        || alone && options.aggregate.unfinished == Unfinished::Refuse
    {
        return Ok(None);
    }
    let there = dataset.job(&options.outputs[0].name)?;
    let learned = there.and_then(|job| aggregate::channels_and_factors(&job.plan));
    Ok(learned.filter(|learned| learned.len() == options.outputs.len()))
}

/// Learns the shape of answers: from `begun`, or from the first answer, whose patches are returned.
fn first_answer(
    session: &mut Session<'_>,
    view: &View,
    options: &PredictOptions,
    begun: Option<&[Learned]>,
) -> Result<Option<Answered>> {
    let grid = options.sampler.grid(view.volume().shape())?;
    if let Some(begun) = begun {
        for (output, (channels, factor)) in options.outputs.iter().zip(begun) {
            session.expect(output.head, *channels, *factor);
        }
        return Ok(None);
    }
    let is_new = options.part.is_none()
        && matches!(options.aggregate.unfinished, Unfinished::Refuse | Unfinished::Restart);
    if is_new {
        // Whatever the first answer shows, all patches are needed.
        session.ask(Patches::All(grid));
        session.no_more();
    } else {
        session.probe();
    }
    let Some(numbers) = session.answer()? else { return Ok(None) };
    let probes = patches::order(&grid).take(session.probed()).collect();
    Ok(Some(Answered { numbers, probes, all: is_new }))
}

/// The patches that the model was given before there was a plan.
struct Answered {
    /// The first batch, whose answer was read.
    numbers: Vec<u64>,
    /// All patches that were given one by one; empty if all patches of the grid were given.
    probes: BTreeSet<u64>,
    all: bool,
}

fn plan_of(session: &Session<'_>, view: &View, options: &PredictOptions) -> Result<Plan> {
    let outputs = options.outputs.iter().map(|output| {
        let known =
            session.head(output.head).map(|Head { channels, factor, .. }| (channels, factor));
        let (channels, factor) = known.unwrap_or((output.channels, output.factor));
        Output { channels, factor, ..output.clone() }
    });
    Plan::new(view.volume(), &options.sampler, options.blend, outputs.collect())
}

/// An error of the model; [`Error::Cancelled`] if the caller wants to stop, because the model may
/// have received that signal first.
fn unless_stopped(session: &Session<'_>, error: Error) -> Error {
    if matches!(error, Error::Model { .. }) && session.is_stopped() {
        return Error::Cancelled;
    }
    error
}

/// Decides what to do with earlier answers after an error. They are removed only if they are known
/// to be wrong; otherwise a checkpoint keeps the unwritten sums, too.
fn give_up(mut aggregator: Aggregator, session: &mut Session<'_>, error: Error) -> Error {
    let trust = session.trust();
    let error = match error {
        Error::Model { .. } if trust != Trust::OutOfStep && session.is_stopped() => {
            Error::Cancelled
        }
        error => error,
    };
    // If the checkpoint fails, its patches are predicted again on resumption; the caller gets the
    // error that ended the run, not that of the checkpoint.
    let mut keep = || drop(aggregator.checkpoint());
    let Error::Model { command, reason, hint } = error else {
        keep();
        return error;
    };
    let (done, what, hint) = match trust {
        Trust::Sound => {
            keep();
            (Ok(()), "", hint)
        }
        Trust::InDoubt => {
            // The doubt is noted before the checkpoint, so that no checkpoint is trusted too much.
            let noted = aggregator.doubt(&reason);
            if noted.is_ok() {
                drop(aggregator.checkpoint());
            }
            (noted, ". What is written so far may be wrong", Some(Hint::RestartOrTrust))
        }
        Trust::OutOfStep => (
            aggregator.take_back(),
            ". Its answers were out of step with the patches: what they wrote is removed",
            None,
        ),
    };
    done.err().unwrap_or(Error::Model { command, reason: format!("{reason}{what}"), hint })
}

/// Compares the answer that was just read, whose first patch is the known one, with the answer that
/// was kept when the aggregation was begun; keeps the answer if it is the first.
fn check_fingerprint(
    session: &Session<'_>,
    aggregator: &Aggregator,
    numbers: &[u64],
) -> Result<()> {
    let found = Fingerprint::of(session.first_of_batch(numbers.len()));
    let kept = aggregator.fingerprint(&found.to_value())?;
    let Some(difference) = found.difference(kept) else { return Ok(()) };
    let patch = aggregator.plan().patch_name(numbers[0]);
    let error = session.error(format!(
        "its answer to {patch} differs from that of the run that began this: {difference}. The \
         program, its weights or its preparation of patches have changed: resume with the model \
         that began, or restart all of it"
    ));
    Err(error.hinting(Hint::Restart))
}

/// Adds all answers that the aggregator needs; gives the number of patches.
fn take_all(
    session: &mut Session<'_>,
    aggregator: &mut Aggregator,
    checkpoints: &mut Checkpoints,
    first: Option<Answered>,
    pool: &Pool,
) -> Result<u64> {
    let mut wanted: Vec<u64> = aggregator.remaining().collect();
    let patches = wanted.len() as u64;
    let of = aggregator.plan().grid().len();
    session.step(Step::Begun { patches, of, bytes: bytes(aggregator.plan()) })?;
    if first.as_ref().is_none_or(|first| !first.all) {
        let mut given = first.as_ref().map(|first| first.probes.clone()).unwrap_or_default();
        if first.is_none() && !wanted.is_empty() {
            // In a batch of its own, as the aggregator may not need it: its answer identifies the
            // model.
            let known = patches::known(aggregator.plan().grid());
            given.insert(known);
            session.ask(Patches::Listed([known].into()));
        }
        let rest = wanted.iter().copied().filter(|n| !given.contains(n)).collect();
        session.ask(Patches::Listed(rest));
        session.no_more();
    }
    wanted.sort_unstable();
    let mut answered = first.map(|first| first.numbers);
    let mut is_known = false;
    loop {
        let numbers = match answered.take() {
            Some(numbers) => numbers,
            None => match session.answer()? {
                Some(numbers) => numbers,
                None => return Ok(patches),
            },
        };
        if !is_known {
            check_fingerprint(session, aggregator, &numbers)?;
            is_known = true;
        }
        session.taken = true;
        let views = session.views(numbers.len())?;
        let is_wanted = |n: &u64| wanted.binary_search(n).is_ok();
        let mut taken = numbers.len();
        if numbers.iter().all(is_wanted) {
            aggregator.add_many(&numbers, &views, pool)?;
        } else {
            taken = 0;
            for (row, number) in numbers.iter().enumerate().filter(|(_, n)| is_wanted(n)) {
                let one: Vec<_> =
                    views.iter().map(|v| v.slice(s![row..=row, .., .., .., ..])).collect();
                aggregator.add_many(&[*number], &one, pool)?;
                taken += 1;
            }
        }
        session.step(Step::Predicted(taken as u64))?;
        checkpoints.keep(aggregator)?;
    }
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
