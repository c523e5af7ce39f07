//! What a batch needs: pieces of patches, and how often each chunk is wanted.

use std::collections::HashMap;
use std::ops::Range;

use super::bounds::too_large;
use super::padded::Axis;
use crate::padding::Padding;
use crate::store::{Axes, Slab, View};
use crate::{Region, Result};

/// Some frames and planes of a patch: what one thread reads at once. Where the memory of a patch
/// allows, a piece is of one frame and in one layer of chunks, so that a patch alone can occupy
/// several threads.
#[derive(Debug, Clone)]
pub(super) struct Piece {
    /// Numbers of the frames in the patch.
    pub(super) frames: Range<usize>,
    pub(super) region: Region,
    /// Number of the first plane in the patch.
    first_plane: usize,
    needs: [Vec<Need>; 3],
}

/// A chunk of one of the frames: the number of the frame in the patch, and the place in its chunk grid.
pub(super) type ChunkOf = (usize, [usize; 3]);

/// Along one axis, the voxels of one chunk that are needed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Need {
    /// Index in the chunk grid.
    at: usize,
    /// Number of runs of needed voxels: each is read by itself.
    runs: usize,
    /// Of the last run, first voxel and end, from the chunk's own start.
    from: usize,
    end: usize,
}

impl Piece {
    /// Each chunk that is needed, and how often it would be decoded if the piece was read by
    /// itself.
    pub(super) fn chunks(&self) -> impl Iterator<Item = (ChunkOf, usize)> {
        self.parts().map(|(chunk, need)| (chunk, need.map(|n| n.runs).iter().product()))
    }

    fn parts(&self) -> impl Iterator<Item = (ChunkOf, [Need; 3])> {
        let [z, y, x] = &self.needs;
        let one = move || {
            z.iter()
                .flat_map(move |z| y.iter().flat_map(move |y| x.iter().map(move |x| [*z, *y, *x])))
        };
        let frames = self.frames.clone();
        frames.flat_map(move |frame| one().map(move |need| ((frame, need.map(|n| n.at)), need)))
    }

    /// The chunk that is read first; `None` if none is.
    pub(super) fn first(&self) -> Option<ChunkOf> {
        let first = |a: usize| self.needs[a].first().map(|need| need.at);
        Some((self.frames.start, [first(0)?, first(1)?, first(2)?]))
    }

    /// Which part of the patch this is.
    pub(super) fn slab(&self) -> Slab {
        let planes = self.first_plane..self.first_plane + self.region.shape[0];
        (self.frames.clone(), planes)
    }

    /// Voxels that are decoded for each chunk of which only one run is needed, in whole units of
    /// the shape `unit`.
    pub(super) fn decoded(&self, unit: [usize; 3]) -> impl Iterator<Item = (ChunkOf, usize)> {
        self.parts().map(move |(chunk, need)| {
            let units = (0..3).map(|a| {
                let Need { from, end, .. } = need[a];
                (end.div_ceil(unit[a]) - from / unit[a]) * unit[a]
            });
            (chunk, units.product())
        })
    }
}

/// The pieces of a patch of all frames of a view, cut between frames and between layers of chunks as
/// far as the patch may be: `[frames, planes]`.
///
/// # Errors
/// [`crate::Error::InvalidArgument`] for more voxels than memory can hold.
pub(super) fn pieces<D: Axes>(
    view: &View<D>,
    region: Region,
    [frames, planes]: [bool; 2],
) -> Result<Vec<Piece>> {
    let across = [needs(view, region, 1)?, needs(view, region, 2)?];
    let (chunk, length) = (view.volume().layout().chunk[0], view.volume().shape()[0]);
    let layers = if planes { layers(region, chunk, length) } else { vec![region] };
    let each = if frames { 1 } else { view.channels() };
    let (mut pieces, mut first_plane) = (Vec::new(), 0);
    for region in layers {
        let [y, x] = across.clone();
        let needs = [needs(view, region, 0)?, y, x];
        for frame in (0..view.channels()).step_by(each) {
            let (frames, needs) = (frame..frame + each, needs.clone());
            pieces.push(Piece { frames, region, first_plane, needs });
        }
        first_plane += region.shape[0];
    }
    Ok(pieces)
}

/// How often each chunk would be decoded if each piece was read by itself.
pub(super) fn uses<'p>(pieces: impl Iterator<Item = &'p Piece>) -> HashMap<ChunkOf, usize> {
    let mut uses = HashMap::new();
    for (at, times) in pieces.flat_map(Piece::chunks) {
        *uses.entry(at).or_default() += times;
    }
    uses
}

/// Cuts a region along z where chunks begin, inside an axis of `n` voxels.
fn layers(region: Region, chunk: usize, n: usize) -> Vec<Region> {
    let end = usize::try_from(region.end(0)).unwrap_or(0).min(n.saturating_add(1));
    let begin = usize::try_from(region.start[0])
        .map_or(0, |start| (start / chunk * chunk).saturating_add(chunk));
    let mut layers = Vec::new();
    let mut rest = region;
    for cut in (begin..end).step_by(chunk) {
        // It lies inside the region, so both parts have voxels.
        let Ok(cut) = i64::try_from(cut) else { break };
        let Ok(depth) = usize::try_from(rest.start[0].abs_diff(cut)) else { break };
        layers.push(Region { shape: [depth, region.shape[1], region.shape[2]], ..rest });
        rest.start[0] = cut;
        rest.shape[0] -= depth;
    }
    layers.push(rest);
    layers
}

/// What a region needs of the chunks along an axis.
fn needs<D: Axes>(view: &View<D>, region: Region, axis: usize) -> Result<Vec<Need>> {
    let (chunk, n) = (view.volume().layout().chunk[axis], view.volume().shape()[axis]);
    let mut needs: Vec<Need> = Vec::new();
    for (start, length) in runs(region.start[axis], region.shape[axis], n, view.padding())
        .ok_or_else(|| too_large(region))?
    {
        for at in start / chunk..(start + length).div_ceil(chunk) {
            let from = start.max(at * chunk) - at * chunk;
            let end = (start + length).min((at + 1) * chunk) - at * chunk;
            match needs.last_mut() {
                Some(need) if need.at == at => *need = Need { at, runs: need.runs + 1, from, end },
                _ => needs.push(Need { at, runs: 1, from, end }),
            }
        }
    }
    Ok(needs)
}

/// The runs `(start, length)` of voxels of an axis of length `n` that stand in a patch, ascending.
fn runs(
    start: i64,
    length: usize,
    n: usize,
    padding: Option<Padding>,
) -> Option<Vec<(usize, usize)>> {
    let patch = Region::new([start, 0, 0], [length, 1, 1]);
    match padding {
        Some(padding) if !matches!(padding, Padding::Constant(_)) => {
            Some(Axis::new(start, length, n, padding)?.runs)
        }
        _ => Some(patch.clip([n, 1, 1]).iter().map(|r| (inside(r.start[0]), r.shape[0])).collect()),
    }
}

fn inside(start: i64) -> usize {
    usize::try_from(start).expect("it was clipped to the volume")
}
