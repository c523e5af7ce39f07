//! What is missing, out of place or refused by the system is told, and told as what it is.
#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_wrap,
    reason = "a test's numbers are small, and it may fail"
)]

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use crate::common::dense::{DenseScan, store, voxels};
use crate::common::place::generation;
use crate::common::watched::watched;
use ndarray::Array5;
use voxpatch::layout::PlanOptions;
use voxpatch::{ConvertOptions, Dataset, Error, Kind, Pool, Region};
use voxpatch::{Remedy, VerifyReport};

fn options(codec: &str) -> ConvertOptions {
    let plan = PlanOptions::default()
        .codec(codec.parse().unwrap())
        .chunk(Some([2, 4, 4]))
        .shard(Some([2, 4, 8]));
    ConvertOptions::default().plan(plan).overwrite(true)
}

fn label_options() -> ConvertOptions {
    options("zstd:3").kind(Some(Kind::Label))
}

/// No voxel is 0, so that every shard is a file.
fn dense(seed: u64) -> Array5<i16> {
    voxels::<i16>([1, 1, 6, 8, 16], seed).mapv(|v| v + 1)
}

fn convert_to(root: &Path, name: &str, seed: u64, options: &ConvertOptions) {
    store(DenseScan::new(&dense(seed)), &Dataset::create(root).unwrap(), name, options).unwrap();
}

fn verify(root: &Path) -> VerifyReport {
    Dataset::open(root).unwrap().verify(&Pool::new(1).unwrap(), &|_| true).unwrap()
}

#[test]
fn a_subject_that_cannot_be_listed_is_an_error_and_never_a_shorter_dataset() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["a/ct", "b/ct", "c/ct"] {
        convert_to(folder.path(), name, 1, &options("none"));
    }
    for kind in [ErrorKind::PermissionDenied, ErrorKind::StaleNetworkFileHandle, ErrorKind::Other] {
        let disk = watched(folder.path());
        let dataset = Dataset::open_on(disk.handle()).unwrap();
        assert_eq!(dataset.subjects().unwrap(), ["a", "b", "c"]);
        for refused in ["b", "b/ct"] {
            disk.refuse("list", refused, kind);
            let told = |error: Error| match error {
                Error::Io { path, source, .. } => {
                    assert_eq!((path, source.kind()), (folder.path().join(refused), kind));
                }
                other => panic!("{other:?}"),
            };
            told(dataset.volumes().unwrap_err());
            told(dataset.verify(&Pool::new(1).unwrap(), &|_| true).unwrap_err());
            told(dataset.images("b").unwrap_err());
            if refused == "b" {
                told(dataset.subjects().unwrap_err());
            }
        }
    }
}

#[test]
fn reading_many_shards_reads_the_manifest_only_when_the_volume_is_opened() {
    let folder = tempfile::tempdir().unwrap();
    convert_to(folder.path(), "a/ct", 1, &options("none"));
    let disk = watched(folder.path());
    let volume = Dataset::open_on(disk.handle()).unwrap().volume("a/ct").unwrap();
    let opened = disk.reads_of("manifest.json");
    volume.read::<i16>(Region::whole([6, 8, 16])).unwrap();
    let shards: usize = (0..2).map(|x| disk.reads_of(&format!("/{x}"))).sum();
    assert_eq!(shards, 3 * 2 * 2, "each shard is opened once");
    assert_eq!(disk.reads_of("manifest.json"), opened);
}

#[test]
fn a_shard_that_the_system_refuses_to_open_is_told_as_that() {
    let folder = tempfile::tempdir().unwrap();
    convert_to(folder.path(), "a/ct", 1, &options("none"));
    for refused in ["c/1/0/1", "a/ct/zarr.json"] {
        let disk = watched(folder.path());
        let volume = Dataset::open_on(disk.handle()).unwrap().volume("a/ct").unwrap();
        disk.refuse("read", refused, ErrorKind::QuotaExceeded);
        if refused.contains("zarr.json") {
            // So that the document is asked whether the volume is in its place still.
            fs::remove_file(generation(folder.path(), "a/ct").join("0/c/0/0/0")).unwrap();
        }
        let error = volume.read::<i16>(Region::whole([6, 8, 16])).unwrap_err();
        assert!(
            matches!(&error, Error::Io { path, .. } if path.ends_with(refused)),
            "{refused}: {error:?}"
        );
    }
}

#[test]
fn shards_that_changed_places_are_noticed_by_a_read_without_any_compression() {
    for codec in ["none", "packed:8", "blosc"] {
        let folder = tempfile::tempdir().unwrap();
        convert_to(folder.path(), "a/ct", 1, &options(codec));
        convert_to(folder.path(), "b/ct", 2, &options(codec));
        let shard = |name: &str, key: &str| generation(folder.path(), name).join("0/c").join(key);
        let read = || {
            let volume = Dataset::open(folder.path()).unwrap().volume("a/ct").unwrap();
            volume.read::<i16>(Region::whole([6, 8, 16]))
        };
        read().unwrap();
        for (one, other) in [
            (shard("a/ct", "0/0/0"), shard("a/ct", "1/0/0")),
            (shard("a/ct", "2/1/1"), shard("b/ct", "2/1/1")),
        ] {
            let kept = [fs::read(&one).unwrap(), fs::read(&other).unwrap()];
            fs::write(&one, &kept[1]).unwrap();
            fs::write(&other, &kept[0]).unwrap();
            let error = read().unwrap_err();
            assert!(matches!(error, Error::CorruptStore { .. }), "{codec}: {error:?}");
            fs::write(&one, &kept[0]).unwrap();
            fs::write(&other, &kept[1]).unwrap();
            read().unwrap();
        }
    }
}

