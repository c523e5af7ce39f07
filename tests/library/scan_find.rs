//! Which scans paths stand for, and several files as the channels of one.
#![allow(clippy::unwrap_used, reason = "helpers of tests may stop a test")]

use std::fs;
use std::path::{Path, PathBuf};

use crate::common::nifti::{Nifti, expected, gzipped};
use proptest::prelude::*;
use voxpatch::scan::{self, Found, Scan};
use voxpatch::{ConvertOptions, Dataset, Dtype, Error, Frame, Pool, Region, Result, convert};

/// A folder with two scans, a pair, and files and folders that are none.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let sound = Nifti::small();
    fs::write(at("b.nii"), sound.bytes()).unwrap();
    fs::write(at("a.nii.gz"), gzipped(&sound.bytes())).unwrap();
    fs::write(at("no ending"), sound.bytes()).unwrap();
    Nifti::new(1, false, false, Dtype::Int16, &[5, 4, 3]).write(folder.path(), true);
    fs::write(at("._b.nii"), "of another system").unwrap();
    fs::write(at("dataset.json"), "{}").unwrap();
    fs::write(at("empty"), "").unwrap();
    fs::create_dir(at("deeper.nii")).unwrap();
    folder
}

fn names(found: &[Found], folder: &Path) -> Vec<Vec<String>> {
    let name = |file: &Path| file.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
    found.iter().map(|found| found.files().into_iter().map(name).collect()).collect()
}

#[test]
fn scan_find_lists_the_scans_of_a_folder_by_name_and_nothing_else() {
    let folder = folder();
    let found = scan::find(&[folder.path().into()]).unwrap();
    let expected = [vec!["a.nii.gz"], vec!["b.nii"], vec!["no ending"]];
    assert_eq!(names(&found[..3], folder.path()), expected);
    assert_eq!(names(&found[3..], folder.path()), [["scan.hdr.gz", "scan.img.gz"]]);
    for found in &found {
        assert_eq!(found.open().unwrap().header().shape, [3, 4, 5], "{}", found.name());
    }
    assert_eq!(found[1].name(), folder.path().join("b.nii").display().to_string());
    // A damaged file is not left out for that.
    fs::write(folder.path().join("cut.nii.gz"), "").unwrap();
    let found = scan::find(&[folder.path().into()]).unwrap();
    assert!(found[2].open().is_err() && found[2].name().ends_with("cut.nii.gz"));
}

#[test]
fn scan_find_takes_either_half_or_both_for_one_pair() {
    let folder = folder();
    let halves = ["scan.hdr.gz", "scan.img.gz"].map(|name| folder.path().join(name));
    let [header, image] = halves.clone();
    for paths in [vec![header.clone()], vec![image.clone()], vec![image, header.clone()]] {
        let found = scan::find(&paths).unwrap();
        assert_eq!(found.len(), 1, "{paths:?}");
        assert_eq!(found[0].files(), [&halves[0], &halves[1]]);
        assert_eq!(found[0].open().unwrap().header().shape, [3, 4, 5]);
    }
    // The same file twice is for the caller to notice.
    assert_eq!(scan::find(&[header.clone(), header]).unwrap().len(), 2);
    let alone = folder.path().join("gone.nii");
    let found = scan::find(std::slice::from_ref(&alone)).unwrap();
    assert!(matches!(found[0].open().err(), Some(Error::NotFound { path, .. }) if path == alone));
}

#[test]
fn scan_find_refuses_a_folder_without_scans_and_says_what_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |name: &str, file: &str, content: &[u8], words: &[&str]| {
        let path = folder.path().join(name);
        fs::create_dir_all(&path).unwrap();
        fs::write(path.join(file), content).unwrap();
        let error = scan::find(std::slice::from_ref(&path)).unwrap_err();
        assert!(matches!(error, Error::UnsupportedScan { .. }), "{error}");
        let told = error.to_string();
        assert!(told.starts_with(&path.display().to_string()), "{told}");
        assert!(words.iter().all(|word| told.contains(word)), "{told}");
    };
    let dicom = [&[0; 128][..], b"DICM\x02\0\0\0"].concat();
    refused("texts", "notes.txt", b"none", &["folder", ".nii.gz", "NIfTI"]);
    refused("series", "1.dcm", &dicom, &["DICOM", "dcm2niix"]);
    refused("store", "zarr.json", b"{}", &["Zarr store already"]);
}

