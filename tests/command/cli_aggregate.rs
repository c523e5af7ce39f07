//! `aggregate` and `finalise` from outside: what they make, what they say, what they leave.
#![allow(clippy::unwrap_used, reason = "helpers of tests may stop a test")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::common::predict::source;
use ndarray::Array3;
use serde_json::Value;
use voxpatch::{Dataset, Region};

const GRID: &str = "aggregate s.zarr/a/image --patch 8x16x16 --overlap 0.5 --scaled";

/// A store with `a/image`.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    drop(source(folder.path(), [40, 30, 36]));
    folder
}

fn command(folder: &Path, line: &str, model: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_voxpatch"));
    command.args(line.split(' ').filter(|word| !word.is_empty())).current_dir(folder);
    if !model.is_empty() {
        command.args(["--exec", model]);
    }
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// The same command with no signal ignored, as it would be if a shell started the tests in the
/// background.
fn heard(command: &Command) -> Command {
    let mut heard = Command::new("env");
    heard.arg("--default-signal").arg(command.get_program()).args(command.get_args());
    heard.current_dir(command.get_current_dir().unwrap());
    heard.stdout(Stdio::piped()).stderr(Stdio::piped());
    heard
}

fn run(folder: &Path, code: i32, line: &str, model: &str) -> String {
    let done = command(folder, line, model).output().unwrap();
    let shown = shown(&done);
    assert_eq!(done.status.code(), Some(code), "`{line}` --exec `{model}`: {shown}");
    shown
}

fn shown(done: &Output) -> String {
    let shown = [&done.stdout[..], &done.stderr].concat();
    let shown = String::from_utf8(shown).unwrap();
    assert!(!shown.contains("panicked"), "{shown}");
    shown
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}"))
}

fn read(folder: &Path, name: &str) -> Array3<f32> {
    let volume = Dataset::open(folder.join("s.zarr")).unwrap().volume(name).unwrap();
    volume.view().scaled().read(Region::whole(volume.shape())).unwrap()
}

fn is_identity(folder: &Path, name: &str) {
    let (found, expected) = (read(folder, name), read(folder, "a/image"));
    let close = found.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 0.02);
    assert!(close && found.dim() == expected.dim());
}

/// What there is beside volumes.
fn hidden(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder.join("s.zarr")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with(".aggregate")).collect()
}

#[test]
fn the_identity_comes_back_in_every_mode_and_is_told_of() {
    let folder = folder();
    let at = folder.path();
    let spread = "aggregate s.zarr/a/image --patch 8x16x16 --tile-step-size 0.7x0.5x1 --scaled";
    for (grid, mode) in ["crop", "average", "hann", "gaussian", "gaussian:0.25", "nnunet"]
        .map(|mode| (GRID, mode))
        .into_iter()
        .chain([(spread, "crop"), (spread, "nnunet")])
    {
        let line = format!("{grid} --mode {mode} --overwrite");
        let text = run(at, 0, &line, "cat");
        assert!(text.contains("a/prediction") && text.contains("patches"), "{text}");
        is_identity(at, "a/prediction");
    }
    let line = format!(
        "{GRID} --mode hann --output mask=threshold:50 --output p=uint16:0.01 --batch 3 --memory 8kB \
         --chunk 8x8x8 --shard 8x32x40 --codec zstd:3 --json"
    );
    let report = json(&run(at, 0, &line, "cat"));
    assert_eq!(report["patches"], report["of"]);
    assert!(report["memory"]["spilled_peak"].as_u64().unwrap() > 0);
    assert_eq!(report["published"]["outputs"][0]["kind"], "label");
    assert_eq!(report["published"]["outputs"][1]["layout"]["codec"], "zstd:3");
    is_identity(at, "a/p");
    let info = run(at, 0, "info s.zarr/a/mask", "");
    assert!(info.contains("from predictions") && info.contains("blended by hann"), "{info}");
    run(at, 0, "verify s.zarr", "");
    assert!(hidden(at).is_empty());
}

