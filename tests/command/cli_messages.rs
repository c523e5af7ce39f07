//! What the command says where something is in the way, or is not what it should be.
#![allow(clippy::unwrap_used, reason = "helpers of tests may stop a test")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use crate::common::nifti::Nifti;
use crate::common::predict::source;
use voxpatch::{Dtype, scan};

/// A folder with a store `s.zarr` that holds `a/image`.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    drop(source(folder.path(), [40, 30, 36]));
    folder
}

fn command(folder: &Path, line: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_voxpatch"));
    command.args(line.split(' ')).current_dir(folder);
    command
}

/// Everything that was said, of a command that ends in this way.
#[track_caller]
fn said(done: &Output, code: i32) -> String {
    let said = String::from_utf8([&done.stdout[..], &done.stderr].concat()).unwrap();
    assert_eq!(done.status.code(), Some(code), "{said}");
    assert!(!said.contains("panicked"), "{said}");
    said
}

#[track_caller]
fn run(folder: &Path, code: i32, line: &str) -> String {
    said(&command(folder, line).output().unwrap(), code)
}

#[test]
fn a_patch_is_not_written_over_a_file_unasked() {
    let folder = folder();
    let at = folder.path();
    for file in ["p.npy", "p.nii", "p.nii.gz"] {
        fs::write(at.join(file), "mine").unwrap();
        let read = format!("read s.zarr/a/image --start 0,0,0 --shape 4x4x4 --out {file}");
        let text = run(at, 1, &read);
        assert!(text.contains(file) && text.contains("--overwrite"), "{text}");
        assert_eq!(fs::read(at.join(file)).unwrap(), b"mine");
        run(at, 0, &format!("{read} --overwrite"));
        assert_ne!(fs::read(at.join(file)).unwrap(), b"mine");
    }
}

#[test]
fn chunks_of_a_read_are_counted_as_they_are_read() {
    let folder = folder();
    let at = folder.path();
    let read = "read s.zarr/a/image --shape 2x2x2 --overwrite --out p.npy";
    assert!(run(at, 0, &format!("{read} --start 0,0,0")).contains("; 1 chunk, "));
    let outside = format!("{read} --start -9,-9,-9 --pad");
    assert!(run(at, 0, &format!("{outside} edge")).contains("; 1 chunk, "));
    assert!(run(at, 0, &format!("{outside} constant:7")).contains("; 0 chunks, 0 B read"));
}

#[test]
fn a_padding_that_the_voxels_cannot_hold_is_told_with_the_flag_that_widens_them() {
    let folder = folder();
    let at = folder.path();
    let read = "read s.zarr/a/image --start -1,0,0 --shape 1x1x1 --out p.npy --pad constant:70000";
    let aggregate = "aggregate s.zarr/a/image --patch 16x16x16 --overlap 0.5 --mode crop \
                     --exec cat --pad constant:70000";
    for line in [read, aggregate] {
        let text = run(at, 1, line);
        let words = ["constant:70000", "int16", "-32768 to 32767", "--dtype"];
        assert!(words.iter().all(|word| text.contains(word)), "{text}");
    }
    run(at, 0, &format!("{read} --dtype int32"));
    assert!(fs::read(at.join("p.npy")).unwrap().ends_with(&70_000_i32.to_le_bytes()));
    assert!(run(at, 2, &format!("{read} --dtype int32 --scaled")).contains("cannot be used with"));
}

#[test]
fn the_usage_told_is_that_of_the_command_that_was_typed() {
    let folder = folder();
    for (line, usage) in [
        ("convert a.nii b.nii --out s --name a/b", "voxpatch convert"),
        ("plan a.nii --codec auto", "voxpatch plan"),
        ("bench s --patch 8x8x8 --access random --overlap 1x1x1", "voxpatch bench"),
    ] {
        let text = run(folder.path(), 2, line);
        assert!(text.contains(&format!("Usage: {usage} ")), "{text}");
    }
}

#[test]
fn a_level_that_a_codec_does_not_have_is_told_with_those_it_has() {
    let folder = folder();
    let text = run(folder.path(), 2, "convert a.nii --out s --codec blosc:99");
    assert!(text.contains("the level goes from 0 to 9"), "{text}");
    assert!(!text.contains("auto, to try") && text.matches("blosc:99").count() == 1, "{text}");
    let text = run(folder.path(), 2, "convert a.nii --out s --codec middle");
    assert!(text.contains("or auto, to try several"), "{text}");
}

