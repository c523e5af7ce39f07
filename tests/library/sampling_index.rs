//! The index for sampling says of each block what a count of its voxels, one by one, says.
#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "a test's numbers are small, and it may fail"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::common::dense::DenseScan;
use crate::common::place::generation;
use ndarray::{Array3, Array5, s};
use proptest::prelude::*;
use voxpatch::IndexInfo;
use voxpatch::layout::PlanOptions;
use voxpatch::sample::{BLOCK, BlockCount, BlockSum, ClassBlocks, Contents, Field};
use voxpatch::{
    ConvertOptions, ConvertReport, Dataset, Dtype, Element, Error, Frame, Kind, Padding, Pool,
    Region, Result, Scaling, Volume, convert, with_element,
};

fn file(folder: &Path) -> PathBuf {
    generation(folder, "a/b").join("0/sampling.json")
}

fn options(kind: Kind, chunk: [usize; 3], shard: [usize; 3]) -> ConvertOptions {
    let plan = PlanOptions::default()
        .chunk(Some(chunk))
        .shard(Some(shard))
        .codec("zstd:1".parse().unwrap());
    ConvertOptions::default().plan(plan).kind(Some(kind))
}

fn stored(
    folder: &Path,
    scan: DenseScan,
    options: &ConvertOptions,
    threads: usize,
) -> Result<ConvertReport> {
    let (dataset, pool) = (Dataset::create(folder)?, Pool::new(threads)?);
    convert(Box::new(scan), &dataset, &"a/b".parse()?, options, &pool, &|_| true)
}

fn open(folder: &Path) -> Volume {
    Dataset::open(folder).unwrap().volume("a/b").unwrap()
}

fn rebuild(folder: &Path, threads: usize) -> Result<IndexInfo> {
    let pool = Pool::new(threads).unwrap();
    Dataset::open(folder)?.build_index(&"a/b".parse()?, &pool, &|_| true)
}

/// The blocks of a frame in C order, cut off by the volume.
fn blocks<T: Copy>(frame: &Array3<T>) -> Vec<Array3<T>> {
    let shape: [usize; 3] = frame.shape().try_into().unwrap();
    let starts = |a: usize| (0..shape[a]).step_by(BLOCK[a]);
    let mut found = Vec::new();
    for z in starts(0) {
        for y in starts(1) {
            for x in starts(2) {
                let end = [z + BLOCK[0], y + BLOCK[1], x + BLOCK[2]];
                let [d, h, w]: [usize; 3] = std::array::from_fn(|a| end[a].min(shape[a]));
                found.push(frame.slice(s![z..d, y..h, x..w]).to_owned());
            }
        }
    }
    found
}

/// Voxel by voxel.
fn classes(frame: &Array3<i64>) -> Contents {
    let mut classes: BTreeMap<i64, Vec<BlockCount>> = BTreeMap::new();
    for (n, voxels) in blocks(frame).iter().enumerate() {
        for label in voxels {
            let counts = classes.entry(*label).or_default();
            match counts.last_mut() {
                Some(count) if count.block == n as u64 => count.voxels += 1,
                _ => counts.push(BlockCount { block: n as u64, voxels: 1 }),
            }
        }
    }
    let class = |(label, blocks)| ClassBlocks { label, blocks };
    Contents::Classes(classes.into_iter().map(class).collect())
}

/// Row by row, as is documented.
fn weights(frame: &Array3<f64>) -> Contents {
    let sum = |voxels: &Array3<f64>| {
        voxels
            .rows()
            .into_iter()
            .fold(0.0, |all, row| all + row.iter().fold(0.0, |sum, weight| sum + weight))
    };
    let sums = blocks(frame).into_iter().enumerate();
    let sums = sums.map(|(n, voxels)| BlockSum { block: n as u64, weight: sum(&voxels) });
    Contents::Weights(sums.filter(|sum| sum.weight > 0.0).collect())
}

fn frame<T: Copy>(voxels: &Array5<T>, frame: Frame) -> Array3<T> {
    voxels.slice(s![frame.time, frame.channel, .., .., ..]).to_owned()
}

