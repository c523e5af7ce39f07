//! Codecs tried on the scan: one of them is taken, what is sampled depends on nothing but the scan,
//! and the volume reads back as it was.
#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "a test's numbers are small, and it may fail"
)]

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};

use crate::common::dense::{DenseScan, voxels};
use ndarray::{Array5, s};
use voxpatch::layout::{Access, Codec, PlanOptions, Workload};
use voxpatch::{
    ConvertOptions, ConvertReport, Dataset, Dtype, Element, Error, Frame, Kind, Pool, Region,
    Result, convert, with_element,
};

fn options() -> ConvertOptions {
    let workload = Workload::new(vec!["4x8x8".parse().unwrap()], Access::Random).unwrap();
    let codecs = Codec::CANDIDATES.to_vec();
    ConvertOptions::default().workload(Some(workload)).codecs(codecs)
}

/// A dataset in a folder of its own.
fn dataset() -> (tempfile::TempDir, Dataset) {
    let folder = tempfile::tempdir().unwrap();
    let dataset = Dataset::create(folder.path().join("s.zarr")).unwrap();
    (folder, dataset)
}

fn convert_with<T: Element>(
    voxels: &Array5<T>,
    dataset: &Dataset,
    options: &ConvertOptions,
    threads: usize,
) -> Result<ConvertReport> {
    let (name, pool) = ("a/b".parse().unwrap(), Pool::new(threads).unwrap());
    convert(Box::new(DenseScan::new(voxels)), dataset, &name, options, &pool, &|_| true)
}

/// Converts, requires that one of those able was tried and taken, and reads everything back.
fn comes_back<T: Element>(voxels: &Array5<T>, options: &ConvertOptions) -> ConvertReport {
    let (_folder, dataset) = dataset();
    let report = convert_with(voxels, &dataset, options, 2).unwrap();
    let able = |codec: &&Codec| codec.check_for(report.stored_dtype).is_ok();
    let able: Vec<_> = options.codecs.iter().copied().filter(|c| able(&c)).collect();
    let tried: Vec<_> = report.trial.iter().map(|t| t.layout.codec).collect();
    assert_eq!(tried, able);
    let chosen: Vec<_> = report.trial.iter().filter(|t| t.chosen).collect();
    assert_eq!(chosen.len(), 1);
    assert_eq!(chosen[0].layout, report.layout);
    for trial in &report.trial {
        let measured = [trial.size, trial.microseconds, trial.score];
        assert!(measured.iter().all(|n| n.is_finite() && *n > 0.0), "{trial:?}");
        assert!(trial.score > trial.microseconds, "{trial:?}");
        assert_eq!(trial.standard, trial.layout.codec.is_standard());
    }
    let codec = report.layout.codec.to_string();
    let told: Vec<_> = report.findings.iter().filter(|f| f.message.contains("tried")).collect();
    assert!(told.len() == 1 && told[0].message.contains(&codec), "{told:?}");

    let volume = dataset.volume("a/b").unwrap();
    assert_eq!(*volume.layout(), report.layout);
    for time in 0..volume.times() {
        for channel in 0..volume.channels() {
            let view = volume.view().frame(Frame { time, channel }).unwrap();
            let found = view.read::<T>(Region::whole(volume.shape())).unwrap();
            assert!(found == voxels.slice(s![time, channel, .., .., ..]));
        }
    }
    assert!(dataset.verify(&Pool::new(1).unwrap(), &|_| true).unwrap().is_sound());
    report
}

#[test]
fn voxels_of_every_type_come_back() {
    for dtype in Dtype::ALL {
        with_element!(dtype, T => drop(comes_back(&voxels::<T>([1, 1, 20, 19, 23], 5), &options())));
    }
}

#[test]
fn scans_of_every_shape_come_back() {
    for shape in [[1, 1, 1, 1, 1], [1, 1, 1, 40, 50], [1, 1, 90, 2, 1], [2, 3, 12, 9, 11]] {
        comes_back(&voxels::<i16>(shape, 7), &options());
    }
    comes_back(&Array5::<u8>::zeros((1, 1, 12, 30, 30)), &options());
}

#[test]
fn labels_and_given_shapes_and_several_patches_come_back() {
    let labels = Array5::from_shape_fn((1, 1, 24, 30, 30), |(.., z, y, x)| {
        u8::from(z > 8 && y * x > 200) + u8::from(z * y > 300)
    });
    let patches = ["4x8x8:3", "1x30x30", "200x200x200:0.5"];
    let patches = patches.map(|patch| patch.parse().unwrap()).to_vec();
    for access in [Access::Random, Access::Grid { overlap: [0, 2, 2] }] {
        let workload = Some(Workload::new(patches.clone(), access).unwrap());
        for (chunk, shard) in [
            (None, None),
            (Some([5, 7, 11]), None),
            (Some([5, 7, 11]), Some([10, 14, 22])),
            (None, Some([8, 16, 16])),
            (Some([64, 64, 64]), None),
        ] {
            let plan = PlanOptions::default().chunk(chunk).shard(shard);
            let workload = workload.clone();
            let options = options().workload(workload).plan(plan).kind(Some(Kind::Label));
            let report = comes_back(&labels, &options);
            assert!(chunk.is_none_or(|chunk| report.trial.iter().all(|t| t.layout.chunk == chunk)));
        }
    }
}

#[test]
fn every_run_chooses_alike_on_any_number_of_threads() {
    let voxels = voxels::<i16>([1, 1, 70, 60, 64], 3);
    let sizes = |threads| {
        let (_folder, dataset) = dataset();
        let report = convert_with(&voxels, &dataset, &options(), threads).unwrap();
        (report.layout, report.trial)
    };
    let first = sizes(1);
    assert_eq!(first.1.len(), Codec::CANDIDATES.len());
    assert_eq!(sizes(1), first);
    assert_eq!(sizes(3), first);
}

