//! Grids are those of the published rules, whichever of their places is asked for.
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    clippy::unwrap_used,
    reason = "a test's numbers are small, and it may fail"
)]

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::sample_common::{Dense, draw};
use proptest::prelude::*;
use voxpatch::sample::{Choice, Draw, GridSampler, Overlap, Sampler, Traversal};
use voxpatch::{Error, Region};

/// The rule of `TorchIO`, walked: steps while the patch fits, and a last one at the end.
fn starts(volume: usize, patch: usize, overlap: usize) -> Vec<i64> {
    let mut starts: Vec<_> = (0..=volume - patch).step_by(patch - overlap).collect();
    if starts.last() != Some(&(volume - patch)) {
        starts.push(volume - patch);
    }
    starts.into_iter().map(|start| start as i64).collect()
}

fn along(sampler: &GridSampler, volume: [usize; 3]) -> [Vec<i64>; 3] {
    let grid = sampler.grid(volume).unwrap();
    std::array::from_fn(|axis| grid.starts(axis).collect())
}

#[test]
fn published_cases_of_torchio() {
    // The case of its issue on seams between patches, and the test of locations of its sampler.
    let sampler = GridSampler::new([102; 3], Overlap::Voxels([4; 3])).unwrap();
    assert_eq!(along(&sampler, [320; 3]), [(); 3].map(|()| vec![0, 98, 196, 218]));
    let sampler = GridSampler::new([5, 20, 20], Overlap::Voxels([2, 4, 6])).unwrap();
    assert_eq!(along(&sampler, [10, 20, 30]), [vec![0, 3, 5], vec![0], vec![0, 10]]);
    let places: Vec<_> =
        sampler.grid([10, 20, 30]).unwrap().regions().map(|region| region.start).collect();
    assert_eq!(places, [[0, 0, 0], [0, 0, 10], [3, 0, 0], [3, 0, 10], [5, 0, 0], [5, 0, 10]]);
    // Padded by half an overlap on each side.
    let sampler = GridSampler::new([3; 3], Overlap::Voxels([2; 3])).unwrap().pad_borders(true);
    assert_eq!(along(&sampler, [4, 4, 1]), [vec![-1, 0, 1, 2], vec![-1, 0, 1, 2], vec![-1]]);
}

#[test]
fn fractions_are_truncated_as_in_monai() {
    // int(96 * (1 - 0.25)) = 72; int(7 * 0.9) = 6; int(3 * 0.05) = 0, so 1.
    let sampler = GridSampler::new([96, 7, 3], Overlap::Fraction([0.25, 0.1, 0.95])).unwrap();
    let [z, y, x] = along(&sampler, [200, 20, 6]);
    assert_eq!(z, [0, 72, 104]);
    assert_eq!((y, x), (vec![0, 6, 12, 13], vec![0, 1, 2, 3]));
    assert_eq!(sampler.grid([200, 20, 6]).unwrap().overlap(), [24, 1, 2]);
}

#[test]
fn evenly_spread_starts_are_those_of_nnunet() {
    // What its `compute_steps_for_sliding_window` gives.
    let cases: [(usize, usize, f64, &[i64]); 8] = [
        (110, 64, 0.5, &[0, 23, 46]),
        (275, 96, 0.5, &[0, 45, 90, 134, 179]),
        (512, 160, 0.5, &[0, 70, 141, 211, 282, 352]),
        (33, 16, 0.3, &[0, 4, 8, 13, 17]),
        (20, 20, 0.5, &[0]),
        (100, 7, 1.0, &[0, 7, 13, 20, 27, 33, 40, 46, 53, 60, 66, 73, 80, 86, 93]),
        (31, 8, 0.7, &[0, 5, 9, 14, 18, 23]),
        (45, 10, 0.35, &[0, 4, 7, 10, 14, 18, 21, 24, 28, 32, 35]),
    ];
    for (volume, patch, share, expected) in cases {
        let sampler = GridSampler::new([patch; 3], Overlap::TileStep([share; 3])).unwrap();
        assert_eq!(along(&sampler, [volume; 3]), [(); 3].map(|()| expected.to_vec()));
        let most = expected.windows(2).map(|pair| pair[1] - pair[0]).max();
        let shared = most.map_or(0, |most| patch - most as usize);
        assert_eq!(sampler.grid([volume; 3]).unwrap().overlap(), [shared; 3]);
    }
    // Patches of one plane are those of every plane, as of nnU-Net's configurations of slices.
    let slices = GridSampler::new([1, 8, 8], Overlap::TileStep([0.5; 3])).unwrap();
    assert_eq!(along(&slices, [3, 8, 12]), [vec![0, 1, 2], vec![0], vec![0, 4]]);
    // A smaller volume lies in the middle of its patch, as nnU-Net pads it.
    let sampler = GridSampler::new([8; 3], Overlap::TileStep([0.5; 3])).unwrap();
    assert!(sampler.grid([5; 3]).is_err());
    let small = sampler.clone().pad_small_volumes(true);
    assert_eq!(along(&small, [5, 8, 12]), [vec![-1], vec![0], vec![0, 4]]);
    let padded = sampler.pad_borders(true).grid([20; 3]).unwrap_err().to_string();
    assert!(padded.contains("evenly spread"), "{padded}");
    for wrong in [[0.0, 0.5, 0.5], [0.5, 1.1, 0.5], [0.5, 0.5, f64::NAN]] {
        let refused = GridSampler::new([8; 3], Overlap::TileStep(wrong)).unwrap_err();
        assert!(refused.to_string().contains("tile step"), "{refused}");
    }
}

