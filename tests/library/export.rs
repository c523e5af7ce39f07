//! A file that was converted and exported says what it said before: the same voxels bit for bit,
//! and a header that is read to exactly the same numbers.
#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    reason = "helpers of tests may stop a test"
)]

use std::path::Path;

use crate::common::nifti::{Nifti, read};
use proptest::prelude::*;
use serde_json::{Value, json};
use voxpatch::layout::PlanOptions;
use voxpatch::scan::nifti::NiftiVersion;
use voxpatch::{
    ConvertOptions, Dataset, Dtype, ExportOptions, ExportReport, Pool, Volume, convert, export,
    scan, with_element,
};

/// Converts a file as `name` of a store in `folder`.
fn stored(folder: &Path, path: &Path, name: &str, options: &ConvertOptions) -> Volume {
    let dataset = Dataset::create(folder.join("s.zarr")).unwrap();
    let (scan, pool) = (scan::open(path).unwrap(), Pool::new(2).unwrap());
    convert(scan, &dataset, &name.parse().unwrap(), options, &pool, &|_| true).unwrap();
    dataset.volume(name).unwrap()
}

fn exported(volume: &Volume, path: &Path) -> ExportReport {
    let pool = Pool::new(2).unwrap();
    export(volume, path, &ExportOptions::default(), &pool, &|_| true).unwrap()
}

/// All that must survive, as JSON: what is not a number in it compares, too.
fn content(volume: &Volume) -> Value {
    let a = volume.attributes();
    json!({
        "voxels": volume.voxel_digest(),
        "axes": [volume.times(), volume.channels(), volume.shape()],
        "type": [volume.dtype(), volume.stored_dtype()],
        "geometry": [a.affine, a.spacing],
        "rest": (a.time_step, a.scaling, a.kind, &a.statistics),
    })
}

/// Voxels that a narrower type holds, in the byte order of the file.
fn narrow_voxels(nifti: &mut Nifti, dtype: Dtype) {
    let voxels = nifti.voxels.len() / dtype.size();
    with_element!(dtype, T => {
        nifti.voxels = (0..voxels).flat_map(|n| {
            let mut bytes = bytemuck::bytes_of(&<T as voxpatch::Element>::from_integer((n % 100) as i128)).to_vec();
            if nifti.big != cfg!(target_endian = "big") {
                bytes.reverse();
            }
            bytes
        }).collect();
    });
}

/// Where the voxels are, said in any of the ways a header has.
#[derive(Debug, Clone)]
struct Placed {
    codes: (i16, i16),
    quatern: [f64; 3],
    srow: [[f64; 4]; 3],
    pixdim: [f64; 5],
    units: u8,
    scl: [f64; 2],
}

/// All that NIfTI has.
fn nifti_types() -> Vec<Dtype> {
    Dtype::ALL.into_iter().filter(|dtype| *dtype != Dtype::Float16).collect()
}

fn placed() -> impl Strategy<Value = Placed> {
    let near = |middle: f64| middle - 0.3..middle + 0.3;
    let row = move |r: usize| {
        let entry = move |c: usize| near(if r == c { 1.5 } else { 0.0 });
        (entry(0), entry(1), entry(2), -300.0..300.0_f64).prop_map(|(a, b, c, d)| [a, b, c, d])
    };
    (
        (0..5_i16, 0..5_i16),
        prop::array::uniform3(-0.57..0.57_f64),
        (row(0), row(1), row(2)).prop_map(|(a, b, c)| [a, b, c]),
        (prop::bool::ANY, prop::array::uniform4(0.1..5.0_f64)),
        // Units of length and time: none, mm and s, m and ms, um and us, mm and Hz.
        prop::sample::select(vec![0_u8, 0x0a, 0x11, 0x1b, 0x22]),
        prop::sample::select(vec![[1.0, 0.0], [0.0, 0.0], [0.1, -1024.3], [f64::NAN, f64::NAN]]),
    )
        .prop_map(|(codes, quatern, srow, (left, [x, y, z, t]), units, scl)| {
            let pixdim = [if left { -1.0 } else { 1.0 }, x, y, z, t];
            Placed { codes, quatern, srow, pixdim, units, scl }
        })
}

impl Placed {
    fn place(&self, nifti: &mut Nifti) {
        (nifti.qform_code, nifti.sform_code) = self.codes;
        (nifti.quatern, nifti.srow) = (self.quatern, self.srow);
        nifti.pixdim[..5].copy_from_slice(&self.pixdim);
        (nifti.units, nifti.scl) = (self.units, self.scl);
    }
}

const CODECS: [&str; 4] = ["blosc", "zstd:1", "packed", "none"];

