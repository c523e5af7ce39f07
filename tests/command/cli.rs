//! The command from outside: exit codes, what it prints, what it leaves on disk.
#![allow(clippy::unwrap_used, reason = "helpers of tests may stop a test")]
#![allow(clippy::float_cmp, reason = "the numbers are exact in single precision")]

use crate::common::place::generation;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use voxpatch::phantom::ChestPhantom;
use voxpatch::scan::nifti::{MappedNifti, NiftiWriter, WriteHeader};
use voxpatch::{Affine, Dtype, Region, Scaling, Spacing, scan};

const SHAPE: [usize; 3] = [20, 40, 36];
const SCALING: Scaling = Scaling { slope: 0.5, intercept: -3.0 };

fn voxpatch(folder: &Path, line: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_voxpatch"));
    let temporary = folder.join("tmp");
    fs::create_dir_all(&temporary).unwrap();
    let done = command
        .args(line.split(' ').filter(|word| !word.is_empty()))
        .current_dir(folder)
        .env("TMPDIR", &temporary)
        .output()
        .unwrap();
    let left = fs::read_dir(&temporary).unwrap().count();
    assert_eq!(left, 0, "`{line}` leaves something in the temporary folder");
    assert!(!text(&done.stderr).contains("panicked"), "{}", text(&done.stderr));
    fs::remove_dir(&temporary).unwrap();
    done
}

/// Runs a command that must end well and returns what it printed.
fn succeed(folder: &Path, line: &str) -> String {
    let done = voxpatch(folder, line);
    assert_eq!(done.status.code(), Some(0), "`{line}`: {}", text(&done.stderr));
    text(&done.stdout)
}

/// Runs a command that must fail with this code and returns its complaint.
fn fail(folder: &Path, code: i32, line: &str) -> String {
    let done = voxpatch(folder, line);
    assert_eq!(done.status.code(), Some(code), "`{line}`: {}", text(&done.stderr));
    text(&done.stderr)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}"))
}

/// A folder with `ct.nii`, a small phantom.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    phantom(&folder.path().join("ct.nii"));
    folder
}

fn phantom(path: &Path) {
    let spacing = Spacing::new([3.0, 0.75, 0.5]).unwrap();
    let header = WriteHeader {
        dtype: Dtype::Int16,
        shape: SHAPE,
        times: 1,
        channels: 1,
        affine: Affine::from_spacing(spacing),
        space: None,
        scaling: Some(SCALING),
        time_step: None,
        is_label: false,
    };
    let chest = ChestPhantom::new(SHAPE, spacing).unwrap();
    let mut writer = NiftiWriter::create(path, &header, None).unwrap();
    let mut plane = vec![0; SHAPE[1] * SHAPE[2]];
    for z in 0..SHAPE[0] {
        chest.plane(z, &mut plane).unwrap();
        writer.write_planes(bytemuck::cast_slice(&plane)).unwrap();
    }
    writer.finish().unwrap();
}

/// Every file below a folder, and its bytes.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.insert(path.clone(), fs::read(path).unwrap());
            }
        }
    }
    found
}

#[test]
fn what_is_not_understood_exits_2_and_touches_nothing() {
    let folder = folder();
    let before = files(folder.path());
    for line in [
        "",
        "nonsense",
        "convert ct.nii",
        "convert ct.nii --out s --patch 0x8x8",
        "convert ct.nii --out s --patch 8x8x8:-1",
        "convert ct.nii --out s --patch-mm 8x8",
        "convert ct.nii --out s --name ../outside",
        "convert ct.nii ct.nii --out s --name a/b",
        "convert ct.nii --out s --access grid",
        "convert ct.nii --out s --patch 8x8x8 --overlap 1x1x1",
        "convert ct.nii --out s --patch 8x8x8 --access random --overlap 1x1x1",
        "convert ct.nii --out s --codec gzip:99",
        "convert ct.nii --out s --label --intensity",
        "convert ct.nii --out s --label --kind label",
        "convert ct.nii --out s --kind weight",
        "convert ct.nii --out s --patch 8x8x8 --access grid --overlap 8x8x8",
        "convert ct.nii --out s --chunk 3x3x3 --shard 4x4x4",
        "convert ct.nii --out s --chunk 9999x9999x9999",
        "plan ct.nii --patch 8x8x8 --access grid --overlap 0x0x9",
        "plan ct.nii --chunk 3x3x3 --shard 4x4x4",
        "plan ct.nii --codec auto",
        "convert ct.nii --out s --codec auto:5",
        "plan",
        "plan --shape 8x8x8",
        "plan ct.nii --shape 8x8x8 --spacing 1x1x1 --dtype int16",
        "plan --shape 8x8x8 --spacing 1x1x1 --dtype bfloat16",
        "read s/ct/image --start 0,0,0 --shape 1x1x1 --out patch.png",
        "demo ct.nii --shape 8x8x8",
    ] {
        assert!(!fail(folder.path(), 2, line).is_empty(), "{line}");
    }
    assert_eq!(files(folder.path()), before);
}

