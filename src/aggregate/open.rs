//! A chunk that some of its patches have reached.

use std::collections::BTreeMap;

use super::axis::Piece;
use super::group::Group;
use super::memory::{Held, Memory};
use super::piece::{Predicted, Weighing};
use super::sums::{HeldSums, Sums};
use crate::{Error, Result};

/// A chunk between its first patch and its last.
///
/// Sums of floats depend on their order. So pieces are added in the order of their ranks, whatever
/// order they arrive in: what comes early is kept until its turn.
#[derive(Debug, Default)]
pub(super) struct OpenChunk {
    /// Of the pieces below `next`; of all that arrived where each voxel has one owner.
    pub(super) sums: Option<HeldSums>,
    pub(super) next: usize,
    pub(super) early: BTreeMap<usize, Held<f32>>,
    /// Pieces that arrived, where their order is nothing to them.
    pub(super) owned: Vec<usize>,
    /// What arrived could not be kept: the sums are not what they should be.
    pub(super) is_broken: bool,
}

/// One piece of a prediction on its way to a chunk.
pub(super) struct Arrival<'a> {
    /// Its number among the pieces of the chunk, in the order in which they are added.
    pub(super) rank: usize,
    pub(super) piece: Piece,
    pub(super) predicted: Predicted<'a>,
}

impl OpenChunk {
    /// Takes pieces in, by ascending rank; gives the sums once all `members` are added.
    /// `piece` tells what the member of a rank contributes.
    pub(super) fn receive(
        &mut self,
        group: &Group,
        weighing: &Weighing<'_>,
        members: usize,
        arrivals: &[Arrival<'_>],
        piece: impl Fn(usize) -> Piece,
        memory: &Memory,
    ) -> Result<Option<Sums>> {
        self.check()?;
        // Until all of it is where it should be.
        self.is_broken = true;
        let chunk = group.chunk;
        let in_order = !matches!(weighing, Weighing::Owned);
        // Where nothing is to be added now, the sums stay where they are.
        let touched = !in_order || arrivals.iter().any(|arrival| arrival.rank == self.next);
        if !touched {
            for Arrival { rank, piece: part, predicted } in arrivals {
                self.early.insert(*rank, memory.keep(predicted.cut(part))?);
            }
            self.is_broken = false;
            return Ok(None);
        }
        let mut sums = self.take_sums(group, weighing, memory)?;
        for Arrival { rank, piece: part, predicted } in arrivals {
            if !in_order {
                weighing.add(&mut sums, chunk, part, predicted);
                self.owned.push(*rank);
            } else if *rank == self.next {
                weighing.add(&mut sums, chunk, part, predicted);
                self.next += 1;
                while let Some(held) = self.early.remove(&self.next) {
                    let part = piece(self.next);
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
            let reason = "what came of an earlier prediction could not be kept; resume, which goes \
                          on from what is written";
            return Err(Error::invalid("chunk", "half added", reason));
        }
        Ok(())
    }

    /// The sums of what has arrived, and the ranks of that.
    pub(super) fn give_up(
        mut self,
        group: &Group,
        weighing: &Weighing<'_>,
        piece: impl Fn(usize) -> Piece,
        memory: &Memory,
    ) -> Result<(Sums, Vec<usize>)> {
        self.check()?;
        let mut sums = self.take_sums(group, weighing, memory)?;
        let mut ranks: Vec<usize> = (0..self.next).chain(self.owned).collect();
        for (rank, held) in self.early {
            add_held(weighing, &mut sums, group, &piece(rank), &memory.release(held)?);
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

/// Adds a piece that was kept.
fn add_held(
    weighing: &Weighing<'_>,
    sums: &mut Sums,
    group: &Group,
    piece: &Piece,
    voxels: &[f32],
) {
    let [z, y, x] = piece.map(|part| part.length);
    let shape = [group.channels, z, y, x];
    let origin = piece.map(|part| part.in_patch);
    let predicted = Predicted { voxels, shape, origin };
    weighing.add(sums, group.chunk, piece, &predicted);
}
