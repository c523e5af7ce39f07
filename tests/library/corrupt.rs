//! Damaged stores give errors or the right voxels, never wrong ones, and `verify` finds them.
#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "a test's numbers are small, and it may fail"
)]

use std::path::{Path, PathBuf};

use crate::common::dense::{DenseScan, store, voxels};
use crate::common::place::{generation, generation_name};
use ndarray::{Array3, Array5, s};
use voxpatch::layout::PlanOptions;
use voxpatch::{ConvertOptions, Dataset, Element, Error, Pool, Region, Result, f16};

const CODECS: [&str; 8] =
    ["blosc", "blosc-lz4hc:1", "blosc-zstd:1", "blosc:0", "zstd:1", "gzip:1", "packed:2", "none"];

struct Stored<T = i16> {
    _folder: tempfile::TempDir,
    dataset: Dataset,
    dense: Array3<T>,
}

fn stored<T: Element>(
    codec: &str,
    shape: [usize; 3],
    chunk: [usize; 3],
    shard: [usize; 3],
) -> Stored<T> {
    let folder = tempfile::tempdir().unwrap();
    let dataset = Dataset::create(folder.path().join("s.zarr")).unwrap();
    let dense = voxels::<T>([1, 1, shape[0], shape[1], shape[2]], 5);
    let plan =
        PlanOptions::default().codec(codec.parse().unwrap()).chunk(Some(chunk)).shard(Some(shard));
    let options = ConvertOptions::default().plan(plan);
    store(DenseScan::new(&dense), &dataset, "a/b", &options).unwrap();
    Stored { _folder: folder, dataset, dense: dense.slice(s![0, 0, .., .., ..]).to_owned() }
}

impl<T: Element> Stored<T> {
    fn small(codec: &str) -> Self {
        stored(codec, [5, 6, 11], [2, 3, 8], [4, 6, 8])
    }

    fn file(&self, key: &str) -> PathBuf {
        self.dataset.path().join(key)
    }

    /// Opens anew and reads a region.
    fn read(&self, region: Region) -> Result<Array3<T>> {
        Dataset::open(self.dataset.path())?.volume("a/b")?.read(region)
    }

    /// Whether each region is an error or right; says if any was an error.
    fn never_wrong(&self, regions: &[Region], what: &str) -> bool {
        let mut noticed = false;
        for region in regions {
            match self.read(*region) {
                Err(_) => noticed = true,
                Ok(found) => {
                    let [z, y, x] = region.start.map(|s| s as usize);
                    let [d, h, w] = region.shape;
                    let expected = self.dense.slice(s![z..z + d, y..y + h, x..x + w]);
                    assert_eq!(found, expected, "{what}, {region}");
                }
            }
        }
        noticed
    }

    fn generation(&self) -> PathBuf {
        generation(&self.dataset.path(), "a/b")
    }

