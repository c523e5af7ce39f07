//! The patches that are read: the same in every run with the same seed.

use crate::sample::{Draw, GridSampler, Overlap, Random};
use crate::{Region, Result};

/// Patches of a grid are read in runs of this many neighbours.
const RUN: u64 = 12;

/// Random regions. The patch must fit the volume.
pub(super) fn random(
    volume: [usize; 3],
    patch: [usize; 3],
    count: usize,
    seed: u64,
) -> Vec<Region> {
    let one = |index: u64| {
        let mut random = Random::of(Draw { seed, epoch: 0, index });
        let start = [0, 1, 2].map(|axis| random.below((volume[axis] - patch[axis] + 1) as u64));
        Region::new(
            start.map(|n| i64::try_from(n).expect("less than the length of an axis")),
            patch,
        )
    };
    (0..count as u64).map(one).collect()
}

/// Regions of the grid that covers the volume, in its order (`x` fastest): all if there are at most
/// `count`, otherwise runs of neighbours, spread evenly over the grid. The patch must fit the
/// volume.
///
/// # Errors
/// [`crate::Error::InvalidArgument`] if the overlap is not less than the patch, or gives more
/// places than can be counted.
pub(super) fn grid(
    volume: [usize; 3],
    patch: [usize; 3],
    overlap: [usize; 3],
    count: usize,
) -> Result<Vec<Region>> {
    let grid = GridSampler::new(patch, Overlap::Voxels(overlap))?.grid(volume)?;
    let count = grid.len().min(count as u64);
    let runs = count.div_ceil(RUN).max(1);
    // The beginning of the n-th of `runs` equal parts.
    let part = |whole: u64, n: u64| {
        let part = u128::from(whole) * u128::from(n) / u128::from(runs);
        u64::try_from(part).expect("no more than the whole")
    };
    let runs = (0..runs).flat_map(|run| {
        let length = part(count, run + 1) - part(count, run);
        let first = part(grid.len(), run);
        first..first + length
    });
    Ok(runs.filter_map(|place| grid.region(place)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const VOLUME: [usize; 3] = [9, 20, 31];

    /// Starts along one axis as the grid sampler of `TorchIO` has them.
    fn starts(length: usize, patch: usize, overlap: usize) -> Vec<i64> {
        let mut starts: Vec<usize> = (0..=length - patch).step_by(patch - overlap).collect();
        if starts.last() != Some(&(length - patch)) {
            starts.push(length - patch);
        }
        starts.into_iter().map(|n| i64::try_from(n).unwrap()).collect()
    }

    #[test]
    fn a_whole_grid_is_every_start_of_every_axis_in_order() {
        for (patch, overlap) in
            [([4, 5, 6], [0, 0, 0]), ([4, 5, 6], [3, 2, 1]), (VOLUME, [0; 3]), ([1, 1, 1], [0; 3])]
        {
            let axes: [_; 3] = std::array::from_fn(|a| starts(VOLUME[a], patch[a], overlap[a]));
            let mut all = Vec::new();
            for &z in &axes[0] {
                for &y in &axes[1] {
                    all.extend(axes[2].iter().map(|&x| Region::new([z, y, x], patch)));
                }
            }
            assert_eq!(grid(VOLUME, patch, overlap, usize::MAX).unwrap(), all);
            for count in 1..all.len().min(60) {
                let some = grid(VOLUME, patch, overlap, count).unwrap();
                assert_eq!(some.len(), count);
                assert!(some.iter().all(|region| all.contains(region)));
            }
        }
    }

    #[test]
    fn random_regions_lie_inside_reach_both_ends_and_follow_the_seed() {
        let patch = [8, 18, 30];
        let regions = random(VOLUME, patch, 500, 1);
        assert!(regions.iter().all(|r| r.shape == patch && r.is_inside(VOLUME)));
        for a in 0..3 {
            let starts: Vec<i64> = regions.iter().map(|r| r.start[a]).collect();
            let last = i64::try_from(VOLUME[a] - patch[a]).unwrap();
            assert!(starts.contains(&0) && starts.contains(&last), "axis {a}");
        }
        assert_eq!(regions, random(VOLUME, patch, 500, 1));
        assert_ne!(regions, random(VOLUME, patch, 500, 2));
        assert_eq!(regions[..9], random(VOLUME, patch, 9, 1));
    }
}