#[test]
fn a_patch_as_large_as_the_volume_has_one_place_and_a_larger_one_is_centred_or_refused() {
    for (volume, patch) in [(8, 8), (9, 9), (8, 11), (9, 11), (1, 4)] {
        let sampler = GridSampler::new([patch; 3], Overlap::Fraction([0.5; 3])).unwrap();
        let fits = sampler.grid([volume; 3]);
        assert_eq!(fits.is_ok(), patch <= volume);
        let grid = sampler.pad_small_volumes(true).grid([volume; 3]).unwrap();
        let (before, more) = ((patch - volume) / 2, patch - volume);
        assert_eq!(grid.region(0), Some(Region::new([-(before as i64); 3], [patch; 3])));
        assert_eq!((grid.len(), grid.padding()), (1, [[before, more - before]; 3]));
    }
}

#[test]
fn what_cannot_be_a_grid_is_refused() {
    let nan = f64::NAN;
    for (patch, overlap) in [
        ([0, 4, 4], Overlap::Voxels([0; 3])),
        ([4; 3], Overlap::Voxels([0, 4, 0])),
        ([4; 3], Overlap::Fraction([0.0, 0.0, 1.0])),
        ([4; 3], Overlap::Fraction([-0.1, 0.0, 0.0])),
        ([4; 3], Overlap::Fraction([0.0, nan, 0.0])),
        ([usize::MAX; 3], Overlap::Voxels([0; 3])),
    ] {
        let refused = GridSampler::new(patch, overlap);
        assert!(matches!(refused, Err(Error::InvalidArgument { .. })), "{patch:?} {overlap:?}");
    }
    let sampler = GridSampler::new([2; 3], Overlap::Voxels([1; 3])).unwrap();
    for shape in [[0, 4, 4], [usize::MAX, 1, 1], [usize::MAX; 3]] {
        assert!(sampler.clone().pad_small_volumes(true).grid(shape).is_err(), "{shape:?}");
    }
    let vast = sampler.grid([1 << 20, 1 << 20, 1 << 20]).unwrap();
    assert!(vast.traversal(Traversal::Morton).is_err());
    assert_eq!(vast.region(vast.len() - 1).unwrap().end(0), 1 << 20);
    let long = GridSampler::new([1 << 62, 1, 1], Overlap::Voxels([(1 << 62) - 1, 0, 0])).unwrap();
    let grid = long.pad_borders(true).grid([(1 << 62) + 7, 1, 1]).unwrap();
    assert_eq!(grid.region(grid.len() - 1).unwrap().end(0), (1 << 62) + 7 + (1 << 61));
}

fn field(shape: [usize; 3]) -> Arc<Dense> {
    Arc::new(Dense::labelled(shape, [4; 3], |_| 0))
}

#[test]
fn draws_are_the_places_in_the_order_asked_for_and_none_beyond() {
    let sampler = GridSampler::new([4, 5, 6], Overlap::Voxels([1, 2, 3])).unwrap();
    let volume = [13, 17, 15];
    let grid = sampler.grid(volume).unwrap();
    for traversal in [Traversal::Lexicographic, Traversal::Morton] {
        let regions = sampler.clone().traversal(traversal).prepare(field(volume)).unwrap();
        assert_eq!(regions.count(), Some(grid.len()));
        let order = grid.traversal(traversal).unwrap();
        for (index, place) in (0..).zip(&order) {
            let sample = draw(&*regions, index * 7, index);
            assert_eq!(sample.choice, Choice::Grid(*place));
            assert_eq!(Some(sample.region), grid.region(*place));
        }
        let places: BTreeSet<_> = order.iter().copied().collect();
        assert!(places.into_iter().eq(0..grid.len()));
        for index in [grid.len(), u64::MAX] {
            let beyond = regions.draw(Draw { seed: 0, epoch: 0, index });
            assert!(matches!(beyond, Err(Error::InvalidArgument { .. })));
        }
    }
    let lexicographic = grid.traversal(Traversal::Lexicographic).unwrap();
    assert_ne!(grid.traversal(Traversal::Morton).unwrap(), lexicographic);
    assert!(lexicographic.into_iter().eq(0..grid.len()));
}