fn frames<T>(voxels: &Array5<T>) -> impl Iterator<Item = Frame> + use<T> {
    let (times, channels, ..) = voxels.dim();
    (0..times * channels).map(move |n| Frame { time: n / channels, channel: n % channels })
}

/// Labels in blobs, from `least` to `least + count - 1`.
fn blobs(shape: [usize; 5], seed: usize, least: i64, count: i64) -> Array5<i64> {
    let [t, c, z, y, x] = shape;
    Array5::from_shape_fn((t, c, z, y, x), |(t, c, z, y, x)| {
        let blob = (z / 3 * 31 + y / 4 * 17 + x / 7 * 5 + t * 11 + c * 3 + seed) as i64;
        let speck = i64::from((x * 7 + y * 5 + z * 3 + seed).is_multiple_of(19));
        least + (blob + speck).rem_euclid(count)
    })
}

/// Converted with one thread and with three, then built anew: always the same bytes.
fn the_one_index<T: Element>(
    voxels: &Array5<T>,
    scaling: Option<Scaling>,
    options: &ConvertOptions,
) -> (tempfile::TempDir, Volume) {
    let folders = [1, 3].map(|threads| {
        let folder = tempfile::tempdir().unwrap();
        let mut scan = DenseScan::new(voxels);
        scan.header_mut().scaling = scaling;
        stored(folder.path(), scan, options, threads).unwrap();
        folder
    });
    let [one, three] = [0, 1].map(|n: usize| std::fs::read(file(folders[n].path())).unwrap());
    assert_eq!(one, three);
    let [folder, _] = folders;
    let built = rebuild(folder.path(), 2).unwrap();
    assert_eq!(std::fs::read(file(folder.path())).unwrap(), one);
    let volume = open(folder.path());
    assert_eq!(volume.info().index, Some(built));
    (folder, volume)
}

fn shapes() -> impl Strategy<Value = ([usize; 5], [usize; 3], [usize; 3])> {
    // Some of several blocks; chunks that divide a block, and that do not.
    let length = prop_oneof![5 => 1_usize..14, 1 => 30_usize..50];
    let axis = (length, prop_oneof![1_usize..9, 10_usize..40], 1_usize..3);
    ((1_usize..3, 1_usize..3), [axis.clone(), axis.clone(), axis]).prop_map(|((t, c), axes)| {
        let shape = axes.map(|(n, ..)| n);
        let chunk = axes.map(|(_, chunk, _)| chunk);
        let times = axes.map(|(n, chunk, times)| times.min(n.div_ceil(chunk)));
        let shard = std::array::from_fn(|a| chunk[a] * times[a]);
        ([t, c, shape[0], shape[1], shape[2]], chunk, shard)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(60) })]

    #[test]
    fn every_label_is_counted_in_every_block_of_every_frame(
        (shape, chunk, shard) in shapes(),
        dtype in prop::sample::select(Dtype::ALL.into_iter().filter(|d| d.is_integer()).collect::<Vec<_>>()),
        narrow in any::<bool>(),
        seed in 0_usize..1000,
        count in 1_i64..9,
    ) {
        let unsigned = dtype.name().starts_with('u');
        let labels = blobs(shape, seed, if unsigned { 0 } else { -3 }, count);
        let options = options(Kind::Label, chunk, shard).narrow(narrow);
        let (_folder, volume) = with_element!(dtype, T => {
            the_one_index(&labels.mapv(|label| T::from_f64(label as f64)), None, &options)
        });
        prop_assert_eq!(volume.dtype(), dtype);
        let mut out = Vec::new();
        for of in frames(&labels) {
            let (volume, dense) = (volume.view().frame(of).unwrap(), frame(&labels, of));
            let index = volume.block_index().unwrap();
            prop_assert_eq!((index.shape, index.block), (volume.shape(), BLOCK));
            prop_assert_eq!(&index.contents, &classes(&dense));
            volume.labels(Region::whole(volume.shape()), &mut out).unwrap();
            prop_assert_eq!(dense.as_slice().unwrap(), &out[..]);
        }
    }

    #[test]
    fn weights_are_summed_as_real_values_in_every_block_of_every_frame(
        (shape, chunk, shard) in shapes(),
        dtype in prop::sample::select(Dtype::ALL.to_vec()),
        scaling in prop::option::of((0.01_f64..3.0, 0.0_f64..2.0)),
        seed in 0_usize..1000,
    ) {
        let scaling = scaling.map(|(slope, intercept)| Scaling { slope, intercept });
        let voxels = blobs(shape, seed, 0, 5);
        let options = options(Kind::Weights, chunk, shard);
        let float = if dtype.is_integer() { 1.0 } else { 0.3 };
        let (_folder, volume, real) = with_element!(dtype, T => {
            let voxels = voxels.mapv(|voxel| T::from_f64(voxel as f64 * float));
            let (folder, volume) = the_one_index(&voxels, scaling, &options);
            let real = voxels.mapv(|voxel| {
                scaling.map_or(voxel.to_f64(), |s| s.slope * voxel.to_f64() + s.intercept)
            });
            (folder, volume, real)
        });
        let mut out = Vec::new();
        for of in frames(&real) {
            let (volume, dense) = (volume.view().frame(of).unwrap(), frame(&real, of));
            prop_assert_eq!(&volume.block_index().unwrap().contents, &weights(&dense));
            volume.weights(Region::whole(volume.shape()), &mut out).unwrap();
            prop_assert_eq!(dense.as_slice().unwrap(), &out[..]);
        }
    }
}

