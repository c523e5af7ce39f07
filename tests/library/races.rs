//! Writers that nobody keeps apart, and readers beside them: old, new or a clear error, never a
//! mixture, and nothing is lost.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::io;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use crate::common::dense::{DenseScan, store};
use crate::common::place::{generation, generations};
use crate::common::predict::source;
use crate::common::tapped::{Tap, Tapped};
use ndarray::Array5;
use voxpatch::aggregate::{AggregateOptions, Aggregator, Blend, Output, Plan, Values};
use voxpatch::disk::LocalDisk;
use voxpatch::layout::PlanOptions;
use voxpatch::sample::{GridSampler, Overlap};
use voxpatch::{ConvertOptions, Dataset, Error, Pool, Region, Result, Volume, VolumeName};

const SHAPE: [usize; 3] = [6, 8, 9];

fn options(overwrite: bool) -> ConvertOptions {
    let plan = PlanOptions::default()
        .codec("none".parse().unwrap())
        .chunk(Some([2, 4, 4]))
        .shard(Some([2, 4, 8]));
    ConvertOptions::default().plan(plan).overwrite(overwrite)
}

/// A volume all of whose voxels are this number.
fn write(dataset: &Dataset, number: i16, overwrite: bool) -> Result<()> {
    let voxels = Array5::<i16>::from_elem([1, 1, SHAPE[0], SHAPE[1], SHAPE[2]], number);
    store(DenseScan::new(&voxels), dataset, "a/b", &options(overwrite)).map(drop)
}

/// The number that all voxels are.
fn number(volume: &Volume) -> Result<i16> {
    let voxels = volume.read::<i16>(Region::whole(SHAPE))?;
    let first = voxels[[0, 0, 0]];
    assert!(voxels.iter().all(|voxel| *voxel == first), "a mixture");
    Ok(first)
}

/// Does something before each operation; lets everybody hold everything.
struct Before<F>(F);

impl<F> std::fmt::Debug for Before<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Before")
    }
}

impl<F: Fn(&str, &str) + Send + Sync + 'static> Tap for Before<F> {
    fn pass(
        &self,
        _: &LocalDisk,
        name: &'static str,
        key: &str,
        operation: &mut dyn FnMut() -> io::Result<()>,
    ) -> io::Result<()> {
        (self.0)(name, key);
        operation()
    }
}

/// A dataset whose writers nobody keeps apart.
fn unheld(root: &Path) -> Dataset {
    Dataset::create_on(Tapped::unheld(root, Before(|_: &str, _: &str| ())).handle()).unwrap()
}

fn check_the_end(root: &Path, winners: &[i16]) {
    let dataset = Dataset::open(root).unwrap();
    let last = number(&dataset.volume("a/b").unwrap()).unwrap();
    assert!(winners.contains(&last), "{last} of {winners:?}");
    assert!(dataset.verify(&Pool::new(1).unwrap(), &|_| true).unwrap().is_sound());
    assert_eq!(generations(root, "a/b"), [generation(root, "a/b")], "nothing but the winner's");
    assert!(dataset.sweep(Duration::ZERO, true).unwrap().removed.is_empty());
}

#[test]
fn of_twenty_writers_of_a_new_volume_one_wins_and_all_others_are_told() {
    for _ in 0..5 {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("s.zarr");
        let won = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for n in 1..=20 {
                let (root, won) = (&root, &won);
                scope.spawn(move || match write(&unheld(root), n, false) {
                    Ok(()) => won.lock().unwrap().push(n),
                    Err(Error::AlreadyExists { .. }) => {}
                    Err(error) => panic!("{error}"),
                });
            }
        });
        let won = won.into_inner().unwrap();
        assert_eq!(won.len(), 1);
        check_the_end(&root, &won);
    }
}