#[test]
fn a_morton_traversal_refetches_less_than_a_lexicographic_one() {
    // Chunks that a least-recently-used cache of 40 does not hold when a patch wants them.
    let sampler = GridSampler::new([16; 3], Overlap::Voxels([8; 3])).unwrap();
    let grid = sampler.grid([128; 3]).unwrap();
    let fetched = |traversal| {
        let (mut cache, mut fetched) = (Vec::new(), 0);
        for place in grid.traversal(traversal).unwrap() {
            let start = grid.region(place).unwrap().start.map(|s| s as usize / 8);
            for chunk in crate::sample_common::voxels([2; 3]) {
                let chunk: [usize; 3] = std::array::from_fn(|axis| start[axis] + chunk[axis]);
                match cache.iter().position(|held| *held == chunk) {
                    Some(at) => drop(cache.remove(at)),
                    None => fetched += 1,
                }
                cache.push(chunk);
                if cache.len() > 40 {
                    cache.remove(0);
                }
            }
        }
        fetched
    };
    let (morton, lexicographic) = (fetched(Traversal::Morton), fetched(Traversal::Lexicographic));
    assert!(morton * 4 < lexicographic * 3, "{morton} {lexicographic}");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

    #[test]
    fn evenly_spread_places_ascend_from_border_to_border_and_are_found_by_their_start(
        patch in 1_usize..40,
        more in 0_usize..200,
        share in 0.0_f64..1.0,
    ) {
        prop_assume!(share > 0.0);
        let sampler = GridSampler::new([1, 1, patch], Overlap::TileStep([1.0, 1.0, share]));
        let grid = sampler.unwrap().grid([1, 1, patch + more]).unwrap();
        let starts: Vec<i64> = grid.starts(2).collect();
        let (last, most) = (more as f64, f64::max(1.0, patch as f64 * share));
        prop_assert_eq!((starts[0], *starts.last().unwrap()), (0, more as i64));
        prop_assert_eq!(starts.len(), (last / most).ceil() as usize + 1);
        for (n, start) in starts.iter().enumerate().skip(1) {
            let even = last * n as f64 / (starts.len() - 1) as f64;
            prop_assert!((*start as f64 - even).abs() < 0.5 + 1e-9 && *start > starts[n - 1]);
            prop_assert!(grid.overlap()[2] as i64 <= patch as i64 - (start - starts[n - 1]));
        }
        for x in -3..more as i64 + 3 {
            let place = starts.iter().position(|start| *start == x);
            prop_assert_eq!(grid.place_at([0, 0, x]), place.map(|place| place as u64));
        }
    }

    #[test]
    fn a_grid_is_the_product_of_its_axes_and_covers_the_volume(
        volume in prop::array::uniform3(1_usize..18),
        patch in prop::array::uniform3(1_usize..12),
        overlap in prop::array::uniform3(0.0_f64..1.0),
        fraction: bool,
        pad_borders: bool,
    ) {
        let voxels: [usize; 3] = std::array::from_fn(|axis| if fraction {
            let step = (patch[axis] as f64 * (1.0 - overlap[axis])) as usize;
            patch[axis] - step.max(1)
        } else {
            (overlap[axis] * patch[axis] as f64) as usize
        });
        let overlap = if fraction { Overlap::Fraction(overlap) } else { Overlap::Voxels(voxels) };
        let sampler = GridSampler::new(patch, overlap).unwrap().pad_borders(pad_borders);
        let grid = sampler.pad_small_volumes(true).grid(volume).unwrap();
        prop_assert_eq!((grid.volume(), grid.patch(), grid.overlap()), (volume, patch, voxels));
        let mut lists = Vec::new();
        for axis in 0..3 {
            let padding = if pad_borders { voxels[axis] } else { 0 };
            let (covered, long) = (volume[axis] + padding, patch[axis]);
            let expected: Vec<i64> = if long > covered {
                vec![-(((long - volume[axis]) / 2) as i64)]
            } else {
                let before = (padding / 2) as i64;
                starts(covered, long, voxels[axis]).into_iter().map(|start| start - before).collect()
            };
            let found: Vec<i64> = grid.starts(axis).collect();
            prop_assert_eq!(&found, &expected);
            prop_assert_eq!(grid.shape()[axis], expected.len());
            // Covered without a gap, and ascending.
            prop_assert!(found.windows(2).all(|w| w[0] < w[1] && w[1] - w[0] <= long as i64));
            let end = found[found.len() - 1] + long as i64;
            prop_assert!(found[0] <= 0 && end >= volume[axis] as i64);
            let [before, after] = grid.padding()[axis];
            prop_assert_eq!((before as i64, after as i64), (-found[0], end - volume[axis] as i64));
            lists.push(found);
        }
        prop_assert_eq!(grid.starts(3).len(), 0);
        let all: Vec<_> = lists[0].iter().flat_map(|z| {
            let (rows, columns) = (&lists[1], &lists[2]);
            rows.iter().flat_map(move |y| columns.iter().map(move |x| [*z, *y, *x]))
        }).map(|start| Region::new(start, patch)).collect();
        prop_assert_eq!(grid.len(), all.len() as u64);
        prop_assert!(grid.regions().eq(all.iter().copied()));
        prop_assert!((0..).zip(&all).all(|(n, region)| grid.region(n) == Some(*region)));
        prop_assert_eq!(grid.region(grid.len()), None);
        let mut order = grid.traversal(Traversal::Morton).unwrap();
        order.sort_unstable();
        prop_assert!(order.into_iter().eq(0..grid.len()));
    }
}
