//! Stores that an earlier version wrote are read as they were: `tests/frozen/v1.zarr` holds one
//! volume for each codec and kind of content, `v2.zarr` those whose shards span frames, `v3.zarr`
//! generations, with coordinates, source and names of labels as version 3 tells them, and beside them lies an
//! `.npy` of what each must be. `nifti.zarr` and the files of `nifti` are of `attributes.rs`.
//!
//! The stores are never written again for the same format version. A new version, or a new codec,
//! gets volumes of its own: `cargo test --test library -- --ignored freeze`, into a folder that is
//! not there.
#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "a test's numbers are small, and it may fail"
)]

use std::path::{Path, PathBuf};

use crate::common::dense::{DenseScan, store, voxels};
use ndarray::Array5;
use voxpatch::VolumeName;
use voxpatch::layout::PlanOptions;
use voxpatch::sample::Contents;
use voxpatch::{
    ConvertOptions, Dataset, Dtype, Element, Frame, Kind, LabelName, Pool, Region, Space, Volume,
    npy,
};

/// Stores of each format version, and how many volumes they hold.
const STORES: [(&str, usize); 3] = [("v1", 15), ("v2", 3), ("v3", 13)];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/frozen")
}

fn dataset(version: &str) -> Dataset {
    Dataset::open(folder().join(format!("{version}.zarr"))).unwrap()
}

fn expectation(version: &str, name: &VolumeName) -> PathBuf {
    folder().join(version).join(format!("{}-{}.npy", name.subject(), name.image()))
}

/// The voxels as the source had them, all frames in C order of t, c, z, y, x.
fn read_all<T: Element>(volume: &Volume) -> Vec<T> {
    let frames = (0..volume.times())
        .flat_map(|time| (0..volume.channels()).map(move |channel| Frame { time, channel }));
    let read = |frame| volume.view().frame(frame).unwrap().read::<T>(Region::whole(volume.shape()));
    frames.flat_map(|frame| read(frame).unwrap()).collect()
}

/// What a volume must be, and is: header and numbers of an `.npy`.
fn as_npy<T: Element>(volume: &Volume, voxels: &[T]) -> Vec<u8> {
    let [z, y, x] = volume.shape();
    let shape = [volume.times(), volume.channels(), z, y, x];
    [npy::header(T::DTYPE, &shape), npy::numbers(voxels).into_owned()].concat()
}

fn found(volume: &Volume) -> Vec<u8> {
    match volume.dtype() {
        Dtype::UInt8 => as_npy(volume, &read_all::<u8>(volume)),
        Dtype::Int16 => as_npy(volume, &read_all::<i16>(volume)),
        Dtype::UInt32 => as_npy(volume, &read_all::<u32>(volume)),
        Dtype::Float32 => as_npy(volume, &read_all::<f32>(volume)),
        Dtype::Float64 => as_npy(volume, &read_all::<f64>(volume)),
        other => unreachable!("no frozen volume is {other}"),
    }
}

#[test]
fn every_frozen_volume_reads_as_its_npy() {
    for (version, count) in STORES {
        let dataset = dataset(version);
        let volumes = dataset.volumes().unwrap();
        assert_eq!(volumes.len(), count, "{volumes:?}");
        for name in &volumes {
            let volume = dataset.open_volume(name).unwrap();
            assert_eq!(format!("v{}", volume.attributes().version), version, "{name}");
            assert!(found(&volume) == std::fs::read(expectation(version, name)).unwrap(), "{name}");
        }
        let report = dataset.verify(&Pool::new(1).unwrap(), &|_| true).unwrap();
        assert!(report.is_sound(), "{report:?}");
    }
}

/// BLAKE3 of a head and of the digest of each frame: the definition of version 1, written out.
fn digest(dtype: Dtype, shape: [usize; 5], numbers: &[u8]) -> String {
    let mut head = blake3::Hasher::new();
    head.update(b"voxpatch voxels 1").update(dtype.name().as_bytes());
    for n in shape {
        head.update(&(n as u64).to_le_bytes());
    }
    for frame in numbers.chunks(numbers.len() / shape[0] / shape[1]) {
        head.update(blake3::hash(frame).as_bytes());
    }
    head.finalize().to_hex().to_string()
}

#[test]
fn the_voxel_digest_of_frozen_volumes_is_still_computed_alike() {
    let volumes = |version| {
        let dataset = dataset(version);
        let names = dataset.volumes().unwrap().into_iter();
        names.map(move |name| (version, dataset.open_volume(&name).unwrap()))
    };
    for (version, volume) in STORES.into_iter().flat_map(|(version, _)| volumes(version)) {
        let name = volume.name();
        if volume.stored_dtype() != volume.dtype() {
            // Narrowed: the digest is that of the stored type, of which there is no .npy.
            continue;
        }
        let npy = std::fs::read(expectation(version, name)).unwrap();
        let numbers = &npy[npy.len() - volume.raw_bytes() as usize..];
        let [z, y, x] = volume.shape();
        let shape = [volume.times(), volume.channels(), z, y, x];
        assert_eq!(digest(volume.dtype(), shape, numbers), volume.voxel_digest(), "{name}");
    }
}