fn options(codec: &str, narrow: bool) -> ConvertOptions {
    let codec = codec.parse().unwrap();
    let plan = PlanOptions::default().codec(codec).chunk(Some([2, 3, 4])).shard(Some([4, 6, 8]));
    ConvertOptions::default().plan(plan).narrow(narrow)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 160, failure_persistence: None, ..Default::default() })]

    #[test]
    fn an_exported_file_converts_to_the_same_volume(
        dtype in prop::sample::select(nifti_types()),
        sizes in prop::collection::vec(1..7_usize, 2..6),
        (version, big, single) in (1..3_u8, prop::bool::ANY, prop::bool::ANY),
        (gzip, narrow, label) in (prop::bool::ANY, prop::bool::ANY, prop::bool::ANY),
        codec in prop::sample::select(CODECS.to_vec()),
        placed in placed(),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        let mut nifti = Nifti::new(version, big, single, dtype, &sizes);
        placed.place(&mut nifti);
        nifti.intent = if label { 1002 } else { 0 };
        if label {
            // Labels with a scaling are stored and exported as what they mean.
            nifti.scl = [1.0, 0.0];
        }
        if narrow || label {
            narrow_voxels(&mut nifti, dtype);
        }
        let codec = if codec == "packed" && !(narrow || dtype.is_integer() && dtype.size() < 8) {
            "blosc"
        } else {
            codec
        };
        let options = options(codec, narrow);
        let source = nifti.write(at, false);
        let before = stored(at, &source, "a/before", &options);
        let path = at.join(if gzip { "out.nii.gz" } else { "out.nii" });
        let report = exported(&before, &path);
        let after = stored(at, &path, "a/after", &options);
        prop_assert_eq!(content(&before), content(&after));
        prop_assert_eq!(&report.voxel_digest, after.voxel_digest());
        prop_assert_eq!(report.dtype, dtype);
        prop_assert_eq!(report.level.is_some(), gzip);
        prop_assert_eq!(report.file_bytes, std::fs::metadata(&path).unwrap().len());
        // What was NIfTI-1 is so again, and has the same numbers where they have a meaning.
        prop_assert!(version == 2 || report.format == "nifti-1", "{:?}", report);
        let [before, after] = [&source, &path].map(|path| read(path, 3).unwrap());
        prop_assert_eq!(&before.frames, &after.frames);
        for name in ["pixdim", "xyzt_units", "qform", "qform_code", "sform", "sform_code", "intent_code"] {
            prop_assert_eq!(&before.header.fields[name], &after.header.fields[name], "{}", name);
        }
        prop_assert_eq!(&before.header.fields["dim"][0], &after.header.fields["dim"][0]);
    }
}

#[test]
fn a_file_is_the_same_for_any_number_of_threads_and_any_layout() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    // More than a member for each of several threads, and a part of one.
    let nifti = Nifti::new(1, false, true, Dtype::Int16, &[150, 140, 130, 1, 2]);
    let source = nifti.write(at, false);
    let mut files = Vec::new();
    for (n, chunk) in [[16, 32, 32], [130, 140, 150], [1, 20, 150]].into_iter().enumerate() {
        let plan = PlanOptions::default().chunk(Some(chunk)).shard(Some(chunk));
        let options = ConvertOptions::default().plan(plan);
        let volume = stored(at, &source, &format!("a/v{n}"), &options);
        for threads in [1, 2, 5] {
            let path = at.join("out.nii.gz");
            let options = ExportOptions::default().level(1).overwrite(true);
            let pool = Pool::new(threads).unwrap();
            export(&volume, &path, &options, &pool, &|_| true).unwrap();
            files.push(std::fs::read(&path).unwrap());
        }
    }
    assert!(files.iter().all(|file| *file == files[0]));
    let mut inflated = Vec::new();
    let mut members = flate2::read::MultiGzDecoder::new(&files[0][..]);
    std::io::Read::read_to_end(&mut members, &mut inflated).unwrap();
    assert!(inflated[352..] == nifti.voxels[..]);
    let mut first = Vec::new();
    let mut member = flate2::read::GzDecoder::new(&files[0][..]);
    std::io::Read::read_to_end(&mut member, &mut first).unwrap();
    assert_eq!(first.len(), 1 << 20);
}

#[test]
fn what_nifti_1_cannot_hold_exactly_becomes_nifti_2_and_the_report_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let mut long = Nifti::new(2, false, true, Dtype::UInt8, &[40_000, 2, 1]);
    let mut fine = Nifti::new(2, false, true, Dtype::UInt8, &[4, 3, 2]);
    let mut coarse = fine.clone();
    fine.srow[0][0] = 2.000_000_000_1;
    coarse.srow[0][0] = 2.5;
    long.srow[0][0] = 2.5;
    for (name, nifti, format) in
        [("a", long, "nifti-2"), ("b", fine, "nifti-2"), ("c", coarse, "nifti-1")]
    {
        let before =
            stored(at, &nifti.write(at, false), &format!("{name}/x"), &ConvertOptions::default());
        let path = at.join(format!("{name}.nii"));
        let report = exported(&before, &path);
        assert_eq!(report.format, format);
        let told = report.findings.iter().any(|f| f.message.contains("NIfTI-2"));
        assert_eq!(told, format == "nifti-2");
        let after = stored(at, &path, &format!("{name}/y"), &ConvertOptions::default());
        assert_eq!(content(&before), content(&after));
    }
}

#[test]
fn nifti_1_that_is_asked_for_rounds_the_header_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let mut nifti = Nifti::new(2, false, true, Dtype::UInt8, &[5, 4, 3]);
    nifti.scl = [1.0 / 255.0, 0.0];
    let volume = stored(at, &nifti.write(at, false), "a/b", &options("blosc", false));
    let as_version = |nifti| {
        let options = ExportOptions::default().nifti(nifti).overwrite(true);
        let pool = Pool::new(1).unwrap();
        export(&volume, &at.join("out.nii"), &options, &pool, &|_| true).unwrap()
    };
    assert_eq!(as_version(None).format, "nifti-2");
    let report = as_version(Some(NiftiVersion::One));
    assert_eq!(report.format, "nifti-1");
    assert!(report.findings.iter().any(|f| f.message.contains("rounded to single precision")));
    let [before, after] =
        [&volume, &stored(at, &at.join("out.nii"), "a/c", &options("none", false))]
            .map(|volume| volume.attributes().scaling.unwrap().slope);
    assert!((1e-12..1e-9).contains(&(before - after).abs()), "{before} {after}");
    let report = as_version(Some(NiftiVersion::Two));
    assert!(report.format == "nifti-2" && report.findings.is_empty(), "{report:?}");
}
