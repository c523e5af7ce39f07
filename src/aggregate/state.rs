//! A group of outputs while they are made: chunks that some of their patches have reached.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use super::finish::Finisher;
use super::open::{Arrival, OpenChunk};
use super::piece::Weighing;
use super::plan::Plan;
use super::shard::OutputState;
use super::target::{StoreScratch, Target};
use super::weights::KeptWeights;
use crate::Result;
use crate::exec::locked;

/// What is open of a group.
#[derive(Debug)]
pub(super) struct GroupState {
    /// Its number in the plan.
    pub(super) n: usize,
    pub(super) outputs: Vec<OutputState>,
    pub(super) chunks: Mutex<HashMap<usize, Arc<Mutex<OpenChunk>>>>,
    weights: KeptWeights,
}

impl GroupState {
    pub(super) fn new(n: usize, outputs: Vec<OutputState>) -> Self {
        Self { n, outputs, chunks: Mutex::default(), weights: KeptWeights::default() }
    }

    /// Whether a chunk is to be made here and now, for any of the outputs.
    pub(super) fn wants(&self, plan: &Plan, chunk: [usize; 3]) -> bool {
        self.outputs.iter().any(|output| output.wants(&plan.outputs[output.n], chunk))
    }

    /// Adds pieces, by ascending rank, to the chunk at `at` (chunk grid).
    pub(super) fn receive(
        &self,
        target: &Target<'_>,
        at: [usize; 3],
        arrivals: &[Arrival<'_>],
        scratch: &mut StoreScratch,
    ) -> Result<()> {
        let (group, blend) = (&target.plan.groups[self.n], target.plan.blend);
        let number = group.chunk_number(at);
        let open = Arc::clone(locked(&self.chunks).entry(number).or_default());
        let mut chunk = locked(&open);
        let walk = target.plan.walk;
        let piece = |rank| group.piece(group.member(walk, at, rank), at);
        let (weighing, members) = (Weighing::of(group, blend), group.members(at));
        let done = chunk.receive(group, &weighing, members, arrivals, piece, target.memory)?;
        drop(chunk);
        let Some(sums) = done else { return Ok(()) };
        locked(&self.chunks).remove(&number);
        let finisher = Finisher::new(group, blend);
        let means = finisher.means(at, sums, &self.weights, target.memory);
        let stored = self.store(target, at, &means, scratch);
        target.memory.reuse(means);
        stored
    }

    /// Finishes the chunk at `at` with what has arrived of it, if that is not all; voxels that no
    /// patch covered become `fill`.
    pub(super) fn fill(
        &self,
        target: &Target<'_>,
        at: [usize; 3],
        fill: f32,
        scratch: &mut StoreScratch,
    ) -> Result<()> {
        let (group, blend, walk) =
            (&target.plan.groups[self.n], target.plan.blend, target.plan.walk);
        let open = locked(&self.chunks).remove(&group.chunk_number(at));
        let chunk =
            open.map_or_else(OpenChunk::default, |open| std::mem::take(&mut *locked(&open)));
        let member = |rank| group.member(walk, at, rank);
        let weighing = Weighing::of(group, blend);
        let piece = |rank| group.piece(member(rank), at);
        let (sums, ranks) = chunk.give_up(group, &weighing, piece, target.memory)?;
        let members: Vec<_> = ranks.into_iter().map(member).collect();
        let means = Finisher::new(group, blend).some_means(at, sums, &members, fill);
        self.store(target, at, &means, scratch)
    }

    /// Gives a finished chunk to the outputs whose shards are not there yet.
    fn store(
        &self,
        target: &Target<'_>,
        at: [usize; 3],
        means: &[f32],
        scratch: &mut StoreScratch,
    ) -> Result<()> {
        let (plan, group) = (target.plan, &target.plan.groups[self.n]);
        let wanted = self.outputs.iter().filter(|output| output.wants(&plan.outputs[output.n], at));
        let mut stored = wanted.map(|output| output.store(target, group, at, means, scratch));
        stored.try_for_each(|stored| stored)
    }
}
