//! How voxels of any frame are returned: what a view is, but for the frames that it shows.

use super::cache::Memory;
use super::values::Values;
use super::volume::Volume;
use crate::codec::{Cast, Real, Rows};
use crate::padding::Padding;
use crate::{Dtype, Scaling};

/// The part of a [`super::View`] that is the same for each of its frames.
#[derive(Debug, Clone)]
pub(crate) struct Look {
    pub(crate) volume: Volume,
    /// Fills what lies outside of the volume; without, a region that leaves the volume is refused.
    pub(crate) padding: Option<Padding>,
    /// The axes along which patches are mirrored, `z, y, x`.
    pub(crate) flips: [bool; 3],
    pub(super) values: Values,
    pub(super) memory: Memory,
}

impl Look {
    /// Voxels as the source has them.
    pub(super) fn plain(volume: Volume) -> Self {
        let (values, memory) = (Values::Source, Memory::default());
        Self { volume, padding: None, flips: [false; 3], values, memory }
    }

    /// Type of the voxels that are returned.
    pub(crate) fn returned_dtype(&self) -> Dtype {
        match self.values {
            Values::Source => self.volume.dtype(),
            Values::Real | Values::Normalised(_) => Dtype::Float32,
            Values::Converted(dtype) => dtype,
            Values::Stored => self.volume.stored_dtype(),
        }
    }

    /// What happens to a row of stored voxels on the way into a patch.
    pub(super) fn rows(&self) -> Rows {
        let dtype = self.volume.stored_dtype();
        let real = |normalise| {
            let one = Scaling { slope: 1.0, intercept: 0.0 };
            let scaling = self.volume.attributes().scaling.unwrap_or(one);
            Rows::ToF32 { dtype, real: Real { scaling, normalise } }
        };
        match self.values {
            Values::Source => self.volume.stored.widening.map_or(Rows::Copy, Rows::Widen),
            Values::Real => real(None),
            Values::Normalised(normalise) => real(Some(normalise)),
            Values::Converted(to) if to == dtype => Rows::Copy,
            // From the voxels on disk, which are equal to the source's.
            Values::Converted(to) => Rows::Cast(Cast::between(dtype, to)),
            Values::Stored => Rows::Copy,
        }
    }
}
