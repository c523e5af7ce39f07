//! A region of one frame or of several, into memory of any strides.

use super::bounds::inside;
use super::padded;
use crate::store::{Axes, Destination, Look, View};
use crate::{Frame, Region, Result};

/// Reads a region that was checked, of all frames of a view, into a destination of its shape that is
/// not mirrored yet.
pub(super) fn patch<D: Axes>(view: &View<D>, region: Region, out: Destination<'_>) -> Result<()> {
    let look = view.look();
    // Reading announces its own chunks, but those of later frames only when their turn comes.
    view.shown().skip(1).try_for_each(|frame| look.announce(frame, region))?;
    let mut out = out.flipped(look.flips, region.shape);
    let mut frames = view.shown().enumerate();
    frames.try_for_each(|(n, frame)| of_frame(look, frame, region, out.of_frame(n)))
}

/// Reads a region that was checked, of one frame, into a destination that is mirrored already.
pub(super) fn of_frame(
    look: &Look,
    frame: Frame,
    region: Region,
    out: Destination<'_>,
) -> Result<()> {
    match look.padding {
        Some(padding) if !region.is_inside(look.volume.shape()) => {
            padded::read((look, frame), region, padding, out)
        }
        _ => look.read_box(frame, inside(region), region.shape, out),
    }
}
