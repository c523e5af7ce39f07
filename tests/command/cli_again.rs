//! `convert` once more, and with names of labels.
#![allow(clippy::unwrap_used, reason = "helpers of tests may stop a test")]

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::common::nifti::Nifti;
use voxpatch::Dataset;

/// What was said, of a command that ends in this way.
#[track_caller]
fn run(folder: &Path, code: i32, line: &str) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_voxpatch"));
    let done = command.args(line.split(' ')).current_dir(folder).output().unwrap();
    let said = String::from_utf8([&done.stdout[..], &done.stderr].concat()).unwrap();
    assert_eq!(done.status.code(), Some(code), "{said}");
    said
}

fn digest(folder: &Path) -> String {
    let volume = Dataset::open(folder.join("s")).unwrap().volume("scan/image").unwrap();
    volume.voxel_digest().to_owned()
}

#[test]
fn a_rerun_leaves_what_is_there_already_if_it_is_to() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let mut nifti = Nifti::small();
    nifti.write(at, false);
    let convert = "convert scan.nii --out s";
    run(at, 0, &format!("{convert} --if-exists same"));
    let first = digest(at);
    let told = run(at, 0, &format!("{convert} --if-exists same"));
    assert!(told.contains("scan/image: there already, from the same file"), "{told}");
    let told = run(at, 0, &format!("{convert} --if-exists same --json"));
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert_eq!(told["unchanged"], serde_json::json!(["scan/image"]));
    assert_eq!(told["converted"], serde_json::json!([]));
    for line in [convert.to_owned(), format!("{convert} --if-exists same --narrow")] {
        assert!(run(at, 1, &line).contains("already exists"));
    }
    nifti.voxels[0] ^= 1;
    nifti.write(at, false);
    assert!(run(at, 1, &format!("{convert} --if-exists same")).contains("already exists"));
    assert_eq!(digest(at), first);
    run(at, 0, &format!("{convert} --if-exists overwrite"));
    assert_ne!(digest(at), first);
    run(at, 0, &format!("{convert} --if-exists same"));
    run(at, 2, &format!("{convert} --if-exists same --overwrite"));
}

#[test]
fn names_of_labels_come_from_a_file_in_either_form() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    Nifti::small().write(at, false);
    let convert = "convert scan.nii --out s --overwrite --label-names names.json";
    let names = |text: &str| fs::write(at.join("names.json"), text).unwrap();
    for text in [
        r#"{"channel_names": {"0": "CT"}, "labels": {"tumour": 2, "liver": 1}, "numTraining": 3}"#,
        r#"{"labels": {"1": "liver", "2": "tumour"}}"#,
        r#"{"liver": 1, "tumour": 2}"#,
    ] {
        names(text);
        run(at, 0, &format!("{convert} --label"));
        let volume = Dataset::open(at.join("s")).unwrap().volume("scan/image").unwrap();
        let kept = volume.attributes().labels.iter().map(|label| (label.value(), label.name()));
        assert_eq!(kept.collect::<Vec<_>>(), [(1, "liver"), (2, "tumour")], "{text}");
    }
    assert!(run(at, 1, convert).contains("label names"), "of intensities");
    for (text, words) in [
        (r#"{"labels": {"whole": [1, 2]}}"#, "region"),
        (r#"{"a": 1, "b": 1}"#, "label 1"),
        (r#"{"a": 1.5}"#, "1.5"),
        (r#"{"a": {"b": 1}}"#, "no label"),
        (r#"{"\u001b[31m": 1}"#, "letters and digits"),
        ("[1]", "names.json"),
        ("", "names.json"),
    ] {
        names(text);
        let told = run(at, 1, &format!("{convert} --label"));
        assert!(told.contains(words) && !told.contains('\u{1b}'), "{told}");
    }
}
