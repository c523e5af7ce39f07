//! An export that fails or is cancelled leaves what was there, and nothing else.
#![allow(clippy::unwrap_used, reason = "helpers of tests may stop a test")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use crate::common::dense::{DenseScan, store, voxels};
use crate::common::nifti::read;
use crate::common::place::generation;
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use voxpatch::layout::PlanOptions;
use voxpatch::scan::nifti::{NiftiWriter, WriteHeader};
use voxpatch::{
    Affine, ConvertOptions, Dataset, Dtype, Error, ExportOptions, ExportReport, Kind, Pool, Result,
    Scaling, Space, Volume, export,
};

/// Three layers of chunks in each of two frames.
const SHAPE: [usize; 5] = [2, 1, 12, 6, 5];

fn dataset(folder: &Path, options: &ConvertOptions) -> Volume {
    let dataset = Dataset::create(folder.join("s.zarr")).unwrap();
    let plan = PlanOptions::default().chunk(Some([4, 4, 4])).shard(Some([4, 8, 8]));
    let options = options.clone().plan(plan);
    store(DenseScan::new(&voxels::<i16>(SHAPE, 3)), &dataset, "a/b", &options).unwrap();
    dataset.volume("a/b").unwrap()
}

fn to(volume: &Volume, path: &Path, options: &ExportOptions) -> Result<ExportReport> {
    export(volume, path, options, &Pool::new(2).unwrap(), &|_| true)
}

/// Names beside the store.
fn beside(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| !path.ends_with("s.zarr")).collect()
}

#[test]
fn cancelled_at_any_call_nothing_is_left_and_the_old_file_stays() {
    let folder = tempfile::tempdir().unwrap();
    let volume = dataset(folder.path(), &ConvertOptions::default());
    for name in ["out.nii", "out.nii.gz"] {
        let path = folder.path().join(name);
        let run = |stop: u64, overwrite| {
            let (calls, seen) = (AtomicU64::new(0), AtomicU64::new(0));
            let progress = |bytes| {
                seen.fetch_add(bytes, SeqCst);
                calls.fetch_add(1, SeqCst) < stop
            };
            let options = ExportOptions::default().overwrite(overwrite);
            let done = export(&volume, &path, &options, &Pool::new(2).unwrap(), &progress);
            (done, calls.into_inner(), seen.into_inner())
        };
        for stop in 0..7 {
            assert!(matches!(run(stop, false).0, Err(Error::Cancelled)), "{stop}");
            assert!(beside(folder.path()).is_empty());
        }
        let (done, calls, bytes) = run(u64::MAX, false);
        assert_eq!((done.unwrap().raw_bytes, calls), (bytes, 7));
        let before = fs::read(&path).unwrap();
        assert!(matches!(run(3, true).0, Err(Error::Cancelled)));
        assert_eq!(beside(folder.path()), std::slice::from_ref(&path));
        assert_eq!(fs::read(&path).unwrap(), before);
        fs::remove_file(path).unwrap();
    }
}

#[test]
fn a_file_in_the_way_is_refused_before_and_after_the_work() {
    let folder = tempfile::tempdir().unwrap();
    let volume = dataset(folder.path(), &ConvertOptions::default());
    let path = folder.path().join("out.nii.gz");
    fs::write(&path, "mine").unwrap();
    let read = |_| -> bool { panic!("the volume is read") };
    let (options, pool) = (ExportOptions::default(), Pool::new(1).unwrap());
    let done = export(&volume, &path, &options, &pool, &read);
    assert!(matches!(done, Err(Error::AlreadyExists { path: at }) if at == path));
    fs::remove_file(&path).unwrap();
    let come = |_| fs::write(&path, "mine").is_ok();
    let done = export(&volume, &path, &options, &pool, &come);
    assert!(matches!(done, Err(Error::AlreadyExists { .. })));
    assert_eq!((fs::read(&path).unwrap(), beside(folder.path()).len()), (b"mine".to_vec(), 1));
    to(&volume, &path, &options.overwrite(true)).unwrap();
    assert_eq!(crate::common::nifti::read(&path, 2).unwrap().frames.len(), 2);
}

