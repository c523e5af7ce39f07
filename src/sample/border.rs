//! Placement of patches: where a patch may lie in a volume, and where it lies around a chosen
//! voxel.

use super::{Field, Random};
use crate::error::show;
use crate::{Error, Hint, Region, Result, voxels};

/// The treatment of voxels so close to the border that a patch around them would leave the volume.
/// A patch of length `P` is drawn around its voxel `P / 2` (rounded down) on each axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Border {
    /// They are never chosen: of an axis of `S` voxels, the first `P / 2` and the last `(P - 1) /
    /// 2` are excluded, which leaves `S - P + 1`. Every patch has its voxel at the centre, but
    /// voxels at the border are seen less often. As in `TorchIO`'s samplers (version 1).
    Mask,
    /// They are chosen like any other, and the patch is moved inside: its start is `clamp(voxel - P
    /// / 2, 0, S - P)`. Every voxel can be chosen, but many patches lie at the border, with their
    /// voxel off centre. As in the crops of MONAI.
    Clamp,
}

/// Shape and border policy of the patches of a sampler that places them freely.
#[derive(Debug, Clone, Copy)]
pub(super) struct PatchRules {
    pub shape: [usize; 3],
    pub border: Border,
    /// A volume that is smaller than the patch along an axis lies in the middle of the patch.
    pub pad_small_volumes: bool,
}

impl PatchRules {
    pub fn new(shape: [usize; 3], border: Border) -> Result<Self> {
        check(shape)?;
        Ok(Self { shape, border, pad_small_volumes: false })
    }

    /// The placement of these patches in a volume.
    pub fn in_volume(&self, field: &dyn Field) -> Result<Placement> {
        let volume = field.shape();
        check_volume(volume, &field.name())?;
        if !self.pad_small_volumes {
            check_fits(self.shape, volume, &field.name())?;
        }
        Ok(Placement { volume, patch: self.shape, border: self.border })
    }
}

/// The placement of patches in one volume: no axis of the volume is 0, nor above `i64::MAX`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Placement {
    volume: [usize; 3],
    patch: [usize; 3],
    border: Border,
}

impl Placement {
    /// The voxels that patches may be drawn around.
    pub fn allowed(&self) -> Bounds {
        let mut allowed = Bounds { start: [0; 3], end: self.volume };
        for axis in 0..3 {
            let (volume, patch) = (self.volume[axis], self.patch[axis]);
            if self.border == Border::Mask && patch <= volume {
                allowed.start[axis] = patch / 2;
                allowed.end[axis] = volume - (patch - 1) / 2;
            }
        }
        allowed
    }

    /// The patch around a voxel.
    pub fn around(&self, voxel: [usize; 3]) -> Region {
        self.starting_at(std::array::from_fn(|axis| {
            voxel[axis].saturating_sub(self.patch[axis] / 2)
        }))
    }

    /// A patch whose start is uniform over all starts.
    pub fn anywhere(&self, random: &mut Random) -> Region {
        self.starting_at(std::array::from_fn(|axis| {
            let last = self.volume[axis].saturating_sub(self.patch[axis]);
            // At most `last`, which is a usize.
            usize::try_from(random.below(last as u64 + 1)).unwrap_or(last)
        }))
    }

    /// A patch moved inside the volume; on an axis where the volume is shorter, the patch is
    /// centred on it.
    fn starting_at(&self, start: [usize; 3]) -> Region {
        let start =
            std::array::from_fn(|axis| match self.volume[axis].checked_sub(self.patch[axis]) {
                Some(last) => signed(start[axis].min(last)),
                None => centred(self.patch[axis], self.volume[axis]),
            });
        Region::new(start, self.patch)
    }
}

/// A box of voxels inside a volume, from `start` up to but not including `end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bounds {
    pub start: [usize; 3],
    pub end: [usize; 3],
}

impl Bounds {
    /// The voxels that two boxes share; `None` if there are none.
    pub fn intersection(&self, other: &Self) -> Option<Self> {
        let start: [usize; 3] = std::array::from_fn(|axis| self.start[axis].max(other.start[axis]));
        let end: [usize; 3] = std::array::from_fn(|axis| self.end[axis].min(other.end[axis]));
        (0..3).all(|axis| start[axis] < end[axis]).then_some(Self { start, end })
    }

    pub fn region(&self) -> Region {
        let shape = std::array::from_fn(|axis| self.end[axis] - self.start[axis]);
        Region::new(self.start.map(signed), shape)
    }

    /// Number of voxels, which fits `usize` because the volume was checked.
    pub fn voxels(&self) -> usize {
        voxels(self.region().shape).unwrap_or(usize::MAX)
    }

    /// The voxel with this index in C order.
    pub fn voxel(&self, place: usize) -> [usize; 3] {
        let [_, rows, columns] = self.region().shape;
        let within = [place / columns / rows, place / columns % rows, place % columns];
        std::array::from_fn(|axis| self.start[axis] + within[axis])
    }
}

/// The start of a patch that is centred on a shorter axis: of an odd remainder, the smaller half
/// lies before.
pub(super) fn centred(patch: usize, volume: usize) -> i64 {
    -signed(patch.saturating_sub(volume) / 2)
}

/// Lossless, because shapes are checked.
pub(super) fn signed(voxels: usize) -> i64 {
    i64::try_from(voxels).unwrap_or(i64::MAX)
}

/// Refuses a patch without voxels, or with more voxels than `usize` holds.
pub(super) fn check(patch: [usize; 3]) -> Result<()> {
    if patch.contains(&0) {
        return Err(Error::invalid("patch", show(&patch), "every axis must be at least 1"));
    }
    if voxels(patch).and_then(|n| i64::try_from(n).ok()).is_none() {
        return Err(Error::invalid("patch", show(&patch), "has more voxels than can be counted"));
    }
    Ok(())
}

/// Refuses a volume without voxels, or with more voxels than can be counted.
pub(super) fn check_volume(shape: [usize; 3], name: &str) -> Result<()> {
    if let Some(1..) = voxels(shape).and_then(|n| i64::try_from(n).ok()) {
        return Ok(());
    }
    let reason = format!("{name} has no voxels, or more than can be counted");
    Err(Error::invalid("shape", show(&shape), reason))
}

/// Refuses a patch that is longer than the volume on any axis.
pub(super) fn check_fits(patch: [usize; 3], volume: [usize; 3], name: &str) -> Result<()> {
    if (0..3).all(|axis| patch[axis] <= volume[axis]) {
        return Ok(());
    }
    let reason = format!(
        "is larger than {name}, of shape {} (z, y, x); choose a smaller patch, or have small \
         volumes padded",
        show(&volume)
    );
    Err(Error::invalid("patch", show(&patch), reason).hinting(Hint::Pad))
}