#[test]
fn labels_as_large_and_as_small_as_int64_are_sampled_and_larger_ones_told_of() {
    let folder = tempfile::tempdir().unwrap();
    let options = options(Kind::Label, [2; 3], [4; 3]).overwrite(true);
    let mut labels = Array5::<i64>::zeros([1, 1, 3, 4, 5]);
    (labels[[0, 0, 0, 0, 0]], labels[[0, 0, 2, 3, 4]]) = (i64::MIN, i64::MAX);
    stored(folder.path(), DenseScan::new(&labels), &options, 1).unwrap();
    let volume = open(folder.path());
    let dense = frame(&labels, Frame::default());
    assert_eq!(volume.block_index().unwrap().contents, classes(&dense));

    let mut labels = Array5::<u64>::zeros([1, 1, 3, 4, 5]);
    labels[[0, 0, 2, 0, 0]] = u64::MAX;
    labels[[0, 0, 0, 3, 4]] = 1 << 63;
    let report = stored(folder.path(), DenseScan::new(&labels), &options, 3).unwrap();
    assert_eq!(report.index, None);
    let told = &report.findings.last().unwrap().message;
    assert!(told.contains("9223372036854775808 is beyond int64"), "{told}");
    assert!(!file(folder.path()).exists());
    let error = rebuild(folder.path(), 3).unwrap_err().to_string();
    assert!(error.contains("beyond int64"), "{error}");
    let mut out = Vec::new();
    let volume = open(folder.path());
    assert!(volume.block_index().is_err());
    volume.labels(Region::whole([2, 3, 5]), &mut out).unwrap();
    let error = volume.labels(Region::whole([3, 4, 5]), &mut out).unwrap_err().to_string();
    assert!(error.contains("9223372036854775808"), "{error}");
}

