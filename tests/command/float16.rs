//! Volumes of 16-bit floats, where they differ from those of other types.
#![allow(clippy::unwrap_used, reason = "a test may fail")]
#![allow(clippy::float_cmp, reason = "the numbers are exact in single precision")]

use std::path::Path;
use std::process::Command;

use crate::common::dense::{DenseScan, store, voxels};
use crate::common::place::generation;
use ndarray::{Array3, Array5, s};
use voxpatch::{
    ConvertOptions, Dataset, Dtype, ExportOptions, Kind, Padding, Pool, Region, Scaling, export,
    f16, scan,
};

const SHAPE: [usize; 3] = [9, 14, 22];

/// Stored as `s/a/b`; every bit pattern of a number occurs among the first voxels.
fn stored(folder: &Path) -> Array3<f16> {
    let mut dense = voxels::<f16>([1, 1, SHAPE[0], SHAPE[1], SHAPE[2]], 3);
    for (n, voxel) in dense.iter_mut().enumerate().take(2000) {
        *voxel = f16::from_bits(u16::try_from(n).unwrap().wrapping_mul(31));
    }
    let mut scan = DenseScan::new(&dense);
    scan.header_mut().scaling = Some(Scaling { slope: 0.5, intercept: -3.0 });
    let dataset = Dataset::create(folder.join("s")).unwrap();
    store(scan, &dataset, "a/b", &ConvertOptions::default()).unwrap();
    assert!(dataset.verify(&Pool::new(1).unwrap(), &|_| true).unwrap().is_sound());
    dense.slice_move(s![0, 0, .., .., ..])
}

/// Reads all of it to a file; returns what is told.
fn read(folder: &Path, out: &str, more: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_voxpatch"));
    command.args([
        "read",
        "s/a/b",
        "--start",
        "0,0,0",
        "--shape",
        "9x14x22",
        "--overwrite",
        "--out",
        out,
    ]);
    let done = command.args(more).current_dir(folder).output().unwrap();
    let told = String::from_utf8(done.stderr).unwrap();
    assert!(done.status.success(), "{told}");
    told + &String::from_utf8(done.stdout).unwrap()
}

#[test]
fn the_command_writes_npy_as_it_is_and_nifti_as_float32() {
    let folder = tempfile::tempdir().unwrap();
    let dense = stored(folder.path());
    let told = read(folder.path(), "p.npy", &[]);
    assert!(told.contains("float16") && !told.contains("note"), "{told}");
    let npy = std::fs::read(folder.path().join("p.npy")).unwrap();
    assert!(npy.starts_with(b"\x93NUMPY\x01\x00\x76\x00{'descr': '<f2'"));
    assert_eq!(&npy[128..], bytemuck::cast_slice::<f16, u8>(dense.as_slice().unwrap()));

    for (more, scaling) in [(&[][..], true), (&["--scaled"][..], false)] {
        let told = read(folder.path(), "p.nii.gz", more);
        assert!(told.contains("of float32") && told.contains("note") == scaling, "{told}");
        let mut file = scan::open(&folder.path().join("p.nii.gz")).unwrap();
        assert_eq!(file.header().dtype, Dtype::Float32);
        assert_eq!(file.header().scaling.is_some(), scaling);
        let mut bytes = vec![0; dense.len() * 4];
        file.read_planes(&mut bytes).unwrap();
        for (found, voxel) in bytemuck::pod_collect_to_vec::<u8, f32>(&bytes).iter().zip(&dense) {
            let voxel = voxel.to_f32();
            let expected = if scaling { voxel } else { voxel * 0.5 - 3.0 };
            assert!(found.to_bits() == expected.to_bits() || found.is_nan() && expected.is_nan());
        }
    }
}

#[test]
fn an_exported_volume_has_every_voxel_as_float32() {
    let folder = tempfile::tempdir().unwrap();
    let dense = stored(folder.path());
    let volume = Dataset::open(folder.path().join("s")).unwrap().volume("a/b").unwrap();
    let (path, pool) = (folder.path().join("out.nii.gz"), Pool::new(2).unwrap());
    let options = ExportOptions::default();
    let report = export(&volume, &path, &options, &pool, &|_| true).unwrap();
    assert_eq!(report.dtype, Dtype::Float32);
    assert!(report.findings.iter().any(|finding| finding.message.contains("float16")));
    let mut file = scan::open(&path).unwrap();
    assert_eq!(file.header().scaling, Some(Scaling { slope: 0.5, intercept: -3.0 }));
    let mut bytes = vec![0; dense.len() * 4];
    file.read_planes(&mut bytes).unwrap();
    for (found, voxel) in bytemuck::pod_collect_to_vec::<u8, f32>(&bytes).iter().zip(&dense) {
        assert!(*found == voxel.to_f32() || found.is_nan() && voxel.is_nan());
    }
}

#[test]
fn the_store_says_float16_and_takes_half_the_bytes_of_float32() {
    let folder = tempfile::tempdir().unwrap();
    let dense = stored(folder.path());
    let volume = Dataset::open(folder.path().join("s")).unwrap().volume("a/b").unwrap();
    assert_eq!((volume.dtype(), volume.stored_dtype()), (Dtype::Float16, Dtype::Float16));
    assert_eq!(volume.raw_bytes(), 2 * dense.len() as u64);
    let metadata =
        std::fs::read(generation(&folder.path().join("s"), "a/b").join("0/zarr.json")).unwrap();
    let metadata: serde_json::Value = serde_json::from_slice(&metadata).unwrap();
    assert_eq!(metadata["data_type"], "float16");
    assert_eq!(metadata["fill_value"], 0.0);
    let padded = volume
        .view()
        .padded(Padding::Constant(2_049.000_000_1))
        .read::<f16>(Region::new([-1, 0, 0], [1, 1, 1]));
    assert_eq!(padded.unwrap()[[0, 0, 0]].to_bits(), 0x6801, "rounded up, once");
}

#[test]
fn converted_voxels_are_rounded_once() {
    // Just above the middle of 1 and the next float16, by less than float32 tells apart.
    let above = 1.0 + 2_f64.powi(-11) + 2_f64.powi(-40);
    let dense = Array5::from_shape_vec((1, 1, 1, 1, 4), vec![above, -above, 1e6, 1.0]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let dataset = Dataset::create(folder.path()).unwrap();
    store(DenseScan::new(&dense), &dataset, "a/b", &ConvertOptions::default()).unwrap();
    let volume = dataset.volume("a/b").unwrap().view().converted(Dtype::Float16);
    let found = volume.read::<f16>(Region::whole([1, 1, 4])).unwrap();
    let bits: Vec<u16> = found.iter().map(|v| v.to_bits()).collect();
    assert_eq!(bits, [0x3c01, 0xbc01, 0x7c00, 0x3c00]);
}

#[test]
fn labels_of_float16_are_counted_but_have_no_index_and_nothing_is_narrowed() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = Dataset::create(folder.path()).unwrap();
    let labels = voxels::<f16>([1, 1, 4, 5, 6], 1).mapv(|v| f16::from_f32(v.to_f32() % 3.0));
    let options = ConvertOptions::default().kind(Some(Kind::Label)).narrow(true);
    let report = store(DenseScan::new(&labels), &dataset, "a/b", &options).unwrap();
    let told: Vec<_> = report.findings.iter().map(|f| &*f.message).collect();
    assert!(told.iter().any(|m| m.contains("not narrowed: floats of 16 bits")), "{told:?}");
    assert!(told.last().unwrap().contains("store them as integers"), "{told:?}");
    assert_eq!(dataset.volume("a/b").unwrap().stored_dtype(), Dtype::Float16);
}
