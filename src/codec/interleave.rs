//! From byte planes back to voxels: undoing the byte shuffle.

/// Writes voxels of `N` bytes, the `k`-th byte of each taken from `planes[k]`. The planes are of
/// equal length, and `out` is `N` times as long.
#[inline(always)]
#[allow(clippy::inline_always)]
pub(super) fn interleave<const N: usize>(planes: [&[u8]; N], out: &mut [u8]) {
    if let [low, high] = planes[..] {
        return match low.len() {
            16.. => pairs::<16>(low, high, out),
            8.. => pairs::<8>(low, high, out),
            _ => one_by_one([low, high], out),
        };
    }
    one_by_one(planes, out);
}

/// Voxels of two bytes, in lanes of `L` that compile to vector instructions. The last lane is
/// aligned to the end: it rewrites some of the one before it, and spares a slower rest.
#[inline(always)]
#[allow(clippy::inline_always)]
fn pairs<const L: usize>(low: &[u8], high: &[u8], out: &mut [u8]) {
    let out = out.as_chunks_mut::<2>().0;
    if !low.len().is_multiple_of(L)
        && let (Some(low), Some(high)) = (low.last_chunk(), high.last_chunk())
        && let Some(out) = out.last_chunk_mut()
    {
        lane::<L>(low, high, out);
    }
    let lanes = low.as_chunks().0.iter().zip(high.as_chunks().0);
    for ((low, high), out) in lanes.zip(out.as_chunks_mut().0) {
        lane::<L>(low, high, out);
    }
}

#[inline(always)]
#[allow(clippy::inline_always)]
fn lane<const L: usize>(low: &[u8; L], high: &[u8; L], out: &mut [[u8; 2]; L]) {
    // A value of its own, filled byte by byte, is what the compiler turns into vectors.
    let mut voxels = [[0; 2]; L];
    for i in 0..L {
        voxels[i][0] = low[i];
        voxels[i][1] = high[i];
    }
    *out = voxels;
}

fn one_by_one<const N: usize>(planes: [&[u8]; N], out: &mut [u8]) {
    let out = out.as_chunks_mut::<N>().0;
    // Equal lengths, told to the compiler.
    let mut planes = planes;
    for plane in &mut planes {
        *plane = &plane[..out.len()];
    }
    for (i, voxel) in out.iter_mut().enumerate() {
        *voxel = std::array::from_fn(|k| planes[k][i]);
    }
}

/// Undoes the byte shuffle of a block with elements of any size. Bytes behind the last whole
/// element were not shuffled.
pub(super) fn unshuffle(element: usize, shuffled: &[u8], out: &mut [u8]) {
    let count = shuffled.len() / element;
    let (voxels, tail) = out.split_at_mut(count * element);
    for (i, voxel) in voxels.chunks_exact_mut(element).enumerate() {
        for (k, byte) in voxel.iter_mut().enumerate() {
            *byte = shuffled[k * count + i];
        }
    }
    tail.copy_from_slice(&shuffled[count * element..]);
}