/// Files of one frame each that hold the channels of one of five axes, and that one.
fn channels(folder: &Path, dtype: Dtype, count: usize, big: bool) -> Vec<PathBuf> {
    let whole = Nifti::new(1, big, true, dtype, &[5, 4, 3, 1, count]);
    let frame = whole.voxels.len() / count;
    let write = |(channel, voxels): (usize, &[u8])| {
        let part = Nifti { voxels: voxels.to_vec(), ..Nifti::new(1, big, true, dtype, &[5, 4, 3]) };
        let (path, bytes) = (folder.join(format!("case_{channel:04}.nii.gz")), part.bytes());
        fs::write(&path, if channel % 2 == 0 { gzipped(&bytes) } else { bytes }).unwrap();
        path
    };
    whole.voxels.chunks(frame).enumerate().map(write).collect()
}

fn joined(paths: &[PathBuf]) -> Result<Found> {
    Found::channels(scan::find(paths)?)
}

/// The voxels of the first channels, read in slabs.
fn read(scan: &mut dyn Scan, channels: usize, slab: usize) -> Result<Vec<Vec<u8>>> {
    let (plane, planes) = (scan.header().plane_bytes(), scan.header().shape[0]);
    let channel = |_| {
        let mut voxels = vec![0; plane * planes];
        for slab in voxels.chunks_mut(plane * slab) {
            scan.read_planes(slab)?;
        }
        Ok(voxels)
    };
    (0..channels).map(channel).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn scan_channels_are_the_frames_of_their_files(
        count in 1_usize..5,
        slab in 1_usize..4,
        big: bool,
        dtype in prop::sample::select(vec![Dtype::UInt8, Dtype::Int16, Dtype::Float32]),
        read_before in 0_usize..4,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let paths = channels(folder.path(), dtype, count, big);
        let found = joined(&paths).unwrap();
        prop_assert_eq!(found.files(), paths.iter().map(PathBuf::as_path).collect::<Vec<_>>());
        let mut scan = found.open().unwrap();
        prop_assert_eq!((scan.header().times, scan.header().channels), (1, count));
        // Started over at any point, and finished at any point.
        read(&mut *scan, read_before.min(count), slab).unwrap();
        scan.rewind().unwrap();
        let voxels = read(&mut *scan, count, slab).unwrap();
        for (channel, voxels) in voxels.iter().enumerate() {
            let frame = Frame { time: 0, channel };
            if count > 1 {
                prop_assert_eq!(scan.frame(channel), frame);
            }
            prop_assert!(*voxels == expected(dtype, frame, [3, 4, 5]), "channel {}", channel);
        }
        scan.finish().unwrap();
        scan.rewind().unwrap();
        read(&mut *scan, read_before.min(count), slab).unwrap();
        // That of every second file is no news: it is named .gz and is not.
        prop_assert!(scan.finish().is_ok());
    }
}

#[test]
fn scan_channels_that_differ_are_refused_with_both_files_and_values() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, change: &dyn Fn(&mut Nifti)| {
        let mut nifti = Nifti::small();
        change(&mut nifti);
        let path = folder.path().join(name);
        fs::write(&path, nifti.bytes()).unwrap();
        path
    };
    let first = write("first.nii", &|_| ());
    let other = |n: Nifti| move |nifti: &mut Nifti| *nifti = n.clone();
    let refused = |change: &dyn Fn(&mut Nifti), words: &[&str]| {
        let second = write("second.nii", change);
        let error = joined(&[first.clone(), second]).unwrap_err();
        assert!(matches!(error, Error::InvalidArgument { .. }), "{error}");
        let told = error.to_string();
        let files = ["first.nii", "second.nii"];
        assert!(words.iter().chain(&files).all(|word| told.contains(word)), "{told}");
    };
    let sizes = Nifti::new(1, false, true, Dtype::Int16, &[5, 4, 2]);
    refused(&other(sizes), &["2x4x5", "3x4x5", "shape"]);
    let types = Nifti::new(1, false, true, Dtype::UInt16, &[5, 4, 3]);
    refused(&other(types), &["int16", "uint16"]);
    // The least spacing is 2 mm: a hundredth is 0.02 mm.
    refused(&|nifti| nifti.srow[1][3] += 0.021, &["affine", "mm away", "-20.0", "-19.979"]);
    refused(&|nifti| nifti.srow[2][2] += 0.01, &["affine", "4.01"]);
    let near = write("near.nii", &|nifti| nifti.srow[1][3] += 0.019);
    assert!(joined(&[first.clone(), near]).is_ok());
    let frames = Nifti::new(1, false, true, Dtype::Int16, &[5, 4, 3, 2]);
    let several = write("several.nii", &other(frames));
    let error = joined(&[first.clone(), several]).unwrap_err().to_string();
    assert!(error.contains("several.nii") && error.contains("2 time points"), "{error}");
    assert!(matches!(joined(&[]), Err(Error::InvalidArgument { .. })));
}

