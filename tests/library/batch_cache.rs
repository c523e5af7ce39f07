//! A cache changes what is decoded, never what is read.
#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_wrap,
    reason = "a test's numbers are small, and it may fail"
)]

use std::os::unix::fs::FileExt as _;

use crate::common::dense::{DenseScan, oracle, store, voxels};
use crate::common::place::generation;
use ndarray::{Array3, Array5, s};
use proptest::prelude::*;
use voxpatch::layout::PlanOptions;
use voxpatch::{
    CacheCounts, ChunkCache, ConvertOptions, Dataset, Error, Frame, Padding, Pool, Region, Scaling,
    View, Volume,
};

const SHAPE: [usize; 3] = [21, 24, 37];

struct Stored {
    folder: tempfile::TempDir,
    volume: Volume,
    dense: Array3<i16>,
}

fn stored(dense: &Array5<i16>, chunk: [usize; 3], shard: [usize; 3]) -> Stored {
    let folder = tempfile::tempdir().unwrap();
    let dataset = Dataset::create(folder.path()).unwrap();
    let codec = "none".parse().unwrap();
    let plan = PlanOptions::default().codec(codec).chunk(Some(chunk)).shard(Some(shard));
    let mut scan = DenseScan::new(dense);
    scan.header_mut().scaling = Some(Scaling { slope: 0.5, intercept: -3.25 });
    store(scan, &dataset, "a/b", &ConvertOptions::default().plan(plan)).unwrap();
    let volume = dataset.volume("a/b").unwrap();
    Stored { folder, volume, dense: dense.slice(s![0, 0, .., .., ..]).to_owned() }
}

/// Two time points, and no voxel of 0: every chunk is stored.
fn usual() -> Stored {
    let [z, y, x] = SHAPE;
    stored(&voxels([2, 1, z, y, x], 5).mapv(|v: i16| v + 1), [4, 8, 16], [8, 16, 48])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn threads_that_share_a_small_cache_read_what_is_stored(
        budget in 0..40_000_usize,
        starts in prop::collection::vec((-9..20_i64, -9..20_i64, -9..30_i64), 24),
    ) {
        let Stored { folder: _folder, volume, dense } = usual();
        let cache = ChunkCache::new(budget);
        let cached = volume.view().padded(Padding::Reflect).cached(&cache);
        std::thread::scope(|scope| {
            for thread in 0..3 {
                let (cached, cache) = (cached.clone(), &cache);
                let (starts, dense) = (&starts, &dense);
                scope.spawn(move || {
                    for (z, y, x) in &starts[4 * thread..] {
                        let region = Region::new([*z, *y, *x], [9, 10, 20]);
                        let expected = oracle(dense, region, Padding::Reflect);
                        assert_eq!(cached.read::<i16>(region).unwrap(), expected);
                        let real = cached.scaled().read::<f32>(region).unwrap();
                        assert_eq!(real, expected.mapv(|v| f32::from(v) * 0.5 - 3.25));
                        assert!(cache.counts().bytes <= budget as u64);
                    }
                });
            }
        });
    }
}

#[test]
fn a_chunk_that_threads_want_at_once_is_decoded_by_one() {
    let Stored { folder: _folder, volume, .. } = usual();
    let cache = ChunkCache::new(1 << 20);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| volume.view().cached(&cache).read::<i16>(Region::whole(SHAPE)).unwrap());
        }
    });
    let chunks = 6 * 3 * 3;
    let bytes = SHAPE.iter().product::<usize>() as u64 * 2;
    assert_eq!(cache.counts(), CacheCounts { hits: 3 * chunks, misses: chunks, bytes });
}

#[test]
fn views_share_chunks_but_frames_and_volumes_have_their_own() {
    let Stored { folder, volume, .. } = usual();
    let cache = ChunkCache::new(1 << 20);
    let cached = volume.view().cached(&cache);
    let region = Region::new([0; 3], [4, 8, 16]);
    let misses = |read: &dyn Fn()| {
        let before = cache.counts().misses;
        read();
        cache.counts().misses - before
    };
    let plain = |view: &View| drop(view.read::<i16>(region).unwrap());
    assert_eq!(misses(&|| plain(&cached)), 1);
    assert_eq!(misses(&|| plain(&cached.padded(Padding::Edge))), 0);
    assert_eq!(misses(&|| drop(cached.scaled().read::<f32>(region).unwrap())), 0);
    assert_eq!(misses(&|| plain(&volume.clone().view().cached(&cache))), 0);
    assert_eq!(misses(&|| plain(&cached.frame(Frame { time: 1, channel: 0 }).unwrap())), 1);
    let again = Dataset::open(folder.path()).unwrap().open_volume(volume.name()).unwrap();
    assert_eq!(misses(&|| plain(&again.view().cached(&cache))), 1);
    assert_eq!(misses(&|| plain(&volume.view())), 0);
}

