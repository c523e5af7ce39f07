//! The fourth axis of a file is stored as what it is said to be, and comes back as the fourth.
#![allow(clippy::unwrap_used, reason = "helpers of tests may stop a test")]

use std::path::Path;

use crate::common::nifti::{Nifti, expected, read};
use voxpatch::aggregate::{Blend, Output, Values};
use voxpatch::layout::Codec;
use voxpatch::predict::{Model, PredictOptions, predict};
use voxpatch::sample::{GridSampler, Overlap};
use voxpatch::{
    Certainty, ConvertOptions, ConvertReport, Dataset, Dtype, Error, ExportOptions, FourthAxis,
    Frame, Frames, Pool, Region, Result, Volume, convert, export, scan,
};

/// Sizes of the file, x, y, z and the fourth axis.
const SIZES: [usize; 4] = [6, 5, 4, 3];
const SHAPE: [usize; 3] = [4, 5, 6];

fn channels() -> ConvertOptions {
    ConvertOptions::default().fourth_axis(Some(FourthAxis::Channels))
}

fn converted(
    folder: &Path,
    path: &Path,
    name: &str,
    options: &ConvertOptions,
) -> Result<(Volume, ConvertReport)> {
    let dataset = Dataset::create(folder.join("s.zarr")).unwrap();
    let pool = Pool::new(2).unwrap();
    let name = name.parse().unwrap();
    let report = convert(scan::open(path)?, &dataset, &name, options, &pool, &|_| true)?;
    Ok((dataset.open_volume(&name)?, report))
}

fn found<'a>(report: &'a ConvertReport, words: &str) -> Option<&'a voxpatch::Finding> {
    report.findings.iter().find(|finding| finding.message.contains(words))
}

#[test]
fn a_fourth_axis_of_channels_is_stored_as_channels() {
    let folder = tempfile::tempdir().unwrap();
    let path = Nifti::new(1, false, true, Dtype::Int16, &SIZES).write(folder.path(), false);
    let plain = channels();
    let tried = channels().codecs(Codec::CANDIDATES.to_vec()).narrow(true);
    for (name, options) in [("a/plain", plain), ("a/tried", tried)] {
        let (volume, report) = converted(folder.path(), &path, name, &options).unwrap();
        assert_eq!((volume.times(), volume.channels(), volume.shape()), (1, 3, SHAPE));
        assert_eq!((report.times, report.channels), (1, 3));
        assert_eq!(volume.attributes().time_step, None);
        let told = found(&report, "3 channels, as asked").unwrap();
        assert_eq!(told.certainty, Certainty::Decided);
        assert!(volume.attributes().findings.contains(told));
        let all = volume.view().frames(Frames::OnlyTime).unwrap();
        let all = all.read::<i16>(Region::whole(SHAPE)).unwrap();
        for (channel, voxels) in all.outer_iter().enumerate() {
            let frame = Frame { time: channel, channel: 0 };
            let voxels = voxels.as_slice().unwrap();
            assert!(bytemuck::cast_slice::<_, u8>(voxels) == expected(Dtype::Int16, frame, SHAPE));
        }
    }
}

#[test]
fn without_a_word_the_fourth_axis_is_time_and_a_finding_asks_where_the_file_says_nothing_of_it() {
    let folder = tempfile::tempdir().unwrap();
    // One second is what programs write that know of no time.
    for (n, (step, units, asks)) in [
        (1.5, 2 | 8, false),
        (0.0, 2 | 8, true),
        (1.5, 2, true),
        (1.5, 2 | 32, true),
        (1.0, 2 | 8, true),
    ]
    .into_iter()
    .enumerate()
    {
        let mut nifti = Nifti::new(1, false, true, Dtype::Int16, &SIZES);
        (nifti.pixdim[4], nifti.units) = (step, units);
        let path = nifti.write(folder.path(), false);
        let convert = |name: &str, fourth_axis| {
            let options = ConvertOptions::default().fourth_axis(fourth_axis);
            converted(folder.path(), &path, &format!("s{n}/{name}"), &options).unwrap()
        };
        let (volume, report) = convert("unsaid", None);
        assert_eq!((volume.times(), volume.channels()), (3, 1));
        let told = found(&report, "--fourth-axis channels");
        assert_eq!(told.map(|told| told.certainty), asks.then_some(Certainty::Guessed));
        let known = (step > 0.0 && units == 2 | 8).then_some(step);
        let (same, report) = convert("time", Some(FourthAxis::Time));
        assert_eq!(same.voxel_digest(), volume.voxel_digest());
        assert_eq!((same.times(), same.attributes().time_step), (3, known));
        assert!(found(&report, "3 time points, as asked").is_some());
        assert!(found(&report, "--fourth-axis").is_none());
        assert!(
            found(&convert("channels", Some(FourthAxis::Channels)).1, "--fourth-axis").is_none()
        );
    }
}

