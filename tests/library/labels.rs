//! Label maps as they come: with a scaling, and with very many labels.
#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss,
    reason = "a test's numbers are small, and it may fail"
)]

use std::sync::Arc;

use crate::common::dense::{DenseScan, store};
use crate::common::place::generation;
use ndarray::{Array3, Array5};
use voxpatch::IndexInfo;
use voxpatch::layout::PlanOptions;
use voxpatch::sample::{Border, Choice, Draw, Field, ForegroundSampler, LabelSampler, Sampler};
use voxpatch::{
    ConvertOptions, ConvertReport, Dataset, Distribution, Dtype, Element, Error, ExportOptions,
    Kind, Pool, Region, Result, Scaling, Volume, export, scan,
};

fn options() -> ConvertOptions {
    let plan = PlanOptions::default()
        .chunk(Some([16, 16, 16]))
        .shard(Some([32, 32, 64]))
        .codec("zstd:1".parse().unwrap());
    ConvertOptions::default().plan(plan).kind(Some(Kind::Label))
}

fn stored<T: Element>(
    folder: &tempfile::TempDir,
    voxels: &Array5<T>,
    scaling: Option<Scaling>,
    options: &ConvertOptions,
) -> Result<ConvertReport> {
    let dataset = Dataset::create(folder.path().join("s.zarr")).unwrap();
    let mut scan = DenseScan::new(voxels);
    scan.header_mut().scaling = scaling;
    store(scan, &dataset, "a/organs", options)
}

fn open(folder: &tempfile::TempDir) -> Volume {
    Dataset::open(folder.path().join("s.zarr")).unwrap().volume("a/organs").unwrap()
}

fn labels(field: &impl Field) -> Vec<i64> {
    let mut out = Vec::new();
    field.labels(Region::whole(field.shape()), &mut out).unwrap();
    out
}

/// As nibabel saves 0, 1 and 2 in 16 bits: slope and intercept are of `float32`.
fn nibabel() -> Scaling {
    let slope = 2.0_f32 / 65_535.0;
    Scaling { slope: slope.into(), intercept: (32_768.0 * slope).into() }
}

#[test]
fn scaled_labels_are_stored_drawn_and_exported_as_what_they_mean() {
    let folder = tempfile::tempdir().unwrap();
    let meant =
        Array5::from_shape_fn([1, 1, 20, 18, 19], |(_, _, z, y, x)| (z / 7 + y / 9 + x / 13) % 3);
    let raw = meant.mapv(|label| [i16::MIN, 0, i16::MAX][label]);
    // Asked for or not, narrow as they are.
    for narrow in [false, true] {
        let options = options().narrow(narrow).overwrite(true);
        let report = stored(&folder, &raw, Some(nibabel()), &options).unwrap();
        let told = &report.findings.last().unwrap().message;
        assert!(
            told.contains("numbers that they mean, 0 to 2, as uint8") && told.contains("int16"),
            "{told}"
        );
        assert_eq!((report.dtype, report.stored_dtype), (Dtype::UInt8, Dtype::UInt8));
    }
    let volume = open(&folder);
    let meant: Vec<_> = meant.iter().map(|label| *label as i64).collect();
    assert_eq!((volume.dtype(), volume.attributes().scaling), (Dtype::UInt8, None));
    assert_eq!(labels(&volume), meant);

    let sampler = LabelSampler::per_class([1; 3], Some(&[(1, 1.0), (2, 1.0)])).unwrap();
    let regions = sampler.prepare(Arc::new(volume.clone())).unwrap();
    for index in 0..50 {
        let drawn = regions.draw(Draw { seed: 1, epoch: 0, index }).unwrap();
        let found = volume.read::<u8>(drawn.region).unwrap();
        assert_eq!(drawn.choice, Choice::Class(i64::from(*found.first().unwrap())));
    }

    let file = folder.path().join("organs.nii.gz");
    let pool = Pool::new(1).unwrap();
    export(&volume, &file, &ExportOptions::default(), &pool, &|_| true).unwrap();
    let mut exported = scan::open(&file).unwrap();
    let mut planes = vec![0; meant.len()];
    exported.read_planes(&mut planes).unwrap();
    assert!(exported.header().is_label && exported.header().scaling.is_none());
    assert_eq!(planes.iter().map(|label| i64::from(*label)).collect::<Vec<_>>(), meant);
}

#[test]
fn scaled_labels_take_the_narrowest_type_that_holds_them() {
    for (slope, intercept, dtype) in [
        (2.0, 0.0, Dtype::UInt8),
        (-1.0, 0.0, Dtype::Int8),
        (3.0, 0.0, Dtype::UInt16),
        (-3.0, 1.0, Dtype::Int16),
        (1.0, 65_500.0, Dtype::UInt32),
        (-700.0, 0.0, Dtype::Int32),
        (-33_554_432.0, 0.0, Dtype::Int64),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let mut raw = Array5::from_shape_fn([2, 1, 3, 5, 7], |(t, _, z, y, x)| {
            ((t * 31 + z * 37 + y * 11 + x * 19) % 128) as f32
        });
        raw[[1, 0, 2, 4, 6]] = 127.0;
        stored(&folder, &raw, Some(Scaling { slope, intercept }), &options()).unwrap();
        let volume = open(&folder);
        assert_eq!(volume.dtype(), dtype, "{slope} {intercept}");
        let second = volume.view().frame(voxpatch::Frame { time: 1, channel: 0 }).unwrap();
        let meant =
            raw.iter().skip(3 * 5 * 7).map(|raw| (f64::from(*raw) * slope + intercept) as i64);
        assert_eq!(labels(&second), meant.collect::<Vec<_>>());
    }
}

