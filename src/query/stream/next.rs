//! The next patch of a batch, read into the batch's memory.

use std::sync::Arc;

use super::patch::{Named, Origin};
use crate::query::bounds::{axes, check_region, no_room};
use crate::query::buffer::Spare;
use crate::query::voxels::Voxels;
use crate::store::{Axes, View};
use crate::{Dtype, Error, Result};

/// Where the next patch of a batch comes from and goes to.
pub(super) struct Next<'a> {
    /// The patches that the batch has.
    pub(super) before: &'a [Origin],
    pub(super) origin: &'a Origin,
    /// Patches that an empty batch gets memory for.
    pub(super) size: usize,
    pub(super) spare: &'a Arc<Spare>,
}

impl Next<'_> {
    /// Reads the patch of one image. The inner error is of a patch that does not fit to those
    /// before it.
    pub(super) fn read<D: Axes>(
        &self,
        name: &Arc<str>,
        view: &View<D>,
        images: &mut Named<D::Larger>,
    ) -> Result<Result<()>> {
        let region = self.origin.region;
        check_region(view, region)?;
        let (dtype, shape) = (view.returned_dtype(), axes(view, Some(self.size), region.shape));
        let at = images.iter().position(|(image, _)| image == name).unwrap_or(images.len());
        if self.before.is_empty() {
            // What a patch that failed has left may be of another shape.
            images.truncate(at);
            let voxels = Voxels::new(dtype, &shape, Some(self.spare));
            let voxels = voxels.ok_or_else(|| no_room(view, self.size, region.shape))?;
            images.push((Arc::clone(name), voxels));
        }
        let voxels = &mut images[at].1;
        let (was, is) = ((voxels.dtype(), &voxels.shape()[1..]), (dtype, &shape[1..]));
        if was != is {
            return Ok(Err(self.differs(name, was, is)));
        }
        let n = self.before.len();
        let patch = shape[1..].iter().product::<usize>() * dtype.size();
        view.read_checked(region, &mut voxels.bytes_mut()[n * patch..][..patch])?;
        Ok(Ok(()))
    }

    fn differs(&self, image: &str, was: (Dtype, &[usize]), is: (Dtype, &[usize])) -> Error {
        let of = |(dtype, shape): (Dtype, &[usize]), origin: &Origin| {
            format!("{dtype} {shape:?} of subject {}", origin.subject)
        };
        let reason = format!(
            "{} and {} do not fit in one array; scaled views are all of one type",
            of(was, &self.before[0]),
            of(is, self.origin),
        );
        Error::invalid("image", image, reason)
    }
}
