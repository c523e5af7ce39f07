//! Which regions a view can return, and how much that is.

use crate::error::show;
use crate::store::{Axes, View};
use crate::{Element, Error, Region, Result};

/// The start of a region that lies inside the volume.
pub(super) fn inside(region: Region) -> [usize; 3] {
    region.start.map(|s| usize::try_from(s).expect("the region was found to be inside"))
}

/// The refusal of a patch that no memory holds.
pub(super) fn too_large(region: Region) -> Error {
    Error::invalid("patch shape", show(&region.shape), "more voxels than memory can hold")
}

/// Refuses a type that a view does not return.
pub(super) fn check_type<T: Element>(view: &View<impl Axes>) -> Result<()> {
    let stored = view.returned_dtype();
    if stored == T::DTYPE { Ok(()) } else { Err(Error::DtypeMismatch { stored, asked: T::DTYPE }) }
}

/// The number of voxels of a patch, of all frames of the view, if the view can return it.
pub(super) fn check_region(view: &View<impl Axes>, region: Region) -> Result<usize> {
    view.check_padding()?;
    if region.shape.contains(&0) {
        let reason = "every axis (z, y, x) must be at least 1";
        return Err(Error::invalid("patch shape", show(&region.shape), reason));
    }
    let shape = view.volume().shape();
    if view.padding().is_none() && !region.is_inside(shape) {
        return Err(Error::OutOfBounds { region, shape });
    }
    let voxels = region.voxels().and_then(|n| n.checked_mul(view.channels()));
    let bytes = voxels.and_then(|n| n.checked_mul(view.returned_dtype().size()));
    match (voxels, bytes) {
        (Some(voxels), Some(bytes)) if isize::try_from(bytes).is_ok() => Ok(voxels),
        _ => Err(too_large(region)),
    }
}

/// The number of voxels of a batch of patches of one shape, if the view can return it.
pub(super) fn check_batch(view: &View<impl Axes>, regions: &[Region]) -> Result<usize> {
    let Some(first) = regions.first() else { return Ok(0) };
    let mut patch = 0;
    for (n, region) in regions.iter().enumerate() {
        if region.shape != first.shape {
            let (value, first) = (show(&region.shape), show(&first.shape));
            let reason = format!(
                "region {n} of the batch has another shape than the first, {first}; read regions \
                 of one shape at a time"
            );
            return Err(Error::invalid("patch shape", value, reason));
        }
        patch = check_region(view, *region)?;
    }
    let voxels = patch.checked_mul(regions.len());
    let bytes = voxels.and_then(|n| n.checked_mul(view.returned_dtype().size()));
    match (voxels, bytes) {
        (Some(voxels), Some(bytes)) if isize::try_from(bytes).is_ok() => Ok(voxels),
        _ => Err(no_room(view, regions.len(), first.shape)),
    }
}

/// The refusal of a batch that no memory holds.
pub(super) fn no_room(view: &View<impl Axes>, patches: usize, shape: [usize; 3]) -> Error {
    let frames = view.channels();
    let each = if frames > 1 { format!(", {frames} frames each") } else { String::new() };
    let value = format!("{patches} patches of {}{each}", show(&shape));
    Error::invalid("batch", value, "more voxels than memory can hold; read fewer at a time")
}

/// The shape of a patch, or with a number of patches in front that of a batch, as the view returns
/// it: with its channels, if the view is of several frames.
pub(super) fn axes<D: Axes>(
    view: &View<D>,
    patches: Option<usize>,
    shape: [usize; 3],
) -> Vec<usize> {
    let channels = (D::NDIM == Some(4)).then(|| view.channels());
    patches.into_iter().chain(channels).chain(shape).collect()
}
