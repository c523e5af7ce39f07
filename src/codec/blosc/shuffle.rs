//! The byte shuffle.

/// Bytes of equal significance together.
pub(super) fn shuffle(item: usize, block: &[u8], out: &mut [u8]) {
    match item {
        2 => pairs(block, out),
        4 => quads(block, out),
        8 => planes::<8>(block, out),
        _ => out.copy_from_slice(block),
    }
}

/// Both planes in one pass, which the compiler turns into packing instructions.
fn pairs(block: &[u8], out: &mut [u8]) {
    let (voxels, _) = block.as_chunks::<2>();
    let (low, high) = out.split_at_mut(voxels.len());
    for ((voxel, low), high) in voxels.iter().zip(low).zip(high) {
        let voxel = u16::from_le_bytes(*voxel);
        *low = voxel.to_le_bytes()[0];
        *high = (voxel >> 8).to_le_bytes()[0];
    }
}

/// The same for four planes.
fn quads(block: &[u8], out: &mut [u8]) {
    let (voxels, _) = block.as_chunks::<4>();
    let (low, high) = out.split_at_mut(2 * voxels.len());
    let ((a, b), (c, d)) = (low.split_at_mut(voxels.len()), high.split_at_mut(voxels.len()));
    let planes = a.iter_mut().zip(b).zip(c.iter_mut().zip(d));
    for (voxel, ((a, b), (c, d))) in voxels.iter().zip(planes) {
        [*a, *b, *c, *d] = *voxel;
    }
}

fn planes<const N: usize>(block: &[u8], out: &mut [u8]) {
    let (voxels, _) = block.as_chunks::<N>();
    for (n, plane) in out.chunks_exact_mut(voxels.len()).enumerate() {
        for (out, voxel) in plane.iter_mut().zip(voxels) {
            *out = voxel[n];
        }
    }
}
