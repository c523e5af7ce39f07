//! The sums of a chunk.

use super::memory::{HeldBuffer, Memory};
use crate::Result;

/// The voxels of a chunk that some patches have reached, channel after channel.
///
/// Sums are in double precision. Their rounding is so far below that of single precision that the
/// mean of equal numbers is that number, bit for bit, and no sum of finite numbers is infinite.
#[derive(Debug)]
pub(super) enum Sums {
    /// Where each voxel has one owner: the owner's values.
    Owned(Vec<f32>),
    /// Otherwise: the sums of the weighted values.
    Weighted(Vec<f64>),
}

/// Sums that are kept between patches.
#[derive(Debug)]
pub(super) enum HeldSums {
    Owned(HeldBuffer<f32>),
    Weighted(HeldBuffer<f64>),
}

impl Sums {
    /// Sums of `length` zeros.
    pub(super) fn zeros(is_owned: bool, length: usize, memory: &Memory) -> Self {
        if is_owned {
            Self::Owned(memory.zeros(length))
        } else {
            Self::Weighted(memory.zero_sums(length))
        }
    }

    pub(super) fn keep(self, memory: &Memory) -> Result<HeldSums> {
        Ok(match self {
            Self::Owned(values) => HeldSums::Owned(memory.keep(values)?),
            Self::Weighted(sums) => HeldSums::Weighted(memory.keep(sums)?),
        })
    }
}

impl HeldSums {
    pub(super) fn release(self, memory: &Memory) -> Result<Sums> {
        Ok(match self {
            Self::Owned(held) => Sums::Owned(memory.release(held)?),
            Self::Weighted(held) => Sums::Weighted(memory.release(held)?),
        })
    }
}
