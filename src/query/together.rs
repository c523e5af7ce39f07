//! The work of a batch: what several patches need is decoded once.

use std::collections::HashMap;
use std::sync::Arc;

use rayon::prelude::*;

use super::fetch;
use super::plan::{self, ChunkOf, Piece};
use crate::store::{Axes, ChunkAt, Destination, HeldChunks, View};
use crate::{Pool, Region, Result};

/// Decoded chunks that a batch holds at once, in bytes.
pub(super) const HELD_BYTES: usize = 256 << 20;

/// Reads patches that were checked, each into a destination that is not mirrored yet, holding at
/// most `budget` bytes of chunks.
pub(super) fn read<D: Axes>(
    view: &View<D>,
    patches: Vec<(Region, Destination<'_>)>,
    pool: &Pool,
    budget: usize,
) -> Result<()> {
    let mut placed = Vec::new();
    for (region, out) in patches {
        let out = out.flipped(view.look().flips, region.shape);
        let [z, y, x] = region.shape;
        let pieces = plan::pieces(view, region, out.lies_apart([view.channels(), z, y, x]))?;
        let slabs: Vec<_> = pieces.iter().map(Piece::slab).collect();
        for (piece, out) in pieces.into_iter().zip(out.split(&slabs, region.shape)) {
            let first = piece.first().map(|chunk| at(view, chunk));
            let place =
                first.map(|(frame, at)| view.volume().chunk_place(frame, at)).transpose()?;
            placed.push((place, (piece, out)));
        }
    }
    // Pieces that share chunks come together by this, as far as they can.
    placed.sort_by_key(|(place, _)| *place);
    let mut work: Vec<_> = placed.into_iter().map(|(_, work)| work).collect();
    let uses = plan::uses(work.iter().map(|(piece, _)| piece));
    let mut work = &mut work[..];
    pool.run(|| {
        while !work.is_empty() {
            let (count, shared) = next_part(view, work, &uses, budget)?;
            let (now, later) = work.split_at_mut(count);
            now.iter().try_for_each(|(piece, _)| {
                let mut frames = piece.frames.clone().map(|n| view.frame_at(n));
                frames.try_for_each(|frame| view.look().announce(frame, piece.region))
            })?;
            let held = shared
                .into_par_iter()
                .filter_map(|chunk| {
                    let chunk = at(view, chunk);
                    let whole = view.look().whole_chunk(chunk).transpose()?;
                    Some(whole.map(|whole| (chunk, whole)))
                })
                .collect::<Result<HeldChunks>>()?;
            let holding = view.holding(&Arc::new(held));
            now.par_iter_mut().try_for_each(|(piece, out)| {
                piece.frames.clone().enumerate().try_for_each(|(n, number)| {
                    let frame = holding.frame_at(number);
                    fetch::of_frame(holding.look(), frame, piece.region, out.of_frame(n))
                })
            })?;
            work = later;
        }
        Ok(())
    })
}

/// A chunk by its frame, given by the number that the frame has in a patch.
fn at<D: Axes>(view: &View<D>, (number, at): ChunkOf) -> ChunkAt {
    (view.frame_at(number), at)
}

/// How many of these pieces are read next, at least one, and the chunks of which they share so
/// much that holding them pays, in the order in which they are stored.
fn next_part<D: Axes, V>(
    view: &View<D>,
    work: &[(Piece, V)],
    uses: &HashMap<ChunkOf, usize>,
    budget: usize,
) -> Result<(usize, Vec<ChunkOf>)> {
    // All frames are of one shape and in the same chunks.
    let bytes_of = |(_, at): ChunkOf| view.volume().chunk_bytes(at);
    let mut here = HashMap::new();
    let (mut count, mut bytes) = (0, 0_usize);
    for (piece, _) in work {
        let shared = || piece.chunks().filter(|(chunk, _)| uses[chunk] > 1);
        let new = shared().filter(|(chunk, _)| !here.contains_key(chunk));
        bytes = new.fold(bytes, |sum, (chunk, _)| sum.saturating_add(bytes_of(chunk)));
        if count > 0 && bytes > budget {
            break;
        }
        for (chunk, times) in shared() {
            *here.entry(chunk).or_insert(0) += times;
        }
        count += 1;
    }
    let shared = here.into_iter().filter(|(_, times)| *times > 1).map(|(chunk, _)| chunk);
    let placed = |chunk: ChunkOf| {
        let (frame, at) = at(view, chunk);
        Ok((view.volume().chunk_place(frame, at)?, chunk))
    };
    let mut shared = shared.map(placed).collect::<Result<Vec<_>>>()?;
    shared.sort_unstable();
    // One piece alone may need too much.
    let mut left = budget;
    shared.retain(|(_, chunk)| {
        let fits = left.checked_sub(bytes_of(*chunk));
        left = fits.unwrap_or(left);
        fits.is_some()
    });
    Ok((count, shared.into_iter().map(|(_, chunk)| chunk).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::LocalDisk;
    use crate::layout::{ChunkLayout, Codec};
    use crate::store::{Dataset, tests::write};
    use crate::{Dtype, Padding};

    #[test]
    fn whatever_may_be_held_the_voxels_are_the_same_and_no_more_is_held() {
        let folder = tempfile::tempdir().unwrap();
        let layout = ChunkLayout::new([3, 4, 5], [6, 8, 10], Codec::None).unwrap();
        let voxels: Vec<u8> = (1..=241).cycle().take(13 * 14 * 15).collect();
        write(&LocalDisk::new(folder.path()), layout, Dtype::UInt8, [13, 14, 15], &voxels);
        let volume = Dataset::open(folder.path()).unwrap().volume("a/b").unwrap();
        let view = volume.view().padded(Padding::Wrap);
        let pool = Pool::new(2).unwrap();
        let regions: Vec<_> = (-3..9).map(|n| Region::new([n, 2 * n, -n], [8, 9, 10])).collect();
        let patches =
            regions.iter().map(|r| view.read::<u8>(*r).unwrap().into_raw_vec_and_offset().0);
        let expected: Vec<u8> = patches.flatten().collect();
        let work: Vec<_> = regions
            .iter()
            .flat_map(|r| plan::pieces(&view, *r, [true; 2]).unwrap())
            .map(|p| (p, ()))
            .collect();
        let uses = plan::uses(work.iter().map(|(piece, ())| piece));
        for budget in [0, 59, 200, 1000, 1 << 20] {
            let mut found = vec![0; expected.len()];
            let outs = found.chunks_exact_mut(8 * 9 * 10);
            let outs = outs.map(|bytes| Destination::dense(bytes, [8, 9, 10], 1));
            let patches = regions.iter().copied().zip(outs).collect();
            read(&view, patches, &pool, budget).unwrap();
            assert!(found == expected, "{budget}");
            let (mut rest, mut held) = (&work[..], Vec::new());
            while !rest.is_empty() {
                let (count, chunks) = next_part(&view, rest, &uses, budget).unwrap();
                let bytes: usize = chunks.iter().map(|(_, at)| volume.chunk_bytes(*at)).sum();
                assert!(bytes <= budget);
                held.extend(chunks);
                rest = &rest[count..];
            }
            if budget == 1 << 20 {
                held.sort_unstable();
                let mut shared: Vec<_> =
                    uses.iter().filter(|(_, n)| **n > 1).map(|(at, _)| *at).collect();
                shared.sort_unstable();
                assert_eq!(held, shared);
            }
        }
    }
}
