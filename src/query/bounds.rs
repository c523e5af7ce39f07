//! Regions as places and sizes in memory.

use crate::error::show;
use crate::{Error, Region};

/// The start of a region that lies inside the volume.
pub(super) fn inside(region: Region) -> [usize; 3] {
    region.start.map(|s| usize::try_from(s).expect("the region was found to be inside"))
}

/// The refusal of a patch that no memory holds.
pub(super) fn too_large(region: Region) -> Error {
    Error::invalid("patch shape", show(&region.shape), "more voxels than memory can hold")
}
