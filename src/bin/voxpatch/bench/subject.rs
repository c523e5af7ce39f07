//! The volume that is measured, and its rival.

use std::io;
use std::path::PathBuf;

use anyhow::Context;
use voxpatch::scan::nifti::MappedNifti;
use voxpatch::{Dataset, Element, ReadCost, Region, Volume, VolumeName};

use super::cache;
use crate::interrupt::Interrupt;
use crate::measure;

/// What patches are read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The stored volume.
    Store,
    /// Its first frame, uncompressed and mapped into memory; rows are copied.
    Map,
}

pub enum Handle {
    Store(Volume),
    Map(Box<MappedNifti>),
}

impl Handle {
    pub fn read_into<T: Element>(&self, region: Region, out: &mut [T]) -> voxpatch::Result<()> {
        match self {
            Self::Store(volume) => volume.read_into(region, out),
            Self::Map(map) => map.read_into(region, out),
        }
    }
}

/// A volume, the copy of its first frame if there is one, and how it is to be measured.
pub struct Subject<'a> {
    pub dataset: &'a Dataset,
    pub name: &'a VolumeName,
    pub shape: [usize; 3],
    pub copy: Option<PathBuf>,
    /// Seconds that a row may take, more or less.
    pub seconds: f64,
    /// Patches of a warm pass, if that was asked for.
    pub patches: Option<usize>,
    pub seed: u64,
    pub interrupt: &'a Interrupt,
}

/// What the patches of a list ask of the store.
#[derive(Debug, Clone, Copy, Default)]
pub struct Work {
    pub patches: usize,
    /// Of all of them.
    pub cost: ReadCost,
    /// Stored bytes of the patch that has the most.
    pub largest: u64,
}

impl std::ops::AddAssign for Work {
    fn add_assign(&mut self, other: Self) {
        self.patches += other.patches;
        self.cost += other.cost;
        self.largest = self.largest.max(other.largest);
    }
}

impl Subject<'_> {
    pub fn sides(&self) -> &'static [Side] {
        if self.copy.is_some() { &[Side::Store, Side::Map] } else { &[Side::Store] }
    }

    /// A handle that no other shares anything with.
    pub fn open(&self, side: Side) -> anyhow::Result<Handle> {
        Ok(match (side, &self.copy) {
            (Side::Map, Some(copy)) => Handle::Map(Box::new(MappedNifti::open(copy)?)),
            _ => Handle::Store(self.dataset.open_volume(self.name)?),
        })
    }

    /// A handle on each side.
    pub fn open_all(&self) -> anyhow::Result<Vec<Handle>> {
        self.sides().iter().map(|side| self.open(*side)).collect()
    }

    /// Makes the system forget the files of one side, of which no handle may be open.
    pub fn forget(&self, side: Side) -> anyhow::Result<()> {
        let path = match (side, &self.copy) {
            (Side::Map, Some(copy)) => copy.clone(),
            _ => self.dataset.path().join(self.name.to_string()),
        };
        let forget = || -> io::Result<()> { cache::drop_pages(&cache::files(&path)?) };
        forget().with_context(|| format!("cannot drop the cached pages of {}", path.display()))
    }

    /// Adds up what the patches ask of the store, and fails unless each comes back as it stands
    /// in the copy.
    pub fn check<T: Element>(&self, regions: &[Region]) -> anyhow::Result<Work> {
        let volume = self.dataset.open_volume(self.name)?;
        let copy = self.copy.as_deref().map(MappedNifti::open).transpose()?;
        let voxels = regions.first().and_then(Region::voxels).unwrap_or(0);
        let length = if copy.is_some() { voxels } else { 0 };
        let (mut ours, mut theirs) = (vec![T::default(); length], vec![T::default(); length]);
        let mut work = Work::default();
        for &region in regions {
            self.interrupt.check()?;
            if let Some(copy) = &copy {
                measure::agree(&volume, copy, region, [&mut ours, &mut theirs])?;
            }
            let cost = volume.cost(region)?;
            work += Work { patches: 1, cost, largest: cost.stored_bytes };
        }
        Ok(work)
    }
}
