//! A disk that fails, or stops, at any operation leaves no volume or the whole of one.
#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "a test's numbers are small, and it may fail"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use crate::common::dense::{DenseScan, dataset_on, store, voxels};
use crate::common::faulty::{Fault, Hook, faulty, litter};
use crate::common::place::{generation, generations};
use crate::common::predict::{predict, source, views};
use crate::common::tapped::Tapped;
use ndarray::{Array3, Array5, s};
use voxpatch::aggregate::{AggregateOptions, Aggregator, Blend, Output, Plan, Values};
use voxpatch::disk::{Disk, LocalDisk};
use voxpatch::layout::PlanOptions;
use voxpatch::sample::{GridSampler, Overlap};
use voxpatch::{ConvertOptions, Dataset, Error, Kind, Pool, Region, convert};

fn options(overwrite: bool) -> ConvertOptions {
    let plan = PlanOptions::default().chunk(Some([2, 4, 8])).shard(Some([4, 8, 8]));
    // Labels, so that there is an index to be lost.
    ConvertOptions::default().plan(plan).overwrite(overwrite).kind(Some(Kind::Label))
}

fn first_frame(voxels: &Array5<i16>) -> Array3<i16> {
    voxels.slice(s![0, 0, .., .., ..]).to_owned()
}

/// Converts `new` over `old` (if any) with the fault at each operation in turn, until one run
/// goes through. After each, the volume is as it was, or is the new one; then a rerun succeeds.
fn every_operation(fault: Fault, old: Option<&Array5<i16>>) -> usize {
    let new = voxels::<i16>([1, 1, 5, 6, 15], 11);
    for at in 1.. {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("s.zarr");
        if let Some(old) = old {
            let dataset = Dataset::create(&root).unwrap();
            store(DenseScan::new(old), &dataset, "a/b", &options(false)).unwrap();
        }
        let disk = faulty(root.clone(), at, fault);
        let result = Dataset::create_on(disk.handle()).and_then(|dataset| {
            store(DenseScan::new(&new), &dataset, "a/b", &options(old.is_some()))
        });
        let read = Dataset::open(&root)
            .and_then(|d| d.volume("a/b"))
            .and_then(|v| v.read::<i16>(Region::whole(v.shape())));
        match (&read, old) {
            (Ok(found), _) if *found == first_frame(&new) => {}
            (Ok(found), Some(old)) if *found == first_frame(old) => assert!(result.is_err()),
            (Err(Error::NotFound { .. }), None) => assert!(result.is_err()),
            (other, _) => panic!("operation {at}, {fault:?}: {other:?}"),
        }
        if read.is_ok() {
            let volume = Dataset::open(&root).unwrap().volume("a/b").unwrap();
            assert!(volume.block_index().is_ok(), "operation {at}: published with its volume");
        }
        // An error that the process survives leaves nothing that nobody names.
        if fault != Fault::Stops && result.is_err() {
            assert!(litter(&root).is_empty(), "operation {at}: {:?}", litter(&root));
            let left = generations(&root, "a/b").len();
            assert_eq!(left, usize::from(read.is_ok()), "operation {at}");
        }
        let dataset = Dataset::create(&root).unwrap();
        store(DenseScan::new(&new), &dataset, "a/b", &options(true)).unwrap();
        let volume = Dataset::open(&root).unwrap().volume("a/b").unwrap();
        let voxels = || volume.read::<i16>(Region::whole(volume.shape())).unwrap();
        assert_eq!(voxels(), first_frame(&new));
        // What a killed process leaves is swept.
        dataset.sweep(Duration::ZERO, false).unwrap();
        assert!(litter(&root).is_empty(), "operation {at}: {:?}", litter(&root));
        assert_eq!(generations(&root, "a/b"), [generation(&root, "a/b")], "operation {at}");
        assert_eq!(voxels(), first_frame(&new));
        if !disk.has_faulted() {
            result.unwrap();
            return at;
        }
    }
    unreachable!("some run goes through")
}

