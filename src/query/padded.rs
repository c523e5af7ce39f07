//! Reading a region that leaves the volume.

use super::bounds::{inside, too_large};
use crate::padding::Padding;
use crate::store::{Destination, Look};
use crate::{Frame, Region, Result, with_element};

/// Reads `region` of a frame into a destination that is mirrored already, making up what lies
/// outside of the volume. Needs memory for one more patch, except with [`Padding::Constant`].
pub(super) fn read(
    (look, frame): (&Look, Frame),
    region: Region,
    padding: Padding,
    out: Destination<'_>,
) -> Result<()> {
    match padding {
        Padding::Constant(value) => constant((look, frame), region, value, out),
        _ => match look.returned_dtype().size() {
            1 => repeated::<1>((look, frame), region, padding, out),
            2 => repeated::<2>((look, frame), region, padding, out),
            4 => repeated::<4>((look, frame), region, padding, out),
            _ => repeated::<8>((look, frame), region, padding, out),
        },
    }
}

/// The boxes of the volume, as start and shape, that a read of `region` needs.
pub(super) fn boxes(look: &Look, region: Region) -> Result<Vec<([usize; 3], [usize; 3])>> {
    let volume = look.volume.shape();
    let padding = match look.padding {
        Some(padding) if !region.is_inside(volume) => padding,
        _ => Padding::Constant(0.0),
    };
    if let Padding::Constant(_) = padding {
        let core = region.clip(volume);
        return Ok(core.map(|core| (inside(core), core.shape)).into_iter().collect());
    }
    let axis = |a: usize| {
        Axis::new(region.start[a], region.shape[a], volume[a], padding)
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

fn constant(
    (look, frame): (&Look, Frame),
    region: Region,
    value: f64,
    mut out: Destination<'_>,
) -> Result<()> {
    with_element!(look.returned_dtype(), T => {
        out.fill(region.shape, bytemuck::bytes_of(&<T as crate::Element>::from_f64(value)));
    });
    let Some(core) = region.clip(look.volume.shape()) else { return Ok(()) };
    // What lies before the volume is part of the patch, so it fits `usize`.
    #[allow(clippy::cast_possible_truncation)]
    let lead: [usize; 3] =
        std::array::from_fn(|a| core.start[a].abs_diff(region.start[a]) as usize);
    look.read_box(frame, inside(core), core.shape, out.from(lead))
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

/// Every source voxel, of `N` bytes, is read once into a box of its own, and copied from there.
fn repeated<const N: usize>(
    (look, frame): (&Look, Frame),
    region: Region,
    padding: Padding,
    mut out: Destination<'_>,
) -> Result<()> {
    let axis = |a: usize| {
        Axis::new(region.start[a], region.shape[a], look.volume.shape()[a], padding)
            .ok_or_else(|| too_large(region))
    };
    let axes = [axis(0)?, axis(1)?, axis(2)?];
    let needed @ [depth, rows, columns] = [axes[0].needed, axes[1].needed, axes[2].needed];
    let mut source: Vec<u8> = bytemuck::allocation::try_zeroed_vec(depth * rows * columns * N)
        .map_err(|()| too_large(region))?;
    for (at_z, z, depth) in axes[0].placed() {
        for (at_y, y, height) in axes[1].placed() {
            for (at_x, x, width) in axes[2].placed() {
                let to = Destination::dense(&mut source, needed, N).from([at_z, at_y, at_x]);
                look.read_box(frame, [z, y, x], [depth, height, width], to)?;
            }
        }
    }
    let source = source.as_chunks::<N>().0;
    for (z, &from_z) in axes[0].position.iter().enumerate() {
        for (y, &from_y) in axes[1].position.iter().enumerate() {
            let from = (from_z * rows + from_y) * columns;
            let row = &source[from..from + columns];
            out.write_row([z, y], axes[2].position.iter().map(|x| row[*x]));
        }
    }
    Ok(())
}
