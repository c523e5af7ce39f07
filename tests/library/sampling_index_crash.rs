//! A disk that fails, or stops, while an index is built leaves the index that was there, or none,
//! or the new one; never a volume that does not open.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::path::Path;
use std::sync::Arc;

use crate::common::dense::{DenseScan, store, voxels};
use crate::common::faulty::{Fault, faulty, litter};
use crate::common::place::generation;
use ndarray::Array5;
use voxpatch::VolumeName;
use voxpatch::layout::PlanOptions;
use voxpatch::sample::BlockIndex;
use voxpatch::{ConvertOptions, Dataset, Error, Kind, Pool, Result, convert};

fn options() -> ConvertOptions {
    let plan = PlanOptions::default().chunk(Some([2, 4, 8])).shard(Some([4, 8, 8]));
    ConvertOptions::default().plan(plan).kind(Some(Kind::Label)).overwrite(true)
}

fn name() -> VolumeName {
    "a/b".parse().unwrap()
}

fn labels() -> Array5<i16> {
    voxels::<i16>([1, 1, 5, 6, 15], 11)
}

fn index(root: &Path) -> Result<Arc<BlockIndex>> {
    Dataset::open(root)?.volume("a/b")?.block_index()
}

fn every_operation(fault: Fault, before: Option<&[u8]>) -> usize {
    for at in 1.. {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("s.zarr");
        let dataset = Dataset::create(&root).unwrap();
        store(DenseScan::new(&labels()), &dataset, "a/b", &options()).unwrap();
        let (file, sound) =
            (generation(&root, "a/b").join("0/sampling.json"), index(&root).unwrap());
        match before {
            Some(bytes) => std::fs::write(&file, bytes).unwrap(),
            None => std::fs::remove_file(&file).unwrap(),
        }
        let disk = faulty(root.clone(), at, fault);
        let pool = Pool::new(1).unwrap();
        let built = Dataset::open_on(disk.handle())
            .and_then(|dataset| dataset.build_index(&name(), &pool, &|_| true));
        match (index(&root), before) {
            (Ok(found), _) => assert_eq!(found, sound),
            (Err(Error::InvalidArgument { .. }), None)
            | (Err(Error::CorruptStore { .. }), Some(_)) => {
                assert!(built.is_err(), "operation {at}: it was said to be built");
                assert_eq!(std::fs::read(&file).ok().as_deref(), before);
            }
            (other, _) => panic!("operation {at}, {fault:?}: {other:?}"),
        }
        if fault == Fault::Fails && built.is_err() {
            assert!(litter(&root).is_empty(), "operation {at}: {:?}", litter(&root));
        }
        dataset.build_index(&name(), &pool, &|_| true).unwrap();
        assert_eq!(index(&root).unwrap(), sound);
        dataset.sweep(std::time::Duration::ZERO, false).unwrap();
        assert!(litter(&root).is_empty(), "operation {at}: {:?}", litter(&root));
        // Some are tried again by opening, and may fail once.
        if !disk.has_faulted() {
            assert!(built.is_ok(), "{built:?}");
            return at;
        }
    }
    unreachable!("some run goes through")
}

#[test]
fn an_index_that_was_missing_is_there_whole_or_still_missing() {
    for fault in [Fault::Fails, Fault::DoneButFails, Fault::Stops] {
        assert!(every_operation(fault, None) > 10, "{fault:?}");
    }
}

#[test]
fn an_index_that_was_damaged_is_sound_or_as_it_was() {
    for fault in [Fault::Fails, Fault::DoneButFails, Fault::Stops] {
        assert!(every_operation(fault, Some(b"damaged")) > 10, "{fault:?}");
    }
}

#[test]
fn a_volume_is_not_replaced_while_its_index_is_built() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = Dataset::create(folder.path()).unwrap();
    store(DenseScan::new(&labels()), &dataset, "a/b", &options()).unwrap();
    let pool = Pool::new(1).unwrap();
    let meanwhile = |_| {
        let replaced = store(DenseScan::new(&labels()), &dataset, "a/b", &options());
        assert!(matches!(replaced, Err(Error::Busy { .. })), "{replaced:?}");
        true
    };
    dataset.build_index(&name(), &pool, &meanwhile).unwrap();
    // Nor is an index built for a volume that is about to be replaced.
    let meanwhile = |_| {
        let built = dataset.build_index(&name(), &Pool::new(1).unwrap(), &|_| true);
        assert!(matches!(built, Err(Error::Busy { .. })), "{built:?}");
        true
    };
    let scan = Box::new(DenseScan::new(&labels()));
    convert(scan, &dataset, &name(), &options(), &pool, &meanwhile).unwrap();
}

#[test]
fn a_handle_of_a_replaced_volume_takes_no_index_of_the_new_one() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = Dataset::create(folder.path()).unwrap();
    store(DenseScan::new(&labels()), &dataset, "a/b", &options()).unwrap();
    let [early, late] = [(); 2].map(|()| dataset.volume("a/b").unwrap());
    let kept = early.block_index().unwrap();
    store(DenseScan::new(&labels().mapv(|label| label + 1)), &dataset, "a/b", &options()).unwrap();
    assert_eq!(early.block_index().unwrap(), kept);
    assert!(matches!(late.block_index(), Err(Error::Replaced { .. })));
    assert_ne!(dataset.volume("a/b").unwrap().block_index().unwrap(), kept);
}
