//! The order in which a scan delivers voxels, and the separation of interleaved frames.

use crate::{Error, Result};

/// The order in which a [`crate::scan::Scan`] delivers the voxels of several frames.
///
/// Interleaved frames come in groups of the given size: the frames of a group, consecutive in the
/// order of [`Scan::frame`](crate::scan::Scan::frame), are delivered together, then those of the
/// next group. The size divides the number of frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// Each frame from its first plane to its last, then the next frame.
    #[default]
    Frames,
    /// The first plane of each frame of a group, then the second plane of each, and so on.
    Planes(usize),
    /// The first voxel of each frame of a group, then the second voxel of each, as in colour
    /// images.
    Voxels(usize),
}

impl Order {
    /// The number of frames that are delivered together.
    #[must_use]
    pub const fn group(self) -> usize {
        match self {
            Self::Frames => 1,
            Self::Planes(frames) | Self::Voxels(frames) => frames,
        }
    }

    /// # Errors
    /// [`Error::InvalidArgument`] if the number of frames is not a multiple of the group.
    pub(crate) fn check(self, frames: usize) -> Result<()> {
        let group = self.group();
        if group > 0 && frames.is_multiple_of(group) {
            return Ok(());
        }
        let reason = format!("must divide the {frames} frames of the scan");
        Err(Error::invalid("interleaved frames", group, reason))
    }

    /// Copies the planes of the `n`-th frame of a group out of `delivered`, which holds whole
    /// planes of all frames of the group. A plane has `plane` bytes, a voxel `item` bytes. `out`
    /// has room for exactly the planes of one frame.
    pub(crate) fn take_frame(
        self,
        delivered: &[u8],
        n: usize,
        (item, plane): (usize, usize),
        out: &mut [u8],
    ) {
        let group = self.group();
        match self {
            Self::Frames => out.copy_from_slice(delivered),
            Self::Planes(_) => {
                let planes = delivered.chunks_exact(plane).skip(n).step_by(group);
                out.chunks_exact_mut(plane).zip(planes).for_each(|(out, p)| out.copy_from_slice(p));
            }
            Self::Voxels(_) => match item {
                1 => every::<1>(delivered, n, group, out),
                2 => every::<2>(delivered, n, group, out),
                4 => every::<4>(delivered, n, group, out),
                _ => every::<8>(delivered, n, group, out),
            },
        }
    }

    /// The frame and position of the voxel that is delivered `at`-th in a group: the index of its
    /// frame in the group, and its index in that frame. `frame` and `plane` are numbers of voxels.
    pub(crate) const fn place(self, at: usize, plane: usize) -> (usize, usize) {
        match self {
            Self::Frames => (0, at),
            Self::Planes(group) => {
                let (n, within) = (at / plane, at % plane);
                (n % group, n / group * plane + within)
            }
            Self::Voxels(group) => (at % group, at / group),
        }
    }
}

/// The `n`-th of every `group` voxels; the size is a constant, so that copies compile to moves.
fn every<const ITEM: usize>(delivered: &[u8], n: usize, group: usize, out: &mut [u8]) {
    let voxels = delivered.as_chunks::<ITEM>().0.iter().skip(n).step_by(group);
    for (out, voxel) in out.as_chunks_mut::<ITEM>().0.iter_mut().zip(voxels) {
        *out = *voxel;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_frame_is_taken_out_voxel_by_voxel_as_places_tell(
            group in 1_usize..5,
            planes in 1_usize..4,
            plane in 1_usize..7,
            item in prop::sample::select(vec![1_usize, 2, 4, 8]),
            interleaved: bool,
        ) {
            let order = if interleaved { Order::Voxels(group) } else { Order::Planes(group) };
            let voxels = group * planes * plane;
            // Every voxel is told from every other by its first byte.
            let delivered: Vec<u8> =
                (0..voxels * item).map(|at| u8::try_from(at / item).unwrap_or(0)).collect();
            for n in 0..group {
                let mut out = vec![255; planes * plane * item];
                order.take_frame(&delivered, n, (item, plane * item), &mut out);
                for at in (0..voxels).filter(|at| order.place(*at, plane).0 == n) {
                    let (_, within) = order.place(at, plane);
                    let found = &out[within * item..][..item];
                    prop_assert_eq!(found, &delivered[at * item..][..item]);
                }
            }
        }
    }

    #[test]
    fn groups_are_whole() {
        for (order, frames, is_sound) in [
            (Order::Frames, 5, true),
            (Order::Planes(3), 6, true),
            (Order::Voxels(6), 6, true),
            (Order::Planes(4), 6, false),
            (Order::Voxels(0), 6, false),
        ] {
            assert_eq!(order.check(frames).is_ok(), is_sound, "{order:?}");
        }
    }
}