#[test]
fn a_convert_that_fails_anywhere_leaves_nothing_and_can_be_rerun() {
    assert!(every_operation(Fault::Fails, None) > 10);
}

#[test]
fn a_convert_whose_operation_fails_after_it_was_done_leaves_nothing_or_all_of_it() {
    assert!(every_operation(Fault::DoneButFails, None) > 10);
}

#[test]
fn a_convert_that_is_killed_anywhere_leaves_nothing_that_opens() {
    assert!(every_operation(Fault::Stops, None) > 10);
}

#[test]
fn replacing_keeps_the_old_volume_until_the_new_one_is_whole() {
    let old = voxels::<i16>([1, 1, 3, 4, 5], 13);
    assert!(every_operation(Fault::Fails, Some(&old)) > 10);
    assert!(every_operation(Fault::DoneButFails, Some(&old)) > 10);
    assert!(every_operation(Fault::Stops, Some(&old)) > 10);
}

#[test]
fn a_handle_notices_that_its_volume_was_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = Dataset::create(folder.path()).unwrap();
    let plan = PlanOptions::default()
        .codec("none".parse().unwrap())
        .chunk(Some([2, 4, 4]))
        .shard(Some([2, 4, 4]));
    let options = ConvertOptions::default().plan(plan).overwrite(true);
    let ones = Array5::<i16>::from_elem([1, 1, 4, 4, 4], 1);
    store(DenseScan::new(&ones), &dataset, "a/b", &options).unwrap();
    let volume = dataset.volume("a/b").unwrap();
    let first = Region::new([0; 3], [2, 4, 4]);
    volume.read::<i16>(first).unwrap();
    store(DenseScan::new(&(&ones * 2)), &dataset, "a/b", &options).unwrap();
    // What it has opened it keeps; what it has not, it does not mix in.
    assert_eq!(volume.read::<i16>(first).unwrap()[[0, 0, 0]], 1);
    let mixed = volume.read::<i16>(Region::whole([4; 3]));
    assert!(matches!(mixed, Err(Error::Replaced { .. })), "{mixed:?}");
    let again = dataset.volume("a/b").unwrap().read::<i16>(Region::whole([4; 3])).unwrap();
    assert!(again.iter().all(|v| *v == 2));
}