#[test]
fn scan_channels_damaged_or_changed_later_are_told_by_their_file() {
    let folder = tempfile::tempdir().unwrap();
    let paths = channels(folder.path(), Dtype::Int16, 3, false);
    let found = joined(&paths).unwrap();
    let mut scan = found.open().unwrap();
    let mut bytes = fs::read(&paths[0]).unwrap();
    let checksum = bytes.len() - 8;
    bytes[checksum] ^= 1;
    fs::write(&paths[0], bytes).unwrap();
    // Found when the next file begins, not at the end of all.
    let error = read(&mut *scan, 2, 3).unwrap_err();
    assert!(error.to_string().contains("case_0000"), "{error}");

    let paths = channels(folder.path(), Dtype::Int16, 3, false);
    let mut scan = found.open().unwrap();
    fs::write(&paths[2], Nifti::new(1, false, true, Dtype::UInt8, &[5, 4, 3]).bytes()).unwrap();
    read(&mut *scan, 2, 3).unwrap();
    let error = scan.finish().unwrap_err().to_string();
    assert!(error.contains("case_0002") && error.contains("uint8"), "{error}");
}

#[test]
fn scan_channels_are_stored_as_the_file_of_five_axes_is() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = Dataset::create(folder.path().join("s.zarr")).unwrap();
    let stored = |scan, name: &str| {
        let (name, options) = (name.parse().unwrap(), ConvertOptions::default());
        convert(scan, &dataset, &name, &options, &Pool::new(2).unwrap(), &|_| true).unwrap()
    };
    let files = channels(folder.path(), Dtype::Int16, 3, false);
    let joined = stored(joined(&files).unwrap().open().unwrap(), "a/joined");
    let path =
        Nifti::new(1, false, true, Dtype::Int16, &[5, 4, 3, 1, 3]).write(folder.path(), true);
    let whole = stored(scan::open(&path).unwrap(), "a/whole");
    assert_eq!((joined.channels, joined.times), (3, 1));
    assert_eq!(joined.voxel_digest, whole.voxel_digest);
    let told = |words: &str| joined.findings.iter().any(|found| found.message.contains(words));
    assert!(told("channel 1: the file is named .gz") && !told("channel 0: the file is named"));
}

#[test]
fn scan_channels_that_are_scaled_otherwise_are_stored_as_their_real_values() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, scl: [f64; 2]| {
        let path = folder.path().join(name);
        fs::write(&path, Nifti { scl, ..Nifti::small() }.bytes()).unwrap();
        path
    };
    let files = [write("a.nii", [0.0, 0.0]), write("b.nii", [2.0, -1.0])];
    let dataset = Dataset::create(folder.path().join("s.zarr")).unwrap();
    let (name, options, pool) = ("a/b".parse().unwrap(), ConvertOptions::default(), Pool::new(1));
    let scan = joined(&files).unwrap().open().unwrap();
    convert(scan, &dataset, &name, &options, &pool.unwrap(), &|_| true).unwrap();
    let volume = dataset.open_volume(&name).unwrap();
    assert_eq!((volume.dtype(), volume.attributes().scaling), (Dtype::Int32, None));
    let raw = expected(Dtype::Int16, Frame::default(), [3, 4, 5]);
    let raw: Vec<i16> = bytemuck::pod_collect_to_vec(&raw);
    let whole = Region::whole([3, 4, 5]);
    for (channel, slope, intercept) in [(0, 1, 0), (1, 2, -1)] {
        let frame = volume.view().frame(Frame { time: 0, channel }).unwrap();
        let expected = raw.iter().map(|voxel| i32::from(*voxel) * slope + intercept);
        assert!(frame.read::<i32>(whole).unwrap().into_iter().eq(expected), "channel {channel}");
    }
    // Scaled alike, voxels stay as they are.
    let scan = joined(&[files[1].clone(), write("c.nii", [2.0, -1.0])]).unwrap().open().unwrap();
    assert_eq!((scan.header().dtype, scan.header().plane_scalings.len()), (Dtype::Int16, 0));
    assert!(scan.header().scaling.is_some());
}