#[test]
fn a_value_between_two_labels_is_refused_by_its_place_and_nothing_is_stored() {
    let folder = tempfile::tempdir().unwrap();
    let mut raw = Array5::<i16>::zeros([1, 2, 5, 6, 7]);
    raw[[0, 1, 2, 3, 4]] = 3;
    raw[[0, 1, 4, 0, 0]] = 5;
    let scaling = Some(Scaling { slope: 0.5, intercept: 0.0 });
    let error = stored(&folder, &raw, scaling, &options()).unwrap_err();
    assert!(matches!(error, Error::InvalidArgument { .. }), "{error:?}");
    for told in ["1.5", "voxel 2,3,4 (z, y, x)", "channel 1", "as integers"] {
        assert!(error.to_string().contains(told), "{told}: {error}");
    }
    assert!(!folder.path().join("s.zarr/a").exists());
    // As intensities they are what the file has.
    let intensity = options().kind(Some(Kind::Intensity));
    stored(&folder, &raw, scaling, &intensity).unwrap();
    assert_eq!(
        (open(&folder).dtype(), open(&folder).attributes().scaling),
        (Dtype::Int16, scaling)
    );
}

#[test]
fn an_instance_map_of_262144_labels_is_indexed_and_drawn_from() {
    let folder = tempfile::tempdir().unwrap();
    let map =
        Array5::from_shape_fn([1, 1, 64, 64, 64], |(_, _, z, y, x)| ((x * 64 + z) * 64 + y) as u32);
    let report = stored(&folder, &map, None, &options()).unwrap();
    assert_eq!(report.index, Some(IndexInfo::Labels { labels: 262_144, blocks: 8 }));
    let volume = open(&folder);
    let Distribution::Label { labels } = volume.info().distribution else { panic!("labels") };
    assert_eq!((labels.len(), labels[77].label, labels[77].voxels), (262_144, 77, 1));
    let map = map.into_shape_with_order([64, 64, 64]).unwrap();
    let samplers: [Box<dyn Sampler>; 2] = [
        Box::new(ForegroundSampler::pos_neg([1; 3], 1.0, 0.0).unwrap()),
        Box::new(LabelSampler::per_class([1; 3], None).unwrap().border(Border::Clamp)),
    ];
    for sampler in samplers {
        let regions = sampler.prepare(Arc::new(volume.clone())).unwrap();
        for index in 0..200 {
            let drawn = regions.draw(Draw { seed: 3, epoch: 0, index }).unwrap();
            let at = drawn.region.start.map(|start| usize::try_from(start).unwrap());
            assert_eq!(drawn.choice, Choice::Class(i64::from(map[at])));
        }
    }
}

/// Some 4,000 labels take 16 kB of text.
#[test]
fn the_documents_of_a_map_of_many_labels_stay_small_and_its_counts_are_checked() {
    let folder = tempfile::tempdir().unwrap();
    let map =
        Array5::from_shape_fn([1, 1, 20, 20, 25], |(_, _, z, y, x)| ((x * 20 + z) * 20 + y) as u32);
    stored(&folder, &map, None, &options()).unwrap();
    let generation = generation(&folder.path().join("s.zarr"), "a/organs");
    let length = |key: &str| std::fs::metadata(generation.join(key)).unwrap().len();
    assert!(length("zarr.json") < 16_384 && length("0/zarr.json") < 16_384);
    let counts = generation.join("label-counts");
    let intact = std::fs::read(&counts).unwrap();
    let reopened = || Dataset::open(folder.path().join("s.zarr")).unwrap().volume("a/organs");
    for at in (0..intact.len()).step_by(997) {
        let mut damaged = intact.clone();
        damaged[at] ^= 1;
        std::fs::write(&counts, &damaged).unwrap();
        let error = reopened().unwrap_err();
        assert!(matches!(&error, Error::CorruptStore { path, .. } if *path == counts), "{error}");
    }
    std::fs::remove_file(&counts).unwrap();
    let error = reopened().unwrap_err();
    assert!(matches!(&error, Error::CorruptStore { path, .. } if *path == counts), "{error}");
}

#[test]
fn more_labels_than_are_counted_are_refused_with_the_number_that_is() {
    let folder = tempfile::tempdir().unwrap();
    let map = Array3::from_shape_fn([17, 256, 256], |(z, y, x)| ((z * 256 + y) * 256 + x) as u32);
    let map = map.into_shape_with_order([1, 1, 17, 256, 256]).unwrap();
    let error = stored(&folder, &map, None, &options()).unwrap_err().to_string();
    assert!(error.contains("1048576") && error.contains("intensit"), "{error}");
    assert!(!folder.path().join("s.zarr/a").exists());
}
