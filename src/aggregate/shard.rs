//! Shards of an output between their first finished chunk and their last.

use std::collections::HashMap;
use std::sync::Mutex;

use super::Part;
use super::context::{Context, StoreScratch};
use super::group::Group;
use super::memory::{HeldBuffer, Memory};
use super::planned::PlannedOutput;
use super::stored::{ClipCount, stored};
use crate::Result;
use crate::exec::locked;

/// The begun shards of one output.
#[derive(Debug)]
pub(super) struct OutputState {
    /// Index of the output in the plan.
    pub(super) n: usize,
    /// Shards, in C order, that are written already or belong to another part.
    pub(super) skipped: Vec<bool>,
    pub(super) shards: Mutex<HashMap<usize, OpenShard>>,
    pub(super) clipped: ClipCount,
}

impl OutputState {
    pub(super) fn new(n: usize, skipped: Vec<bool>) -> Self {
        Self { n, skipped, shards: Mutex::default(), clipped: ClipCount::default() }
    }

    /// Whether the shard of a chunk is still to be written by this aggregator.
    pub(super) fn wants(&self, planned: &PlannedOutput, chunk: [usize; 3]) -> bool {
        !self.skipped[planned.shard_of(chunk).0]
    }

    /// Encodes the finished chunk at `at`, and has its shard written if the chunk was the shard's
    /// last.
    pub(super) fn store(
        &self,
        context: &Context<'_>,
        group: &Group,
        at: [usize; 3],
        means: &[f32],
        scratch: &mut StoreScratch,
    ) -> Result<()> {
        let planned = &context.plan.outputs[self.n];
        let StoreScratch { voxels, encode } = scratch;
        let stored = stored(planned, group.inside(at), means, voxels, &self.clipped);
        let array = planned.array();
        let encoded = stored
            .chunks_exact(planned.chunk_voxels() * array.dtype.size())
            .map(|channel| context.job.encode(self.n, channel, encode))
            .collect::<Result<Vec<_>>>()?;
        let (shard, place) = planned.shard_of(at);
        let full = {
            let mut shards = locked(&self.shards);
            let open = shards
                .entry(shard)
                .or_insert_with(|| OpenShard::new(planned, planned.chunks_in(group, shard)));
            let last = open.put(place, encoded, context.memory)?;
            if last { shards.remove(&shard) } else { None }
        };
        let Some(full) = full else { return Ok(()) };
        for (channel, chunks) in full.into_channels(context.memory).enumerate() {
            context.job.write_shard(self.n, channel, planned.shard_at(shard), chunks?)?;
        }
        Ok(())
    }
}

/// A shard between its first finished chunk and its last: encoded chunks of every stored channel.
#[derive(Debug)]
pub(super) struct OpenShard {
    /// By channel, then in C order of the shard's grid; `None` for chunks that hold only zeros.
    pub(super) chunks: Vec<Option<HeldBuffer<u8>>>,
    channels: usize,
    /// Chunks that are not finished yet.
    pub(super) left: usize,
}

impl OpenShard {
    /// A shard of which `left` chunks are not finished.
    pub(super) fn new(planned: &PlannedOutput, left: usize) -> Self {
        let channels = planned.array().channels;
        let places: usize = planned.layout.chunks_per_shard().iter().product();
        let chunks = std::iter::repeat_with(|| None).take(channels * places).collect();
        Self { chunks, channels, left }
    }

    /// Puts the encoded chunk of every channel at its index in the shard. True if it was the last
    /// chunk.
    fn put(
        &mut self,
        place: usize,
        encoded: Vec<Option<Vec<u8>>>,
        memory: &Memory,
    ) -> Result<bool> {
        let places = self.chunks.len() / self.channels;
        for (channel, bytes) in encoded.into_iter().enumerate() {
            let held = bytes.map(|bytes| memory.keep(bytes)).transpose()?;
            self.chunks[channel * places + place] = held;
        }
        self.left -= 1;
        Ok(self.left == 0)
    }

    /// The chunks of each channel.
    fn into_channels(self, memory: &Memory) -> impl Iterator<Item = Result<Vec<Option<Vec<u8>>>>> {
        let places = self.chunks.len() / self.channels;
        let mut chunks = self.chunks.into_iter();
        (0..self.channels).map(move |_| {
            let channel = chunks.by_ref().take(places);
            channel.map(|held| held.map(|held| memory.release(held)).transpose()).collect()
        })
    }
}

impl PlannedOutput {
    /// Index of a chunk's shard in C order of the shard grid, and of the chunk in the shard.
    pub(super) fn shard_of(&self, chunk: [usize; 3]) -> (usize, usize) {
        let per_shard = self.layout.chunks_per_shard();
        let [_, rows, columns] = self.layout.shards(self.shape);
        let [z, y, x] = std::array::from_fn(|a| chunk[a] / per_shard[a]);
        let [dz, dy, dx] = std::array::from_fn(|a| chunk[a] % per_shard[a]);
        ((z * rows + y) * columns + x, (dz * per_shard[1] + dy) * per_shard[2] + dx)
    }

    /// Position of a shard in the shard grid.
    pub(super) fn shard_at(&self, shard: usize) -> [usize; 3] {
        let [_, rows, columns] = self.layout.shards(self.shape);
        [shard / columns / rows, shard / columns % rows, shard % columns]
    }

    /// Number of shards of a channel.
    pub(super) fn shards(&self) -> usize {
        self.layout.shards(self.shape).iter().product()
    }

    /// Number of chunks of a shard that lie in the volume.
    pub(super) fn chunks_in(&self, group: &Group, shard: usize) -> usize {
        let (per_shard, chunks, at) =
            (self.layout.chunks_per_shard(), group.chunks(), self.shard_at(shard));
        (0..3).map(|a| per_shard[a].min(chunks[a] - at[a] * per_shard[a])).product()
    }

    /// Whether a shard belongs to a part, which consists of whole shards.
    pub(super) fn is_in(&self, part: &Part, shard: usize) -> bool {
        let axis = part.axis;
        let first = self.shard_at(shard)[axis] * self.layout.shard[axis];
        let [from, to] = part.of_output(self.output.factor[axis], self.shape[axis]);
        (from..to).contains(&first)
    }
}
