//! What is converted comes back, voxel for voxel: every type, codec and number of axes.
#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "a test's numbers are small, and it may fail"
)]

use crate::common::dense::{DenseScan, store, voxels};
use crate::common::place::files_as_written;
use ndarray::s;
use voxpatch::layout::{Codec, PlanOptions};
use voxpatch::{
    ConvertOptions, Dataset, Dtype, Element, Error, Frame, Pool, Region, f16, with_element,
};

const CODECS: [&str; 7] =
    ["blosc", "blosc-lz4:9", "blosc-lz4hc:5", "blosc-zstd:3", "zstd:3", "gzip:1", "none"];

fn options(codec: &str, chunk: [usize; 3], shard: [usize; 3]) -> ConvertOptions {
    let codec: Codec = codec.parse().unwrap();
    let plan = PlanOptions::default().codec(codec).chunk(Some(chunk)).shard(Some(shard));
    ConvertOptions::default().plan(plan)
}

fn comes_back<T: Element>(shape: [usize; 5], options: &ConvertOptions) {
    let folder = tempfile::tempdir().unwrap();
    let dataset = Dataset::create(folder.path().join("s.zarr")).unwrap();
    let expected = voxels::<T>(shape, 7);
    let report = store(DenseScan::new(&expected), &dataset, "a/b", options).unwrap();
    assert_eq!(report.raw_bytes as usize, expected.len() * size_of::<T>());
    let volume = Dataset::open(dataset.path()).unwrap().volume("a/b").unwrap();
    assert_eq!(volume.dtype(), T::DTYPE);
    for time in 0..shape[0] {
        for channel in 0..shape[1] {
            let frame = volume.view().frame(Frame { time, channel }).unwrap();
            let whole = frame.read::<T>(Region::whole(volume.shape())).unwrap();
            assert_eq!(whole, expected.slice(s![time, channel, .., .., ..]));
        }
    }
}

#[test]
fn every_type_comes_back() {
    for dtype in Dtype::ALL {
        let options = options("blosc", [4, 8, 16], [8, 16, 32]);
        with_element!(dtype, T => comes_back::<T>([1, 1, 13, 21, 35], &options));
    }
}

#[test]
fn every_codec_comes_back() {
    for codec in CODECS {
        comes_back::<i16>([1, 1, 13, 21, 35], &options(codec, [4, 8, 16], [8, 24, 16]));
        comes_back::<u8>([1, 1, 9, 9, 9], &options(codec, [9, 9, 9], [9, 9, 9]));
        comes_back::<f16>([1, 2, 9, 21, 35], &options(codec, [4, 8, 16], [8, 16, 32]));
        comes_back::<f32>([1, 1, 9, 9, 9], &options(codec, [3, 4, 5], [6, 4, 10]));
    }
}

#[test]
fn packed_integers_come_back_and_others_are_refused_with_what_to_use() {
    for dtype in Dtype::ALL {
        for codec in ["packed", "packed:0", "packed:1"] {
            let options = options(codec, [4, 8, 20], [8, 16, 40]);
            if dtype.is_integer() && dtype.size() <= 4 {
                with_element!(dtype, T => comes_back::<T>([1, 2, 13, 21, 35], &options));
                continue;
            }
            let folder = tempfile::tempdir().unwrap();
            let dataset = Dataset::create(folder.path()).unwrap();
            let error = with_element!(dtype, T => {
                let scan = DenseScan::new(&voxels::<T>([1, 1, 13, 21, 35], 7));
                store(scan, &dataset, "a/b", &options).unwrap_err()
            });
            assert!(matches!(error, Error::InvalidArgument { .. }), "{error}");
            let said = error.to_string();
            assert!(said.contains(dtype.name()) && said.contains("blosc"), "{said}");
        }
    }
}

#[test]
fn wide_whole_numbers_are_packed_once_they_are_narrowed() {
    let options = options("packed", [4, 8, 20], [8, 16, 40]).narrow(true);
    comes_back::<f32>([1, 1, 13, 21, 35], &options);
    comes_back::<i64>([1, 1, 13, 21, 35], &options);
}

#[test]
fn times_and_channels_come_back() {
    for (times, channels) in [(1, 1), (3, 1), (1, 2), (3, 2)] {
        comes_back::<i16>([times, channels, 5, 6, 7], &options("blosc", [2, 3, 4], [4, 6, 8]));
    }
}

#[test]
fn odd_sizes_come_back_from_any_chunk() {
    for shape in [[1, 1, 1, 1, 1], [1, 1, 1, 300, 1], [1, 1, 17, 1, 33], [1, 1, 2, 3, 5]] {
        for chunk in [[1, 1, 1], [1, 16, 64], [32, 32, 32]] {
            comes_back::<i16>(shape, &options("blosc", chunk, chunk));
        }
    }
}

#[test]
fn the_planned_layout_works_without_any_choice() {
    comes_back::<i16>([1, 1, 40, 70, 50], &ConvertOptions::default());
    comes_back::<u64>([1, 1, 1, 1, 9], &ConvertOptions::default());
}

