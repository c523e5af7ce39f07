//! `voxpatch bench` from outside: what it reports, draws, refuses and leaves behind. Nothing here
//! depends on how fast anything is.
#![allow(clippy::unwrap_used, reason = "helpers of tests may stop a test")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use crate::common::dense::{DenseScan, store, voxels};
use crate::common::place::generation;
use serde_json::{Value, json};
use voxpatch::layout::{Access, PlanOptions, Workload};
use voxpatch::{ConvertOptions, Dataset};

const SHAPE: [usize; 5] = [1, 1, 20, 40, 36];

/// A folder with the store `s`: `a/ct` of `int16`, converted for two patch shapes at random, and
/// `b/pet`, two frames of `float32` narrowed, for a grid of patches larger than it.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let dataset = Dataset::create(folder.path().join("s")).unwrap();
    let options = |patches: &[&str], access, narrow| {
        ConvertOptions::default()
            .workload(Some(
                Workload::new(patches.iter().map(|p| p.parse().unwrap()).collect(), access)
                    .unwrap(),
            ))
            .plan(PlanOptions::default().chunk(Some([4, 8, 16])))
            .narrow(narrow)
    };
    let random = options(&["8x16x16", "1x40x36"], Access::Random, false);
    store(DenseScan::new(&voxels::<i16>(SHAPE, 1)), &dataset, "a/ct", &random).unwrap();
    let grid = options(&["64x16x16"], Access::Grid { overlap: [0, 4, 4] }, true);
    let frames = voxels::<f32>([2, 1, 9, 30, 31], 2);
    store(DenseScan::new(&frames), &dataset, "b/pet", &grid).unwrap();
    fs::create_dir(folder.path().join("tmp")).unwrap();
    folder
}

fn command(folder: &Path, line: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_voxpatch"));
    command.arg("bench").args(line.split(' ')).current_dir(folder);
    command.env("TMPDIR", folder.join("tmp"));
    command
}

/// Nothing is left in the temporary folder, whatever the command did.
fn bench(folder: &Path, line: &str) -> Output {
    let done = command(folder, line).output().unwrap();
    assert_eq!(fs::read_dir(folder.join("tmp")).unwrap().count(), 0, "`{line}` leaves something");
    assert!(!text(&done.stderr).contains("panicked"), "{}", text(&done.stderr));
    done
}

fn succeed(folder: &Path, line: &str) -> String {
    let done = bench(folder, line);
    assert_eq!(done.status.code(), Some(0), "`{line}`: {}", text(&done.stderr));
    text(&done.stdout)
}

fn report(folder: &Path, line: &str) -> Value {
    serde_json::from_str(&succeed(folder, &format!("{line} --json --seconds 0.05"))).unwrap()
}

