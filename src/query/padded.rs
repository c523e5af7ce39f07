//! Reading a region that leaves the volume.

use super::bounds::{inside, too_large};
use crate::padding::Padding;
use crate::store::{Destination, Volume};
use crate::{Element, Region, Result};

/// Reads `region`, making up what lies outside. Needs memory for one more patch, except with
/// [`Padding::Constant`].
pub(super) fn read<T: Element>(
    volume: &Volume,
    region: Region,
    padding: Padding,
    out: &mut [T],
) -> Result<()> {
    match padding {
        Padding::Constant(value) => constant(volume, region, value, out),
        _ => mirrored(volume, region, padding, out),
    }
}

/// The boxes of the volume, as start and shape, that a read of `region` needs.
pub(super) fn boxes(volume: &Volume, region: Region) -> Result<Vec<([usize; 3], [usize; 3])>> {
    let padding = match volume.padding() {
        Some(padding) if !region.is_inside(volume.shape()) => padding,
        _ => Padding::Constant(0.0),
    };
    if let Padding::Constant(_) = padding {
        let core = region.clip(volume.shape());
        return Ok(core.map(|core| (inside(core), core.shape)).into_iter().collect());
    }
    let axis = |a: usize| {
        Axis::new(region.start[a], region.shape[a], volume.shape()[a], padding)
            .ok_or_else(|| too_large(region))
    };
    let axes = [axis(0)?, axis(1)?, axis(2)?];
    let mut boxes = Vec::new();
    for (z, depth) in &axes[0].runs {
        for (y, height) in &axes[1].runs {
            for (x, width) in &axes[2].runs {
                boxes.push(([*z, *y, *x], [*depth, *height, *width]));
            }
        }
    }
    Ok(boxes)
}

fn constant<T: Element>(volume: &Volume, region: Region, value: f64, out: &mut [T]) -> Result<()> {
    out.fill(T::from_f64(value));
    let Some(core) = region.clip(volume.shape()) else { return Ok(()) };
    // What lies before the volume is part of the patch, so it fits `usize`.
    #[allow(clippy::cast_possible_truncation)]
    let lead: [usize; 3] =
        std::array::from_fn(|a| core.start[a].abs_diff(region.start[a]) as usize);
    let bytes = bytemuck::cast_slice_mut(out);
    let out = Destination::dense(bytes, region.shape, size_of::<T>())
        .flipped(volume.flips(), region.shape)
        .from(lead);
    volume.read_box(inside(core), core.shape, out)
}

/// One axis: which voxels of the volume are needed, and where each voxel of the patch finds its
/// own among them.
pub(super) struct Axis {
    /// Runs `(start, length)` of consecutive source indices, ascending and apart.
    pub(super) runs: Vec<(usize, usize)>,
    /// For each index of the patch, the position among all indices of `runs`.
    position: Vec<usize>,
    /// Number of source indices.
    needed: usize,
}

impl Axis {
    /// `None` if memory has no room for it.
    pub(super) fn new(start: i64, length: usize, n: usize, padding: Padding) -> Option<Self> {
        let mut sources = Vec::new();
        sources.try_reserve_exact(length).ok()?;
        for i in 0..length {
            // Beyond the last index that a region can begin at, too.
            let index = i128::from(start) + i as i128;
            sources.push(padding.source(index, n).expect("only a constant has no source"));
        }
        let mut needed = sources.clone();
        needed.sort_unstable();
        needed.dedup();
        let mut runs: Vec<(usize, usize)> = Vec::new();
        for &index in &needed {
            match runs.last_mut() {
                Some((start, length)) if *start + *length == index => *length += 1,
                _ => runs.push((index, 1)),
            }
        }
        let find = |s: &usize| needed.binary_search(s).expect("each source is needed");
        Some(Self { position: sources.iter().map(find).collect(), needed: needed.len(), runs })
    }

    /// Each run with its position among the needed indices.
    fn placed(&self) -> impl Iterator<Item = (usize, usize, usize)> {
        let mut at = 0;
        self.runs.iter().map(move |&(start, length)| {
            let placed = (at, start, length);
            at += length;
            placed
        })
    }
}

/// Every source voxel is read once, into a box of its own, and copied from there.
fn mirrored<T: Element>(
    volume: &Volume,
    region: Region,
    padding: Padding,
    out: &mut [T],
) -> Result<()> {
    let axis = |a: usize| {
        let mut axis = Axis::new(region.start[a], region.shape[a], volume.shape()[a], padding)
            .ok_or_else(|| too_large(region))?;
        if volume.flips()[a] {
            axis.position.reverse();
        }
        Ok(axis)
    };
    let axes = [axis(0)?, axis(1)?, axis(2)?];
    let [depth, rows, columns] = [axes[0].needed, axes[1].needed, axes[2].needed];
    let mut source: Vec<T> = bytemuck::allocation::try_zeroed_vec(depth * rows * columns)
        .map_err(|()| too_large(region))?;
    for (at_z, z, depth) in axes[0].placed() {
        for (at_y, y, height) in axes[1].placed() {
            for (at_x, x, width) in axes[2].placed() {
                let bytes = bytemuck::cast_slice_mut(&mut source);
                let out =
                    Destination::dense(bytes, [axes[0].needed, rows, columns], size_of::<T>())
                        .from([at_z, at_y, at_x]);
                volume.read_box([z, y, x], [depth, height, width], out)?;
            }
        }
    }
    for (n, out) in out.chunks_exact_mut(region.shape[2]).enumerate() {
        let (z, y) = (n / region.shape[1], n % region.shape[1]);
        let from = (axes[0].position[z] * rows + axes[1].position[y]) * columns;
        let source = &source[from..from + columns];
        for (voxel, &x) in out.iter_mut().zip(&axes[2].position) {
            *voxel = source[x];
        }
    }
    Ok(())
}
