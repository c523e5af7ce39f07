//! A batch is its regions read one by one, and no chunk of it costs twice.
#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "a test's numbers are small, and it may fail"
)]

use std::collections::HashMap;

use crate::common::dense::{DenseScan, store, voxels};
use crate::common::place::generation;
use ndarray::{Array5, Axis};
use proptest::prelude::*;
use voxpatch::layout::PlanOptions;
use voxpatch::{
    Affine, Aligned, ChunkCache, ConvertOptions, Dataset, Dtype, Element, Error, Frame, Padding,
    Pool, Region, Scaling, View, Volume, Voxels,
};

const SHAPE: [usize; 3] = [21, 24, 37];

/// A volume of two time points, and the folder that it lives in.
struct Stored {
    folder: tempfile::TempDir,
    volume: Volume,
}

fn options(codec: &str, chunk: [usize; 3], shard: [usize; 3]) -> ConvertOptions {
    let plan =
        PlanOptions::default().codec(codec.parse().unwrap()).chunk(Some(chunk)).shard(Some(shard));
    ConvertOptions::default().plan(plan)
}

fn stored(codec: &str, chunk: [usize; 3], shard: [usize; 3]) -> Stored {
    let folder = tempfile::tempdir().unwrap();
    let dataset = Dataset::create(folder.path()).unwrap();
    let mut scan = DenseScan::new(&voxels::<i16>([2, 1, SHAPE[0], SHAPE[1], SHAPE[2]], 5));
    scan.header_mut().scaling = Some(Scaling { slope: 0.5, intercept: -3.25 });
    store(scan, &dataset, "a/b", &options(codec, chunk, shard)).unwrap();
    let volume = dataset.volume("a/b").unwrap();
    Stored { folder, volume }
}

fn usual() -> Stored {
    stored("blosc", [4, 8, 16], [8, 16, 48])
}

/// Regions of one shape, inside the volume or at most a few times its size away.
fn batches() -> impl Strategy<Value = Vec<Region>> {
    let start = |n: usize| -2 * n as i64..3 * n as i64;
    let starts = (start(SHAPE[0]), start(SHAPE[1]), start(SHAPE[2]));
    let near = (0..18_i64, 0..20_i64, 0..30_i64);
    let starts = prop_oneof![3 => near, 1 => starts];
    ((1..25_usize, 1..30_usize, 1..40_usize), prop::collection::vec(starts, 1..7)).prop_map(
        |((d, h, w), starts)| {
            starts.into_iter().map(|(z, y, x)| Region::new([z, y, x], [d, h, w])).collect()
        },
    )
}

fn paddings() -> impl Strategy<Value = Padding> {
    prop_oneof![
        Just(Padding::Constant(-7.0)),
        Just(Padding::Edge),
        Just(Padding::Reflect),
        Just(Padding::Symmetric),
        Just(Padding::Wrap),
    ]
}

fn layouts() -> impl Strategy<Value = (&'static str, [usize; 3], [usize; 3])> {
    let codecs = prop::sample::select(vec!["blosc", "zstd:1", "packed", "none"]);
    let axis = |most: usize| (1..=most, 1..4_usize);
    (codecs, axis(12), axis(15), axis(40))
        .prop_map(|(codec, z, y, x)| (codec, [z.0, y.0, x.0], [z.0 * z.1, y.0 * y.1, x.0 * x.1]))
}