fn fail(folder: &Path, code: i32, line: &str) -> String {
    let done = bench(folder, line);
    assert_eq!(done.status.code(), Some(code), "`{line}`: {}", text(&done.stderr));
    text(&done.stderr)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn rows(report: &Value, volume: usize) -> &Vec<Value> {
    report["volumes"][volume]["rows"].as_array().unwrap()
}

fn near(a: &Value, b: f64) -> bool {
    (a.as_f64().unwrap() - b).abs() <= 1e-9 * b.abs()
}

#[test]
fn by_default_every_volume_is_read_as_it_was_converted_for() {
    let folder = folder();
    let report = report(folder.path(), "s --patches 99");
    assert_eq!(report["voxpatch"], env!("CARGO_PKG_VERSION"));
    assert!(report["machine"]["processors"].as_u64() >= Some(1));
    assert_eq!((&report["cold_method"], &report["failed"]), (&Value::Null, &json!([])));

    let names: Vec<_> =
        report["volumes"].as_array().unwrap().iter().map(|v| v["name"].clone()).collect();
    assert_eq!(names, ["a/ct", "b/pet"]);
    let patches: Vec<_> = rows(&report, 0).iter().map(|row| row["patch"].clone()).collect();
    assert_eq!(patches, [json!([8, 16, 16]), json!([1, 40, 36])]);
    assert!(rows(&report, 0).iter().all(|row| row["access"] == "random" && row["threads"] == 1));

    let pet = &report["volumes"][1];
    assert_eq!((&pet["dtype"], &pet["stored_dtype"]), (&json!("float32"), &json!("uint8")));
    assert_eq!((&pet["times"], &pet["copy_bytes"]), (&json!(2), &json!(4 * 9 * 30 * 31)));
    // Cut down to the volume; the grid has 1 x 3 x 3 places.
    assert_eq!(rows(&report, 1)[0]["patch"], json!([9, 16, 16]));
    assert_eq!(rows(&report, 1)[0]["access"], json!({"grid": {"overlap": [0, 4, 4]}}));
    assert_eq!(rows(&report, 1)[0]["patches"], 9);
}

#[test]
fn the_numbers_of_a_row_agree_with_each_other() {
    let folder = folder();
    let line = "s/a/ct --patch 8x16x16 --patch 20x40x36 --access both --overlap 1x2x3 \
                --threads 1,2 --patches 5";
    let report = report(folder.path(), line);
    assert_eq!(rows(&report, 0).len(), 2 * 2 * 2);
    for row in rows(&report, 0) {
        let patch: u64 =
            row["patch"].as_array().unwrap().iter().map(|n| n.as_u64().unwrap()).product();
        let whole = patch == 20 * 40 * 36;
        assert_eq!(row["voxels_per_patch"], patch);
        assert_eq!(row["bytes_per_patch"], 2 * patch);
        let bytes = row["bytes_per_patch"].as_f64().unwrap();
        let single = whole && row["access"] != "random";
        assert_eq!(row["patches"], if single { 1 } else { 5 });
        assert!(row["passes"].as_u64() >= Some(3));
        assert_eq!((&row["cache"], &row["compared"]), (&json!("warm"), &json!(true)));
        if whole {
            // Every chunk, and of those at the border what lies beyond it.
            assert_eq!(row["chunks_per_patch"], 5.0 * 5.0 * 3.0);
            assert!(near(&row["amplification"], f64::from(20 * 40 * 48) / f64::from(20 * 40 * 36)));
            let stored = report["volumes"][0]["stored_bytes"].as_f64().unwrap();
            let read = row["stored_bytes_per_patch"].as_f64().unwrap();
            assert!(0.0 < read && read < stored, "{read} of {stored}, less the index");
        }
        for side in ["store", "map"] {
            let side = &row[side];
            let rate = side["patches_per_second"].as_f64().unwrap();
            assert!(rate > 0.0 && near(&side["bytes_per_second"], rate * bytes));
            let times = ["p50", "p90", "p99", "max"].map(|p| side["latency"][p].as_f64().unwrap());
            assert!(times[0] > 0.0 && times.is_sorted(), "{times:?}");
            for count in ["read_write_calls", "minor_faults", "major_faults", "bytes_from_disk"] {
                let count = &side[&format!("{count}_per_patch")];
                assert!(count.is_null() || count.as_f64().unwrap() >= 0.0, "{side}");
            }
            assert_eq!(side["from_disk"], Value::Null);
            let peak = &side["peak_memory"];
            assert!(peak.is_null() || peak.as_u64().unwrap() > 2 * patch, "{peak}");
        }
        assert!(row["ratio"].as_f64().unwrap() > 0.0);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn mapped_files_are_read_without_a_call_of_read() {
    let folder = folder();
    let report = report(folder.path(), "s/a/ct --threads 1,2");
    for row in rows(&report, 0) {
        for side in ["store", "map"] {
            let calls = &row[side]["read_write_calls_per_patch"];
            assert!(calls.is_null() || calls == 0.0, "{row}");
        }
    }
}

#[test]
fn cold_rows_say_how_and_whether_they_are_cold() {
    let folder = folder();
    let report = report(folder.path(), "s/a/ct --patch 8x16x16 --cold --threads 1,2");
    let method = report["cold_method"].as_str().unwrap();
    assert!(method.contains(if cfg!(target_os = "linux") { "fadvise" } else { "none" }));
    let caches: Vec<_> = rows(&report, 0).iter().map(|row| row["cache"].clone()).collect();
    assert_eq!(caches, ["warm", "cold", "warm", "cold"]);
    for row in rows(&report, 0).iter().filter(|row| row["cache"] == "cold") {
        assert_eq!((&row["patches"], &row["compared"]), (&json!(12), &json!(true)));
        assert!((3..=8).contains(&row["passes"].as_u64().unwrap()));
        for side in ["store", "map"] {
            let (told, bytes) = (&row[side]["from_disk"], &row[side]["bytes_from_disk"]);
            match told.as_str().unwrap() {
                "yes" | "in-part" => assert!(bytes.as_u64().unwrap() > 0),
                "no" => assert_eq!(bytes, 0),
                unknown => assert_eq!((unknown, bytes), ("unknown", &Value::Null)),
            }
        }
    }
    let shown = succeed(folder.path(), "s/a/ct --patch 8x16x16 --cold --seconds 0.02");
    for part in ["cold", "Cold: a fresh handle", method, "memory map: ", "voxpatch: "] {
        assert!(shown.replace('\n', " ").contains(part), "{part}: {shown}");
    }
}

#[test]
fn the_table_names_what_differs_and_the_header_what_does_not() {
    let folder = folder();
    let at = folder.path();
    let shown = succeed(at, "s/a/ct --patch 8x16x16 --patch 4x4x4 --seconds 0.02");
    for part in [
        env!("CARGO_PKG_VERSION"),
        "a/ct",
        "20x40x36",
        "int16",
        "chunks of 4x8x16",
        "random, 1 thread, warm cache",
        "8x16x16",
        "4x4x4",
        "memory map",
        "all equal",
        "page faults",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let shown = succeed(at, "s/b --access both --threads 1,2 --no-baseline --seconds 0.02");
    for part in ["grid, overlap 0x4x4", "threads", "9x16x16", "the first frame is read"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    assert!(!shown.contains("memory map") && !shown.contains("all equal"), "{shown}");
    let help = succeed(at, "--help");
    assert!(help.contains("Examples:") && help.contains("--overlap 0x32x32 --cold"), "{help}");
}

#[test]
fn without_a_baseline_nothing_is_copied_or_compared() {
    let folder = folder();
    let report = report(folder.path(), "s --no-baseline --limit 1");
    assert_eq!(report["volumes"].as_array().unwrap().len(), 1);
    assert_eq!(report["volumes"][0]["copy_bytes"], Value::Null);
    for row in rows(&report, 0) {
        assert_eq!((&row["map"], &row["ratio"]), (&Value::Null, &Value::Null));
        assert_eq!(row["compared"], false);
    }
}

#[test]
fn a_seed_chooses_the_patches() {
    let folder = folder();
    let cost = |seed: u32| {
        let report =
            report(folder.path(), &format!("s/a/ct --patch 5x9x9 --patches 20 --seed {seed}"));
        (
            rows(&report, 0)[0]["chunks_per_patch"].clone(),
            rows(&report, 0)[0]["amplification"].clone(),
        )
    };
    assert_eq!(cost(7), cost(7));
    assert_ne!(cost(7), cost(8));
}

#[test]
fn a_plot_is_well_formed_and_labelled() {
    let folder = folder();
    let at = folder.path();
    succeed(at, "s --plot p.svg --cold --seconds 0.02");
    let svg = fs::read_to_string(at.join("p.svg")).unwrap();
    let texts = well_formed(&svg);
    for label in [
        "20x40x36, int16, chunks of 4x8x16 in shards",
        "9x30x31, 2 times, uint8, narrowed from float32",
        "a/ct: voxels read per second",
        "patches of 8x16x16",
        "patches of 1x40x36",
        "voxpatch, cold",
        "memory map, warm",
        ".nii.gz",
    ] {
        assert!(texts.iter().any(|text| text.starts_with(label)), "{label}: {texts:?}");
    }
    assert!(fail(at, 2, "s --plot p.png").contains(".svg"));
    assert!(fail(at, 1, "s --plot none/p.svg").contains("none/p.svg"));
}

/// Checks that every element of a document is closed in order and every attribute quoted, and
/// returns the texts.
fn well_formed(document: &str) -> Vec<String> {
    let (mut open, mut texts) = (Vec::new(), Vec::new());
    for part in document.split('<').skip(1) {
        let (tag, text) = part.split_once('>').unwrap();
        assert!(!text.contains('>') && tag.matches('"').count() % 2 == 0, "{part}");
        match tag.strip_prefix('/') {
            Some(name) => assert_eq!(open.pop(), Some(name), "{part}"),
            None if tag.ends_with('/') => {}
            None => open.push(tag.split(' ').next().unwrap()),
        }
        texts.extend(Some(text.trim().to_owned()).filter(|text| !text.is_empty()));
    }
    assert_eq!(open, Vec::<&str>::new());
    texts
}

#[test]
fn what_cannot_be_measured_is_refused_in_words() {
    let folder = folder();
    let at = folder.path();
    assert!(fail(at, 1, "none").contains("store not found"));
    assert!(fail(at, 1, "s/a/none").contains("volume not found"));
    let complaint = fail(at, 1, "s/a/ct --patch 8x16x16 --patch 8x41x16");
    for part in ["a/ct", "8x41x16", "larger than the volume", "20x40x36", "--patch"] {
        assert!(complaint.contains(part), "{complaint}");
    }
    let complaint = fail(at, 1, "s/a/ct --patch 9x9x9mm --access grid --overlap 4x8x8");
    assert!(complaint.contains("overlap"), "{complaint}");
    assert!(fail(at, 1, "s/a/ct --scratch none").contains("none"));
    for line in [
        "",
        "s --patch 0x8x8",
        "s --access none",
        "s --overlap 1x1x1",
        "s --access random --overlap 1x1x1",
        "s --patch 8x8x8 --access grid --overlap 8x8x8",
        "s --threads 9999",
        "s --threads 1,x",
        "s --seconds 0",
        "s --seconds nan",
        "s --patches 0",
        "s --limit 0",
        "s --scratch tmp --no-baseline",
    ] {
        assert!(!fail(at, 2, line).is_empty(), "{line}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_copy_that_does_not_fit_is_not_begun() {
    let folder = folder();
    // Nothing can be written there, and it says so: twice the 57.6 kB of the voxels are needed.
    let complaint = fail(folder.path(), 1, "s/a/ct --scratch /proc");
    for part in ["a/ct", "115200 bytes", "has no room", "/proc", "--scratch", "--no-baseline"] {
        assert!(complaint.contains(part), "{part}: {complaint}");
    }
}

#[test]
fn of_several_volumes_the_damaged_are_named_and_the_others_measured() {
    let folder = folder();
    let at = folder.path();
    let shards = generation(&at.join("s"), "a/ct").join("0/c");
    let mut path = shards;
    while path.is_dir() {
        path = fs::read_dir(&path).unwrap().next().unwrap().unwrap().path();
    }
    let mut bytes = fs::read(&path).unwrap();
    bytes[40] ^= 1;
    fs::write(&path, bytes).unwrap();
    let done = bench(at, "s --json --seconds 0.02");
    assert_eq!(done.status.code(), Some(1));
    let report: Value = serde_json::from_str(&text(&done.stdout)).unwrap();
    assert_eq!(report["failed"][0]["name"], "a/ct");
    assert!(report["failed"][0]["error"].as_str().unwrap().contains("checksum"), "{report}");
    assert_eq!(report["volumes"][0]["name"], "b/pet");
}

#[test]
fn one_interrupted_ends_with_130_and_leaves_nothing() {
    let folder = folder();
    let (at, tmp) = (folder.path(), folder.path().join("tmp"));
    let mut command = command(at, "s/a/ct --seconds 3600 --plot p.svg");
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    while fs::read_dir(&tmp).unwrap().count() == 0 && child.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(5));
    }
    let told = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(told.success());
    let done = child.wait_with_output().unwrap();
    assert_eq!(done.status.code(), Some(130), "{}", text(&done.stderr));
    assert_eq!(fs::read_dir(&tmp).unwrap().count(), 0);
    assert_eq!(fs::read_dir(at).unwrap().count(), 2, "the store and the temporary folder");
}