#[test]
fn labels_stored_as_floats_have_no_index_until_they_are_narrowed() {
    let folder = tempfile::tempdir().unwrap();
    let labels = blobs([1, 1, 6, 7, 8], 1, 0, 4);
    let scan = || DenseScan::new(&labels.mapv(|label| label as f32));
    let options = options(Kind::Label, [4; 3], [8; 3]).overwrite(true);
    let report = stored(folder.path(), scan(), &options, 1).unwrap();
    assert!(report.findings.last().unwrap().message.contains("--narrow"), "{:?}", report.findings);
    let volume = open(folder.path());
    let errors = [
        volume.block_index().unwrap_err(),
        volume.labels(Region::whole([1; 3]), &mut Vec::new()).unwrap_err(),
        rebuild(folder.path(), 1).unwrap_err(),
    ];
    for error in errors {
        assert!(matches!(error, Error::InvalidArgument { .. }), "{error}");
        assert!(error.to_string().contains("--narrow"), "{error}");
    }
    assert_eq!(volume.info().index, None);

    stored(folder.path(), scan(), &options.narrow(true), 1).unwrap();
    let (volume, dense) = (open(folder.path()), frame(&labels, Frame::default()));
    assert_eq!((volume.dtype(), volume.stored_dtype()), (Dtype::Float32, Dtype::UInt8));
    assert_eq!(volume.block_index().unwrap().contents, classes(&dense));
    let mut out = Vec::new();
    volume.labels(Region::whole([6, 7, 8]), &mut out).unwrap();
    assert_eq!(out, dense.as_slice().unwrap());
}

#[test]
fn the_first_voxel_that_is_no_weight_is_named_and_nothing_is_stored() {
    for (wrong, shown) in [(-0.5, "-0.5"), (f64::NAN, "NaN"), (f64::INFINITY, "inf")] {
        let mut map = Array5::<f64>::ones([1, 2, 5, 6, 7]);
        // The first chunk has one in its last row; another chunk has one before that.
        for at in [[0, 1, 3, 1, 1], [0, 1, 2, 5, 6], [0, 1, 4, 0, 0]] {
            map[at] = wrong;
        }
        for threads in [1, 3] {
            let folder = tempfile::tempdir().unwrap();
            let options = options(Kind::Weights, [4, 2, 2], [8, 4, 4]);
            let error = stored(folder.path(), DenseScan::new(&map), &options, threads).unwrap_err();
            let error = error.to_string();
            for told in
                [shown, "voxel 2,5,6 (z, y, x)", "channel 1", "should not be drawn", "intensities"]
            {
                assert!(error.contains(told), "{error}");
            }
            let left = std::fs::read_dir(folder.path()).unwrap().count();
            assert_eq!(left, 0, "the folder was there before, and is as empty");
        }
    }
    // Not of the stored voxel, but of its real value.
    let folder = tempfile::tempdir().unwrap();
    let mut scan = DenseScan::new(&Array5::<u8>::from_elem([1, 1, 2, 3, 4], 7));
    scan.header_mut().scaling = Some(Scaling { slope: -1.0, intercept: 2.0 });
    let options = options(Kind::Weights, [4; 3], [4; 3]);
    let error = stored(folder.path(), scan, &options, 1).unwrap_err().to_string();
    assert!(error.contains("\"-5\"") && error.contains("0,0,0"), "{error}");
    let huge = Array5::<f64>::from_elem([1, 1, 2, 3, 4], f64::MAX);
    let error = stored(folder.path(), DenseScan::new(&huge), &options, 1).unwrap_err().to_string();
    assert!(error.contains("sum of weights"), "{error}");
}

#[test]
fn weights_that_are_all_0_are_stored_and_the_index_names_no_block() {
    let folder = tempfile::tempdir().unwrap();
    let map = Array5::<f32>::from_elem([1, 1, 5, 6, 7], -0.0);
    let options = options(Kind::Weights, [4; 3], [8; 3]);
    let report = stored(folder.path(), DenseScan::new(&map), &options, 1).unwrap();
    assert_eq!(report.index, Some(IndexInfo::Weights { blocks: 0 }));
    let contents = open(folder.path()).block_index().unwrap().contents.clone();
    assert_eq!(contents, Contents::Weights(Vec::new()));
}