    fn is_sound(&self) -> bool {
        let dataset = Dataset::open(self.dataset.path()).unwrap();
        dataset.verify(&Pool::new(1).unwrap(), &|_| true).unwrap().is_sound()
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

fn small_regions() -> [Region; 3] {
    [
        Region::whole([5, 6, 11]),
        Region::new([1, 2, 3], [1, 2, 4]),
        Region::new([4, 0, 7], [1, 6, 4]),
    ]
}

/// Flips a bit of each byte below a folder in turn.
fn every_byte_flipped<T: Element>(stored: &Stored<T>, folder: &Path, codec: &str) {
    let shards = stored.generation().join("0/c");
    for path in files(folder) {
        let intact = std::fs::read(&path).unwrap();
        for at in 0..intact.len() {
            let mut damaged = intact.clone();
            damaged[at] ^= 1 << (at % 8);
            std::fs::write(&path, &damaged).unwrap();
            let what = format!("{codec}: {} byte {at}", path.display());
            let noticed = stored.never_wrong(&small_regions(), &what);
            let in_a_shard = path.starts_with(&shards);
            assert!(noticed || !in_a_shard, "the whole volume is read, {what}");
        }
        std::fs::write(&path, &intact).unwrap();
    }
    assert!(!stored.never_wrong(&small_regions(), "intact"));
}

#[test]
fn every_flipped_byte_of_a_small_store_is_an_error_or_harmless() {
    for (n, codec) in CODECS.into_iter().enumerate() {
        let stored = <Stored>::small(codec);
        let folder = if n == 0 { stored.dataset.path() } else { stored.generation().join("0/c") };
        every_byte_flipped(&stored, &folder, codec);
        if !codec.starts_with("packed") {
            let stored = Stored::<f16>::small(codec);
            every_byte_flipped(&stored, &stored.generation().join("0/c"), codec);
        }
    }
}

#[test]
fn random_damage_of_a_larger_store_never_gives_wrong_voxels() {
    let mut n: u64 = 99;
    let mut random = |below: usize| {
        n = n.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (n >> 33) as usize % below
    };
    for codec in CODECS {
        let shape = [40, 70, 90];
        let stored = stored::<i16>(codec, shape, [8, 16, 32], [16, 64, 64]);
        let shards = files(&stored.generation().join("0/c"));
        for _ in 0..25 {
            let path = &shards[random(shards.len())];
            let intact = std::fs::read(path).unwrap();
            let mut damaged = intact.clone();
            for _ in 0..=random(3) {
                damaged[random(intact.len())] ^= 1 << random(8);
            }
            std::fs::write(path, &damaged).unwrap();
            let regions: Vec<_> = (0..3)
                .map(|_| {
                    let start = shape.map(|s| random(s) as i64);
                    let size = std::array::from_fn(|a| 1 + random(shape[a] - start[a] as usize));
                    Region::new(start, size)
                })
                .collect();
            stored.never_wrong(&regions, codec);
            assert!(damaged == intact || !stored.is_sound(), "verify reads everything");
            std::fs::write(path, &intact).unwrap();
        }
        assert!(stored.is_sound());
    }
}

#[test]
fn a_missing_shard_is_an_error_that_names_it_unless_it_was_recorded_as_empty() {
    let stored = stored::<i16>("blosc", [8, 4, 4], [2, 4, 4], [2, 4, 4]);
    let dense_empty = (0..4)
        .filter(|z| stored.dense.slice(s![2 * z..2 * z + 2, .., ..]).iter().all(|v| *v == 0))
        .count();
    let shards = files(&stored.generation().join("0/c"));
    assert_eq!(shards.len() + dense_empty, 4);
    assert!(!stored.never_wrong(&[Region::whole([8, 4, 4])], "intact"));
    for path in shards {
        let intact = std::fs::read(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let error = stored.read(Region::whole([8, 4, 4])).unwrap_err();
        assert!(matches!(&error, Error::CorruptStore { path: p, .. } if *p == path), "{error}");
        let report = stored.dataset.verify(&Pool::new(1).unwrap(), &|_| true).unwrap();
        assert_eq!(report.volumes[0].damage.len(), 1, "each damaged file once: {report:?}");
        std::fs::write(&path, intact).unwrap();
    }
}

#[test]
fn files_cut_short_are_errors_at_every_length() {
    for codec in ["blosc", "packed:2"] {
        let stored = <Stored>::small(codec);
        for path in files(&stored.file("a/b")) {
            let intact = std::fs::read(&path).unwrap();
            for length in 0..intact.len() {
                std::fs::write(&path, &intact[..length]).unwrap();
                let read = stored.read(Region::whole([5, 6, 11]));
                assert!(read.is_err(), "{codec}: {} cut to {length}", path.display());
            }
            std::fs::write(&path, &intact).unwrap();
        }
    }
}

#[test]
fn any_lost_file_is_found_by_verify() {
    let stored = <Stored>::small("blosc");
    for path in files(&stored.dataset.path())
        .into_iter()
        .filter(|p| p.parent().unwrap() != stored.dataset.path())
    {
        let intact = std::fs::read(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert!(!stored.is_sound(), "{}", path.display());
        std::fs::write(&path, &intact).unwrap();
        assert!(stored.is_sound());
    }
}

#[test]
fn files_among_the_shards_that_the_manifest_does_not_name_are_found_by_verify() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = Dataset::create(folder.path().join("s.zarr")).unwrap();
    let mut dense = Array5::<i16>::zeros([1, 1, 4, 4, 8]);
    dense[[0, 0, 3, 3, 7]] = 1;
    let plan = PlanOptions::default().chunk(Some([2, 4, 4])).shard(Some([2, 4, 4]));
    let options = ConvertOptions::default().plan(plan);
    store(DenseScan::new(&dense), &dataset, "a/b", &options).unwrap();
    let array = generation(&dataset.path(), "a/b").join("0");
    let shard = array.join("c/1/0/1");
    assert_eq!(files(&array.join("c")), [shard.as_path()], "the others are empty");
    let verify = || dataset.verify(&Pool::new(1).unwrap(), &|_| true).unwrap();
    assert!(verify().is_sound());
    for key in ["c/0/0/0", "c/1/0/0", "c/1/0/2", "c/7", "c/1/0/.writing-1", "c/0/0/1/x"] {
        let path = array.join(key);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::copy(&shard, &path).unwrap();
        let [volume] = &verify().volumes[..] else { panic!("one volume") };
        let [damage] = &volume.damage[..] else { panic!("{key}: {:?}", volume.damage) };
        assert!(path.starts_with(&damage.path), "{key}: {}", damage.path.display());
        assert_eq!(damage.reason, "not listed in the manifest");
        std::fs::remove_file(&path).unwrap();
        let _ = std::fs::remove_dir(array.join("c/0/0/1"));
        assert!(verify().is_sound(), "{key}");
    }
    std::fs::create_dir(dataset.path().join(".staging-x+y")).unwrap();
    std::fs::write(dataset.path().join(".staging-x+y/c"), "left by a killed writer").unwrap();
    assert!(verify().is_sound());
}

#[test]
fn exchanged_shards_are_found_by_verify() {
    let stored = stored::<i16>("none", [8, 20, 8], [8, 5, 8], [8, 5, 8]);
    let shards = files(&stored.generation().join("0/c"));
    let (a, b) = (std::fs::read(&shards[0]).unwrap(), std::fs::read(&shards[1]).unwrap());
    assert_ne!(a, b);
    std::fs::write(&shards[0], b).unwrap();
    std::fs::write(&shards[1], a).unwrap();
    assert!(!stored.is_sound());
}

#[test]
fn newer_and_foreign_stores_are_told_apart_from_damaged_ones() {
    let stored = <Stored>::small("blosc");
    let replace = |key: &str, from: &str, to: &str| {
        let path = stored.file(key);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{text}");
        std::fs::write(&path, text.replacen(from, to, 1)).unwrap();
        (path, text)
    };
    let read = || stored.read(Region::whole([5, 6, 11]));
    let id = generation_name(&stored.dataset.path(), "a/b");

    let (path, text) = replace("a/b/zarr.json", "\"version\": 3", "\"version\": 4");
    assert!(matches!(read(), Err(Error::VersionTooNew { found: 4, supported: 3, .. })));
    std::fs::write(path, text).unwrap();

    let (path, text) = replace("a/b/zarr.json", "\"voxpatch\"", "\"foxpatch\"");
    assert!(matches!(read(), Err(Error::NotVoxpatch { .. })));
    std::fs::write(path, text).unwrap();

    let (path, text) = replace("zarr.json", "\"version\": 1", "\"version\": 7");
    assert!(matches!(read(), Err(Error::VersionTooNew { found: 7, .. })));
    std::fs::write(path, text).unwrap();

    let (path, text) = replace(&format!("a/b/{id}/0/zarr.json"), "int16", "uint16");
    assert!(matches!(read(), Err(Error::CorruptStore { .. })));
    std::fs::write(path, text).unwrap();

    std::fs::remove_file(stored.generation().join("0/manifest.json")).unwrap();
    assert!(read().is_err());
    assert!(matches!(Dataset::open(stored.file("nothing")), Err(Error::NotFound { .. })));
    assert!(matches!(Dataset::open(stored.generation().join("0")), Err(Error::NotVoxpatch { .. })));
}