#[test]
fn what_cannot_be_written_is_named_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let volume = dataset(folder.path(), &ConvertOptions::default());
    let at = |name: &str| folder.path().join(name);
    let good = ExportOptions::default();
    for name in ["out", "out.npy", "out.gz", "nii.gz", "out.nii.gz.tmp"] {
        let refused = to(&volume, &at(name), &good).unwrap_err().to_string();
        assert!(refused.contains(name) && refused.contains(".nii.gz or .nii"), "{refused}");
    }
    let level = good.level(10);
    assert!(matches!(to(&volume, &at("o.nii.gz"), &level), Err(Error::InvalidArgument { .. })));
    let missing = to(&volume, &at("none/o.nii"), &ExportOptions::default());
    assert!(missing.unwrap_err().to_string().contains("none/o.nii"));
    assert!(beside(folder.path()).is_empty());
}

#[test]
fn a_damaged_chunk_anywhere_is_an_error_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let volume = dataset(folder.path(), &ConvertOptions::default());
    drop(volume);
    for (time, layer) in [(0, 0), (0, 2), (1, 1), (1, 2)] {
        let shard = generation(&folder.path().join("s.zarr"), "a/b")
            .join(format!("0/c/{time}/{layer}/0/0"));
        let sound = fs::read(&shard).unwrap();
        let mut bad = sound.clone();
        bad[sound.len() / 3] ^= 4;
        fs::write(&shard, &bad).unwrap();
        let volume = Dataset::open(folder.path().join("s.zarr")).unwrap().volume("a/b").unwrap();
        for name in ["o.nii", "o.nii.gz"] {
            let done = to(&volume, &folder.path().join(name), &ExportOptions::default());
            assert!(matches!(done, Err(Error::CorruptStore { path, .. }) if path == shard));
        }
        assert!(beside(folder.path()).is_empty());
        fs::write(&shard, &sound).unwrap();
    }
}

#[test]
fn weights_are_written_and_the_report_tells_that_nifti_does_not_know_them() {
    let folder = tempfile::tempdir().unwrap();
    let options = ConvertOptions::default().kind(Some(Kind::Weights));
    let volume = dataset(folder.path(), &options);
    let report = to(&volume, &folder.path().join("w.nii"), &ExportOptions::default()).unwrap();
    assert!(report.findings.iter().any(|f| f.message.contains("weights")), "{report:?}");
}

/// JSON of any kind where numbers are expected.
fn junk() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        (-70_000..70_000_i64).prop_map(Value::from),
        any::<f64>().prop_map(|v| json!(v)),
        Just(json!("text")),
        prop::collection::vec(-3.0..3.0_f64, 8).prop_map(|v| json!(v)),
        prop::collection::vec(prop::collection::vec(-3.0..3.0_f64, 4), 4).prop_map(|v| json!(v)),
        Just(json!([[null, 1, 2, 3], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])),
        Just(json!([7, 4, 3, 2, 1, 1, 1, 1])),
    ]
}

const NAMES: [&str; 12] = [
    "pixdim",
    "xyzt_units",
    "sform_code",
    "qform_code",
    "sform",
    "qform",
    "quatern",
    "scl_slope",
    "scl_inter",
    "dim",
    "intent_code",
    "slice_code",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..Default::default() })]

    /// Whatever a record of the source says, the header is read as what was asked for.
    #[test]
    fn records_that_say_otherwise_are_left_aside(
        values in prop::array::uniform12(prop::option::weighted(0.8, junk())),
        single: bool,
        label: bool,
        times in 1..3_usize,
    ) {
        let record: Map<String, Value> = NAMES.iter().zip(values)
            .filter_map(|(name, value)| Some(((*name).to_owned(), value?))).collect();
        let x = if single { 0.5 } else { 0.7 };
        let header = WriteHeader {
            dtype: Dtype::UInt8,
            shape: [2, 3, 4],
            times,
            channels: 1,
            affine: Affine([[x, 0.0, 0.1, 1.0], [0.0, -2.0, 0.0, 2.0], [0.0, 0.0, 3.0, 4.0], [0.0, 0.0, 0.0, 1.0]]),
            space: Some(Space::Mni),
            scaling: Some(Scaling { slope: 0.3, intercept: 2.0 }),
            time_step: (times > 1).then_some(0.72),
            is_label: label,
        };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.nii");
        let mut writer = NiftiWriter::create_exact(&path, &header, &record, None, None).unwrap();
        writer.write_voxels(&vec![7; 24 * times]).unwrap();
        writer.finish().unwrap();
        let found = read(&path, 2).unwrap().header;
        prop_assert_eq!((found.affine, found.scaling), (header.affine, header.scaling));
        prop_assert_eq!((found.time_step, found.is_label), (header.time_step, label));
        prop_assert_eq!((found.dtype, found.shape, found.times), (Dtype::UInt8, [2, 3, 4], times));
    }
}