#[test]
fn a_scan_is_converted_described_read_and_verified() {
    let folder = folder();
    let at = folder.path();
    let report = succeed(at, "convert ct.nii --out s");
    assert!(report.contains("20x40x36") && report.contains("the default"), "{report}");
    let list = succeed(at, "info s");
    assert!(list.contains("ct/image") && list.contains("int16"), "{list}");
    assert_eq!(json(&succeed(at, "info s --json"))["volumes"][0]["name"], "ct/image");
    assert_eq!(json(&succeed(at, "info s/ct --json"))["volumes"][0]["shape"][2], 36);
    let info = json(&succeed(at, "info s/ct/image --json"));
    assert_eq!(info["orientation"], "RAS");
    assert_eq!(info["scaling"]["slope"], 0.5);
    succeed(at, "info s/ct/image");
    for place in ["s", "s/", "s/ct", "s/ct/image"] {
        assert!(succeed(at, &format!("verify {place}")).contains("1 volume, every byte"));
    }
    fail(at, 1, "info s/ct/none");
    fail(at, 1, "verify s/none");
    fail(at, 1, "read s/ct --start 0,0,0 --shape 1x1x1 --out p.npy");
    fs::create_dir(at.join("taken.npy")).unwrap();
    for out in ["taken.npy", "none/p.npy", "none/p.nii"] {
        let line = format!("read s/ct/image --start 0,0,0 --shape 1x1x1 --out {out}");
        assert!(fail(at, 1, &line).contains(out));
    }
    let left = fs::read_dir(at)
        .unwrap()
        .filter(|e| e.as_ref().unwrap().file_name().to_string_lossy().ends_with(".partial"));
    assert_eq!(left.count(), 0);
}

#[test]
fn patches_written_as_nifti_are_where_and_what_they_were() {
    let folder = folder();
    let at = folder.path();
    succeed(at, "convert ct.nii --out s --name a/b --patch 8x8x8");
    succeed(at, "read s/a/b --start 3,5,7 --shape 9x8x6 --out p.nii --overwrite");
    succeed(at, "read s/a/b --start 3,5,7 --shape 9x8x6 --out p.nii.gz --scaled");
    let (whole, part) = (at.join("ct.nii"), at.join("p.nii"));
    let (whole, part) = (MappedNifti::open(&whole).unwrap(), MappedNifti::open(&part).unwrap());
    let (mut expected, mut found) = (vec![0_i16; 9 * 8 * 6], vec![0_i16; 9 * 8 * 6]);
    whole.read_into(Region::new([3, 5, 7], [9, 8, 6]), &mut expected).unwrap();
    part.read_into(Region::whole([9, 8, 6]), &mut found).unwrap();
    assert_eq!(found, expected);
    assert_eq!(part.header().scaling, Some(SCALING));
    assert_eq!(part.header().affine.world([0.0; 3]), whole.header().affine.world([3.0, 5.0, 7.0]));

    let mut scaled = scan::open(&at.join("p.nii.gz")).unwrap();
    let mut bytes = vec![0; found.len() * 4];
    scaled.read_planes(&mut bytes).unwrap();
    assert_eq!((scaled.header().dtype, scaled.header().scaling), (Dtype::Float32, None));
    let values: Vec<f32> = bytemuck::pod_collect_to_vec(&bytes);
    let expected: Vec<f32> = expected.iter().map(|v| f32::from(*v) * 0.5 - 3.0).collect();
    assert_eq!(values, expected);
}