#[test]
fn chunks_of_zeros_and_chunks_beyond_half_the_budget_are_not_kept() {
    let zeros = stored(&Array5::zeros([1, 1, 8, 8, 16]), [4, 8, 16], [8, 8, 16]);
    let cache = ChunkCache::new(1 << 20);
    zeros.volume.view().cached(&cache).read::<i16>(Region::whole([8, 8, 16])).unwrap();
    assert_eq!(cache.counts(), CacheCounts::default());
    let Stored { folder: _folder, volume, dense } = usual();
    for budget in [0, 1, 2047, 2048] {
        let cache = ChunkCache::new(budget);
        let found = volume.view().cached(&cache).read::<i16>(Region::whole(SHAPE)).unwrap();
        assert_eq!(found, dense);
        // Those at the end of the axis are cut off by the volume, and small.
        let bytes = cache.counts().bytes;
        assert!(bytes <= budget as u64 && (budget < 2048 || bytes > 0), "{budget} {bytes}");
    }
}

#[test]
fn errors_are_not_kept() {
    let Stored { folder, volume, dense } = usual();
    let shard = generation(folder.path(), "a/b").join("0/c/0/0/0/0");
    let file = std::fs::OpenOptions::new().read(true).write(true).open(&shard).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, 10).unwrap();
    file.write_all_at(&[byte[0] ^ 4], 10).unwrap();
    let cache = ChunkCache::new(1 << 20);
    let cached = volume.view().cached(&cache);
    let region = Region::new([0; 3], [8, 16, 16]);
    for _ in 0..2 {
        assert!(matches!(cached.read::<i16>(region), Err(Error::CorruptStore { .. })));
    }
    file.write_all_at(&byte, 10).unwrap();
    assert_eq!(cached.read::<i16>(region).unwrap(), oracle(&dense, region, Padding::Edge));
}

/// A 512 x 512 x 1069 volume of `i16`, patches of 96 that overlap by half, chunks of 32 and a
/// cache of 256 MB, all a quarter of that along each axis.
#[test]
fn a_grid_that_overlaps_by_half_decodes_a_chunk_at_most_1_2_times() {
    let (patch, step, budget) = (24, 12, 4_000_000);
    // The long axis as the fastest and as the slowest.
    for shape in [[128, 128, 267], [267, 128, 128]] {
        let dense = Array5::from_shape_fn([1, 1, shape[0], shape[1], shape[2]], |at| {
            1 + i16::try_from((at.2 * 31 + at.3 * 17 + at.4) % 1000).unwrap()
        });
        let Stored { folder: _folder, volume, dense } = stored(&dense, [8; 3], [64, 64, 64]);
        let chunks: usize = shape.iter().map(|n| n.div_ceil(8)).product();
        let starts = shape.map(|n| {
            let last = n - patch;
            (0..=last.div_ceil(step)).map(|i| (i * step).min(last) as i64).collect::<Vec<_>>()
        });
        let grid = ndarray::indices([starts[0].len(), starts[1].len(), starts[2].len()]);
        let rows: Vec<[usize; 3]> = grid.into_iter().map(|(z, y, x)| [z, y, x]).collect();
        let mut morton = rows.clone();
        morton.sort_by_key(|place| {
            (0..8).fold(0, |code, bit| {
                place.iter().rev().enumerate().fold(code, |code: u64, (axis, index)| {
                    code | (*index as u64 >> bit & 1) << (3 * bit + axis)
                })
            })
        });
        for (name, order) in [("row-major", rows), ("Morton", morton)] {
            let cache = ChunkCache::new(budget);
            let cached = volume.view().cached(&cache);
            let mut found = vec![0_i16; patch * patch * patch];
            for (n, place) in order.iter().enumerate() {
                let region = Region::new(std::array::from_fn(|a| starts[a][place[a]]), [patch; 3]);
                cached.read_into(region, &mut found).unwrap();
                if n % 100 == 0 {
                    let expected = oracle(&dense, region, Padding::Edge);
                    assert!(expected.iter().eq(&found));
                }
            }
            let decoded = cache.counts().misses;
            assert!(decoded * 10 <= chunks as u64 * 12, "{name} {shape:?}: {decoded} of {chunks}");
        }
        // In rows, by two threads, the same holds.
        let cache = ChunkCache::new(budget);
        let cached = volume.view().cached(&cache);
        let pool = Pool::new(2).unwrap();
        for (z, y) in ndarray::indices([starts[0].len(), starts[1].len()]) {
            let region = |x: &i64| Region::new([starts[0][z], starts[1][y], *x], [patch; 3]);
            let row: Vec<_> = starts[2].iter().map(region).collect();
            cached.read_many::<i16>(&row, &pool).unwrap();
        }
        let decoded = cache.counts().misses;
        assert!(decoded * 10 <= chunks as u64 * 12, "{shape:?}: {decoded} of {chunks}");
    }
}