#[test]
fn volumes_that_changed_places_are_noticed() {
    let folder = tempfile::tempdir().unwrap();
    for (n, name) in ["a/ct", "b/ct"].into_iter().enumerate() {
        convert_to(folder.path(), name, n as u64, &options("none"));
    }
    let at = |name: &str| folder.path().join(name);
    fs::rename(at("a/ct"), at("kept")).unwrap();
    fs::rename(at("b/ct"), at("a/ct")).unwrap();
    fs::rename(at("kept"), at("b/ct")).unwrap();
    let error = Dataset::open(folder.path()).unwrap().volume("a/ct").unwrap_err();
    assert!(error.to_string().contains("written as b/ct"), "{error}");
    assert!(verify(folder.path()).volumes.iter().all(|volume| !volume.damage.is_empty()));
}

#[test]
fn verify_notices_a_lost_index_and_a_damaged_group_and_names_the_remedy_of_each() {
    let folder = tempfile::tempdir().unwrap();
    convert_to(folder.path(), "a/organs", 1, &label_options());
    assert!(verify(folder.path()).is_sound());
    fs::remove_file(generation(folder.path(), "a/organs").join("0/sampling.json")).unwrap();
    let report = verify(folder.path());
    let [damage] = &report.volumes[0].damage[..] else { panic!("{report:?}") };
    assert_eq!(damage.remedy, Remedy::Index);
    assert!(damage.reason.contains("voxpatch index"), "{damage:?}");
    let dataset = Dataset::open(folder.path()).unwrap();
    let name = "a/organs".parse().unwrap();
    dataset.build_index(&name, &Pool::new(1).unwrap(), &|_| true).unwrap();
    assert!(verify(folder.path()).is_sound());

    for key in ["zarr.json", "a/zarr.json"] {
        let path = folder.path().join(key);
        let document = fs::read_to_string(&path).unwrap();
        fs::write(&path, document.replace("group", "grasp")).unwrap();
        let report = verify(folder.path());
        let [damage] = &report.volumes[0].damage[..] else { panic!("{key}: {report:?}") };
        assert_eq!((&damage.path, damage.remedy), (&path, Remedy::Group));
        fs::write(&path, document).unwrap();
    }
}

#[test]
fn verify_looks_for_volumes_without_a_document_and_tells_where_it_cannot() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["a/ct", "b/ct"] {
        convert_to(folder.path(), name, 1, &options("none"));
    }
    let manifest = generation(folder.path(), "b/ct").join("0/manifest.json");
    fs::remove_file(folder.path().join("b/ct/zarr.json")).unwrap();
    let disk = watched(folder.path());
    let dataset = Dataset::open_on(disk.handle()).unwrap();
    let verify = || dataset.verify(&Pool::new(1).unwrap(), &|_| true);
    let report = verify().unwrap();
    let damaged: Vec<_> = report.volumes.iter().map(|v| v.damage.len()).collect();
    assert_eq!((damaged, &*report.volumes[1].name), (vec![0, 1], "b/ct"));

    let end = manifest.strip_prefix(folder.path()).unwrap().to_str().unwrap();
    disk.refuse("read", end, ErrorKind::QuotaExceeded);
    let error = verify().unwrap_err();
    assert!(matches!(&error, Error::Io { path, .. } if *path == manifest), "{error}");
}

#[test]
fn verify_checks_the_volume_that_replaces_another_meanwhile() {
    let folder = tempfile::tempdir().unwrap();
    convert_to(folder.path(), "a/ct", 1, &options("none"));
    let replaced = AtomicBool::new(false);
    let progress = |_| {
        if !replaced.swap(true, SeqCst) {
            convert_to(folder.path(), "a/ct", 2, &options("blosc"));
        }
        true
    };
    let dataset = Dataset::open(folder.path()).unwrap();
    let report = dataset.verify(&Pool::new(1).unwrap(), &progress).unwrap();
    assert!(replaced.into_inner() && report.is_sound(), "{report:?}");
}

#[test]
fn a_shard_with_other_bytes_but_the_right_voxels_is_found_by_verify() {
    let folder = tempfile::tempdir().unwrap();
    convert_to(folder.path(), "a/ct", 1, &options("none"));
    let path = generation(folder.path(), "a/ct").join("0/c/0/0/0");
    // Two chunks of 32 voxels of 16 bits with a checksum, then a tag, then the index.
    let (bytes, chunk) = (fs::read(&path).unwrap(), 2 * 4 * 4 * 2 + 4);
    assert_eq!(bytes.len(), 2 * chunk + 16 + 2 * 16 + 4);
    let mut index = bytes[2 * chunk + 16..][..32].to_vec();
    index[..8].copy_from_slice(&(chunk as u64).to_le_bytes());
    index[16..24].copy_from_slice(&0_u64.to_le_bytes());
    let crc = crc32c::crc32c(&index).to_le_bytes();
    let (first, second) = (&bytes[..chunk], &bytes[chunk..2 * chunk]);
    let tag = &bytes[2 * chunk..][..16];
    fs::write(&path, [second, first, tag, &index, &crc].concat()).unwrap();
    let volume = Dataset::open(folder.path()).unwrap().volume("a/ct").unwrap();
    volume.read::<i16>(Region::whole([6, 8, 16])).unwrap();
    let report = verify(folder.path());
    let [damage] = &report.volumes[0].damage[..] else { panic!("{report:?}") };
    assert!(damage.path == path && damage.reason.contains("digest"), "{damage:?}");
}
