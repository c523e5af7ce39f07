//! The measured volume, and its uncompressed copy.

use std::path::PathBuf;

use super::watch::{Progress, Step, tell};
use super::{Options, cache};
use crate::query::ReadCost;
use crate::scan::nifti::MappedNifti;
use crate::store::{Dataset, Volume, VolumeName};
use crate::{Element, Error, Region, Result};

/// A source of patches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// The stored volume.
    Store,
    /// Its first frame, uncompressed and mapped into memory; a read copies rows.
    Map,
}

pub(super) enum Handle {
    Store(Volume),
    Map(Box<MappedNifti>),
}

impl Handle {
    pub(super) fn read_into<T: Element>(&self, region: Region, out: &mut [T]) -> Result<()> {
        match self {
            Self::Store(volume) => volume.read_into(region, out),
            Self::Map(map) => map.read_into(region, out),
        }
    }
}

/// A volume, the copy of its first frame if there is one, and the options.
pub(super) struct Subject<'a> {
    pub(super) dataset: &'a Dataset,
    pub(super) name: &'a VolumeName,
    pub(super) shape: [usize; 3],
    pub(super) copy: Option<PathBuf>,
    pub(super) options: &'a Options,
    pub(super) progress: Progress<'a>,
}

/// The store's work for a list of patches.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Work {
    pub(super) patches: usize,
    /// Cost of all patches.
    pub(super) cost: ReadCost,
    /// Stored bytes of the patch that has the most.
    pub(super) largest: u64,
}

impl std::ops::AddAssign for Work {
    fn add_assign(&mut self, other: Self) {
        self.patches += other.patches;
        self.cost += other.cost;
        self.largest = self.largest.max(other.largest);
    }
}

impl Subject<'_> {
    pub(super) fn sides(&self) -> &'static [Side] {
        if self.copy.is_some() { &[Side::Store, Side::Map] } else { &[Side::Store] }
    }

    /// A new handle that shares nothing with others.
    pub(super) fn open(&self, side: Side) -> Result<Handle> {
        Ok(match (side, &self.copy) {
            (Side::Map, Some(copy)) => Handle::Map(Box::new(MappedNifti::open(copy)?)),
            _ => Handle::Store(self.dataset.open_volume(self.name)?),
        })
    }

    /// A new handle on each side.
    pub(super) fn open_all(&self) -> Result<Vec<Handle>> {
        self.sides().iter().map(|side| self.open(*side)).collect()
    }

    /// Makes the system drop the files of one side, of which no handle may be open.
    pub(super) fn forget(&self, side: Side) -> Result<()> {
        let path = match (side, &self.copy) {
            (Side::Map, Some(copy)) => copy.clone(),
            _ => self.folder(),
        };
        let done = cache::files(&path).and_then(|files| cache::drop_pages(&files));
        done.map_err(Error::io("drop the cached pages of", path))
    }

    fn folder(&self) -> PathBuf {
        self.dataset.path().join(self.name.to_string())
    }

    /// Adds up the store's work for the patches, and fails unless each patch equals the copy.
    pub(super) fn check<T: Element>(&self, regions: &[Region]) -> Result<Work> {
        let volume = self.dataset.open_volume(self.name)?;
        let copy = self.copy.as_deref().map(MappedNifti::open).transpose()?;
        let voxels = regions.first().and_then(Region::voxels).unwrap_or(0);
        let length = if copy.is_some() { voxels } else { 0 };
        let (mut ours, mut theirs) = (vec![T::default(); length], vec![T::default(); length]);
        let mut work = Work::default();
        for &region in regions {
            tell(self.progress, Step::Going)?;
            if let Some(copy) = &copy {
                volume.read_into(region, &mut ours)?;
                copy.read_into(region, &mut theirs)?;
                // Compared as bytes, because NaN does not equal itself.
                if bytemuck::cast_slice::<T, u8>(&ours) != bytemuck::cast_slice::<T, u8>(&theirs) {
                    let reason = format!("the patch {region} is not that of the copy");
                    return Err(Error::corrupt_store(self.folder(), reason));
                }
            }
            let cost = volume.cost(region)?;
            work += Work { patches: 1, cost, largest: cost.stored_bytes };
        }
        Ok(work)
    }
}
