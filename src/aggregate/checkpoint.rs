//! Checkpoints: the unfinished sums of an aggregator, kept for a later resumption.
//!
//! A checkpoint describes one moment between two predictions: which patches have arrived, which
//! shards are written, and the sums and encoded chunks of all other shards. When it is restored,
//! shards that were written later are taken from the disk. If a shard that was written earlier is
//! gone, the checkpoint is not used: the predictions of that shard count as arrived and would never
//! be asked for.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::arrived::Arrived;
use super::memory::Memory;
use super::saved::{SavedChunk, SavedShard};
use super::shard::OutputState;
use super::state::GroupState;
use super::wire::{List, NumberReader, NumberWriter};
use super::{Aggregator, Part, Plan};
use crate::Result;
use crate::exec::locked;
use crate::store::{Checkpoint, Job};

/// Checkpoints take at most one part in this many of the run time.
const SHARE: u32 = 20;

/// When the last checkpoint was written, and how long the writing took.
#[derive(Debug)]
pub(super) struct Clock {
    last: Instant,
    cost: Duration,
}

impl Clock {
    pub(super) fn start() -> Self {
        Self { last: Instant::now(), cost: Duration::ZERO }
    }

    fn is_due(&self, every: Duration) -> bool {
        self.last.elapsed() >= every.max(self.cost * (SHARE - 1))
    }
}

impl Aggregator {
    /// Keeps the state between patches, so that whoever resumes need not predict these patches
    /// again: the sums of begun chunks, also those in the scratch file, and the encoded chunks of
    /// begun shards. The checkpoint replaces the one before. Shards that wait to be written are
    /// written first. False, and no checkpoint, if no shard is begun or nothing was added since the
    /// last one.
    ///
    /// Costs the writing and syncing of all sums and encoded chunks; those in the scratch file are
    /// read chunk by chunk.
    ///
    /// # Errors
    /// Those of writing; the checkpoint before stays then.
    pub fn checkpoint(&mut self) -> Result<bool> {
        self.check_sound()?;
        if !std::mem::take(self.changed.get_mut()) {
            return Ok(false);
        }
        let began = Instant::now();
        self.job.flush()?;
        let is_idle = |state: &GroupState| {
            locked(&state.chunks).is_empty()
                && state.outputs.iter().all(|output| locked(&output.shards).is_empty())
        };
        if self.groups.iter().all(is_idle) {
            return Ok(false);
        }
        let written = self.write_checkpoint();
        self.clock = Clock { last: Instant::now(), cost: began.elapsed() };
        self.changed.fetch_or(written.is_err(), std::sync::atomic::Ordering::Relaxed);
        written.map(|()| true)
    }

    /// Writes a checkpoint if [`super::AggregateOptions::checkpoint`] says that it is time.
    ///
    /// # Errors
    /// Those of [`Self::checkpoint`].
    pub fn checkpoint_if_due(&mut self) -> Result<bool> {
        if self.is_checkpoint_due() { self.checkpoint() } else { Ok(false) }
    }

    pub(crate) fn is_checkpoint_due(&self) -> bool {
        self.options.checkpoint.is_some_and(|every| self.clock.is_due(every))
    }

    /// Waits until all finished shards are written.
    pub(crate) fn flush(&self) -> Result<()> {
        self.job.flush()
    }

    fn write_checkpoint(&self) -> Result<()> {
        let outputs = self.groups.iter().flat_map(|group| &group.outputs);
        let written = outputs.map(|output| own_shards(&self.plan, &self.part, output, &self.job));
        let written: Vec<Vec<u64>> = written.collect::<Result<_>>()?;
        self.job.write_checkpoint(&mut |out| {
            let mut sink = NumberWriter::new(out)?;
            sink.list(&self.arrived.words())?;
            let mut written = written.iter();
            for state in &self.groups {
                write_chunks(&mut sink, state, &self.memory)?;
                for (output, written) in state.outputs.iter().zip(written.by_ref()) {
                    sink.list(written)?;
                    write_shards(&mut sink, output, &self.memory)?;
                }
            }
            Ok(())
        })
    }
}

