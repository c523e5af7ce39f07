//! Opening an aggregation, new or begun before.

use super::group::Group;
use super::shard::OutputState;
use super::state::GroupState;
use super::{AggregateOptions, NonFinite, Output, Part, Plan, Unfinished, difference};
use crate::store::{Job, JobDocument, Note};
use crate::{Dataset, Error, Hint, Result, VolumeName};

/// The default budget counts the memory of a plan as this many bytes at least.
pub(super) const LEAST_BUDGET: u64 = 32 << 20;

/// Opens the job of a plan, and locks a part of it.
pub(super) fn open(
    dataset: &Dataset,
    plan: &Plan,
    part: &Part,
    options: &AggregateOptions,
) -> Result<Job> {
    let name = plan.name();
    let names = || plan.outputs().map(|output| &output.name);
    let own = |name: &&VolumeName| dataset.path().join(name.to_string()) == plan.source.path;
    if let Some(name) = names().find(own) {
        let reason = "is the volume that is predicted; choose another name for the output";
        return Err(Error::invalid("output", name, reason));
    }
    let whole = |output: &&Output| output.values.dtype(output.channels).is_integer();
    if options.non_finite == NonFinite::Keep
        && let Some(output) = plan.outputs().find(whole)
    {
        let reason = format!(
            "{} is stored as {}, which holds neither NaN nor infinity; give a number that replaces \
             them",
            output.name,
            output.values.dtype(output.channels)
        );
        return Err(Error::invalid("non-finite", "keep", reason));
    }
    let wanted = plan.job(options, part.of);
    let restart = options.unfinished == Unfinished::Restart;
    let there = match dataset.job(name) {
        // A restart discards the earlier aggregation, readable or not.
        Err(Error::CorruptStore { reason, .. }) if restart => {
            Some(Some(Other { words: reason, is_of_parts: false }))
        }
        there => there?.map(|there| difference(&there, &wanted)),
    };
    if let Some(other) = there {
        if restart && (part.of == 1 || other.is_some()) {
            // Before the earlier aggregation is discarded.
            names().try_for_each(|name| dataset.check_overwrite(name, options.overwrite))?;
            dataset.discard_job(name)?;
        } else if options.unfinished == Unfinished::Refuse && part.of == 1 {
            return Err(unfinished(dataset, name));
        } else if let Some(other) = other {
            let reason = format!(
                "it was begun and not finished with another plan: {}; resume with the same plan, \
                 or restart all of it",
                other.words
            );
            let hint = if other.is_of_parts { Hint::OnePart } else { Hint::Restart };
            return Err(Error::invalid("aggregation", name, reason).hinting(hint));
        }
    }
    let trusted = restart || options.unfinished == Unfinished::ResumeInDoubt;
    if !trusted {
        dataset.check_doubt_of(name, part.index)?;
    }
    let job = dataset.open_job(&wanted, part.index, options.overwrite)?;
    if restart && part.of > 1 {
        // The checkpoint relies on shards that are removed next.
        job.remove_checkpoint()?;
        for (n, planned) in plan.outputs.iter().enumerate() {
            let own = (0..planned.shards()).filter(|shard| planned.is_in(part, *shard));
            let channels = planned.array().channels;
            let shards = own.flat_map(|shard| {
                (0..channels).map(move |channel| (channel, planned.shard_at(shard)))
            });
            job.remove_shards(n, shards)?;
        }
    }
    if trusted {
        job.forget(Note::Doubt(part.index))?;
    }
    Ok(job)
}

/// The error for an aggregation that was begun before, if the options do not say what to do about
/// it.
pub(crate) fn unfinished(dataset: &Dataset, name: &VolumeName) -> Error {
    let path = dataset.path().join(name.to_string());
    let reason = "an aggregation of this volume was begun and not finished; resume it, or restart \
                  it";
    Error::Unfinished { path, reason: reason.into() }
}

/// How the aggregation that was begun differs from the one that is wanted.
struct Other {
    words: String,
    /// The plan is the same, but is cut into another number of parts.
    is_of_parts: bool,
}

fn difference(there: &JobDocument, wanted: &JobDocument) -> Option<Other> {
    if let Some(words) = difference::difference(&there.plan, &wanted.plan) {
        return Some(Other { words, is_of_parts: false });
    }
    if there.parts != wanted.parts {
        let words = format!("parts were {}, and are now {}", there.parts, wanted.parts);
        return Some(Other { words, is_of_parts: true });
    }
    let words = "the position or the spacing of the volume has changed".to_owned();
    (!there.makes_the_same(wanted)).then_some(Other { words, is_of_parts: false })
}

/// The state of each group: which shards of its outputs are written, or belong to another part.
pub(super) fn states(plan: &Plan, part: &Part, job: &Job) -> Result<Vec<GroupState>> {
    let output = |n: usize| {
        let (planned, done) = (&plan.outputs[n], job.done(n)?);
        let (shards, channels) = (planned.shards(), planned.array().channels);
        // A shard is done when the shards of all channels are written.
        let is_done = |shard| (0..channels).all(|channel| done[channel * shards + shard]);
        let skipped = (0..shards).map(|shard| is_done(shard) || !planned.is_in(part, shard));
        Ok(OutputState::new(n, skipped.collect()))
    };
    let group = |(n, group): (usize, &Group)| {
        let outputs = group.outputs.iter().map(|n| output(*n)).collect::<Result<_>>()?;
        Ok(GroupState::new(n, outputs))
    };
    plan.groups.iter().enumerate().map(group).collect()
}
