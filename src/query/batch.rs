//! Reading many patches at once: what several of them need is decoded once.

use std::collections::HashMap;
use std::slice::from_ref;
use std::sync::Arc;

use ndarray::Array4;
use rayon::prelude::*;

use super::plan::{self, ChunkOf, Piece};
use crate::error::show;
use crate::store::{HeldChunks, Volume};
use crate::{Element, Error, Pool, ReadCost, Region, Result};

/// Decoded chunks that a batch holds at once, in bytes.
pub(super) const HELD_BYTES: usize = 256 << 20;

impl Volume {
    /// Reads regions of one shape as a new array of patches, axes `n, z, y, x`, C-contiguous; the
    /// same voxels as reading each by itself, for any number of threads.
    ///
    /// A chunk that several patches need is decoded once. Those are decoded first, in the order
    /// in which they are stored, and held until they are copied; the others go straight into
    /// their patch. At most 256 MiB of chunks are held: of a batch that shares more, a part at a
    /// time is read, and a chunk is decoded again where two parts share it. No regions give an
    /// array of shape 0, 0, 0, 0.
    ///
    /// # Errors
    /// As [`Volume::read`], and [`Error::InvalidArgument`] if the shapes differ.
    pub fn read_many<T: Element>(&self, regions: &[Region], pool: &Pool) -> Result<Array4<T>> {
        let n = self.check_many::<T>(1, regions)?;
        let [depth, height, width] = regions.first().map_or([0; 3], |region| region.shape);
        let mut voxels =
            bytemuck::allocation::try_zeroed_vec(n).map_err(|()| no_room(1, regions))?;
        read_within(from_ref(self), regions, &mut voxels, pool, HELD_BYTES)?;
        let shape = (regions.len(), depth, height, width);
        Ok(Array4::from_shape_vec(shape, voxels).expect("as many voxels as the shape has"))
    }

    /// As [`Volume::read_many`], into a buffer of exactly the batch's number of voxels, one patch
    /// after the other. After an error the buffer holds anything.
    ///
    /// # Errors
    /// As [`Volume::read_many`], and [`Error::InvalidArgument`] if the buffer has another length.
    pub fn read_many_into<T: Element>(
        &self,
        regions: &[Region],
        out: &mut [T],
        pool: &Pool,
    ) -> Result<()> {
        let n = self.check_many::<T>(1, regions)?;
        if out.len() != n {
            let reason = format!("the {} regions have {n} voxels together", regions.len());
            return Err(Error::invalid("buffer length", out.len(), reason));
        }
        read_within(from_ref(self), regions, out, pool, HELD_BYTES)
    }

    /// The work of reading a batch of regions, which may have any shapes: each chunk counts once.
    /// Of chunks that are needed once, whole decode units count; of the others, every voxel that
    /// lies inside the volume. Opens the shards that are touched, decodes nothing.
    ///
    /// It is that of a handle without a cache, and of a batch whose shared chunks can be held.
    ///
    /// # Errors
    /// [`Error::CorruptStore`], [`Error::Io`]; [`Error::InvalidArgument`] for more voxels than
    /// memory can hold.
    pub fn batch_cost(&self, regions: &[Region]) -> Result<ReadCost> {
        let mut cost = ReadCost::default();
        let item = self.stored_dtype().size();
        for region in regions.iter().filter_map(|region| region.clip(self.shape())) {
            cost.returned_bytes += (region.shape.iter().product::<usize>() * item) as u64;
        }
        let pieces = plan::pieces(self, 1, regions)?;
        let unit = self.layout().codec.decode_unit(self.layout().chunk, item);
        let once: HashMap<_, _> = pieces.iter().flat_map(|piece| piece.decoded(unit)).collect();
        for (chunk, uses) in plan::uses(pieces.iter()) {
            cost.chunks += 1;
            if let Some(stored) = self.stored_chunk_bytes(chunk.1)? {
                let bytes = if uses == 1 { once[&chunk] * item } else { self.chunk_bytes(chunk.1) };
                cost.stored_bytes += stored as u64;
                cost.decoded_bytes += bytes as u64;
            }
        }
        Ok(cost)
    }

