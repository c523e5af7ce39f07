//! Which patches are read: the same in every run of the same seed.

use voxpatch::Region;

/// Patches of a grid are read in runs of so many neighbours.
const RUN: usize = 12;

/// Regions that start anywhere. The patch fits the volume.
pub fn random(volume: [usize; 3], patch: [usize; 3], count: usize, seed: u64) -> Vec<Region> {
    let mut state = seed;
    let mut random = move |below: usize| {
        // SplitMix64 (Steele, Lea and Flood 2014).
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        let scaled = (u128::from(z ^ (z >> 31)) * below as u128) >> 64;
        usize::try_from(scaled).expect("less than the length of an axis")
    };
    (0..count).map(|_| at([0, 1, 2].map(|a| random(volume[a] - patch[a] + 1)), patch)).collect()
}

/// Regions of the grid that covers the volume, in its order (`x` fastest): all if there are no
/// more than `count`, else runs of neighbours, spread evenly over the grid. The overlap is less
/// than the patch, and the patch fits the volume.
pub fn grid(
    volume: [usize; 3],
    patch: [usize; 3],
    overlap: [usize; 3],
    count: usize,
) -> Vec<Region> {
    let steps: [usize; 3] = std::array::from_fn(|a| patch[a] - overlap[a]);
    let along: [usize; 3] = std::array::from_fn(|a| 1 + (volume[a] - patch[a]).div_ceil(steps[a]));
    let total = along.iter().fold(1_usize, |product, n| product.saturating_mul(*n));
    let one = |n: usize| {
        let cell = [n / along[2] / along[1], n / along[2] % along[1], n % along[2]];
        let last = |a: usize| volume[a] - patch[a];
        at(std::array::from_fn(|a| (cell[a] * steps[a]).min(last(a))), patch)
    };
    let count = count.min(total);
    let runs = count.div_ceil(RUN).max(1);
    // Where the n-th of `runs` equal parts begins.
    let part = |whole: usize, n: usize| {
        usize::try_from(whole as u128 * n as u128 / runs as u128).expect("less than the whole")
    };
    (0..runs)
        .flat_map(|run| {
            let length = part(count, run + 1) - part(count, run);
            (0..length).map(move |n| (run, n))
        })
        .map(|(run, n)| one((part(total, run) + n).min(total - 1)))
        .collect()
}

fn at(start: [usize; 3], patch: [usize; 3]) -> Region {
    Region::new(start.map(|n| i64::try_from(n).expect("less than the length of an axis")), patch)
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
            assert_eq!(grid(VOLUME, patch, overlap, usize::MAX), all);
            for count in 1..all.len().min(60) {
                let some = grid(VOLUME, patch, overlap, count);
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
    }
}