#[test]
fn whole_numbers_are_stored_narrow_and_come_back_in_the_type_of_the_scan() {
    let folder = folder();
    let at = folder.path();
    let mut nifti = fs::read(at.join("ct.nii")).unwrap();
    let voxels: Vec<f32> =
        (-100_i16..200).map(f32::from).cycle().take(SHAPE.iter().product()).collect();
    nifti[70..74].copy_from_slice(&[16, 0, 32, 0]);
    nifti.truncate(352);
    nifti.extend(voxels.iter().flat_map(|v| v.to_le_bytes()));
    fs::write(at.join("float.nii"), &nifti).unwrap();
    let report = succeed(at, "convert float.nii --out s --narrow");
    assert!(report.contains("int16, narrowed from float32"), "{report}");
    for place in ["s", "s/float/image"] {
        let info = succeed(at, &format!("info {place}"));
        assert!(info.contains("int16, narrowed from float32"), "{info}");
    }
    let info = json(&succeed(at, "info s/float/image --json"));
    assert_eq!((&info["dtype"], &info["stored_dtype"]), (&"float32".into(), &"int16".into()));
    assert_eq!(info["raw_bytes"], 4 * voxels.len());
    succeed(at, "verify s");
    let read = "read s/float/image --start 0,0,0 --shape 20x40x36 --out";
    succeed(at, &format!("{read} p.npy"));
    let npy = fs::read(at.join("p.npy")).unwrap();
    assert!(npy.ends_with(&nifti[352..]) && npy.len() < 4 * voxels.len() + 256);
    succeed(at, &format!("{read} p.nii"));
    let patch = MappedNifti::open(&at.join("p.nii")).unwrap();
    let mut found = vec![0_f32; voxels.len()];
    patch.read_into(Region::whole(SHAPE), &mut found).unwrap();
    assert_eq!((found, patch.header().scaling), (voxels, Some(SCALING)));

    let report = json(&succeed(at, "convert ct.nii float.nii --out t --narrow --json"));
    let types = |n: usize| {
        let report = &report["converted"][n];
        [&report["dtype"], &report["stored_dtype"]].map(|t| t.as_str().unwrap().to_owned())
    };
    assert_eq!(
        (types(0), types(1)),
        (["int16"; 2].map(Into::into), ["float32", "int16"].map(Into::into))
    );
}

#[test]
fn auto_shows_what_it_tried_and_takes_one_of_them() {
    let folder = folder();
    let at = folder.path();
    let report = succeed(at, "convert ct.nii --out s --codec auto --patch 4x8x8");
    for shown in ["blosc-lz4hc:5", "packed:8", "chosen", "every Zarr reader", "least expected time"]
    {
        assert!(report.contains(shown), "{shown}: {report}");
    }
    succeed(at, "verify s");
    assert!(succeed(at, "info s/ct/image").contains("least expected time"));

    let report = succeed(at, "convert ct.nii --out t --codec auto --narrow --json");
    let report = &json(&report)["converted"][0];
    let trial = report["trial"].as_array().unwrap();
    let chosen: Vec<_> = trial.iter().filter(|t| t["chosen"] == true).collect();
    assert_eq!((trial.len(), chosen.len()), (6, 1));
    assert_eq!(chosen[0]["layout"], report["layout"]);
    for row in trial {
        for number in ["size", "microseconds", "score"] {
            assert!(row[number].as_f64().unwrap() > 0.0, "{row}");
        }
        let packed = row["layout"]["codec"].as_str().unwrap().starts_with("packed");
        assert_eq!(row["standard"], !packed);
    }
    let none = json(&succeed(at, "convert ct.nii --out u --json"));
    assert_eq!(none["converted"][0]["trial"], serde_json::json!([]));
    let help = succeed(at, "convert --help") + &succeed(at, "plan --help");
    assert_eq!(help.matches("auto (convert only)").count(), 2);
}

