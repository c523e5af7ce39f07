//! The same patch from the store and from the uncompressed copy, byte for byte.

use voxpatch::scan::nifti::MappedNifti;
use voxpatch::{Element, Region, Volume};

/// Fails unless both return the same voxels. The buffers are as long as the region, and hold it
/// afterwards.
pub fn agree<T: Element>(
    volume: &Volume,
    source: &MappedNifti,
    region: Region,
    [ours, theirs]: [&mut [T]; 2],
) -> anyhow::Result<()> {
    volume.read_into(region, ours)?;
    source.read_into(region, theirs)?;
    // Bytes, as a voxel that is not a number does not equal itself.
    if bytemuck::cast_slice::<T, u8>(ours) != bytemuck::cast_slice::<T, u8>(theirs) {
        anyhow::bail!("{}: the patch {region} is not that of the source", volume.name());
    }
    Ok(())
}
