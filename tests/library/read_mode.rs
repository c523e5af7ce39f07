//! Files that are read at positions give what files that are mapped give.
#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "a test's numbers are small, and it may fail"
)]

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::common::dense::{DenseScan, oracle, store, voxels};
use crate::common::place::{generation, generations};
use crate::common::watched::watched_reading;
use ndarray::{Array3, s};
use proptest::prelude::*;
use voxpatch::layout::PlanOptions;
use voxpatch::sample::UniformSampler;
use voxpatch::stream::{ImageRequest, PatchStream, StreamOptions};
use voxpatch::{ChunkCache, ConvertOptions, Dataset, Error, Padding, Pool, Region};

const SHAPE: [usize; 3] = [11, 20, 37];

fn stored(folder: &Path, codec: &str) -> Array3<i16> {
    let plan = PlanOptions::default()
        .codec(codec.parse().unwrap())
        .chunk(Some([2, 4, 8]))
        .shard(Some([4, 8, 16]));
    let options = ConvertOptions::default().plan(plan);
    let dense = voxels::<i16>([1, 1, SHAPE[0], SHAPE[1], SHAPE[2]], 9);
    store(DenseScan::new(&dense), &Dataset::create(folder).unwrap(), "a/b", &options).unwrap();
    dense.slice(s![0, 0, .., .., ..]).to_owned()
}

/// The store of this folder, whose files are read at positions.
fn read_mode(folder: &Path) -> Dataset {
    Dataset::open(PathBuf::from(format!("{}?mode=read", folder.display()))).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_region_alone_in_a_batch_and_cached_is_that_of_the_scan(
        codec in prop::sample::select(vec!["blosc", "zstd:1", "gzip:1", "packed:1", "none"]),
        regions in prop::collection::vec(
            (prop::array::uniform3(-5_i64..30), prop::array::uniform3(1_usize..14)), 1..6,
        ),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let dense = stored(folder.path(), codec);
        let volume = read_mode(folder.path()).volume("a/b").unwrap().view().padded(Padding::Reflect);
        let cached = volume.cached(&ChunkCache::new(4000));
        let shape = regions[0].1;
        let regions: Vec<_> = regions.iter().map(|(start, _)| Region::new(*start, shape)).collect();
        let batch = volume.read_many::<i16>(&regions, &Pool::new(2).unwrap()).unwrap();
        for (n, region) in regions.iter().enumerate() {
            let expected = oracle(&dense, *region, Padding::Reflect);
            prop_assert_eq!(&volume.read::<i16>(*region).unwrap(), &expected);
            prop_assert_eq!(&cached.read::<i16>(*region).unwrap(), &expected);
            prop_assert_eq!(batch.slice(s![n, .., .., ..]), expected.view());
        }
    }
}

#[test]
fn a_patch_is_read_by_few_stretches_and_no_shard_as_a_whole() {
    let folder = tempfile::tempdir().unwrap();
    let dense = stored(folder.path(), "none");
    let disk = watched_reading(folder.path());
    let dataset = Dataset::open_on(disk.handle()).unwrap();
    let volume = dataset.volume("a/b").unwrap();
    let region = Region::new([0, 0, 0], [4, 8, 16]);
    assert_eq!(volume.read::<i16>(region).unwrap(), dense.slice(s![..4, ..8, ..16]));
    // No view is had, then the end of the shard is read, and its chunks, which lie side by side.
    assert_eq!(disk.reads_of("c/0/0/0"), 3);
    volume.read::<i16>(region).unwrap();
    assert_eq!(disk.reads_of("c/0/0/0"), 4, "nothing is kept of a shard but its index");
    assert_eq!(disk.reads_of("c/0/0/1"), 0);
}

#[test]
fn verify_finds_in_read_mode_what_it_finds_in_maps() {
    let folder = tempfile::tempdir().unwrap();
    let dense = stored(folder.path(), "packed:1");
    let dataset = read_mode(folder.path());
    let pool = Pool::new(2).unwrap();
    let whole = || dataset.volume("a/b").unwrap().read::<i16>(Region::whole(SHAPE));
    assert_eq!(whole().unwrap(), dense);
    assert!(dataset.verify(&pool, &|_| true).unwrap().is_sound());
    let shard = generation(folder.path(), "a/b").join("0/c/1/0/1");
    let intact = std::fs::read(&shard).unwrap();
    for at in (0..intact.len()).step_by(7) {
        let mut damaged = intact.clone();
        damaged[at] ^= 4;
        std::fs::write(&shard, &damaged).unwrap();
        assert!(!dataset.verify(&pool, &|_| true).unwrap().is_sound(), "byte {at}");
        match whole() {
            Ok(found) => assert_eq!(found, dense, "byte {at}"),
            Err(error) => assert!(matches!(error, Error::CorruptStore { .. }), "{at}: {error}"),
        }
    }
    for length in [0, 1, intact.len() / 2, intact.len() - 1] {
        std::fs::write(&shard, &intact[..length]).unwrap();
        assert!(matches!(whole(), Err(Error::CorruptStore { path, .. }) if path == shard));
    }
    std::fs::remove_file(&shard).unwrap();
    assert!(matches!(whole(), Err(Error::CorruptStore { path, .. }) if path == shard));
    assert!(!dataset.verify(&pool, &|_| true).unwrap().is_sound());
}