#[test]
fn packed_is_told_to_be_for_voxpatch_and_refused_for_floats() {
    let folder = folder();
    let at = folder.path();
    succeed(at, "convert ct.nii --out s --codec packed:1");
    for place in ["s", "s/ct/image"] {
        let info = succeed(at, &format!("info {place}"));
        assert!(info.contains("packed:1") && info.contains("need its plug-in"), "{info}");
    }
    succeed(at, "convert ct.nii --out t");
    for place in ["t", "t/ct/image"] {
        assert!(!succeed(at, &format!("info {place}")).contains("plug-in"));
    }
    assert!(succeed(at, "info t/ct/image").contains("every Zarr reader"));

    let mut nifti = fs::read(at.join("ct.nii")).unwrap();
    nifti[70..74].copy_from_slice(&[16, 0, 32, 0]);
    nifti.truncate(352);
    let voxels = (-100_i16..200).map(f32::from).cycle().take(SHAPE.iter().product());
    nifti.extend(voxels.flat_map(f32::to_le_bytes));
    fs::write(at.join("whole.nii"), &nifti).unwrap();
    nifti.truncate(nifti.len() - 4);
    nifti.extend(0.5_f32.to_le_bytes());
    fs::write(at.join("fraction.nii"), &nifti).unwrap();
    let before = files(at);
    for line in [
        "convert whole.nii --out u --codec packed",
        "plan whole.nii --codec packed",
        "plan --shape 8x8x8 --spacing 1x1x1 --dtype float64 --codec packed",
    ] {
        let complaint = fail(at, 1, line);
        for part in ["packed:8", "float", "blosc-zstd", "--narrow"] {
            assert!(complaint.contains(part), "{part}: {complaint}");
        }
    }
    let complaint = fail(at, 1, "convert fraction.nii --out u --codec packed --narrow");
    assert!(complaint.contains("not narrowed: a voxel is 0.5"), "{complaint}");
    assert!(!complaint.contains("hint"), "{complaint}");
    assert_eq!(files(at), before);
    succeed(at, "convert whole.nii --out u --codec packed --narrow");
    succeed(at, "verify u");
    let refused = fail(at, 2, "plan whole.nii --codec auto");
    assert!(refused.contains("plan reads no voxels"), "{refused}");
}

#[test]
fn patches_written_as_nifti_keep_the_name_of_their_coordinates() {
    let folder = folder();
    let at = folder.path();
    let mut nifti = fs::read(at.join("ct.nii")).unwrap();
    for (qform, sform, kept) in [(0, 4, 4), (1, 3, 3), (2, 0, 2), (0, 0, 1), (0, 77, 1)] {
        nifti[252..256].copy_from_slice(&[qform, 0, sform, 0]);
        fs::write(at.join("x.nii"), &nifti).unwrap();
        succeed(at, "convert x.nii --out s --overwrite");
        succeed(at, "read s/x/image --start 3,5,7 --shape 9x8x6 --out p.nii --overwrite");
        let patch = scan::open(&at.join("p.nii")).unwrap();
        let fields = &patch.header().fields;
        assert_eq!((&fields["sform_code"], &fields["qform_code"]), (&kept.into(), &kept.into()));
    }
}

#[test]
fn a_volume_that_exists_is_refused_untouched() {
    let folder = folder();
    let at = folder.path();
    succeed(at, "convert ct.nii --out s");
    let before = files(at);
    assert!(fail(at, 1, "convert ct.nii --out s --patch 4x4x4").contains("--overwrite"));
    assert!(fail(at, 1, "demo ct.nii --out s").contains("--out"));
    assert_eq!(files(at), before);
    succeed(at, "convert ct.nii --out s --patch 4x4x4 --overwrite");
    assert_ne!(files(at), before);
}

#[test]
fn of_several_scans_the_good_are_kept_and_the_bad_are_named() {
    let folder = folder();
    let at = folder.path();
    fs::write(at.join("bad.nii"), b"not a scan").unwrap();
    phantom(&at.join("two words.nii"));
    fs::rename(at.join("two words.nii"), at.join("t+w.nii")).unwrap();
    let done = voxpatch(at, "convert bad.nii ct.nii t+w.nii --out s --json");
    assert_eq!(done.status.code(), Some(1));
    assert!(text(&done.stderr).contains("bad.nii") && text(&done.stderr).contains("t_w/image"));
    let outcome = json(&text(&done.stdout));
    assert_eq!(outcome["converted"].as_array().unwrap().len(), 2);
    assert_eq!(outcome["failed"][0]["name"], "bad/image");

    fs::create_dir(at.join("other")).unwrap();
    phantom(&at.join("other/ct.nii"));
    assert!(fail(at, 1, "convert ct.nii other/ct.nii --out fresh").contains("ct/image"));
    assert!(!at.join("fresh").exists());
}