#[test]
fn a_store_that_is_a_file_is_refused_as_one() {
    let folder = folder();
    let at = folder.path();
    let scan = Nifti::small().write(at, false);
    fs::write(at.join("file"), "mine").unwrap();
    let text = run(at, 1, &format!("convert {} --out file", scan.display()));
    assert!(text.contains("a store is a folder") && !text.contains("cannot list"), "{text}");
    assert_eq!(fs::read(at.join("file")).unwrap(), b"mine");
}

#[test]
fn a_limit_of_the_size_of_files_is_told_and_leaves_nothing() {
    let folder = folder();
    let at = folder.path();
    let line = "ulimit -f 8; exec \"$0\" export s.zarr/a/image --out out.nii";
    let mut shell = Command::new("sh");
    shell.args(["-c", line, env!("CARGO_BIN_EXE_voxpatch")]).current_dir(at);
    let text = said(&shell.output().unwrap(), 1);
    assert!(text.contains("out.nii") && text.contains("too large"), "{text}");
    assert_eq!(fs::read_dir(at).unwrap().count(), 1);
}

#[test]
fn a_plan_that_takes_not_the_least_score_says_why() {
    let folder = folder();
    let text = run(
        folder.path(),
        0,
        "plan --shape 275x512x512 --spacing 1x0.78x0.78 --dtype int16 --patch 96x160x160",
    );
    assert!(text.contains("A score is the time of a patch"), "{text}");
    let scores: Vec<f64> = text
        .lines()
        .filter(|line| ["chosen", "runner-up", "cube"].iter().any(|role| line.contains(role)))
        .filter_map(|line| line.split_whitespace().rev().nth(1)?.parse().ok())
        .collect();
    let is_least = scores[1..].iter().all(|score| *score >= scores[0]);
    assert!(is_least || text.contains("accurate to about 2 %"), "{text}");
}

#[test]
fn a_demo_with_a_scan_goes_on_with_that_scan() {
    let folder = folder();
    let at = folder.path();
    let scan = Nifti::new(1, false, true, Dtype::Int16, &[20, 20, 20]).write(at, false);
    let line = format!("demo {} --patch 8x8x8", scan.display());
    let text = said(&command(at, &line).env("TMPDIR", at).output().unwrap(), 0);
    assert!(text.contains(&format!("convert {} --out", scan.display())), "{text}");
    assert!(!text.contains("SCAN.nii.gz"), "{text}");
}

#[test]
fn few_values_are_called_labels_by_the_flag_that_makes_them_so() {
    let folder = folder();
    let at = folder.path();
    let mut nifti = Nifti::new(1, false, true, Dtype::UInt8, &[20, 20, 20]);
    nifti.voxels.iter_mut().for_each(|voxel| *voxel %= 3);
    let scan = nifti.write(at, false);
    let text = run(at, 0, &format!("convert {} --out s.zarr --name b/c", scan.display()));
    assert!(text.contains("only 3 values occur") && text.contains("--label"), "{text}");
}

#[test]
fn an_export_is_of_the_version_that_was_asked_for() {
    let folder = folder();
    let at = folder.path();
    let scan = Nifti::new(1, false, true, Dtype::Int16, &[20, 20, 20]).write(at, false);
    run(at, 0, &format!("convert {} --out s.zarr --name b/image", scan.display()));
    let model = "aggregate s.zarr/b/image --patch 8x16x16 --overlap 0 --mode crop --scaled \
                 --output p=uint8 --output q=uint16:0.01 --exec cat";
    run(at, 0, model);
    for (image, flags, format) in [
        // Scores of every scale are read by viewers that know NIfTI-1 alone.
        ("p", "", "nifti-1"),
        ("q", "", "nifti-1"),
        ("p", " --nifti 2", "nifti-2"),
        ("p", " --nifti 1", "nifti-1"),
    ] {
        let line = format!("export s.zarr/b/{image} --out out.nii --overwrite{flags}");
        let text = run(at, 0, &line);
        assert!(text.contains(format), "{line}: {text}");
        let read = scan::open(&at.join("out.nii")).unwrap();
        assert_eq!(read.header().format, format);
    }
    assert!(run(at, 2, "export s.zarr/b/p --out out.nii --nifti 3").contains("1 or 2"));
}