#[test]
fn what_is_not_understood_exits_2_and_what_fails_says_what_helps() {
    let folder = folder();
    let at = folder.path();
    for (flags, told) in [
        ("--mode nonsense", "gaussian"),
        ("--mode crop --output p=int8", "argmax"),
        ("--mode crop --output p=argmax --output p=float32", "given twice"),
        ("--mode crop --output p", "IMAGE=VALUES"),
        ("--mode crop --resume --restart", "cannot be used"),
        ("--mode crop --part 3/2", "1/4"),
        ("--mode crop --part 1/2 --parts 2", "cannot be used"),
        ("--mode crop --pad-borders", "--pad"),
        ("--mode crop --memory lots", "512MB"),
        ("--mode crop --non-finite maybe", "keep"),
        ("--mode crop --chunk 8x8x8 --shard 12x8x8", "shard"),
    ] {
        let text = run(at, 2, &format!("{GRID} {flags}"), "cat");
        assert!(text.contains(told), "{flags}: {text}");
    }
    let grid = "aggregate s.zarr/a/image --mode crop";
    for overlap in ["8x16x16", "1.0", "16", "0.5x0.5"] {
        run(at, 2, &format!("{grid} --patch 8x16x16 --overlap {overlap}"), "cat");
    }
    for steps in
        ["", "--tile-step-size 0", "--tile-step-size 1.5", "--tile-step-size 0.5 --overlap 0"]
    {
        run(at, 2, &format!("{grid} --patch 8x16x16 {steps}"), "cat");
    }
    let text = run(at, 1, &format!("{grid} --patch 64x16x16 --overlap 0"), "cat");
    assert!(text.contains("--pad edge"), "{text}");
    let text = run(at, 1, &format!("{GRID} --mode crop"), "echo hello");
    assert!(text.contains("`echo hello`") && text.contains("hello\\n"), "{text}");
    assert!(!text.contains("--resume"), "nothing was begun: {text}");
    let text = run(at, 1, &format!("{GRID} --mode crop --output image=float32"), "cat");
    assert!(text.contains("a/image") && text.contains("--output OTHER"), "{text}");
    let text = run(at, 1, "finalise s.zarr/a/none", "");
    assert!(text.contains("none"), "{text}");
    assert!(hidden(at).is_empty());
}

#[test]
fn labels_drawn_by_hand_outlive_predictions_of_the_same_name() {
    let folder = folder();
    let at = folder.path();
    run(at, 0, "export s.zarr/a/image --out organs.nii", "");
    run(at, 0, "convert organs.nii --out s.zarr --name a/organs", "");
    let line = format!("{GRID} --mode crop --output organs=threshold:50");
    for flag in ["", " --overwrite"] {
        let text = run(at, 1, &format!("{line}{flag}"), "cat");
        assert!(text.contains("no predictions") && text.contains("--overwrite-source"), "{text}");
        assert!(!text.contains("--overwrite replaces"), "{text}");
    }
    let info = json(&run(at, 0, "info s.zarr/a/organs --json", ""));
    assert_eq!(info["predicted_from"], Value::Null);
    run(at, 0, &format!("{line} --overwrite-source"), "cat");
    // From now on they are predictions.
    assert!(run(at, 1, &line, "cat").contains("--overwrite replaces"));
    run(at, 0, &format!("{line} --overwrite"), "cat");
}

#[test]
fn a_volume_smaller_than_the_patch_is_padded() {
    let folder = folder();
    let at = folder.path();
    let line = "aggregate s.zarr/a/image --patch 64x16x16 --overlap 0x8x8 --mode hann --scaled \
                --pad constant:-7 --pad-borders";
    run(at, 0, line, "cat");
    is_identity(at, "a/prediction");
}

/// Answers some patches, makes a file that says so, and waits.
fn stalls(answered: usize) -> String {
    let bytes = answered * (128 + 8 * 16 * 16 * 4);
    format!("if [ -e stalled ]; then cat; else head -c {bytes}; touch stalled; sleep 9; fi")
}

fn wait_for(path: &Path) {
    let until = Instant::now() + Duration::from_mins(1);
    while !path.exists() {
        assert!(Instant::now() < until, "{} never came", path.display());
        std::thread::sleep(Duration::from_millis(10));
    }
    // For what was answered to be taken in and written.
    std::thread::sleep(Duration::from_millis(300));
}