#[test]
fn intensities_that_call_themselves_labels_can_be_converted() {
    let folder = folder();
    let at = folder.path();
    let mut nifti = fs::read(at.join("ct.nii")).unwrap();
    // intent_code, then voxels that name nothing: floats between whole numbers.
    nifti[68..70].copy_from_slice(&1002_i16.to_le_bytes());
    nifti[70..74].copy_from_slice(&[16, 0, 32, 0]);
    nifti.truncate(352);
    nifti.extend((0..SHAPE.iter().product::<usize>()).flat_map(|_| 0.5_f32.to_le_bytes()));
    fs::write(at.join("float.nii"), nifti).unwrap();
    let complaint = fail(at, 1, "convert float.nii --out s");
    assert!(complaint.contains("float.nii") && complaint.contains("--intensity"), "{complaint}");
    assert!(!at.join("s").exists());
    succeed(at, "convert float.nii --out s --intensity");
    assert_eq!(json(&succeed(at, "info s/float/image --json"))["kind"], "intensity");
}

#[test]
fn label_maps_and_weights_are_indexed_and_those_stored_before_can_be() {
    let folder = folder();
    let at = folder.path();
    // Scaled by 0.5 x - 3, half of its values are no labels; unscaled, all are.
    assert!(fail(at, 1, "convert ct.nii --out s --name ct/organs --label").contains("(z, y, x)"));
    let mut nifti = fs::read(at.join("ct.nii")).unwrap();
    nifti[112..120].fill(0);
    fs::write(at.join("organs.nii"), nifti).unwrap();
    let report = succeed(at, "convert organs.nii --out s --name ct/organs --label");
    assert!(report.contains("index") && report.contains("for sampling"), "{report}");
    // Scaled by 0.5 x - 3, air is below 0.
    let complaint = fail(at, 1, "convert ct.nii --out s --name ct/map --kind weights");
    assert!(complaint.contains("ct.nii") && complaint.contains("(z, y, x)"), "{complaint}");
    let mut nifti = fs::read(at.join("ct.nii")).unwrap();
    nifti.truncate(352);
    nifti.extend((0..SHAPE.iter().product::<usize>()).flat_map(|_| 8_i16.to_le_bytes()));
    fs::write(at.join("even.nii"), nifti).unwrap();
    let map = "convert even.nii --out s --name ct/map --kind weights --chunk 10x20x18 --json";
    let index = json(&succeed(at, map))["converted"][0]["index"].clone();
    assert_eq!(index, serde_json::json!({"by": "weights", "blocks": 4}));
    succeed(at, "convert ct.nii --out s --name ct/image");

    let organs = generation(&at.join("s"), "ct/organs").join("0/sampling.json");
    let built = fs::read(&organs).unwrap();
    let info = json(&succeed(at, "info s/ct/organs --json"))["index"].clone();
    assert_eq!(info["by"], "labels");
    assert!(succeed(at, "info s").contains("yes"));
    assert!(succeed(at, "info s/ct/organs").contains("labels in"));
    let shown = succeed(at, "index s");
    assert!(shown.contains("ct/map: up to date") && !shown.contains("image"), "{shown}");

    fs::remove_file(&organs).unwrap();
    assert!(succeed(at, "info s/ct/organs").contains("voxpatch index"));
    assert_eq!(json(&succeed(at, "info s/ct/organs --json"))["index"], Value::Null);
    let found = text(&voxpatch(at, "verify s").stdout);
    assert!(found.contains("missing") && found.contains("voxpatch index"), "{found}");
    assert!(!found.contains("convert again"), "{found}");
    let outcome = json(&succeed(at, "index s --threads 2 --json"));
    let states = [0, 1].map(|n| outcome["volumes"][n]["built"].clone());
    assert_eq!(states, [Value::Bool(false), Value::Bool(true)], "{outcome}");
    assert_eq!(outcome["volumes"][1]["index"], info);
    assert_eq!(fs::read(&organs).unwrap(), built);

    fs::write(&organs, "damaged").unwrap();
    assert!(succeed(at, "info s").contains("damaged"));
    assert!(fail(at, 1, "verify s").is_empty());
    assert!(succeed(at, "index s/ct/organs").contains("built"));
    assert!(succeed(at, "index s/ct --force").contains("ct/map: built"));
    assert_eq!(fs::read(&organs).unwrap(), built);
    succeed(at, "verify s");

    assert!(fail(at, 1, "index s/ct/image").contains("--kind weights"));
    fail(at, 1, "index s/ct/none");
    succeed(at, "convert ct.nii --out plain");
    assert!(succeed(at, "index plain").contains("no label maps"));
}