#[test]
fn a_second_between_many_time_points_is_believed() {
    let folder = tempfile::tempdir().unwrap();
    let mut nifti = Nifti::new(1, false, true, Dtype::Int16, &[2, 2, 2, 9]);
    (nifti.pixdim[4], nifti.units) = (1.0, 2 | 8);
    let path = nifti.write(folder.path(), false);
    let options = ConvertOptions::default();
    let (volume, report) = converted(folder.path(), &path, "a/b", &options).unwrap();
    assert_eq!(volume.times(), 9);
    assert!(found(&report, "--fourth-axis").is_none());
}

#[test]
fn a_scan_of_three_axes_has_nothing_to_be_told_and_one_of_five_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = Nifti::small().write(folder.path(), false);
    let (volume, report) = converted(folder.path(), &path, "a/small", &channels()).unwrap();
    assert_eq!((volume.times(), volume.channels()), (1, 1));
    assert!(found(&report, "fourth axis").is_none());
    let five =
        Nifti::new(1, false, true, Dtype::Int16, &[6, 5, 4, 3, 2]).write(folder.path(), false);
    let error = converted(folder.path(), &five, "a/five", &channels()).unwrap_err();
    assert!(matches!(error, Error::InvalidArgument { .. }));
    let error = error.to_string();
    assert!(
        error.contains("2 channels in its fifth axis") && error.contains("3 time points"),
        "{error}"
    );
    let vector =
        Nifti::new(1, false, true, Dtype::Int16, &[6, 5, 4, 1, 2]).write(folder.path(), false);
    let (volume, _) = converted(folder.path(), &vector, "a/vector", &channels()).unwrap();
    assert_eq!((volume.times(), volume.channels()), (1, 2));
}

#[test]
fn channels_of_a_fourth_axis_are_exported_as_the_fourth_axis() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    for (n, (step, units, version)) in
        [(1.5, 2 | 8, 1), (700.0, 1 | 16, 2), (0.0, 2, 1), (1.5, 2 | 32, 2)].into_iter().enumerate()
    {
        let mut nifti = Nifti::new(version, n % 2 == 1, true, Dtype::Int16, &SIZES);
        (nifti.pixdim[4], nifti.units) = (step, units);
        // Both transforms, which have to come back too; of numbers that single precision holds.
        (nifti.qform_code, nifti.quatern) = (1, [0.125, -0.25, 0.5]);
        let source = nifti.write(at, false);
        let (volume, _) = converted(at, &source, &format!("s{n}/mr"), &channels()).unwrap();
        let out = at.join(format!("out{n}.nii.gz"));
        let pool = Pool::new(2).unwrap();
        let report = export(&volume, &out, &ExportOptions::default(), &pool, &|_| true).unwrap();
        let told = report.findings.iter().any(|f| f.message.contains("--fourth-axis channels"));
        assert!(told && (report.times, report.channels) == (1, 3));
        let (before, after) = (read(&source, 2).unwrap(), read(&out, 2).unwrap());
        assert_eq!(before.frames, after.frames);
        for field in ["dim", "pixdim", "xyzt_units", "qform", "sform", "qform_code", "intent_code"]
        {
            assert_eq!(before.header.fields[field], after.header.fields[field], "{field}");
        }
        assert_eq!(before.header.time_step, after.header.time_step);
        let (again, _) = converted(at, &out, &format!("s{n}/again"), &channels()).unwrap();
        assert_eq!(again.voxel_digest(), volume.voxel_digest());
        assert_eq!((again.times(), again.channels()), (1, 3));
        assert_eq!(again.affine(), volume.affine());
    }
}

#[test]
fn channels_of_a_prediction_are_no_fourth_axis_however_many_there_are() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let path = Nifti::new(1, false, true, Dtype::Int16, &SIZES).write(at, false);
    let (volume, _) = converted(at, &path, "a/mr", &ConvertOptions::default()).unwrap();
    let dataset = Dataset::open(at.join("s.zarr")).unwrap();
    let sampler = GridSampler::new([4, 4, 4], Overlap::Voxels([0; 3])).unwrap();
    let output = Output::new("a/p".parse().unwrap(), 0, Values::Float32);
    let outputs = vec![output];
    let options = PredictOptions::new(sampler, Blend::Crop, outputs).frames(Frames::All);
    let (volume, model) = (volume.view().scaled(), Model::start("cat").unwrap());
    let pool = Pool::new(1).unwrap();
    predict(&volume, &dataset, model, &options, &pool, &|_| true).unwrap();
    let made = dataset.volume("a/p").unwrap();
    assert_eq!((made.times(), made.channels()), (1, 3));
    let out = at.join("p.nii");
    export(&made, &out, &ExportOptions::default(), &pool, &|_| true).unwrap();
    let header = scan::open(&out).unwrap().header().clone();
    assert_eq!((header.times, header.channels), (1, 3));
}