#[test]
fn a_volume_without_an_index_says_how_to_get_one_and_open_handles_find_it() {
    let folder = tempfile::tempdir().unwrap();
    let labels = blobs([1, 1, 6, 7, 8], 1, 0, 4).mapv(|label| label as i16);
    let options = options(Kind::Label, [4; 3], [8; 3]);
    let report = stored(folder.path(), DenseScan::new(&labels), &options, 1).unwrap();
    assert_eq!(report.index, Some(IndexInfo::Labels { labels: 4, blocks: 1 }));
    std::fs::remove_file(file(folder.path())).unwrap();
    let volume = open(folder.path());
    let error = volume.block_index().unwrap_err();
    assert!(matches!(error, Error::InvalidArgument { .. }), "{error}");
    let told = format!("voxpatch index {}", folder.path().join("a/b").display());
    assert!(error.to_string().contains(&told), "{error}");
    assert_eq!(volume.info().index, None);
    assert_eq!(rebuild(folder.path(), 1).unwrap(), report.index.unwrap());
    let view = volume.view().scaled().padded(Padding::Edge);
    assert!(Arc::ptr_eq(&volume.block_index().unwrap(), &view.block_index().unwrap()));
    // Whatever a handle returns voxels as, samplers see labels, and no padding.
    let mut out = Vec::new();
    view.labels(Region::new([1, 2, 3], [2, 3, 4]), &mut out).unwrap();
    let dense = frame(&labels, Frame::default()).slice(s![1..3, 2..5, 3..7]).mapv(i64::from);
    assert_eq!(out, dense.into_iter().collect::<Vec<_>>());
    let outside = view.labels(Region::new([-1, 0, 0], [2; 3]), &mut out);
    assert!(matches!(outside, Err(Error::OutOfBounds { .. })), "{outside:?}");
    assert!(view.labels(Region::new([0; 3], [0, 1, 1]), &mut out).is_err());
}

#[test]
fn volumes_of_another_kind_are_refused_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let voxels = blobs([1, 1, 6, 7, 8], 1, 0, 4).mapv(|voxel| voxel as i16);
    let convert = |kind| {
        let options = options(kind, [4; 3], [8; 3]).overwrite(true);
        stored(folder.path(), DenseScan::new(&voxels), &options, 1).unwrap();
        open(folder.path())
    };
    let one = Region::whole([1; 3]);
    let (mut labels, mut weights) = (Vec::new(), Vec::new());
    let volume = convert(Kind::Intensity);
    assert!(!file(folder.path()).exists());
    for error in [
        volume.block_index().map(drop).unwrap_err(),
        volume.labels(one, &mut labels).unwrap_err(),
        volume.weights(one, &mut weights).unwrap_err(),
        rebuild(folder.path(), 1).map(drop).unwrap_err(),
    ] {
        assert!(error.to_string().contains("--kind weights"), "{error}");
    }
    let volume = convert(Kind::Label);
    assert!(volume.labels(one, &mut labels).is_ok() && volume.weights(one, &mut weights).is_err());
    let volume = convert(Kind::Weights);
    assert!(volume.labels(one, &mut labels).is_err() && volume.weights(one, &mut weights).is_ok());
}

#[test]
fn a_build_that_is_cancelled_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let labels = blobs([1, 1, 6, 7, 8], 1, 0, 4);
    let options = options(Kind::Label, [2; 3], [8; 3]);
    stored(folder.path(), DenseScan::new(&labels), &options, 1).unwrap();
    std::fs::remove_file(file(folder.path())).unwrap();
    let (dataset, pool) = (Dataset::open(folder.path()).unwrap(), Pool::new(1).unwrap());
    let done = std::sync::atomic::AtomicU64::new(0);
    let count = |bytes| done.fetch_add(bytes, std::sync::atomic::Ordering::SeqCst) < 100;
    let cancelled = dataset.build_index(&"a/b".parse().unwrap(), &pool, &count);
    assert!(matches!(cancelled, Err(Error::Cancelled)), "{cancelled:?}");
    assert!(!file(folder.path()).exists());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2, "the group and the subject");
    done.store(0, std::sync::atomic::Ordering::SeqCst);
    let all = |bytes| done.fetch_add(bytes, std::sync::atomic::Ordering::SeqCst) < u64::MAX;
    dataset.build_index(&"a/b".parse().unwrap(), &pool, &all).unwrap();
    assert_eq!(done.into_inner(), open(folder.path()).raw_bytes());
}
