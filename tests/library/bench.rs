//! Measuring reads from a program: what is told on the way, what is refused, what is left behind.

use std::fs;
use std::path::Path;
use std::sync::Mutex;

use crate::common::dense::{DenseScan, store, voxels};
use crate::common::place::generation;
use voxpatch::bench::{Cache, Labels, Options, Report, Starts, Step, measure};
use voxpatch::{ConvertOptions, Dataset, Error, Place, Result};

/// A store of `a/ct`, and a folder for copies.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let dataset = Dataset::create(folder.path().join("s")).expect("a store");
    let scan = DenseScan::new(&voxels::<i16>([1, 1, 20, 40, 36], 1));
    store(scan, &dataset, "a/ct", &ConvertOptions::default()).expect("stored");
    fs::create_dir(folder.path().join("tmp")).expect("a folder");
    folder
}

fn options(folder: &Path) -> Options {
    let patches = vec!["8x16x16".parse().expect("a shape"), "20x40x36".parse().expect("a shape")];
    Options::default().patches(patches).seconds(0.02).scratch(Some(folder.join("tmp")))
}

fn run(
    folder: &Path,
    options: &Options,
    progress: &(dyn Fn(Step<'_>) -> bool + Sync),
) -> Result<Report> {
    let report = measure(&Place::find(folder.join("s"))?, options, progress);
    assert_eq!(fs::read_dir(folder.join("tmp")).expect("a folder").count(), 0, "{report:?}");
    report
}

#[test]
fn a_report_has_a_row_for_each_case_and_steps_lead_to_it() {
    let folder = folder();
    let options = options(folder.path()).starts(Starts::Both).threads(vec![1, 2]).cold(true);
    let told = Mutex::new((0, 0, 0));
    let report = run(folder.path(), &options, &|step| {
        let mut told = told.lock().expect("no panic");
        match step {
            Step::Volume { rows, copied, .. } => (told.0, told.1) = (rows, copied),
            Step::Copied(bytes) => told.1 -= bytes,
            Step::Row => told.2 += 1,
            _ => {}
        }
        true
    });
    let report = report.expect("measured");
    let [volume] = &report.volumes[..] else { panic!("{report:?}") };
    assert_eq!(volume.rows.len(), 2 * 2 * 2 * 2);
    assert_eq!(*told.lock().expect("no panic"), (16, 0, 16));
    assert!(volume.rows.iter().all(|row| row.compared && row.store.patches_per_second > 0.0));
    assert_eq!(volume.rows.iter().filter(|row| row.case.cache == Cache::Cold).count(), 8);
    assert_eq!(Labels::of(&volume.rows).columns(), ["patch", "access", "threads", "cache"]);
    assert_eq!(
        Labels::of(&volume.rows[..1]).common(&volume.rows[0].case),
        "random, 1 thread, warm cache"
    );
    assert_eq!(volume.copy_bytes, Some(2 * 20 * 40 * 36));
    assert!(volume.inflated.is_some() && report.date.starts_with("20"));
}

#[test]
fn it_ends_wherever_it_is_told_to_and_leaves_nothing() {
    let folder = folder();
    for last in [1, 2, 3, 4, 5, 9, 30, 60] {
        let left = Mutex::new(last);
        let report = run(folder.path(), &options(folder.path()), &|_| {
            let mut left = left.lock().expect("no panic");
            *left -= 1;
            *left > 0
        });
        assert!(matches!(report, Err(Error::Cancelled)), "{last}: {report:?}");
    }
}

#[test]
fn a_patch_that_is_not_that_of_the_copy_ends_the_measuring() {
    let folder = folder();
    let tmp = folder.path().join("tmp");
    let damage = || -> std::io::Result<()> {
        for scratch in fs::read_dir(&tmp)? {
            let copy = scratch?.path().join("copy.nii");
            let mut bytes = fs::read(&copy)?;
            if let Some(last) = bytes.last_mut() {
                *last ^= 1;
            }
            fs::write(&copy, bytes)?;
        }
        Ok(())
    };
    let once = Mutex::new(true);
    let report = run(folder.path(), &options(folder.path()), &|step| {
        // First asked once the copy is whole, before anything is compared.
        let is_first = std::mem::take(&mut *once.lock().expect("no panic"));
        match step {
            Step::Going if is_first => damage().expect("a copy"),
            Step::Going => {}
            _ => *once.lock().expect("no panic") = is_first,
        }
        true
    });
    let report = report.expect("the volume is named");
    assert!(report.failed[0].error.contains("is not that of the copy"), "{report:?}");
}

#[test]
fn options_that_make_no_sense_are_refused_and_damaged_volumes_named() {
    let folder = folder();
    let good = || options(folder.path());
    for (options, part) in [
        (good().threads(vec![]), "threads"),
        (good().threads(vec![2000]), "0 to 1024"),
        (good().seconds(f64::NAN), "seconds"),
        (good().count(Some(0)), "patches"),
        (good().limit(Some(0)), "limit"),
        (good().overlap(Some([1, 1, 1])), "grid"),
        (good().starts(Starts::Grid).overlap(Some([8, 1, 1])), "overlap"),
    ] {
        let refused = run(folder.path(), &options, &|_| true).expect_err(part).to_string();
        assert!(refused.contains(part), "{refused}");
    }
    let large = good().patches(vec!["8x41x16".parse().expect("a shape")]);
    let report = run(folder.path(), &large, &|_| true).expect("the volume is named");
    assert!(report.failed[0].error.contains("larger than the volume a/ct"), "{report:?}");

    let mut path = generation(&folder.path().join("s"), "a/ct").join("0/c");
    while path.is_dir() {
        path = fs::read_dir(&path).expect("shards").next().expect("one").expect("one").path();
    }
    let mut bytes = fs::read(&path).expect("a shard");
    bytes[40] ^= 1;
    fs::write(&path, bytes).expect("a shard");
    let report = run(folder.path(), &good(), &|_| true).expect("the volume is named");
    assert!(report.volumes.is_empty() && report.failed[0].name == "a/ct", "{report:?}");
}