#[test]
fn of_writers_that_replace_a_volume_at_once_each_wins_or_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("s.zarr");
    write(&unheld(&root), 0, false).unwrap();
    let won = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for n in 1..=6 {
            let (root, won) = (&root, &won);
            scope.spawn(move || {
                for _ in 0..8 {
                    match write(&unheld(root), n, true) {
                        Ok(()) => won.lock().unwrap().push(n),
                        Err(Error::Conflict { .. }) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
            });
        }
        // Readers beside them.
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..60 {
                    let dataset = Dataset::open(&root).unwrap();
                    match dataset.volume("a/b").and_then(|volume| number(&volume)) {
                        Ok(found) => assert!((0..=6).contains(&found)),
                        Err(Error::Replaced { .. }) => {}
                        // Again and again replaced while it was opened.
                        Err(Error::CorruptStore { path, reason }) => {
                            assert!(reason.contains("missing"), "{}: {reason}", path.display());
                        }
                        Err(error) => panic!("{error}"),
                    }
                }
            });
        }
    });
    let won = won.into_inner().unwrap();
    assert!(!won.is_empty());
    check_the_end(&root, &won);
}

#[test]
fn whoever_opens_or_reads_between_two_operations_of_a_writer_finds_old_or_new_voxels() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("s.zarr");
    write(&Dataset::create(&root).unwrap(), 1, false).unwrap();
    // Opened before; one of them has read a part of what it needs.
    let early = Dataset::open(&root).unwrap().volume("a/b").unwrap();
    let begun = Dataset::open(&root).unwrap().volume("a/b").unwrap();
    begun.read::<i16>(Region::new([0; 3], [2, 4, 4])).unwrap();
    let seen = std::sync::Arc::new(Mutex::new(Vec::new()));
    let (at, found) = (root.clone(), std::sync::Arc::clone(&seen));
    let look = move |_: &str, _: &str| {
        let now = Dataset::open(&at).unwrap().volume("a/b").unwrap();
        found.lock().unwrap().push(number(&now).unwrap());
        for handle in [&early, &begun] {
            match number(handle) {
                Ok(found) => assert_eq!(found, 1),
                Err(error) => assert!(matches!(error, Error::Replaced { .. }), "{error}"),
            }
        }
    };
    let writer = Dataset::open_on(Tapped::unheld(&root, Before(look)).handle()).unwrap();
    write(&writer, 2, true).unwrap();
    let seen = seen.lock().unwrap();
    assert!(seen.len() > 20 && seen.is_sorted() && seen.last() == Some(&2), "{seen:?}");
}

#[test]
fn a_volume_that_is_removed_is_gone_as_a_whole() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("s.zarr");
    let dataset = Dataset::create(&root).unwrap();
    write(&dataset, 1, false).unwrap();
    let other = Array5::<i16>::ones([1, 1, 2, 2, 2]);
    store(DenseScan::new(&other), &dataset, "a/other", &options(false)).unwrap();
    let handle = dataset.volume("a/b").unwrap();
    dataset.remove(&"a/b".parse().unwrap()).unwrap();
    assert!(matches!(number(&handle), Err(Error::Replaced { .. })));
    assert!(matches!(dataset.volume("a/b"), Err(Error::NotFound { .. })));
    assert!(matches!(dataset.remove(&"a/b".parse().unwrap()), Err(Error::NotFound { .. })));
    assert_eq!(dataset.images("a").unwrap(), ["other"]);
    assert!(!root.join("a/b").exists());
    dataset.remove(&"a/other".parse().unwrap()).unwrap();
    assert!(dataset.subjects().unwrap().is_empty() && !root.join("a").exists());
    write(&dataset, 2, false).unwrap();
    assert_eq!(number(&dataset.volume("a/b").unwrap()).unwrap(), 2);
}