    /// The number of voxels of a batch of so many frames, if this handle can return them as `T`.
    pub(super) fn check_many<T: Element>(
        &self,
        frames: usize,
        regions: &[Region],
    ) -> Result<usize> {
        let stored = self.returned_dtype();
        if stored != T::DTYPE {
            return Err(Error::DtypeMismatch { stored, asked: T::DTYPE });
        }
        let Some(first) = regions.first() else { return Ok(0) };
        for (n, region) in regions.iter().enumerate() {
            if region.shape != first.shape {
                let (value, first) = (show(&region.shape), show(&first.shape));
                let reason = format!(
                    "region {n} of the batch has another shape than the first, {first}; read \
                     regions of one shape at a time"
                );
                return Err(Error::invalid("patch shape", value, reason));
            }
            self.check::<T>(*region)?;
        }
        let patch = first.voxels().and_then(|n| n.checked_mul(frames));
        let voxels = patch.and_then(|n| n.checked_mul(regions.len()));
        let bytes = voxels.and_then(|n| n.checked_mul(size_of::<T>()));
        match (voxels, bytes) {
            (Some(voxels), Some(bytes)) if isize::try_from(bytes).is_ok() => Ok(voxels),
            _ => Err(no_room(frames, regions)),
        }
    }
}

pub(super) fn no_room(frames: usize, regions: &[Region]) -> Error {
    let shape = regions.first().map_or([0; 3], |region| region.shape);
    let each = if frames > 1 { format!(", {frames} frames each") } else { String::new() };
    let value = format!("{} patches of {}{each}", regions.len(), show(&shape));
    Error::invalid("batch", value, "more voxels than memory can hold; read fewer at a time")
}

/// Reads a checked batch, holding at most `budget` bytes of chunks: of each region the patch of
/// each of these handles, which differ in their frame alone.
pub(super) fn read_within<T: Element>(
    frames: &[Volume],
    regions: &[Region],
    out: &mut [T],
    pool: &Pool,
    budget: usize,
) -> Result<()> {
    let mut rest = out;
    let mut placed = Vec::new();
    for piece in plan::pieces(&frames[0], frames.len(), regions)? {
        let voxels = piece.region.voxels().expect("it is part of a patch that was checked");
        let (voxels, later) = rest.split_at_mut(voxels);
        let place = piece.first().map(|at| frames[piece.frame].chunk_place(at)).transpose()?;
        placed.push((place, (piece, voxels)));
        rest = later;
    }
    // Those that share chunks come together by this, as far as they can.
    placed.sort_by_key(|(place, _)| *place);
    let mut work: Vec<_> = placed.into_iter().map(|(_, work)| work).collect();
    let uses = plan::uses(work.iter().map(|(piece, _)| piece));
    let mut work = &mut work[..];
    pool.run(|| {
        while !work.is_empty() {
            let (count, shared) = next_part(frames, work, &uses, budget)?;
            let (now, later) = work.split_at_mut(count);
            now.iter().try_for_each(|(piece, _)| frames[piece.frame].prefetch(piece.region))?;
            let held = shared
                .into_par_iter()
                .filter_map(|(frame, at)| {
                    let volume = &frames[frame];
                    let chunk = volume.whole_chunk(at).transpose()?;
                    Some(chunk.map(|chunk| ((volume.looks_at(), at), chunk)))
                })
                .collect::<Result<HeldChunks>>()?;
            let held = Arc::new(held);
            let holding: Vec<_> = frames.iter().map(|volume| volume.holding(&held)).collect();
            now.par_iter_mut()
                .try_for_each(|(piece, voxels)| holding[piece.frame].fetch(piece.region, voxels))?;
            work = later;
        }
        Ok(())
    })
}

/// How many of these pieces are read next, at least one, and the chunks of which they share so
/// much that holding them pays, in the order in which they are stored.
fn next_part<V>(
    frames: &[Volume],
    work: &[(Piece, V)],
    uses: &HashMap<ChunkOf, usize>,
    budget: usize,
) -> Result<(usize, Vec<ChunkOf>)> {
    // All frames are of one shape and in the same chunks.
    let bytes_of = |(_, at): ChunkOf| frames[0].chunk_bytes(at);
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
    let placed = |(frame, at): ChunkOf| Ok((frames[frame].chunk_place(at)?, (frame, at)));
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
        let volume = volume.padded(Padding::Wrap);
        let pool = Pool::new(2).unwrap();
        let regions: Vec<_> = (-3..9).map(|n| Region::new([n, 2 * n, -n], [8, 9, 10])).collect();
        let patches =
            regions.iter().map(|r| volume.read::<u8>(*r).unwrap().into_raw_vec_and_offset().0);
        let expected: Vec<u8> = patches.flatten().collect();
        let work: Vec<_> =
            plan::pieces(&volume, 1, &regions).unwrap().into_iter().map(|p| (p, ())).collect();
        let uses = plan::uses(work.iter().map(|(piece, ())| piece));
        for budget in [0, 59, 200, 1000, 1 << 20] {
            let mut found = vec![0; expected.len()];
            read_within(from_ref(&volume), &regions, &mut found, &pool, budget).unwrap();
            assert!(found == expected, "{budget}");
            let (mut rest, mut held) = (&work[..], Vec::new());
            while !rest.is_empty() {
                let (count, chunks) = next_part(from_ref(&volume), rest, &uses, budget).unwrap();
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