#[test]
fn a_subject_and_a_volume_are_found_from_inside_the_store() {
    let folder = folder();
    let at = folder.path();
    succeed(at, "convert ct.nii --out s --name a/b");
    for (inside, typed) in [
        ("s", "a/b"),
        ("s/a", "b"),
        ("s/a", "./b"),
        ("s/a", "../a/b"),
        ("s/a/b", "."),
        ("s/a/b", "../b"),
        ("s/a/b/0", ".."),
    ] {
        let info = succeed(&at.join(inside), &format!("info {typed} --json"));
        assert_eq!(json(&info)["name"], "a/b", "{typed} in {inside}");
    }
    for (inside, typed) in [("s", "."), ("s/a", "."), ("s/a", ".."), ("s/a/b", "..")] {
        let info = succeed(&at.join(inside), &format!("info {typed} --json"));
        assert_eq!(json(&info)["volumes"][0]["name"], "a/b", "{typed} in {inside}");
    }
    assert!(fail(&at.join("s/a"), 1, "info none").contains("volume not found"));
    assert!(fail(at, 1, "info none").contains("store not found: none\n"));
}

#[test]
fn damage_is_named_and_exits_1() {
    let folder = folder();
    let at = folder.path();
    succeed(at, "convert ct.nii --out s");
    let shard = files(&at.join("s")).into_iter().max_by_key(|(_, bytes)| bytes.len());
    let (shard, mut bytes) = shard.unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&shard, bytes).unwrap();
    let done = voxpatch(at, "verify s");
    assert_eq!(done.status.code(), Some(1));
    assert!(text(&done.stdout).contains(shard.strip_prefix(at).unwrap().to_str().unwrap()));
    fail(at, 1, "read s/ct/image --start 0,0,0 --shape 20x40x36 --out p.npy");
    assert!(!at.join("p.npy").exists());
}

#[test]
fn a_plan_needs_no_scan_and_a_demo_no_data() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let plan = "plan --shape 64x256x256 --spacing 2x1x1 --dtype int16 --patch 16x64x64";
    assert!(succeed(at, plan).contains("Why:"));
    assert!(json(&succeed(at, &format!("{plan} --json")))["layout"]["chunk"].is_array());

    let demo = json(&succeed(at, "demo --shape 24x64x64 --json"));
    assert_eq!(demo["convert"]["shape"], serde_json::json!([24, 64, 64]));
    let row = &demo["bench"]["volumes"][0]["rows"][0];
    assert_eq!(row["compared"], true);
    assert!(row["ratio"].as_f64() > Some(0.0), "{row}");
    assert_eq!(demo["predict"]["outputs"][0]["name"], "demo/image-classes");
    assert_eq!(demo["export"]["voxel_digest"], demo["convert"]["voxel_digest"]);
    assert_eq!(demo["verify"]["volumes"].as_array().unwrap().len(), 2);
    assert!(fail(at, 2, "demo --shape 999999x999999x9999").contains("--shape"));
    assert_eq!(files(at).len(), 0);
    let kept = succeed(at, "demo --shape 24x64x64 --patch 8x16x16 --out s");
    for part in ["every voxel equals the scan's", "memory map", "stream", "info s/demo/image"] {
        assert!(kept.contains(part), "{part}: {kept}");
    }
    succeed(at, "verify s/demo/image");
    // The model tells tissue from air: both occur, and neither is rare.
    let classes = json(&succeed(at, "info s/demo/image-classes --json"));
    let labels = classes["distribution"]["label"]["labels"].as_array().unwrap();
    assert_eq!(labels.len(), 2, "{labels:?}");
    assert!(labels.iter().all(|label| label["voxels"].as_u64() > Some(24 * 64 * 64 / 20)));
}