#[test]
fn writers_that_begin_at_once_are_turned_away_or_leave_the_whole_of_one() {
    let folder = tempfile::tempdir().unwrap();
    // Not there: whoever fails may be who made it.
    let root = folder.path().join("new/s.zarr");
    let stores = |n: i16, round: u8| {
        let dataset = Dataset::create(&root)?;
        let voxels = Array5::<i16>::from_elem([1, 1, 7, 9, 15], n + 1);
        let (name, pool) = (format!("a/b{}", round % 2).parse()?, Pool::new(1)?);
        let scan = Box::new(DenseScan::new(&voxels));
        // Some give up.
        convert(scan, &dataset, &name, &options(true), &pool, &|_| {
            !round.is_multiple_of(3) || n == 0
        })
    };
    std::thread::scope(|scope| {
        for n in 0..6_i16 {
            scope.spawn(move || {
                for round in 0..20 {
                    match stores(n, round) {
                        // Conflict: another writer was held off, looked, and ended first.
                        Ok(_)
                        | Err(Error::Cancelled | Error::Busy { .. } | Error::Conflict { .. }) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
            });
        }
    });
    let dataset = Dataset::open(&root).unwrap();
    for name in ["a/b0", "a/b1"] {
        let volume = dataset.volume(name).unwrap();
        let found = volume.read::<i16>(Region::whole(volume.shape())).unwrap();
        assert!(found.iter().all(|v| *v == found[[0, 0, 0]]));
    }
    let report = dataset.verify(&Pool::new(1).unwrap(), &|_| true).unwrap();
    assert!(report.is_sound(), "{report:?}");
    assert!(litter(&root).is_empty());
}

#[test]
fn a_failed_conversion_removes_the_folder_that_it_made_and_none_of_the_users() {
    let folder = tempfile::tempdir().unwrap();
    let voxels = voxels::<i16>([1, 1, 4, 4, 4], 1);
    let fails = |root: &std::path::Path| {
        let dataset = Dataset::create(root).unwrap();
        let (name, pool) = ("a/b".parse().unwrap(), Pool::new(1).unwrap());
        let scan = Box::new(DenseScan::new(&voxels));
        let failed = convert(scan, &dataset, &name, &options(false), &pool, &|_| false);
        assert!(matches!(failed, Err(Error::Cancelled)), "{failed:?}");
    };
    let (made, given) = (folder.path().join("made"), folder.path().join("given"));
    fails(&made);
    assert!(!made.exists());
    std::fs::create_dir(&given).unwrap();
    fails(&given);
    assert_eq!(std::fs::read_dir(&given).unwrap().count(), 0);
}

/// A prediction of one shard after the other, on a disk that does something before each file.
fn predicted(before_write: impl Fn(&str) + Send + Sync + 'static) -> voxpatch::Result<usize> {
    let folder = tempfile::tempdir().unwrap();
    let (_, volume) = source(folder.path(), [12, 4, 4]);
    let output = Output::new("a/scores".parse().unwrap(), 1, Values::Float32)
        .chunk(Some([2, 4, 4]))
        .shard(Some([2, 4, 4]));
    let sampler = GridSampler::new([2, 4, 4], Overlap::Voxels([0; 3])).unwrap();
    let plan = Plan::new(&volume, &sampler, Blend::Average, vec![output]).unwrap();
    let disk = Tapped::new(folder.path().join("s.zarr"), Hook(before_write));
    let dataset = Dataset::open_on(disk.handle())?;
    let aggregator = Aggregator::begin(&dataset, plan, &AggregateOptions::default())?;
    for number in 0..6 {
        aggregator.add(number, &views(&predict(aggregator.plan(), number)))?;
    }
    aggregator.check_complete()?;
    let [made] = &generations(&folder.path().join("s.zarr"), "a/scores")[..] else { panic!() };
    Ok(std::fs::read_dir(made.join("0/c")).unwrap().count())
}

#[test]
fn a_part_is_complete_only_when_its_last_shard_is_written() {
    let slow = |key: &str| {
        if key.contains("/c/") {
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    assert_eq!(predicted(slow).unwrap(), 6);
}

#[test]
fn a_disk_that_panics_is_an_error_that_nobody_waits_for_in_vain() {
    let (done, ended) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let result = predicted(|key| assert!(!key.contains("/c/"), "no such shard"));
        done.send(result.unwrap_err().to_string()).unwrap();
    });
    let error = ended.recv_timeout(Duration::from_mins(2)).expect("it has ended");
    assert!(error.contains("writing a shard panicked: no such shard"), "{error}");
}

#[test]
fn an_existing_volume_is_refused_untouched_and_a_second_writer_is_turned_away() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = dataset_on(Disk::new(Arc::new(LocalDisk::new(folder.path()))));
    let voxels = voxels::<i16>([1, 1, 4, 4, 4], 1);
    store(DenseScan::new(&voxels), &dataset, "a/b", &options(false)).unwrap();
    let again = store(DenseScan::new(&voxels), &dataset, "a/b", &options(false));
    assert!(matches!(again, Err(Error::AlreadyExists { .. })));
    let refused = AtomicUsize::new(0);
    let meanwhile = |_| {
        let second = store(DenseScan::new(&voxels), &dataset, "a/b", &options(true));
        assert!(matches!(second, Err(Error::Busy { .. })), "{second:?}");
        refused.fetch_add(1, SeqCst);
        true
    };
    let scan = Box::new(DenseScan::new(&voxels));
    let (name, pool) = ("a/b".parse().unwrap(), Pool::new(1).unwrap());
    convert(scan, &dataset, &name, &options(true), &pool, &meanwhile).unwrap();
    assert!(refused.into_inner() > 0);
    store(DenseScan::new(&voxels), &dataset, "a/b", &options(true)).unwrap();
}
