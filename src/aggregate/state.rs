//! One output while it is made.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use super::finish::Finisher;
use super::memory::Memory;
use super::open::{Arrival, OpenChunk, OpenShard};
use super::piece::Weighing;
use super::plan::{Plan, PlannedOutput};
use super::weights::KeptWeights;
use crate::Result;
use crate::exec::locked;
use crate::store::{EncodeScratch, Job};

/// What is open of one output.
#[derive(Debug)]
pub(super) struct OutputState {
    /// Its number in the plan.
    n: usize,
    /// Shards, in C order, that are there already or are another part's.
    skipped: Vec<bool>,
    chunks: Mutex<HashMap<usize, Arc<Mutex<OpenChunk>>>>,
    shards: Mutex<HashMap<usize, OpenShard>>,
    weights: KeptWeights,
}

/// What a task keeps between chunks.
#[derive(Default)]
pub(super) struct StoreScratch {
    voxels: Vec<u8>,
    encode: EncodeScratch,
}

/// Where finished chunks go.
pub(super) struct Target<'a> {
    pub(super) plan: &'a Plan,
    pub(super) memory: &'a Memory,
    pub(super) job: &'a Job,
}

impl OutputState {
    pub(super) fn new(n: usize, skipped: Vec<bool>) -> Self {
        let weights = KeptWeights::default();
        Self { n, skipped, chunks: Mutex::default(), shards: Mutex::default(), weights }
    }

    /// Whether the shard of a chunk is to be made here and now.
    pub(super) fn wants(&self, planned: &PlannedOutput, chunk: [usize; 3]) -> bool {
        !self.skipped[planned.shard_of(chunk).0]
    }

    /// Adds pieces, by ascending rank, to the chunk at `at` (chunk grid).
    pub(super) fn receive(
        &self,
        target: &Target<'_>,
        at: [usize; 3],
        arrivals: &[Arrival<'_>],
        scratch: &mut StoreScratch,
    ) -> Result<()> {
        let (planned, blend) = (&target.plan.outputs[self.n], target.plan.blend);
        let number = planned.chunk_number(at);
        let open = Arc::clone(locked(&self.chunks).entry(number).or_default());
        let mut chunk = locked(&open);
        let walk = target.plan.walk;
        let piece = |rank| planned.piece(planned.member(walk, at, rank), at);
        let (weighing, members) = (Weighing::of(planned, blend), planned.members(at));
        let done = chunk.receive(planned, &weighing, members, arrivals, piece, target.memory)?;
        drop(chunk);
        let Some(sums) = done else { return Ok(()) };
        locked(&self.chunks).remove(&number);
        let finisher = Finisher::new(planned, blend);
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
        let (planned, blend, walk) =
            (&target.plan.outputs[self.n], target.plan.blend, target.plan.walk);
        let open = locked(&self.chunks).remove(&planned.chunk_number(at));
        let chunk =
            open.map_or_else(OpenChunk::default, |open| std::mem::take(&mut *locked(&open)));
        let member = |rank| planned.member(walk, at, rank);
        let weighing = Weighing::of(planned, blend);
        let piece = |rank| planned.piece(member(rank), at);
        let (sums, ranks) = chunk.give_up(planned, &weighing, piece, target.memory)?;
        let members: Vec<_> = ranks.into_iter().map(member).collect();
        let means = Finisher::new(planned, blend).some_means(at, sums, &members, fill);
        self.store(target, at, &means, scratch)
    }

    /// Encodes a finished chunk, and writes its shard if it was the last of it.
    fn store(
        &self,
        target: &Target<'_>,
        at: [usize; 3],
        means: &[f32],
        scratch: &mut StoreScratch,
    ) -> Result<()> {
        let planned = &target.plan.outputs[self.n];
        let StoreScratch { voxels, encode } = scratch;
        let stored = Finisher::new(planned, target.plan.blend).store(at, means, voxels);
        let array = planned.array();
        let encoded = stored
            .chunks_exact(planned.chunk_voxels() * array.dtype.size())
            .map(|channel| target.job.encode(self.n, channel, encode))
            .collect::<Result<Vec<_>>>()?;
        let (shard, place) = planned.shard_of(at);
        let full = {
            let mut shards = locked(&self.shards);
            let open = shards.entry(shard).or_insert_with(|| {
                let places = planned.layout.chunks_per_shard().iter().product();
                OpenShard::new(array.channels, places, planned.chunks_in(shard))
            });
            let last = open.put(place, encoded, target.memory)?;
            if last { shards.remove(&shard) } else { None }
        };
        let Some(full) = full else { return Ok(()) };
        for (channel, chunks) in full.into_channels(target.memory).enumerate() {
            target.job.write_shard(self.n, channel, planned.shard_at(shard), chunks?)?;
        }
        Ok(())
    }
}

impl PlannedOutput {
    /// Number of a chunk in C order of the chunk grid.
    pub(super) fn chunk_number(&self, [z, y, x]: [usize; 3]) -> usize {
        let [_, rows, columns] = self.chunks();
        (z * rows + y) * columns + x
    }