#[test]
fn a_frozen_label_map_says_how_to_get_an_index_that_is_drawn_by_and_gets_it() {
    let folder = tempfile::tempdir().unwrap();
    copy(&self::folder().join("v1.zarr"), folder.path());
    let dataset = Dataset::open(folder.path()).unwrap();
    let labels = dataset.volume("kinds/labels").unwrap();
    let error = labels.block_index().unwrap_err().to_string();
    assert!(error.contains("earlier version") && error.contains("voxpatch index"), "{error}");
    assert_eq!(labels.info().index, None);

    dataset.build_index(labels.name(), &Pool::new(1).unwrap(), &|_| true).unwrap();
    let all = read_all::<u8>(&labels);
    let counted = |label| all.iter().filter(|voxel| i64::from(**voxel) == label).count() as u64;
    let index = labels.block_index().unwrap();
    let Contents::Classes(classes) = &index.contents else { panic!("{index:?}") };
    assert_eq!(classes.len(), 5);
    for class in classes {
        let indexed: u64 = class.blocks.iter().map(|count| count.voxels).sum();
        assert_eq!(indexed, counted(class.label), "label {}", class.label);
    }
}

fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap().path();
        let target = to.join(entry.file_name().unwrap());
        if entry.is_dir() {
            std::fs::create_dir(&target).unwrap();
            copy(&entry, &target);
        } else {
            std::fs::copy(&entry, &target).unwrap();
        }
    }
}

fn freeze<T: Element>(dataset: &Dataset, name: &str, voxels: &Array5<T>, codec: &str) {
    let plan =
        PlanOptions::default().codec(codec.parse().unwrap()).chunk(Some([3, 4, 5])).shard(None);
    let kind = (T::DTYPE == Dtype::UInt8).then_some(Kind::Label);
    let named = |value, name| LabelName::new(value, name, Some([255, 128, 0])).unwrap();
    let labels = if kind.is_some() { vec![named(1, "liver"), named(2, "tumour")] } else { vec![] };
    let source_digest = Some(blake3::hash(name.as_bytes()).to_hex().to_string());
    let options =
        ConvertOptions::default().plan(plan).kind(kind).labels(labels).source_digest(source_digest);
    let mut scan = DenseScan::new(voxels);
    scan.header_mut().space = Some(Space::Mni);
    store(scan, dataset, name, &options).unwrap();
    let volume = dataset.volume(name).unwrap();
    let all: Vec<T> = voxels.iter().copied().collect();
    std::fs::write(expectation("v3", volume.name()), as_npy(&volume, &all)).unwrap();
}

/// Version 3 is that of generations, and of coordinates and sources in words of no format.
#[test]
#[ignore = "writes the frozen stores of the newest format version, once"]
fn freeze_stores() {
    std::fs::create_dir(folder().join("v3")).expect("nothing frozen is written again");
    let dataset = Dataset::create(folder().join("v3.zarr")).unwrap();
    freeze(&dataset, "spaces/mni", &voxels::<i16>([1, 2, 4, 5, 6], 3), "packed:8");
    freeze(&dataset, "labels/named", &voxels::<u8>([1, 1, 4, 5, 6], 7).mapv(|v| v % 3), "blosc");
    for (n, codec) in CODECS.into_iter().enumerate() {
        let name = format!("codecs/{}", codec.replace(':', "-"));
        freeze(&dataset, &name, &voxels::<i16>([1, 1, 4, 5, 6], n as u64), codec);
    }
    // Shards that span frames.
    freeze(&dataset, "frames/times", &voxels::<i16>([5, 1, 4, 5, 6], 23), "zstd:3");
}

/// Every codec of the format.
const CODECS: [&str; 10] = [
    "blosc",
    "blosc-lz4",
    "blosc-zstd:3",
    "blosc:0",
    "zstd:3",
    "gzip:6",
    "none",
    "packed:0",
    "packed:1",
    "packed:8",
];

#[test]
fn a_frozen_volume_of_version_3_tells_coordinates_source_and_labels() {
    let mni = dataset("v3").volume("spaces/mni").unwrap();
    assert_eq!(mni.attributes().space, Some(Space::Mni));
    let named = dataset("v3").volume("labels/named").unwrap();
    let names = named.attributes().labels.iter().map(|label| (label.value(), label.name()));
    assert_eq!(names.collect::<Vec<_>>(), [(1, "liver"), (2, "tumour")]);
    assert_eq!(named.attributes().labels[1].colour(), Some([255, 128, 0]));
    let digest = blake3::hash(b"labels/named").to_hex().to_string();
    assert_eq!(named.attributes().source.digest, Some(digest));
    assert_eq!(named.attributes().source.format, "dense");
}