#[test]
fn only_what_nobody_names_and_nobody_writes_is_swept() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("s.zarr");
    let dataset = Dataset::create(&root).unwrap();
    write(&dataset, 1, false).unwrap();
    let left = root.join("a/b/g-00112233445566aa");
    let of_others = ["a/b/notes", "a/b/g-x", "a/notes", "notes", "a/b/g-00112233445566AA"];
    for name in of_others {
        std::fs::create_dir_all(root.join(name)).unwrap();
        std::fs::write(root.join(name).join("file"), b"1234").unwrap();
    }
    std::fs::create_dir_all(left.join("0/c")).unwrap();
    std::fs::write(left.join("0/c/0"), b"12345").unwrap();
    std::fs::write(root.join("a/b/.put-0123456789abcdef"), b"1").unwrap();
    let temporary = [".staging-a+b", ".lock-a+b"].map(|name| root.join(name));
    for folder in &temporary {
        std::fs::create_dir(folder).unwrap();
    }
    let report = dataset.sweep(Duration::from_hours(1), false).unwrap();
    assert_eq!((report.removed.len(), report.kept.len()), (0, 4), "{report:?}");
    let told = dataset.sweep(Duration::ZERO, true).unwrap();
    assert!(told.removed.len() == 4 && left.exists(), "{told:?}");
    let report = dataset.sweep(Duration::ZERO, false).unwrap();
    assert!(report.removed.iter().any(|swept| swept.path == left && swept.bytes == 5));
    assert_eq!(report.bytes(), 6);
    assert!(temporary.iter().chain([&left]).all(|swept| !swept.exists()));
    assert!(of_others.iter().all(|name| root.join(name).join("file").exists()));
    assert_eq!(number(&dataset.volume("a/b").unwrap()).unwrap(), 1);
    assert_eq!(dataset.sweep(Duration::ZERO, false).unwrap().removed.len(), 0);
}

#[test]
fn a_writer_whose_files_were_swept_is_told_and_the_old_volume_stays() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("s.zarr");
    write(&Dataset::create(&root).unwrap(), 1, false).unwrap();
    let (at, swept) = (root.clone(), std::sync::Once::new());
    // As if the writer had been suspended for as long as files are left alone.
    let sweep = move |_: &str, _: &str| {
        let is_begun = generations(&at, "a/b").iter().any(|g| g.join("0/c/2/1/0").exists());
        if is_begun && generations(&at, "a/b").len() > 1 {
            swept.call_once(|| {
                let report = Dataset::open(&at).unwrap().sweep(Duration::ZERO, false).unwrap();
                assert!(report.bytes() > 0, "{report:?}");
            });
        }
    };
    let writer = Dataset::open_on(Tapped::unheld(&root, Before(sweep)).handle()).unwrap();
    let error = write(&writer, 2, true).unwrap_err();
    assert!(error.to_string().contains("removed after it was written"), "{error}");
    assert_eq!(number(&Dataset::open(&root).unwrap().volume("a/b").unwrap()).unwrap(), 1);
}

#[test]
fn what_a_writer_of_this_machine_holds_is_not_swept() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("s.zarr");
    let dataset = Dataset::create(&root).unwrap();
    let voxels = Array5::<i16>::ones([1, 1, 6, 8, 9]);
    let (name, pool) = ("a/b".parse().unwrap(), Pool::new(1).unwrap());
    let kept = AtomicUsize::new(0);
    let meanwhile = |_| {
        let report = dataset.sweep(Duration::ZERO, false).unwrap();
        assert!(report.removed.is_empty(), "{report:?}");
        kept.fetch_max(report.kept.len(), SeqCst);
        true
    };
    let scan = Box::new(DenseScan::new(&voxels));
    voxpatch::convert(scan, &dataset, &name, &options(false), &pool, &meanwhile).unwrap();
    assert!(kept.into_inner() > 0);
    assert_eq!(number(&dataset.volume("a/b").unwrap()).unwrap(), 1);
}

#[test]
fn who_begins_an_aggregation_that_another_discards_meanwhile_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let (dataset, volume) = source(folder.path(), [4, 4, 4]);
    let name: VolumeName = "a/scores".parse().unwrap();
    // Once, between the job's document and the hold of the part.
    let (discarded, other, of) = (AtomicBool::new(false), dataset.clone(), name.clone());
    let discard = move |operation: &str, key: &str| {
        if operation == "hold" && key.ends_with("part-0") && !discarded.swap(true, SeqCst) {
            other.discard_aggregation(&of).unwrap();
        }
    };
    let disk = Tapped::new(folder.path().join("s.zarr"), Before(discard));
    let raced = Dataset::open_on(disk.handle()).unwrap();
    let begin = || {
        let sampler = GridSampler::new([2, 4, 4], Overlap::Voxels([0; 3])).unwrap();
        let outputs = vec![Output::new(name.clone(), 1, Values::Float32)];
        let plan = Plan::new(&volume, &sampler, Blend::Average, outputs).unwrap();
        Aggregator::begin(&raced, plan, &AggregateOptions::default())
    };
    assert!(matches!(begin(), Err(Error::Busy { .. })));
    begin().unwrap();
}