#[test]
fn shards_are_digested_piece_by_piece() {
    let folder = tempfile::tempdir().unwrap();
    let dense = voxels::<i16>([1, 1, 24, 256, 257], 3);
    let plan = PlanOptions::default().codec("none".parse().unwrap());
    let options = ConvertOptions::default().plan(plan.chunk(Some([24, 256, 257])));
    store(DenseScan::new(&dense), &Dataset::create(folder.path()).unwrap(), "a/b", &options)
        .unwrap();
    let disk = watched_reading(folder.path());
    disk.refuse("whole", "c/0/0/0", ErrorKind::OutOfMemory);
    let dataset = Dataset::open_on(disk.handle()).unwrap();
    let verify = || dataset.verify(&Pool::new(1).unwrap(), &|_| true).unwrap();
    assert!(verify().is_sound());
    let shard = generation(folder.path(), "a/b").join("0/c/0/0/0");
    let intact = std::fs::read(&shard).unwrap();
    assert!(intact.len() > 3 << 20, "several pieces");
    std::fs::write(&shard, [&*intact, b"more"].concat()).unwrap();
    let told = verify().volumes[0].damage[0].reason.clone();
    assert!(told.contains("digest"), "{told}");
}

#[test]
fn a_file_that_is_cut_short_while_it_is_used_is_an_error_and_no_signal() {
    let folder = tempfile::tempdir().unwrap();
    stored(folder.path(), "none");
    let volume = read_mode(folder.path()).volume("a/b").unwrap();
    volume.read::<i16>(Region::new([0; 3], [4, 8, 16])).unwrap();
    let shard = generation(folder.path(), "a/b").join("0/c/0/0/0");
    std::fs::File::options().write(true).open(&shard).unwrap().set_len(100).unwrap();
    let error = volume.read::<i16>(Region::new([0; 3], [4, 8, 16])).unwrap_err();
    assert!(matches!(&error, Error::CorruptStore { .. }), "{error}");
    assert!(error.to_string().contains("shorter than the manifest says"), "{error}");
}

#[test]
fn whether_a_volume_was_replaced_is_never_guessed() {
    let folder = tempfile::tempdir().unwrap();
    stored(folder.path(), "none");
    let disk = watched_reading(folder.path());
    let volume = Dataset::open_on(disk.handle()).unwrap().volume("a/b").unwrap();
    volume.read::<i16>(Region::whole(SHAPE)).unwrap();
    std::fs::remove_file(generation(folder.path(), "a/b").join("0/c/0/0/0")).unwrap();
    disk.refuse("read", "a/b/zarr.json", ErrorKind::QuotaExceeded);
    let error = volume.read::<i16>(Region::whole(SHAPE)).unwrap_err();
    assert!(matches!(&error, Error::Io { path, .. } if path.ends_with("a/b/zarr.json")), "{error}");
}

#[test]
fn volumes_are_written_replaced_and_streamed_in_read_mode() {
    let folder = tempfile::tempdir().unwrap();
    stored(folder.path(), "zstd:1");
    let dataset = read_mode(folder.path());
    let handle = dataset.volume("a/b").unwrap();
    let options = ConvertOptions::default().overwrite(true);
    let new = voxels::<i16>([1, 1, 6, 7, 8], 2);
    store(DenseScan::new(&new), &dataset, "a/b", &options).unwrap();
    assert_eq!(generations(folder.path(), "a/b").len(), 1);
    let gone = handle.read::<i16>(Region::whole(SHAPE)).unwrap_err();
    assert!(matches!(gone, Error::Replaced { .. }), "{gone}");
    let options = StreamOptions::default()
        .images(vec![ImageRequest::new("b")])
        .patches_per_visit(9)
        .workers(2);
    let sampler = std::sync::Arc::new(UniformSampler::new([2, 3, 4]).unwrap());
    let stream = PatchStream::new(&dataset, vec!["a".into()], sampler, &options).unwrap();
    let dense = new.slice(s![0, 0, .., .., ..]).to_owned();
    let mut count = 0;
    for patch in stream {
        let patch = patch.unwrap();
        let found = patch.image("b").unwrap().as_array::<i16>().unwrap();
        assert_eq!(found, oracle(&dense, patch.origin.region, Padding::Edge));
        count += 1;
    }
    assert_eq!(count, 9);
}

#[test]
fn another_mode_is_refused_and_a_folder_of_such_a_name_is_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let named = folder.path().join("s?mode=read");
    stored(&named, "none");
    Dataset::open(&named).unwrap().volume("a/b").unwrap();
    assert!(!named.exists() && folder.path().join("s/zarr.json").exists());
    std::fs::rename(folder.path().join("s"), &named).unwrap();
    Dataset::open(&named).unwrap().volume("a/b").unwrap();
    let error = Dataset::open(folder.path().join("s?mode=fast")).unwrap_err().to_string();
    assert!(error.contains("\"fast\"") && error.contains("?mode=read"), "{error}");
}

#[test]
fn the_mode_may_stand_after_the_store_or_at_the_end_of_a_path() {
    let folder = tempfile::tempdir().unwrap();
    let dense = stored(&folder.path().join("s.zarr"), "none");
    let at = folder.path().display();
    for path in ["s.zarr?mode=read/a/b", "s.zarr/a/b?mode=read", "s.zarr/a?mode=map/b"] {
        let place = voxpatch::Place::find(format!("{at}/{path}")).unwrap();
        let found = place.volume().unwrap().read::<i16>(Region::whole(SHAPE)).unwrap();
        assert_eq!(found, dense, "{path}");
    }
    assert!(voxpatch::Place::find(format!("{at}/s.zarr/a/b?mode=fast")).is_err());
}
