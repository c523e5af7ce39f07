//! Chunks that some of their patches have reached.

use std::collections::BTreeMap;

use super::axis::ChunkBox;
use super::contribution::{Predicted, Weighing};
use super::group::Group;
use super::memory::{HeldBuffer, Memory};
use super::sums::{HeldSums, Sums};
use crate::{Error, Result};

/// A chunk between its first patch and its last.
///
/// Sums of floats depend on their order. So contributions are added in the order of their ranks,
/// whatever order they arrive in: an early contribution is kept until its turn.
#[derive(Debug, Default)]
pub(super) struct OpenChunk {
    /// Sums of the contributions with ranks below `next`; of all that arrived, where each voxel has
    /// one owner.
    pub(super) sums: Option<HeldSums>,
    pub(super) next: usize,
    pub(super) early: BTreeMap<usize, HeldBuffer<f32>>,
    /// Ranks of the contributions that arrived, where each voxel has one owner and the order does
    /// not matter.
    pub(super) owned: Vec<usize>,
    /// A contribution could not be kept: the sums are incomplete.
    pub(super) is_broken: bool,
}

/// The contribution of a prediction to a chunk.
pub(super) struct Arrival<'a> {
    /// The index of the contribution in the order in which the chunk's contributions are added.
    pub(super) rank: usize,
    pub(super) chunk_box: ChunkBox,
    pub(super) predicted: Predicted<'a>,
}

impl OpenChunk {
    /// Takes contributions, by ascending rank; gives the sums once all `members` are added. `chunk_box`
    /// gives the box of the member with a rank.
    pub(super) fn receive(
        &mut self,
        group: &Group,
        weighing: &Weighing<'_>,
        members: usize,
        arrivals: &[Arrival<'_>],
        chunk_box: impl Fn(usize) -> ChunkBox,
        memory: &Memory,
    ) -> Result<Option<Sums>> {
        self.check()?;
        // Reset below, once everything is kept.
        self.is_broken = true;
        let chunk = group.chunk;
        let in_order = !matches!(weighing, Weighing::Owned);
        // If no contribution can be added now, the sums stay in the scratch file.
        let touched = !in_order || arrivals.iter().any(|arrival| arrival.rank == self.next);
        if !touched {
            for Arrival { rank, chunk_box: part, predicted } in arrivals {
                self.early.insert(*rank, memory.keep(predicted.cut(part))?);
            }
            self.is_broken = false;
            return Ok(None);
        }
        let mut sums = self.take_sums(group, weighing, memory)?;
        for Arrival { rank, chunk_box: part, predicted } in arrivals {
            if !in_order {
                weighing.add(&mut sums, chunk, part, predicted);
                self.owned.push(*rank);
            } else if *rank == self.next {
                weighing.add(&mut sums, chunk, part, predicted);
                self.next += 1;
                while let Some(held) = self.early.remove(&self.next) {
                    let part = chunk_box(self.next);
                    add_held(weighing, &mut sums, group, &part, &memory.release(held)?);
                    self.next += 1;
                }
            } else {
                self.early.insert(*rank, memory.keep(predicted.cut(part))?);
            }
        }
        if self.next.max(self.owned.len()) == members {
            return Ok(Some(sums));
        }
        self.sums = Some(sums.keep(memory)?);
        self.is_broken = false;
        Ok(None)
    }

    fn check(&self) -> Result<()> {
        if self.is_broken {
            let reason = "an earlier prediction could not be kept; resume to go on from the shards \
                          that are written";
            return Err(Error::invalid("chunk", "half added", reason));
        }
        Ok(())
    }

    /// The sums of the contributions that have arrived, and their ranks.
    pub(super) fn give_up(
        mut self,
        group: &Group,
        weighing: &Weighing<'_>,
        chunk_box: impl Fn(usize) -> ChunkBox,
        memory: &Memory,
    ) -> Result<(Sums, Vec<usize>)> {
        self.check()?;
        let mut sums = self.take_sums(group, weighing, memory)?;
        let mut ranks: Vec<usize> = (0..self.next).chain(self.owned).collect();
        for (rank, held) in self.early {
            add_held(weighing, &mut sums, group, &chunk_box(rank), &memory.release(held)?);
            ranks.push(rank);
        }
        Ok((sums, ranks))
    }

    fn take_sums(
        &mut self,
        group: &Group,
        weighing: &Weighing<'_>,
        memory: &Memory,
    ) -> Result<Sums> {
        let length = group.chunk_voxels() * group.channels;
        match self.sums.take() {
            Some(held) => held.release(memory),
            None => Ok(Sums::zeros(matches!(weighing, Weighing::Owned), length, memory)),
        }
    }
}

/// Adds a contribution that was kept until its turn.
fn add_held(
    weighing: &Weighing<'_>,
    sums: &mut Sums,
    group: &Group,
    chunk_box: &ChunkBox,
    voxels: &[f32],
) {
    let [z, y, x] = chunk_box.map(|part| part.length);
    let shape = [group.channels, z, y, x];
    let origin = chunk_box.map(|part| part.in_patch);
    let predicted = Predicted { voxels, shape, origin };
    weighing.add(sums, group.chunk, chunk_box, &predicted);
}
