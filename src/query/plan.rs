//! What a batch needs: pieces of patches, and how often each chunk is wanted.

use std::collections::HashMap;

use super::bounds::too_large;
use super::padded::Axis;
use crate::padding::Padding;
use crate::store::Volume;
use crate::{Region, Result};

/// Some planes of a patch, which lie in one layer of chunks if they lie inside the volume. What
/// is read at once is a piece: a patch alone can then occupy several threads, and the planes of a
/// piece are contiguous in the patch.
#[derive(Debug, Clone)]
pub(super) struct Piece {
    /// Number of the frame, among those that are read.
    pub(super) frame: usize,
    pub(super) region: Region,
    needs: [Vec<Need>; 3],
}

/// A chunk of one of the frames: the number of the frame, and the place in its chunk grid.
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
    /// Each chunk that is needed, along `z, y, x`, and how often it would be decoded if the piece
    /// was read by itself.
    pub(super) fn chunks(&self) -> impl Iterator<Item = (ChunkOf, usize)> {
        let of = |need: [Need; 3]| (self.frame, need.map(|n| n.at));
        self.parts().map(move |need| (of(need), need.map(|n| n.runs).iter().product()))
    }

    fn parts(&self) -> impl Iterator<Item = [Need; 3]> {
        let [z, y, x] = &self.needs;
        z.iter().flat_map(move |z| y.iter().flat_map(move |y| x.iter().map(move |x| [*z, *y, *x])))
    }

    /// The chunk that is read first; `None` if none is.
    pub(super) fn first(&self) -> Option<[usize; 3]> {
        let first = |a: usize| self.needs[a].first().map(|need| need.at);
        Some([first(0)?, first(1)?, first(2)?])
    }

    /// Voxels that are decoded for each chunk of which only one run is needed, in whole units of
    /// the shape `unit`.
    pub(super) fn decoded(&self, unit: [usize; 3]) -> impl Iterator<Item = (ChunkOf, usize)> {
        self.parts().map(move |need| {
            let units = (0..3).map(|a| {
                let Need { from, end, .. } = need[a];
                (end.div_ceil(unit[a]) - from / unit[a]) * unit[a]
            });
            ((self.frame, need.map(|n| n.at)), units.product())
        })
    }
}

/// The pieces of a batch, in the order in which they lie in a buffer of patches, each of so many
/// `frames`.
///
/// # Errors
/// [`crate::Error::InvalidArgument`] for more voxels than memory can hold.
pub(super) fn pieces(volume: &Volume, frames: usize, regions: &[Region]) -> Result<Vec<Piece>> {
    let mut pieces = Vec::new();
    for region in regions {
        let across = [needs(volume, *region, 1)?, needs(volume, *region, 2)?];
        let mut layers = layers(*region, volume.layout().chunk[0], volume.shape()[0]);
        if volume.flips()[0] {
            layers.reverse();
        }
        let begin = pieces.len();
        for region in layers {
            let [y, x] = across.clone();
            pieces.push(Piece { frame: 0, region, needs: [needs(volume, region, 0)?, y, x] });
        }
        let end = pieces.len();
        for frame in 1..frames {
            pieces.extend_from_within(begin..end);
            pieces[begin + frame * (end - begin)..].iter_mut().for_each(|p| p.frame = frame);
        }
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
fn needs(volume: &Volume, region: Region, axis: usize) -> Result<Vec<Need>> {
    let (chunk, n) = (volume.layout().chunk[axis], volume.shape()[axis]);
    let mut needs: Vec<Need> = Vec::new();
    for (start, length) in runs(region.start[axis], region.shape[axis], n, volume.padding())
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