fn is_what_reads_give<T: Element>(view: &View, regions: &[Region]) {
    let one = view.read_many::<T>(regions, &Pool::new(1).unwrap()).unwrap();
    let three = view.read_many::<T>(regions, &Pool::new(3).unwrap()).unwrap();
    assert_eq!(one, three);
    assert_eq!(one.len_of(Axis(0)), regions.len());
    for (patch, region) in one.outer_iter().zip(regions) {
        assert_eq!(patch, view.read::<T>(*region).unwrap(), "{region}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_batch_is_its_regions_read_one_by_one(
        (codec, chunk, shard) in layouts(),
        axes in any::<[bool; 3]>(),
        batches in prop::collection::vec((batches(), paddings()), 4),
    ) {
        let Stored { folder: _folder, volume } = stored(codec, chunk, shard);
        let cache = ChunkCache::new(20_000);
        for (regions, padding) in batches {
            let later = volume.view().frame(Frame { time: 1, channel: 0 }).unwrap();
            for view in [&volume.view(), &later] {
                let padded = view.padded(padding);
                is_what_reads_give::<i16>(&padded, &regions);
                is_what_reads_give::<f32>(&padded.scaled(), &regions);
                is_what_reads_give::<f32>(&padded.scaled().flipped(axes), &regions);
                is_what_reads_give::<i16>(&padded.cached(&cache), &regions);
            }
            let inside: Vec<_> =
                regions.into_iter().filter(|region| region.is_inside(SHAPE)).collect();
            is_what_reads_give::<i16>(&volume.view(), &inside);
        }
    }

    #[test]
    fn the_cost_of_a_batch_counts_each_chunk_once(
        (codec, chunk, shard) in layouts(),
        regions in batches(),
    ) {
        let Stored { folder: _folder, volume } = stored(codec, chunk, shard);
        let mut patches = HashMap::<[i64; 3], Vec<Region>>::new();
        for region in regions.iter().filter_map(|region| region.clip(SHAPE)) {
            let end = |a: usize| region.start[a] + region.shape[a] as i64;
            let chunks = |a: usize| region.start[a] / chunk[a] as i64..=(end(a) - 1) / chunk[a] as i64;
            for z in chunks(0) {
                for y in chunks(1) {
                    for x in chunks(2) {
                        patches.entry([z, y, x]).or_default().push(region);
                    }
                }
            }
        }
        let cost = volume.batch_cost(&regions).unwrap();
        prop_assert_eq!(cost.chunks, patches.len());
        let mut stored = 0;
        let mut decoded = 0;
        for (at, patches) in patches {
            let origin: [i64; 3] = std::array::from_fn(|a| at[a] * chunk[a] as i64);
            let whole = Region::new(origin, chunk).clip(SHAPE).unwrap();
            let first = volume.cost(Region::new(origin, [1; 3])).unwrap();
            stored += first.stored_bytes;
            if first.stored_bytes > 0 {
                decoded += match patches[..] {
                    [alone] => {
                        let from: [i64; 3] =
                            std::array::from_fn(|a| alone.start[a].max(whole.start[a]));
                        let shape = std::array::from_fn(|a| {
                            (alone.end(a).min(whole.end(a)) - from[a]) as usize
                        });
                        volume.cost(Region::new(from, shape)).unwrap().decoded_bytes
                    }
                    _ => 2 * whole.voxels().unwrap() as u64,
                };
            }
        }
        prop_assert_eq!((cost.stored_bytes, cost.decoded_bytes), (stored, decoded));
        let returned = regions.iter().map(|region| volume.cost(*region).unwrap().returned_bytes);
        prop_assert_eq!(cost.returned_bytes, returned.sum::<u64>());
    }
}

#[test]
fn a_chunk_that_many_patches_need_is_decoded_once() {
    let Stored { folder: _folder, volume } = usual();
    let regions: Vec<_> =
        (0..12).map(|n| Region::new([n % 3, n % 5, 2 * n], [12, 16, 14])).collect();
    // Too small for more than a few chunks, so that only the batch itself can keep them.
    let cache = ChunkCache::new(4_000);
    let pool = Pool::new(2).unwrap();
    volume.view().cached(&cache).read_many::<i16>(&regions, &pool).unwrap();
    let counts = cache.counts();
    let stored = volume.batch_cost(&regions).unwrap();
    let cells = ndarray::indices([21_usize.div_ceil(4), 3, 3]);
    let touched = cells.into_iter().filter(|&(z, y, x)| {
        let at = [z * 4, y * 8, x * 16].map(|n| n as i64);
        let chunk = Region::new(at, [4, 8, 16]).clip(SHAPE).unwrap();
        let meets =
            |r: &Region| (0..3).all(|a| r.start[a] < chunk.end(a) && chunk.start[a] < r.end(a));
        let is_stored = volume.cost(Region::new(at, [1; 3])).unwrap().stored_bytes > 0;
        is_stored && regions.iter().any(meets)
    });
    assert_eq!(counts.misses, touched.count() as u64);
    let alone: u64 = regions.iter().map(|r| volume.cost(*r).unwrap().decoded_bytes).sum();
    assert!(stored.decoded_bytes * 3 < alone, "{stored:?} {alone}");
}

#[test]
fn impossible_batches_are_errors_that_say_what_to_do() {
    let Stored { folder: _folder, volume } = usual();
    let pool = Pool::new(2).unwrap();
    let read = |regions: &[Region]| volume.read_many::<i16>(regions, &pool);
    let here = Region::new([0; 3], [2, 3, 4]);
    assert_eq!(read(&[]).unwrap().shape(), [0; 4]);
    assert!(matches!(volume.read_many::<u8>(&[], &pool), Err(Error::DtypeMismatch { .. })));
    assert!(matches!(volume.read_many::<u8>(&[here], &pool), Err(Error::DtypeMismatch { .. })));
    let differing = read(&[here, here, Region::new([0; 3], [2, 3, 5])]).unwrap_err().to_string();
    assert!(differing.contains("region 2") && differing.contains("2x3x4"), "{differing}");
    let empty = Region::new([0; 3], [2, 0, 4]);
    assert!(matches!(read(&[empty]), Err(Error::InvalidArgument { .. })));
    let outside = Region::new([20, 0, 0], [2, 3, 4]);
    assert!(
        matches!(read(&[here, outside]), Err(Error::OutOfBounds { region, .. }) if region == outside)
    );
    let padded = volume.view().padded(Padding::Edge);
    for shape in [[usize::MAX / 2, 2, 2], [1 << 20, 1 << 20, 1 << 22]] {
        let large = [Region::new([0; 3], shape); 3];
        assert!(matches!(
            padded.read_many::<i16>(&large, &pool),
            Err(Error::InvalidArgument { .. })
        ));
    }
    assert!(volume.batch_cost(&[empty, outside]).is_ok());
    let extreme = [i64::MIN, i64::MAX - 3, -5].map(|z| Region::new([z, 0, 0], [9, 1, 1]));
    for padding in [Padding::Constant(1.0), Padding::Edge, Padding::Wrap] {
        is_what_reads_give::<i16>(&volume.view().padded(padding), &extreme);
    }
    let mut buffer = [0_i16; 47];
    assert!(volume.read_many_into(&[here, here], &mut buffer, &pool).is_err());
    let mut buffer = [1_i16; 48];
    volume.read_many_into(&[here, here], &mut buffer, &pool).unwrap();
    assert_eq!(buffer[..24], buffer[24..]);
    volume.read_many_into::<i16>(&[], &mut [], &pool).unwrap();
}

#[test]
fn a_damaged_chunk_of_a_batch_is_named() {
    let Stored { folder, volume } = usual();
    let shard = generation(folder.path(), "a/b").join("0/c/0/0/0/0");
    let mut bytes = std::fs::read(&shard).unwrap();
    bytes[10] ^= 4;
    std::fs::write(&shard, bytes).unwrap();
    let volume = Dataset::open(folder.path()).unwrap().open_volume(volume.name()).unwrap();
    let regions = [Region::new([0; 3], [8, 16, 36]), Region::new([1; 3], [8, 16, 36])];
    let cache = ChunkCache::new(1 << 20);
    for view in [volume.view(), volume.view().cached(&cache)] {
        for regions in [&regions[..], &regions[..1]] {
            let error = view.read_many::<i16>(regions, &Pool::new(2).unwrap()).unwrap_err();
            let said = error.to_string();
            assert!(matches!(error, Error::CorruptStore { path, .. } if path == shard), "{said}");
            assert!(said.contains("chunk "), "{said}");
        }
    }
}

/// An `i16` image, and under other names a `u8` label and volumes on other grids.
fn subject() -> (tempfile::TempDir, Dataset) {
    let folder = tempfile::tempdir().unwrap();
    let dataset = Dataset::create(folder.path()).unwrap();
    let options = options("blosc", [4, 8, 16], [8, 16, 48]);
    let place = |name: &str, scan| store(scan, &dataset, name, &options).unwrap();
    let image: Array5<i16> = voxels([1, 1, 21, 24, 37], 3);
    let affine = |edit: &dyn Fn(&mut Affine)| {
        let mut scan = DenseScan::new(&image);
        edit(&mut scan.header_mut().affine);
        scan
    };
    place("case01/image", affine(&|_| ()));
    place("case01/label", DenseScan::new(&image.mapv(|v| u8::from(v > 40))));
    place("case01/rounded", affine(&|a| a.0[0][0] += 1e-5));
    place("case01/moved", affine(&|a| a.0[1][3] += 3.5));
    place("case01/turned", affine(&|a| a.0[2][0] += 0.01));
    place("case01/cut", DenseScan::new(&voxels::<i16>([1, 1, 21, 24, 36], 3)));
    (folder, dataset)
}

#[test]
fn aligned_volumes_are_read_at_one_place_each_in_its_type() {
    let (_folder, dataset) = subject();
    let both = dataset.aligned("case01", &["image", "label"]).unwrap();
    assert_eq!((both.shape(), both.views().len()), (SHAPE, 2));
    assert_eq!(both.affine(), both.views()[0].volume().affine());
    let regions = [Region::new([1, 2, 3], [8, 9, 10]), Region::new([3, 3, 3], [8, 9, 10])];
    let patches = both.read(regions[1]).unwrap();
    assert_eq!(patches.iter().map(Voxels::dtype).collect::<Vec<_>>(), [Dtype::Int16, Dtype::UInt8]);
    let (image, label) =
        (patches[0].as_array::<i16>().unwrap(), patches[1].as_array::<u8>().unwrap());
    assert!(image.iter().zip(label).all(|(v, label)| u8::from(*v > 40) == *label));
    let mut batch = both.read_many(&regions, &Pool::new(2).unwrap()).unwrap();
    let label = batch.pop().unwrap();
    assert_eq!(
        label.as_array::<u8>().unwrap().index_axis(Axis(0), 1),
        patches[1].as_array::<u8>().unwrap()
    );
    assert_eq!(batch[0].shape(), [2, 8, 9, 10]);
    assert!(both.read(Region::new([20, 0, 0], [2, 1, 1])).is_err());
    // Each is read as its view has it.
    let [image, label] = both.views() else { unreachable!("two were asked for") };
    let views = vec![image.scaled().padded(Padding::Constant(-1.0)), label.padded(Padding::Edge)];
    let beyond = Aligned::new(views).unwrap().read(Region::new([20, 0, 0], [2, 1, 1])).unwrap();
    assert_eq!(beyond[0].as_array::<f32>().unwrap()[[1, 0, 0]].to_bits(), (-1_f32).to_bits());
    assert_eq!(beyond[1].dtype(), Dtype::UInt8);
}

#[test]
fn volumes_of_other_grids_are_refused_with_what_differs() {
    let (_folder, dataset) = subject();
    dataset.aligned("case01", &["image", "rounded"]).unwrap();
    for (name, differs) in [
        ("cut", "21x24x36, not 21x24x37"),
        ("moved", "affine[1][3] = 3.5, not 0,"),
        ("turned", "affine[2][0] = 0.01, not 0,"),
    ] {
        let error = dataset.aligned("case01", &["image", "label", name]).unwrap_err().to_string();
        let names = error.contains(&format!("case01/{name}")) && error.contains("case01/image");
        assert!(names && error.contains(differs), "{error}");
    }
    assert!(matches!(dataset.aligned("case01", &["none"]), Err(Error::NotFound { .. })));
    assert!(matches!(dataset.aligned("case01", &[]), Err(Error::InvalidArgument { .. })));
}
