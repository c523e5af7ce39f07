//! Begun chunks and begun shards in a checkpoint: written as they are held, and checked in the
//! mapped file before any memory is taken for them.

use std::collections::BTreeMap;
use std::io;

use bytemuck::Pod;

use super::Blend;
use super::group::Group;
use super::memory::{HeldBuffer, Memory};
use super::open::OpenChunk;
use super::planned::PlannedOutput;
use super::shard::OpenShard;
use super::sums::HeldSums;
use super::wire::{List, NumberReader, NumberWriter};
use crate::Result;

fn other(error: crate::Error) -> io::Error {
    io::Error::other(error)
}

/// Writes a list that may lie in the scratch file; only one such list is in memory at a time.
fn write_held<T: Pod>(
    sink: &mut NumberWriter<'_>,
    held: &HeldBuffer<T>,
    memory: &Memory,
) -> io::Result<()> {
    let mut buffer = Vec::new();
    sink.list(memory.look(held, &mut buffer).map_err(other)?)
}

impl OpenChunk {
    pub(super) fn write(&self, sink: &mut NumberWriter<'_>, memory: &Memory) -> io::Result<()> {
        sink.count(self.next)?;
        sink.list(&self.owned.iter().map(|rank| *rank as u64).collect::<Vec<_>>())?;
        sink.count(usize::from(self.sums.is_some()))?;
        match &self.sums {
            Some(HeldSums::Owned(held)) => write_held(sink, held, memory)?,
            Some(HeldSums::Weighted(held)) => write_held(sink, held, memory)?,
            None => {}
        }
        sink.count(self.early.len())?;
        for (rank, held) in &self.early {
            sink.count(*rank)?;
            write_held(sink, held, memory)?;
        }
        Ok(())
    }
}

/// An [`OpenChunk`] in a checkpoint.
pub(super) struct SavedChunk<'a> {
    next: usize,
    owned: Vec<usize>,
    sums: Option<List<'a>>,
    early: Vec<(usize, List<'a>)>,
    is_crop: bool,
}

impl<'a> SavedChunk<'a> {
    /// The saved chunk at `at` (chunk grid); `None` if the bytes are no valid one.
    pub(super) fn read(
        source: &mut NumberReader<'a>,
        (group, blend): (&Group, Blend),
        walk: [usize; 3],
        at: [usize; 3],
    ) -> Option<Self> {
        let (members, is_crop) = (group.members(at), blend == Blend::Crop);
        let is_rank = |rank: &usize| *rank < members;
        let next = source.count().filter(is_rank)?;
        let owned = source.list::<u64>()?.to_vec::<u64>().into_iter();
        let owned = owned.map(|rank| usize::try_from(rank).ok().filter(is_rank));
        let owned: Vec<usize> = owned.collect::<Option<_>>()?;
        let sums = match source.count()? {
            0 => None,
            1 => {
                let (list, length) = if is_crop {
                    let list = source.list::<f32>()?;
                    (list, list.len::<f32>())
                } else {
                    let list = source.list::<f64>()?;
                    (list, list.len::<f64>())
                };
                Some(list).filter(|_| length == group.chunk_voxels() * group.channels)
            }
            _ => return None,
        };
        let early = (0..source.count()?).map(|_| {
            let rank = source.count().filter(is_rank)?;
            let chunk_box = group.chunk_box(group.member(walk, at, rank), at);
            let length =
                group.channels * chunk_box.iter().map(|part| part.length).product::<usize>();
            let list = source.list::<f32>()?;
            (rank > next && list.len::<f32>() == length).then_some((rank, list))
        });
        let early = early.collect::<Option<_>>()?;
        let fits = owned.len() < members && (is_crop || owned.is_empty());
        fits.then_some(Self { next, owned, sums, early, is_crop })
    }

    pub(super) fn hold(self, memory: &Memory) -> Result<OpenChunk> {
        let sums = match self.sums {
            Some(list) if self.is_crop => Some(HeldSums::Owned(memory.keep(list.to_vec())?)),
            Some(list) => Some(HeldSums::Weighted(memory.keep(list.to_vec())?)),
            None => None,
        };
        let early =
            self.early.into_iter().map(|(rank, list)| Ok((rank, memory.keep(list.to_vec())?)));
        let early = early.collect::<Result<BTreeMap<_, _>>>()?;
        Ok(OpenChunk { sums, next: self.next, early, owned: self.owned, is_broken: false })
    }
}

impl OpenShard {
    pub(super) fn write(&self, sink: &mut NumberWriter<'_>, memory: &Memory) -> io::Result<()> {
        sink.count(self.left)?;
        sink.count(self.chunks.len())?;
        for chunk in &self.chunks {
            sink.count(usize::from(chunk.is_some()))?;
            if let Some(held) = chunk {
                write_held(sink, held, memory)?;
            }
        }
        Ok(())
    }
}

/// An [`OpenShard`] in a checkpoint.
pub(super) struct SavedShard<'a> {
    left: usize,
    chunks: Vec<Option<List<'a>>>,
}

impl<'a> SavedShard<'a> {
    /// The saved shard with this index; `None` if the bytes are no valid one.
    pub(super) fn read(
        source: &mut NumberReader<'a>,
        planned: &PlannedOutput,
        group: &Group,
        shard: usize,
    ) -> Option<Self> {
        let most = planned.chunks_in(group, shard);
        let left = source.count().filter(|left| (1..=most).contains(left))?;
        let places = planned.layout.chunks_per_shard().iter().product::<usize>();
        let count = source.count().filter(|n| *n == places * planned.array().channels)?;
        let chunk = |_| match source.count()? {
            0 => Some(None),
            1 => source.list::<u8>().map(Some),
            _ => None,
        };
        let chunks = (0..count).map(chunk).collect::<Option<_>>()?;
        Some(Self { left, chunks })
    }

    pub(super) fn hold(self, planned: &PlannedOutput, memory: &Memory) -> Result<OpenShard> {
        let mut open = OpenShard::new(planned, self.left);
        for (place, saved) in open.chunks.iter_mut().zip(self.chunks) {
            *place = saved.map(|list| memory.keep(list.to_vec())).transpose()?;
        }
        Ok(open)
    }
}