#[test]
fn a_stopped_run_publishes_nothing_and_is_resumed() {
    for signal in ["INT", "KILL"] {
        let folder = folder();
        let at = folder.path();
        let line = format!("{GRID} --mode average --chunk 4x8x8 --shard 4x32x40");
        let running = heard(&command(at, &line, &stalls(60))).spawn().unwrap();
        wait_for(&at.join("stalled"));
        let mut kill = Command::new("kill");
        kill.args([format!("-{signal}"), running.id().to_string()]);
        assert!(kill.status().unwrap().success());
        let done = running.wait_with_output().unwrap();
        let text = shown(&done);
        if signal == "INT" {
            assert_eq!(done.status.code(), Some(130), "{text}");
            assert!(text.contains("--resume"), "{text}");
        }
        assert!(Dataset::open(at.join("s.zarr")).unwrap().volume("a/prediction").is_err());
        assert_eq!(hidden(at).len(), 1);
        let text = run(at, 1, &line, &stalls(60));
        assert!(text.contains("--resume") && text.contains("--restart"), "{text}");
        let text = run(at, 1, &format!("{line} --resume"), "cat");
        assert!(text.contains("the maker of the predictions"), "{text}");
        if signal == "INT" {
            // It was kept when it was told to stop, and is asked for no patch twice.
            let text = run(at, 0, &format!("{line} --resume"), &stalls(60));
            let of = 9 * 3 * 4;
            let told = format!("resuming: {} of {of} patches are left", of - 60);
            assert!(text.contains(&told), "{text}");
        } else {
            let report = json(&run(at, 0, &format!("{line} --resume --json"), &stalls(60)));
            let [patches, of] = ["patches", "of"].map(|key| report[key].as_u64().unwrap());
            assert!(patches > 0 && patches < of, "{patches} of {of}");
        }
        is_identity(at, "a/prediction");
        assert!(hidden(at).is_empty());
    }
}