#[test]
fn a_demo_takes_a_compressed_scan() {
    let folder = folder();
    let at = folder.path();
    succeed(at, "convert ct.nii --out s");
    succeed(at, "read s/ct/image --start 0,0,0 --shape 20x40x36 --out ct.nii.gz");
    let demo = json(&succeed(at, "demo ct.nii.gz --patch 4x8x8 --json"));
    assert_eq!(demo["convert"]["name"], "ct/image");
}

#[test]
fn a_reader_that_has_gone_away_is_no_failure() {
    let folder = folder();
    succeed(folder.path(), "convert ct.nii --out s");
    let mut command = Command::new(env!("CARGO_BIN_EXE_voxpatch"));
    command.args(["info", "s", "--json"]).current_dir(folder.path());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let done = child.wait_with_output().unwrap();
    assert_eq!((done.status.code(), text(&done.stderr)), (Some(0), String::new()));
}

#[test]
fn volumes_are_removed_and_what_nobody_names_is_swept() {
    let folder = folder();
    let at = folder.path();
    for name in ["ct/image", "ct/again"] {
        succeed(at, &format!("convert ct.nii --out s --name {name} --chunk 10x20x18"));
    }
    let named = generation(&at.join("s"), "ct/image");
    let left = at.join("s/ct/image/g-00112233445566ff");
    fs::create_dir_all(left.join("0")).unwrap();
    fs::write(left.join("0/zarr.json"), b"{}").unwrap();
    assert!(succeed(at, "sweep s").contains("too young"));
    assert!(succeed(at, "sweep s --older-than 0s --dry-run").contains("would remove 1 leftover"));
    assert!(left.exists());
    let report = json(&succeed(at, "sweep s --older-than 0s --json"));
    assert_eq!(
        report["removed"][0]["path"],
        left.to_str().unwrap().trim_start_matches(at.to_str().unwrap()).trim_start_matches('/')
    );
    assert_eq!(report["removed"][0]["bytes"], 2);
    assert!(!left.exists() && named.exists());
    assert!(succeed(at, "sweep s --older-than 0s").contains("nothing to remove"));
    assert!(fail(at, 2, "sweep s --older-than soon").contains("such as 12h or 7d"));
    assert!(fail(at, 1, "sweep s/ct").contains("name the store"));

    assert!(succeed(at, "remove s/ct/image").contains("removed: ct/image"));
    assert!(!at.join("s/ct/image").exists());
    assert!(fail(at, 1, "remove s/ct/image").contains("not found"));
    assert!(fail(at, 1, "remove s/ct").contains("STORE/SUBJECT/IMAGE"));
    assert!(fail(at, 1, "remove s/ct/again --unfinished").contains("unfinished prediction"));
    let begun = "aggregate s/ct/again --patch 10x20x18 --overlap 0x0x0 --mode crop --scaled --output p=float32 --exec";
    let line: Vec<&str> = begun.split(' ').chain(["head -c 20000; exit 1"]).collect();
    let done =
        Command::new(env!("CARGO_BIN_EXE_voxpatch")).args(line).current_dir(at).output().unwrap();
    assert_eq!(done.status.code(), Some(1), "{}", text(&done.stderr));
    assert!(succeed(at, "info s").contains("unfinished"));
    assert!(succeed(at, "remove s/ct/p --unfinished").contains("unfinished prediction ct/p"));
    assert!(!succeed(at, "info s").contains("unfinished"));
    assert_eq!(json(&succeed(at, "remove s/ct/again --json"))["removed"][0], "ct/again");
    assert!(succeed(at, "info s").contains("no volumes"));
    assert!(succeed(at, "sweep s --older-than 0s").contains("nothing to remove"));
    assert_eq!(fs::read_dir(at.join("s")).unwrap().count(), 1, "the store's own document");
}