    /// The chunks that the patch at a place of the grid contributes to.
    pub(super) fn chunks_of(&self, place: [usize; 3]) -> impl Iterator<Item = [usize; 3]> + use<> {
        let [z, y, x] = std::array::from_fn(|a| self.axes[a].chunks_of(place[a]));
        z.flat_map(move |z| {
            let x = x.clone();
            y.clone().flat_map(move |y| x.clone().map(move |x| [z, y, x]))
        })
    }

    /// Number of a chunk's shard in C order of the shard grid, and of the chunk in the shard.
    pub(super) fn shard_of(&self, chunk: [usize; 3]) -> (usize, usize) {
        let per_shard = self.layout.chunks_per_shard();
        let [_, rows, columns] = self.layout.shards(self.shape);
        let [z, y, x] = std::array::from_fn(|a| chunk[a] / per_shard[a]);
        let [dz, dy, dx] = std::array::from_fn(|a| chunk[a] % per_shard[a]);
        ((z * rows + y) * columns + x, (dz * per_shard[1] + dy) * per_shard[2] + dx)
    }

    /// Place of a shard in the shard grid.
    pub(super) fn shard_at(&self, shard: usize) -> [usize; 3] {
        let [_, rows, columns] = self.layout.shards(self.shape);
        [shard / columns / rows, shard / columns % rows, shard % columns]
    }

    /// Chunks of a shard that lie in the volume.
    fn chunks_in(&self, shard: usize) -> usize {
        let (per_shard, chunks, at) =
            (self.layout.chunks_per_shard(), self.chunks(), self.shard_at(shard));
        (0..3).map(|a| per_shard[a].min(chunks[a] - at[a] * per_shard[a])).product()
    }

    /// How many patches contribute to a chunk.
    pub(super) fn members(&self, at: [usize; 3]) -> usize {
        (0..3).map(|a| self.axes[a].members(at[a]).len()).product()
    }

    /// The patch, by its place in the grid, whose piece is the `rank`-th that is added to a chunk.
    pub(super) fn member(&self, walk: [usize; 3], at: [usize; 3], rank: usize) -> [usize; 3] {
        let members: [&[usize]; 3] = std::array::from_fn(|a| self.axes[a].members(at[a]));
        let (mut rank, mut place) = (rank, [0; 3]);
        for a in walk.into_iter().rev() {
            place[a] = members[a][rank % members[a].len()];
            rank /= members[a].len();
        }
        place
    }

    /// The rank of a member.
    pub(super) fn rank(&self, walk: [usize; 3], at: [usize; 3], place: [usize; 3]) -> usize {
        walk.into_iter().fold(0, |rank, a| {
            let members = self.axes[a].members(at[a]);
            rank * members.len() + members.partition_point(|member| *member < place[a])
        })
    }
}