#[test]
fn the_model_and_what_it_started_end_with_a_command_that_is_killed_or_interrupted_twice() {
    for signals in [&["-KILL"][..], &["-INT", "-INT"]] {
        let folder = folder();
        let at = folder.path();
        // It ignores the end of its input.
        let model = "sleep 600 & echo $! > left; echo $$ > own; touch begun; exec sleep 600";
        let line = format!("{GRID} --mode crop");
        let mut running = heard(&command(at, &line, model)).spawn().unwrap();
        wait_for(&at.join("begun"));
        for signal in signals {
            // The second may find it gone already.
            let mut kill = Command::new("kill");
            kill.args([signal, &*running.id().to_string()]).stderr(Stdio::null());
            kill.status().unwrap();
        }
        running.wait().unwrap();
        let until = Instant::now() + Duration::from_mins(1);
        for file in ["left", "own"] {
            let pid = fs::read_to_string(at.join(file)).unwrap();
            let stat = format!("/proc/{}/stat", pid.trim());
            while fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z")) {
                assert!(Instant::now() < until, "{file} outlives the command");
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    }
}

#[test]
fn hanging_up_does_not_end_a_command_that_nohup_started() {
    let folder = folder();
    let at = folder.path();
    let line = format!("{GRID} --mode average --chunk 4x8x8 --shard 4x32x40");
    let model = "touch begun; while [ ! -e go ]; do sleep 0.01; done; cat";
    let voxpatch = command(at, &line, model);
    let mut nohup = Command::new("nohup");
    nohup.arg(voxpatch.get_program()).args(voxpatch.get_args()).current_dir(at);
    let running = nohup.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_for(&at.join("begun"));
    let id = running.id().to_string();
    assert!(Command::new("kill").args(["-HUP", &id]).status().unwrap().success());
    std::thread::sleep(Duration::from_millis(200));
    fs::write(at.join("go"), "").unwrap();
    let done = running.wait_with_output().unwrap();
    assert_eq!(done.status.code(), Some(0), "{}", shown(&done));
    is_identity(at, "a/prediction");
}

#[test]
fn a_run_begins_anew_if_it_is_told_to() {
    let folder = folder();
    let at = folder.path();
    let line = format!("{GRID} --chunk 4x8x8 --shard 4x32x40");
    run(at, 1, &format!("{line} --mode average"), "head -c 500000; exit 1");
    assert!(run(at, 1, &format!("{line} --mode hann --resume"), "cat").contains("--restart"));
    run(at, 0, &format!("{line} --mode hann --restart"), "cat");
    is_identity(at, "a/prediction");
    assert!(hidden(at).is_empty());
}

#[test]
fn parts_are_made_by_processes_side_by_side() {
    let folder = folder();
    let at = folder.path();
    let line = format!("{GRID} --mode hann --shard 8x32x40 --chunk 8x8x8 --output p=float32");
    let parts = json(&run(at, 0, &format!("{line} --parts 2 --json"), "cat"));
    assert_eq!(parts.as_array().unwrap().len(), 2);
    assert!(parts[0]["shared"].as_u64().unwrap() > 0);
    let table = run(at, 0, &format!("{line} --parts 2"), "cat");
    assert!(table.contains("2/2") && table.contains("predictions instead of"), "{table}");
    assert!(hidden(at).is_empty());
    let running: Vec<_> = [1, 2]
        .map(|n| command(at, &format!("{line} --part {n}/2 --json"), "cat").spawn().unwrap())
        .into();
    for (n, part) in running.into_iter().enumerate() {
        let done = part.wait_with_output().unwrap();
        let text = shown(&done);
        assert!(done.status.success(), "{text}");
        assert_eq!(json(&text)["patches"], parts[n]["patches"]);
    }
    assert!(Dataset::open(at.join("s.zarr")).unwrap().volume("a/p").is_err());
    let text = run(at, 0, "finalise s.zarr/a/p", "");
    assert!(text.contains("a/p"), "{text}");
    is_identity(at, "a/p");
    assert!(hidden(at).is_empty());
    // One part alone is not enough, which info tells to people and to programs.
    run(at, 0, &format!("{line} --overwrite --part 1/2"), "cat");
    for named in ["s.zarr", "s.zarr/a/p"] {
        let begun = json(&run(at, 0, &format!("info {named} --json"), ""))["unfinished"].clone();
        assert_eq!(begun[0]["outputs"], serde_json::json!(["a/p"]), "{begun}");
        assert!(begun[0]["written"].as_u64() < begun[0]["shards"].as_u64(), "{begun}");
        assert!(
            run(at, 0, &format!("info {named}"), "").contains("unfinished: the prediction of a/p")
        );
    }
    assert_eq!(
        json(&run(at, 0, "info s.zarr/a/image --json", ""))["unfinished"],
        serde_json::json!([])
    );
    let text = run(at, 1, "finalise s.zarr/a/p --overwrite", "");
    assert!(text.contains("a/p"), "{text}");
    is_identity(at, "a/p");
}

#[test]
fn predictions_that_are_not_finite_are_refused_kept_or_replaced() {
    let folder = folder();
    let at = folder.path();
    // Half precision that is NaN throughout: 0xffff.
    let block = 128 + 8 * 16 * 16 * 2;
    let header = "{\\047descr\\047: \\047<f2\\047, \\047fortran_order\\047: False, \
                  \\047shape\\047: (1, 1, 8, 16, 16), }";
    let length = header.replace("\\047", "'").len();
    let model = format!(
        "while [ $(head -c {} | wc -c) -gt 0 ]; do printf '\\223NUMPY\\001\\000\\{length:03o}\\000{header}'; \
         head -c 4096 /dev/zero | tr '\\000' '\\377'; done",
        128 + 8 * 16 * 16 * 4
    );
    assert_eq!(block, 128 + 4096);
    let line = format!("{GRID} --mode hann");
    let text = run(at, 1, &line, &model);
    assert!(text.contains("NaN") && text.contains("--non-finite"), "{text}");
    run(at, 0, &format!("{line} --restart --non-finite 3"), &model);
    assert!(read(at, "a/prediction").iter().all(|v| (v - 3.0).abs() < 1e-5));
    run(at, 0, &format!("{line} --overwrite --non-finite keep"), &model);
    assert!(read(at, "a/prediction").iter().all(|v| v.is_nan()));
}

#[test]
fn a_run_that_is_killed_goes_on_from_its_last_checkpoint() {
    let folder = folder();
    let at = folder.path();
    // One shard: without what was kept there is nothing to go on from.
    let line = format!("{GRID} --mode hann --chunk 40x32x40 --shard 40x32x40 --save-every 1");
    let slow = "if [ -e stalled ]; then cat; else for n in 1 2 3; do sleep 1.2; head -c 82560; done; \
                touch stalled; sleep 9; fi";
    let mut running = heard(&command(at, &line, slow)).spawn().unwrap();
    wait_for(&at.join("stalled"));
    running.kill().unwrap();
    running.wait().unwrap();
    let report = json(&run(at, 0, &format!("{line} --resume --json"), slow));
    let [patches, of] = ["patches", "of"].map(|key| report[key].as_u64().unwrap());
    assert!(patches > 0 && patches < of, "{patches} of {of}");
    is_identity(at, "a/prediction");
}

#[test]
fn scores_that_a_scale_cuts_off_are_told_of_and_a_setting_that_differs_is_named() {
    let folder = folder();
    let at = folder.path();
    let line = format!("{GRID} --mode average --chunk 4x8x8 --shard 4x32x40");
    let text = run(at, 0, &format!("{line} --output p=uint8:0.01"), "cat");
    assert!(text.contains("a/p: ") && text.contains("uint8:SCALE"), "{text}");
    let text = run(at, 0, &format!("{line} --output q=float32"), "cat");
    assert!(!text.contains("uint8:SCALE"), "{text}");
    run(at, 1, &format!("{line} --output r=uint8:2"), "head -c 500000; exit 1");
    let text =
        run(at, 1, &format!("{line} --output r=uint16:2 --resume"), "head -c 500000; exit 1");
    let told = "the output a/r: values were uint8:2, and are now uint16:2";
    assert!(text.contains(told), "{text}");
}