/// The shards of a part that are written for every channel.
fn own_shards(plan: &Plan, part: &Part, output: &OutputState, job: &Job) -> Result<Vec<u64>> {
    let (planned, done) = (&plan.outputs[output.n], job.done(output.n)?);
    let (shards, channels) = (planned.shards(), planned.array().channels);
    let is_done = |shard: &usize| (0..channels).all(|channel| done[channel * shards + shard]);
    let own = (0..shards).filter(|shard| planned.is_in(part, *shard));
    Ok(own.filter(is_done).map(|shard| shard as u64).collect())
}

fn write_chunks(
    sink: &mut NumberWriter<'_>,
    state: &GroupState,
    memory: &Memory,
) -> io::Result<()> {
    let chunks = locked(&state.chunks);
    sink.count(chunks.len())?;
    for (number, chunk) in &*chunks {
        sink.count(*number)?;
        locked(chunk).write(sink, memory)?;
    }
    Ok(())
}

fn write_shards(
    sink: &mut NumberWriter<'_>,
    output: &OutputState,
    memory: &Memory,
) -> io::Result<()> {
    let shards = locked(&output.shards);
    sink.count(shards.len())?;
    for (number, shard) in &*shards {
        sink.count(*number)?;
        shard.write(sink, memory)?;
    }
    Ok(())
}

/// Restores a checkpoint into an aggregator to which nothing was added. False if the checkpoint
/// does not fit; the aggregator may then be half restored and must be thrown away.
pub(super) fn restore(
    kept: &Checkpoint,
    plan: &Plan,
    groups: &mut [GroupState],
    arrived: &Arrived,
    memory: &Memory,
) -> Result<bool> {
    let Some(mut source) = NumberReader::new(kept.content()) else { return Ok(false) };
    let words = source.list::<u64>().map(List::to_vec::<u64>);
    if words.and_then(|words| arrived.add(&words)).is_none() {
        return Ok(false);
    }
    for state in groups {
        if restore_group(&mut source, plan, state, memory)?.is_none() {
            return Ok(false);
        }
    }
    Ok(source.is_at_end())
}

fn restore_group(
    source: &mut NumberReader<'_>,
    plan: &Plan,
    state: &mut GroupState,
    memory: &Memory,
) -> Result<Option<()>> {
    let group = &plan.groups[state.n];
    let (mut chunks, [_, rows, columns]) = (HashMap::new(), group.chunks());
    let Some(count) = source.count() else { return Ok(None) };
    for _ in 0..count {
        let all = group.chunks().iter().product();
        let Some(number) = source.count().filter(|n| *n < all) else { return Ok(None) };
        let at = [number / columns / rows, number / columns % rows, number % columns];
        let saved = SavedChunk::read(source, (group, plan.blend), plan.walk, at);
        let Some(saved) = saved else { return Ok(None) };
        if state.wants(plan, at) {
            chunks.insert(number, Arc::new(Mutex::new(saved.hold(memory)?)));
        }
    }
    state.chunks = Mutex::new(chunks);
    for output in &mut state.outputs {
        let planned = &plan.outputs[output.n];
        let Some(written) = source.list::<u64>() else { return Ok(None) };
        let is_there = |shard: u64| {
            usize::try_from(shard).is_ok_and(|n| output.skipped.get(n).is_some_and(|there| *there))
        };
        if !written.to_vec::<u64>().into_iter().all(is_there) {
            return Ok(None);
        }
        let Some(count) = source.count() else { return Ok(None) };
        let mut shards = HashMap::new();
        for _ in 0..count {
            let number = source.count().filter(|n| *n < planned.shards());
            let Some(number) = number else { return Ok(None) };
            let saved = SavedShard::read(source, planned, group, number);
            let Some(saved) = saved else { return Ok(None) };
            if !output.skipped[number] {
                shards.insert(number, saved.hold(planned, memory)?);
            }
        }
        output.shards = Mutex::new(shards);
    }
    Ok(Some(()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeping_is_due_when_it_is_time_and_takes_a_twentieth_of_it() {
        let since = |seconds, cost| Clock {
            last: Instant::now().checked_sub(Duration::from_secs(seconds)).unwrap(),
            cost: Duration::from_secs(cost),
        };
        let minute = Duration::from_mins(1);
        assert!(!since(50, 0).is_due(minute) && since(61, 0).is_due(minute));
        assert!(!since(180, 10).is_due(minute) && since(191, 10).is_due(minute));
        assert!(since(0, 0).is_due(Duration::ZERO));
    }
}
