//! A group of outputs while it is made: its begun chunks.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use super::context::{Context, StoreScratch};
use super::contribution::Weighing;
use super::finish::Finisher;
use super::open::{Arrival, OpenChunk};
use super::plan::Plan;
use super::shard::OutputState;
use super::weights::KeptWeights;
use crate::Result;
use crate::exec::locked;

/// The begun chunks of a group.
#[derive(Debug)]
pub(super) struct GroupState {
    /// Index of the group in the plan.
    pub(super) n: usize,
    pub(super) outputs: Vec<OutputState>,
    pub(super) chunks: Mutex<HashMap<usize, Arc<Mutex<OpenChunk>>>>,
    weights: KeptWeights,
}

impl GroupState {
    pub(super) fn new(n: usize, outputs: Vec<OutputState>) -> Self {
        Self { n, outputs, chunks: Mutex::default(), weights: KeptWeights::default() }
    }

    /// Whether any of the outputs still needs a chunk.
    pub(super) fn wants(&self, plan: &Plan, chunk: [usize; 3]) -> bool {
        self.outputs.iter().any(|output| output.wants(&plan.outputs[output.n], chunk))
    }

    /// Adds contributions, by ascending rank, to the chunk at `at` (chunk grid).
    pub(super) fn receive(
        &self,
        context: &Context<'_>,
        at: [usize; 3],
        arrivals: &[Arrival<'_>],
        scratch: &mut StoreScratch,
    ) -> Result<()> {
        let (group, blend) = (&context.plan.groups[self.n], context.plan.blend);
        let number = group.chunk_number(at);
        let open = Arc::clone(locked(&self.chunks).entry(number).or_default());
        let mut chunk = locked(&open);
        let walk = context.plan.walk;
        let chunk_box = |rank| group.chunk_box(group.member(walk, at, rank), at);
        let (weighing, members) = (Weighing::of(group, blend), group.members(at));
        let done = chunk.receive(group, &weighing, members, arrivals, chunk_box, context.memory)?;
        drop(chunk);
        let Some(sums) = done else { return Ok(()) };
        locked(&self.chunks).remove(&number);
        let finisher = Finisher::new(group, blend);
        let means = finisher.means(at, sums, &self.weights, context.memory);
        let stored = self.store(context, at, &means, scratch);
        context.memory.reuse(means);
        stored
    }

    /// Finishes the chunk at `at` (chunk grid) with the patches that have arrived; voxels that none
    /// of them covers become `fill`.
    pub(super) fn fill(
        &self,
        context: &Context<'_>,
        at: [usize; 3],
        fill: f32,
        scratch: &mut StoreScratch,
    ) -> Result<()> {
        let (group, blend, walk) =
            (&context.plan.groups[self.n], context.plan.blend, context.plan.walk);
        let open = locked(&self.chunks).remove(&group.chunk_number(at));
        let chunk =
            open.map_or_else(OpenChunk::default, |open| std::mem::take(&mut *locked(&open)));
        let member = |rank| group.member(walk, at, rank);
        let weighing = Weighing::of(group, blend);
        let chunk_box = |rank| group.chunk_box(member(rank), at);
        let (sums, ranks) = chunk.give_up(group, &weighing, chunk_box, context.memory)?;
        let members: Vec<_> = ranks.into_iter().map(member).collect();
        let means = Finisher::new(group, blend).some_means(at, sums, &members, fill);
        self.store(context, at, &means, scratch)
    }

    /// Gives a finished chunk to the outputs whose shards are not there yet.
    fn store(
        &self,
        context: &Context<'_>,
        at: [usize; 3],
        means: &[f32],
        scratch: &mut StoreScratch,
    ) -> Result<()> {
        let (plan, group) = (context.plan, &context.plan.groups[self.n]);
        let wanted = self.outputs.iter().filter(|output| output.wants(&plan.outputs[output.n], at));
        let mut stored = wanted.map(|output| output.store(context, group, at, means, scratch));
        stored.try_for_each(|stored| stored)
    }
}