/// Of three layers of few chunks every chunk is sampled, so that the size is no estimate.
#[test]
fn the_size_of_a_scan_that_is_sampled_whole_is_that_of_its_shards() {
    for codec in Codec::CANDIDATES {
        for planes in [8, 16, 24] {
            let voxels = voxels::<u16>([1, 1, planes, 32, 48], 11);
            let chunk = [8, 16, 16];
            let plan = PlanOptions::default().chunk(Some(chunk)).shard(Some(chunk)).codec(codec);
            let report = comes_back(&voxels, &options().plan(plan).codecs(vec![codec]));
            // The checksum of the index, and the tag.
            let beside_chunks = (4 + 16) * (planes / 8) * 2 * 3;
            let expected = (report.stored_bytes as usize - beside_chunks) as f64;
            let found = report.trial[0].size * report.raw_bytes as f64;
            assert!((found - expected).abs() < 1e-6, "{codec}: {found}, stored {expected}");
        }
    }
}

#[test]
fn without_codecs_to_try_nothing_is_tried() {
    let (_folder, dataset) = dataset();
    let options = options().codecs(Vec::new());
    let report = convert_with(&voxels::<i16>([1, 1, 9, 9, 9], 1), &dataset, &options, 1).unwrap();
    assert!(report.trial.is_empty());
    assert!(report.findings.iter().all(|f| !f.message.contains("tried")));
    assert_eq!(report.layout.codec, Codec::default());
}

fn whole_numbers() -> Array5<f32> {
    Array5::from_shape_fn((1, 1, 9, 20, 20), |(.., z, y, x)| (z * y + x) as f32 - 40.0)
}

#[test]
fn what_is_narrowed_is_tried_narrow() {
    let report = comes_back(&whole_numbers(), &options());
    assert!(report.trial.iter().all(|t| t.standard));
    let report = comes_back(&whole_numbers(), &options().narrow(true));
    assert_eq!(report.stored_dtype, Dtype::Int16);
    assert_eq!(report.trial.len(), Codec::CANDIDATES.len());
}

#[test]
fn packed_takes_whole_numbers_if_they_are_narrowed_and_refuses_others_before_any_work() {
    let packed: Codec = "packed".parse().unwrap();
    let given = PlanOptions::default().codec(packed);
    let mut fraction = whole_numbers();
    fraction[[0, 0, 8, 19, 19]] = 0.5;
    for (plan, codecs) in [(given, vec![]), (PlanOptions::default(), vec![packed])] {
        let with = |narrow| options().plan(plan).codecs(codecs.clone()).narrow(narrow);
        let (folder, dataset) = dataset();
        let refused = |voxels: &Array5<f32>, narrow| {
            let error = convert_with(voxels, &dataset, &with(narrow), 1).unwrap_err();
            assert!(matches!(error, Error::InvalidArgument { what: "codec", .. }), "{error}");
            assert!(!folder.path().join("s.zarr").exists());
            error.to_string()
        };
        let reason = refused(&whole_numbers(), false);
        for part in ["packed:8", "float32", "blosc-zstd", "narrow"] {
            assert!(reason.contains(part), "{reason}");
        }
        assert!(!reason.contains("not narrowed"), "{reason}");
        let reason = refused(&fraction, true);
        for part in ["packed:8", "float32", "blosc-zstd", "not narrowed", "0.5"] {
            assert!(reason.contains(part), "{reason}");
        }
        let report = convert_with(&whole_numbers(), &dataset, &with(true), 1).unwrap();
        assert_eq!((report.layout.codec, report.stored_dtype), (packed, Dtype::Int16));
    }
}

#[test]
fn progress_counts_the_first_frame_once_more_and_can_stop_at_any_time() {
    let voxels = whole_numbers();
    let both = ndarray::concatenate![ndarray::Axis(0), voxels, voxels];
    for narrow in [false, true] {
        let options = options().narrow(narrow);
        let run = |stop: usize| {
            let (folder, dataset) = dataset();
            let (calls, bytes) = (AtomicUsize::new(0), AtomicU64::new(0));
            let progress = |n| {
                bytes.fetch_add(n, SeqCst);
                calls.fetch_add(1, SeqCst) < stop
            };
            let (name, pool) = ("a/b".parse().unwrap(), Pool::new(2).unwrap());
            let scan = Box::new(DenseScan::new(&both));
            let done = convert(scan, &dataset, &name, &options, &pool, &progress);
            assert_eq!(folder.path().join("s.zarr").exists(), done.is_ok());
            (done, bytes.into_inner())
        };
        for stop in [0, 1, 2, 3, 5, 9] {
            assert!(matches!(run(stop).0, Err(Error::Cancelled)), "at {stop}");
        }
        let (done, bytes) = run(usize::MAX);
        let frames = if narrow { 5 } else { 3 };
        assert_eq!(2 * bytes, frames * done.unwrap().raw_bytes);
    }
}

#[test]
fn a_volume_in_the_way_is_told_before_the_scan_is_read() {
    let (_folder, dataset) = dataset();
    let voxels = whole_numbers();
    convert_with(&voxels, &dataset, &options().codecs(vec![]), 1).unwrap();
    let (name, pool) = ("a/b".parse().unwrap(), Pool::new(1).unwrap());
    let read = |_| -> bool { panic!("the scan is read") };
    let scan = Box::new(DenseScan::new(&voxels));
    let done = convert(scan, &dataset, &name, &options(), &pool, &read);
    assert!(matches!(done, Err(Error::AlreadyExists { .. })), "{done:?}");
}
