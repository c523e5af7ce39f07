//! The command and scans of several frames: what the fourth axis is, and which frames are read.
#![allow(clippy::unwrap_used, reason = "helpers of tests may stop a test")]

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::common::nifti::{Nifti, expected};
use voxpatch::{Dataset, Dtype, Frame, npy, scan};

/// Shape of a frame of `mr.nii`.
const SHAPE: [usize; 3] = [4, 5, 6];

/// Runs a command; its exit code, and what it printed where.
fn voxpatch(folder: &Path, line: &str) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_voxpatch"));
    let done = command.args(line.split(' ')).current_dir(folder).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (done.status.code().unwrap(), text(done.stdout), text(done.stderr))
}

fn succeed(folder: &Path, line: &str) -> String {
    let (code, printed, complaint) = voxpatch(folder, line);
    assert_eq!(code, 0, "`{line}`: {complaint}");
    printed
}

fn fail(folder: &Path, code: i32, line: &str) -> String {
    let (found, _, complaint) = voxpatch(folder, line);
    assert_eq!(found, code, "`{line}`: {complaint}");
    complaint
}

/// A folder with `mr.nii` of three entries in the fourth axis, of which it is not said what they
/// are.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut nifti = Nifti::new(1, false, true, Dtype::Int16, &[6, 5, 4, 3]);
    nifti.pixdim[4] = 0.0;
    fs::rename(nifti.write(folder.path(), false), folder.path().join("mr.nii")).unwrap();
    folder
}

/// What a .npy of these entries of the file's fourth axis is.
fn npy_of(entries: &[usize], shape: &[usize]) -> Vec<u8> {
    let frame = |n: &usize| expected(Dtype::Int16, Frame { time: *n, channel: 0 }, SHAPE);
    let voxels: Vec<u8> = entries.iter().flat_map(frame).collect();
    let voxels: Vec<i16> = bytemuck::pod_collect_to_vec(&voxels);
    [npy::header(Dtype::Int16, shape), npy::numbers(&voxels).into_owned()].concat()
}

#[test]
fn weightings_in_the_fourth_axis_are_stored_read_and_exported_as_channels() {
    let folder = folder();
    let at = folder.path();
    let told = succeed(at, "convert mr.nii --out s --name a/time");
    assert!(told.contains("guessed") && told.contains("--fourth-axis channels"), "{told}");
    let told = succeed(at, "convert mr.nii --out s --name a/mr --fourth-axis channels");
    assert!(told.contains("decided: the fourth axis was stored as 3 channels"), "{told}");
    assert!(told.contains("3 channels") && !told.contains("time points"), "{told}");
    let read = |volume: &str, frame: &str| {
        let line = format!(
            "read s/a/{volume} --start 0,0,0 --shape 4x5x6 --out p.npy --overwrite {frame}"
        );
        let told = succeed(at, &line);
        (fs::read(at.join("p.npy")).unwrap(), told)
    };
    for (volume, frame) in [("mr", "--frames all"), ("mr", "--frames 0"), ("time", "--frames all")]
    {
        let (found, told) = read(volume, frame);
        assert!(found == npy_of(&[0, 1, 2], &[3, 4, 5, 6]), "{volume} {frame}");
        assert!(told.contains("3 frames, 4x5x6 of int16; 3 chunks"), "{told}");
    }
    assert!(read("time", "--frames 1").0 == npy_of(&[1], &[1, 4, 5, 6]));
    assert!(read("time", "--frame 1,0").0 == npy_of(&[1], &[4, 5, 6]));
    assert!(read("mr", "--frame 0,2").0 == npy_of(&[2], &[4, 5, 6]));
    let told = succeed(at, "export s/a/mr --out again.nii");
    assert!(told.contains("--fourth-axis channels"), "{told}");
    let [before, after] =
        ["mr.nii", "again.nii"].map(|name| scan::open(&at.join(name)).unwrap().header().clone());
    assert_eq!(before.fields["dim"], after.fields["dim"]);
}

#[test]
fn which_frames_are_read_is_said_or_asked_for() {
    let folder = folder();
    let at = folder.path();
    succeed(at, "convert mr.nii --out s --name a/mr --fourth-axis time");
    let read = "read s/a/mr --start 0,0,0 --shape 4x5x6 --out";
    let told = fail(at, 1, &format!("{read} p.npy"));
    assert!(told.contains("--frame 0,0") && told.contains("--frames all"), "{told}");
    let told = fail(at, 1, &format!("{read} p.nii --frames all"));
    assert!(told.contains(".npy alone") && told.contains("export"), "{told}");
    let told = fail(at, 1, &format!("{read} p.npy --frames 3"));
    assert!(told.contains("has 3, counted from 0"), "{told}");
    for (wrong, expected) in [
        ("--frame all", "such as 2,0"),
        ("--frame 1", "such as 2,0"),
        ("--frames 0,0", "a time point from 0, or all"),
        ("--frame 0,0 --frames all", "cannot be used"),
    ] {
        let told = fail(at, 2, &format!("{read} p.npy {wrong}"));
        assert!(told.contains(expected), "{told}");
    }
    let told = fail(at, 2, "convert mr.nii --out s --fourth-axis c");
    assert!(told.contains("use channels or time"), "{told}");
    assert!(!at.join("p.npy").exists() && !at.join("p.nii").exists());
}

#[test]
fn files_are_joined_as_channels_and_folders_give_their_scans() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    fs::create_dir(at.join("in")).unwrap();
    for name in ["case_0000.nii", "case_0001.nii"] {
        fs::write(at.join("in").join(name), Nifti::small().bytes()).unwrap();
    }
    let files = "in/case_0000.nii in/case_0001.nii";
    succeed(at, &format!("convert {files} --channels --out s"));
    let volume = Dataset::open(at.join("s")).unwrap().volume("case/image").unwrap();
    assert_eq!((volume.times(), volume.channels()), (1, 2));
    succeed(at, &format!("convert {files} --channels --out s --name a/b"));
    succeed(at, "convert in --out s");
    let names = Dataset::open(at.join("s")).unwrap().volumes().unwrap();
    let names: Vec<_> = names.iter().map(ToString::to_string).collect();
    assert_eq!(names, ["a/b", "case/image", "case_0000/image", "case_0001/image"]);
}

#[test]
fn patches_of_a_frozen_store_are_written_as_the_voxpatch_that_stored_it_wrote_them() {
    let folder = tempfile::tempdir().unwrap();
    let frozen = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/frozen");
    for image in ["scanner", "talairach", "mni", "template", "meaningless", "untold", "times"] {
        let volume = frozen.join("nifti.zarr/nifti").join(image);
        let read = format!("read {} --start 1,1,1 --shape 2x2x2", volume.display());
        succeed(folder.path(), &format!("{read} --frame 0,0 --out p.nii --overwrite"));
        let expected = frozen.join("nifti").join(format!("{image}-patch.nii"));
        let found = fs::read(folder.path().join("p.nii")).unwrap();
        assert!(found == fs::read(expected).unwrap(), "{image}");
    }
    let volume = frozen.join("nifti.zarr/nifti/mni");
    let read = format!("read {} --start 0,0,0 --shape 2x2x2 --out", volume.display());
    let told = fail(folder.path(), 2, &format!("{read} p.nrrd"));
    assert!(told.contains(".npy, .nii.gz, .nii"), "{told}");
    let told = fail(folder.path(), 2, &format!("export {} --out p.nrrd", volume.display()));
    assert!(told.contains("must end in .nii.gz or .nii"), "{told}");
}
