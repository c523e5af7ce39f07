//! Samples of a scan: stacks of its planes, and chunks of these.

use std::collections::BTreeSet;

use super::pass::buffer;
use crate::scan::{Scan, ScanHeader};
use crate::{Error, Result};

/// Stacks of planes that are taken from a scan, if it has as many.
const STACKS: usize = 3;

/// Reads the first frame of a scan, and calls `take` with up to three stacks of `depth` planes, one
/// at a time: the middle of each third of the depth. A scan with fewer planes gives fewer stacks,
/// or all its planes. Afterwards the scan is at its first plane again.
///
/// `progress` counts all bytes of the frame.
pub(super) fn for_each_stack(
    scan: &mut dyn Scan,
    depth: usize,
    progress: &(dyn Fn(u64) -> bool + Sync),
    mut take: impl FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    let ScanHeader { dtype, shape: [planes, ..], order, .. } = *scan.header();
    let (plane, step) = (scan.header().plane_bytes(), scan.header().step_bytes());
    let count = |bytes| if progress(bytes as u64) { Ok(()) } else { Err(Error::Cancelled) };
    let depth = depth.clamp(1, planes);
    let mut delivered = buffer(depth.saturating_mul(step))?;
    let mut apart = if step > plane { buffer(depth * plane)? } else { Vec::new() };
    let mut at = 0;
    for start in starts_of_stacks(planes, depth) {
        while at < start {
            let skipped = depth.min(start - at);
            scan.read_planes(&mut delivered[..skipped * step])?;
            count(skipped * plane)?;
            at += skipped;
        }
        scan.read_planes(&mut delivered)?;
        count(depth * plane)?;
        at += depth;
        if step > plane {
            order.take_frame(&delivered, 0, (dtype.size(), plane), &mut apart);
            take(&apart)?;
        } else {
            take(&delivered)?;
        }
    }
    count((planes - at) * plane)?;
    scan.rewind()
}

/// First planes of the stacks, ascending; no two stacks overlap.
fn starts_of_stacks(planes: usize, depth: usize) -> impl Iterator<Item = usize> {
    let stacks = (planes / depth).min(STACKS);
    (0..stacks).map(move |n| ((2 * n + 1) * planes / stacks - depth) / 2)
}

/// At most `most` of the chunks of a grid, evenly spread; all, if there are no more.
pub(super) fn chunks(grid: [usize; 3], most: usize) -> Vec<[usize; 3]> {
    let all = grid.iter().fold(1, |n: usize, m| n.saturating_mul(*m));
    if all <= most {
        let [planes, rows, columns] = grid;
        return (0..all)
            .map(|n| [n / columns / rows % planes, n / columns % rows, n % columns])
            .collect();
    }
    // In the order of the grid, without duplicates.
    let chosen: BTreeSet<_> = (0..most).map(|n| spread(n, grid)).collect();
    chosen.into_iter().collect()
}

/// The `n`-th of a sequence of places that fills a grid evenly at any length: an additive
/// recurrence, whose steps are powers of the inverse of the plastic number's counterpart in three
/// dimensions.
#[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, clippy::cast_sign_loss)]
fn spread(n: usize, grid: [usize; 3]) -> [usize; 3] {
    const STEPS: [f64; 3] =
        [0.819_172_513_396_164_4, 0.671_043_606_703_789_3, 0.549_700_477_901_970_3];
    std::array::from_fn(|a| {
        let at = (0.5 + n as f64 * STEPS[a]).fract();
        ((at * grid[a] as f64) as usize).min(grid[a] - 1)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn stacks_are_apart_inside_and_in_the_middle_of_equal_parts(
            planes in 1_usize..400,
            depth in 1_usize..400,
        ) {
            let depth = depth.min(planes);
            let starts: Vec<_> = starts_of_stacks(planes, depth).collect();
            prop_assert_eq!(starts.len(), (planes / depth).min(3));
            prop_assert!(starts.windows(2).all(|pair| pair[0] + depth <= pair[1]));
            prop_assert!(starts.iter().all(|start| start + depth <= planes));
            for (n, start) in starts.iter().enumerate() {
                // In halves of a plane and of a part, so that all is whole.
                let (middle, wanted) = ((2 * start + depth) * starts.len(), (2 * n + 1) * planes);
                prop_assert!(middle.abs_diff(wanted) < 2 * starts.len(), "{starts:?}");
            }
        }

        #[test]
        fn chunks_are_of_the_grid_each_once_and_all_if_there_are_few(
            grid in prop::array::uniform3(1_usize..9),
            most in 1_usize..80,
        ) {
            let chosen = chunks(grid, most);
            let all = grid.iter().product::<usize>();
            prop_assert!(!chosen.is_empty() && chosen.len() <= most.min(all));
            prop_assert!(all > most || chosen.len() == all);
            prop_assert!(chosen.windows(2).all(|pair| pair[0] < pair[1]));
            prop_assert!(chosen.iter().all(|c| (0..3).all(|a| c[a] < grid[a])));
        }
    }

    #[test]
    fn places_reach_every_part_of_a_grid() {
        for parts in [2_usize, 3, 4] {
            let grid = [parts; 3];
            let reached: BTreeSet<_> = (0..4 * parts.pow(3)).map(|n| spread(n, grid)).collect();
            assert_eq!(reached.len(), parts.pow(3));
        }
    }
}