/// Shards of a volume whose frames are small, after it came back.
fn shards_of_small_frames(shape: [usize; 5], chunk: [usize; 3]) -> Vec<[usize; 2]> {
    let folder = tempfile::tempdir().unwrap();
    let dataset = Dataset::create(folder.path().join("s.zarr")).unwrap();
    let expected = voxels::<i16>(shape, 7);
    let plan = PlanOptions::default().codec(Codec::None).chunk(Some(chunk)).shard(None);
    let options = ConvertOptions::default().plan(plan);
    store(DenseScan::new(&expected), &dataset, "a/b", &options).unwrap();
    let volume = dataset.volume("a/b").unwrap();
    for time in (0..shape[0]).step_by(7) {
        for channel in 0..shape[1] {
            let frame = volume.view().frame(Frame { time, channel }).unwrap();
            let region = Region::new([1, 0, 2], [3, 4, 2]);
            let expected = expected.slice(s![time, channel, 1..4, 0..4, 2..4]);
            assert_eq!(frame.read::<i16>(region).unwrap(), expected);
        }
    }
    let report = dataset.verify(&Pool::new(2).unwrap(), &|_| true).unwrap();
    assert!(report.is_sound(), "{report:?}");
    vec![volume.layout().frames, [report.volumes[0].shards, 0]]
}

#[test]
fn many_small_frames_share_a_file() {
    let small = |times, channels| [times, channels, 5, 6, 7];
    assert_eq!(shards_of_small_frames(small(40, 3), [5, 6, 7]), [[40, 3], [1, 0]]);
    assert_eq!(shards_of_small_frames(small(40, 1), [2, 3, 4]), [[40, 1], [1, 0]]);
    assert_eq!(shards_of_small_frames(small(1, 9), [2, 3, 4]), [[1, 9], [1, 0]]);
    // As many chunks as an index is to hold: 312 frames of 210.
    assert_eq!(shards_of_small_frames(small(313, 2), [1; 3]), [[157, 1], [4, 0]]);
    assert_eq!(shards_of_small_frames(small(2, 313), [1; 3]), [[2, 105], [3, 0]]);
}

#[test]
fn one_thread_or_many_give_the_same_bytes() {
    fn same<T: Element>(codec: &str) {
        let voxels = voxels::<T>([1, 2, 40, 300, 400], 9);
        let folder = tempfile::tempdir().unwrap();
        let stores = [1, 2, 5].map(|threads| {
            let place = folder.path().join("s.zarr");
            let dataset = Dataset::create(&place).unwrap();
            let scan = Box::new(DenseScan::new(&voxels));
            let name = "a/b".parse().unwrap();
            let options = options(codec, [8, 32, 64], [16, 96, 128]);
            let pool = Pool::new(threads).unwrap();
            voxpatch::convert(scan, &dataset, &name, &options, &pool, &|_| true).unwrap();
            let files = files_as_written(&place);
            std::fs::remove_dir_all(place).unwrap();
            files
        });
        assert!(stores[0].len() > 20);
        assert_eq!(stores[0], stores[1]);
        assert_eq!(stores[0], stores[2]);
    }
    same::<i16>("blosc-lz4");
    same::<f32>("blosc-lz4");
    same::<i16>("packed");
}

#[test]
fn integers_of_few_values_are_told_to_be_labels_perhaps() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = Dataset::create(folder.path()).unwrap();
    let told = |name: &str, voxels: &_, kind| {
        let options = ConvertOptions::default().kind(kind);
        let report = store(DenseScan::new::<u8>(voxels), &dataset, name, &options).unwrap();
        report.findings.iter().any(|f| f.message.contains("labels"))
    };
    let mut voxels = voxels::<u8>([1, 1, 8, 9, 10], 1).mapv(|v| v % 3);
    assert!(told("a/a", &voxels, None));
    assert!(!told("a/b", &voxels, Some(voxpatch::Kind::Intensity)));
    assert!(!told("a/c", &voxels, Some(voxpatch::Kind::Label)));
    voxels.iter_mut().zip(0..).for_each(|(v, n)| *v = (n % 250) as u8);
    assert!(!told("a/d", &voxels, None));
}

#[test]
fn the_voxel_digest_survives_another_layout_and_codec() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = Dataset::create(folder.path()).unwrap();
    let mut voxels = voxels::<i16>([2, 2, 9, 10, 11], 3);
    let digest = |name: &str, codec, chunk, voxels: &_| {
        store(DenseScan::new(voxels), &dataset, name, &options(codec, chunk, chunk))
            .unwrap()
            .voxel_digest
    };
    let first = digest("a/a", "blosc", [4, 4, 4], &voxels);
    assert_eq!(first, digest("a/b", "zstd", [9, 5, 2], &voxels));
    assert_eq!(first, digest("a/p", "packed", [9, 5, 2], &voxels));
    voxels[[1, 0, 3, 3, 3]] += 1;
    assert_ne!(first, digest("a/c", "blosc", [4, 4, 4], &voxels));
}
