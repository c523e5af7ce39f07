//! A conversion that is cancelled or cannot be written leaves everything as it was, and says why.
#![allow(clippy::unwrap_used, reason = "helpers of tests may stop a test")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use crate::common::dense::{DenseScan, store, voxels};
use crate::common::files::tree;
use voxpatch::layout::PlanOptions;
use voxpatch::{ConvertOptions, ConvertReport, Dataset, Error, Pool, Result, convert};

/// Three layers of chunks.
const SHAPE: [usize; 5] = [1, 1, 12, 6, 5];

fn scan(seed: u64) -> DenseScan {
    DenseScan::new(&voxels::<i16>(SHAPE, seed))
}

fn options(overwrite: bool) -> ConvertOptions {
    let plan = PlanOptions::default().chunk(Some([4, 4, 4])).shard(Some([4, 8, 8]));
    ConvertOptions::default().plan(plan).overwrite(overwrite)
}

/// Converts another scan into `a/b`; progress answers false from its `n`th call on, counted from
/// 0. Also tells how often it was called.
fn cancelled_at(dataset: &Dataset, n: usize, threads: usize) -> (Result<ConvertReport>, usize) {
    let calls = AtomicUsize::new(0);
    let progress = |_| calls.fetch_add(1, SeqCst) < n;
    let (name, pool) = ("a/b".parse().unwrap(), Pool::new(threads).unwrap());
    let done = convert(Box::new(scan(2)), dataset, &name, &options(true), &pool, &progress);
    (done, calls.into_inner())
}

#[test]
fn cancelled_at_any_call_a_first_conversion_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let whole = Dataset::create(folder.path().join("whole")).unwrap();
    let (done, calls) = cancelled_at(&whole, usize::MAX, 1);
    done.unwrap();
    assert!(calls >= 3, "each layer is told: {calls}");
    fs::remove_dir_all(folder.path().join("whole")).unwrap();
    for threads in [1, 3] {
        for n in 0..calls {
            let dataset = Dataset::create(folder.path().join("s")).unwrap();
            let (done, _) = cancelled_at(&dataset, n, threads);
            assert!(matches!(done, Err(Error::Cancelled)), "at {n}: {done:?}");
            assert_eq!(tree(folder.path()), BTreeMap::new(), "at {n}");
        }
    }
}

#[test]
fn a_wish_to_stop_is_heard_between_the_chunks_of_a_layer() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = Dataset::create(folder.path().join("s.zarr")).unwrap();
    // One layer of 64 chunks.
    let scan = DenseScan::new(&voxels::<i16>([1, 1, 4, 32, 32], 1));
    let (calls, pool) = (AtomicUsize::new(0), Pool::new(1).unwrap());
    let progress = |_| calls.fetch_add(1, SeqCst) < 5;
    let name = "a/b".parse().unwrap();
    let plan = PlanOptions::default().chunk(Some([4, 4, 4]));
    let options = ConvertOptions::default().plan(plan);
    let done = convert(Box::new(scan), &dataset, &name, &options, &pool, &progress);
    assert!(matches!(done, Err(Error::Cancelled)), "{done:?}");
    assert!(calls.into_inner() < 30, "no chunk is begun after it");
}

#[test]
fn cancelled_at_any_call_a_replacement_leaves_what_was_there() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = Dataset::create(folder.path().join("s")).unwrap();
    store(scan(1), &dataset, "a/b", &options(false)).unwrap();
    let before = tree(folder.path());
    let digest = dataset.volume("a/b").unwrap().voxel_digest().to_owned();
    for n in 0..4 {
        let (done, _) = cancelled_at(&dataset, n, 2);
        assert!(matches!(done, Err(Error::Cancelled)), "at {n}: {done:?}");
        assert_eq!(tree(folder.path()), before, "at {n}");
    }
    cancelled_at(&dataset, usize::MAX, 2).0.unwrap();
    assert_ne!(dataset.volume("a/b").unwrap().voxel_digest(), digest);
}

#[test]
fn a_store_below_a_file_is_refused_by_its_path() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, b"mine").unwrap();
    let before = tree(folder.path());
    for store in [file.clone(), file.join("s"), file.join("deep/s")] {
        let refused = into(&store).unwrap_err().to_string();
        assert!(refused.contains(store.to_str().unwrap()), "{refused}");
        assert_eq!(tree(folder.path()), before);
    }
}

#[cfg(unix)]
#[test]
fn a_folder_without_permission_is_named() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let locked = folder.path().join("locked");
    fs::create_dir(&locked).unwrap();
    let mode = |mode| fs::set_permissions(&locked, fs::Permissions::from_mode(mode)).unwrap();
    mode(0o555);
    // Some users, root first of all, may write anywhere: there is nothing to see then.
    if fs::write(locked.join("probe"), b"").is_err() {
        let refused = into(&locked.join("s")).unwrap_err().to_string();
        assert!(refused.contains(locked.to_str().unwrap()), "{refused}");
        assert!(refused.to_lowercase().contains("permission"), "{refused}");
        assert_eq!(fs::read_dir(&locked).unwrap().count(), 0);
    }
    mode(0o755);
}

#[test]
fn a_folder_of_other_things_is_refused_untouched() {
    let folder = tempfile::tempdir().unwrap();
    let foreign = r#"{"zarr_format": 3, "node_type": "group", "attributes": {}}"#;
    for (name, file, content) in [
        ("notes", "thesis.txt", "years of work"),
        ("other-zarr", "zarr.json", foreign),
        ("broken", "zarr.json", "{"),
    ] {
        let place = folder.path().join(name);
        fs::create_dir(&place).unwrap();
        fs::write(place.join(file), content).unwrap();
        let before = tree(folder.path());
        let refused = into(&place).unwrap_err();
        assert!(matches!(refused, Error::NotVoxpatch { what: "store", .. }), "{refused}");
        assert!(refused.to_string().contains(place.to_str().unwrap()), "{refused}");
        assert_eq!(tree(folder.path()), before);
    }
}

/// Converts into a store at this path, made if need be; replacing is allowed.
fn into(path: &Path) -> Result<ConvertReport> {
    store(scan(1), &Dataset::create(path)?, "a/b", &options(true))
}
