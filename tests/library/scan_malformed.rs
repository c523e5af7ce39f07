//! Files that contradict themselves: refused with a reason, or repaired and told. Never a guess
//! in silence, never a panic, never an allocation by a size that the file only claims.
#![allow(clippy::float_cmp)] // The numbers are exact in single precision.

use std::path::PathBuf;

use crate::common::nifti::{Nifti, Whole, expected, gzipped, read};
use tempfile::TempDir;
use voxpatch::Certainty::{Decided, Guessed, Repaired};
use voxpatch::{Dtype, Error, Frame, Result};

/// Writes one file into a new folder.
fn file(name: &str, bytes: &[u8]) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).expect("write");
    (folder, path)
}

fn read_bytes(name: &str, bytes: &[u8]) -> Result<Whole> {
    let (_folder, path) = file(name, bytes);
    read(&path, 2)
}

/// [`Nifti::small`] after a change, read as a plain file and as a gzipped one; the outcomes must
/// agree in kind.
fn small(change: impl Fn(&mut Nifti)) -> Result<Whole> {
    let mut nifti = Nifti::small();
    change(&mut nifti);
    let zipped = read_bytes("scan.nii.gz", &gzipped(&nifti.bytes()));
    let plain = read_bytes("scan.nii", &nifti.bytes());
    match (&plain, &zipped) {
        (Ok(plain), Ok(zipped)) => assert_eq!(plain.frames, zipped.frames),
        (Err(plain), Err(zipped)) => assert_eq!(kind(plain), kind(zipped)),
        _ => panic!("plain {plain:?}, gzipped {zipped:?}"),
    }
    plain
}

fn kind(error: &Error) -> &'static str {
    match error {
        Error::CorruptScan { .. } => "corrupt",
        Error::UnsupportedScan { .. } => "unsupported",
        Error::NotFound { .. } => "not found",
        Error::Io { .. } => "io",
        _ => "other",
    }
}

/// The read failed in this way, the message holds these words and names the file.
#[track_caller]
fn assert_refused(outcome: Result<Whole>, expected: &str, words: &str) {
    let error = outcome.expect_err("must be refused");
    let message = error.to_string();
    assert_eq!(kind(&error), expected, "{message}");
    assert!(message.contains(words) && message.contains("scan"), "{message}");
}

/// The read succeeded with all voxels in place, and the repair was told.
#[track_caller]
fn assert_told(outcome: Result<Whole>, certainty: voxpatch::Certainty, words: &str) -> Whole {
    let whole = outcome.expect("must be read");
    assert!(whole.says(certainty, words), "{:?}", whole.findings);
    let shape = whole.header.shape;
    assert!(whole.frames[0].1 == expected(Dtype::Int16, Frame::default(), shape));
    whole
}

#[test]
fn a_truncated_file_is_refused_at_every_length() {
    let bytes = Nifti::small().bytes();
    for length in 0..bytes.len() {
        let error = read_bytes("scan.nii", &bytes[..length]).expect_err("truncated");
        assert!(matches!(kind(&error), "corrupt" | "unsupported"), "{length}: {error}");
    }
}

#[test]
fn a_truncated_gzip_file_is_refused_at_every_length() {
    let bytes = gzipped(&Nifti::small().bytes());
    for length in 0..bytes.len() {
        let error = read_bytes("scan.nii.gz", &bytes[..length]).expect_err("truncated");
        assert!(matches!(kind(&error), "corrupt" | "unsupported"), "{length}: {error}");
    }
}

#[test]
fn a_truncated_image_half_is_refused_by_its_own_name() {
    let folder = tempfile::tempdir().expect("folder");
    let path = Nifti::new(1, false, false, Dtype::Int16, &[5, 4, 3]).write(folder.path(), false);
    let image = folder.path().join("scan.img");
    let bytes = std::fs::read(&image).expect("read");
    std::fs::write(&image, &bytes[..bytes.len() - 1]).expect("write");
    assert_refused(read(&path, 2), "corrupt", "scan.img");
    std::fs::remove_file(&image).expect("remove");
    assert_refused(read(&path, 2), "not found", "scan.img");
}

#[test]
fn a_wrong_gzip_checksum_or_length_is_refused() {
    let bytes = gzipped(&Nifti::small().bytes());
    for (from_end, words) in [(8, "checksum"), (1, "length")] {
        let mut damaged = bytes.clone();
        let at = damaged.len() - from_end;
        damaged[at] ^= 1;
        assert_refused(read_bytes("scan.nii.gz", &damaged), "corrupt", words);
    }
}

#[test]
fn a_refused_checksum_stays_refused() {
    let mut bytes = gzipped(&Nifti::small().bytes());
    let at = bytes.len() - 8;
    bytes[at] ^= 1;
    let (_folder, path) = file("scan.nii.gz", &bytes);
    let mut scan = voxpatch::scan::open(&path).expect("the header is sound");
    let first = scan.read_planes(&mut [0; 120]).and_then(|()| scan.finish().map(drop));
    assert!(first.is_err());
    assert!(scan.finish().is_err());
}

#[test]
fn junk_after_the_gzip_data_is_told() {
    for junk in [&b"\0\0\0"[..], b"\x1f", b"\x1f\x8c", b"junk"] {
        let mut bytes = gzipped(&Nifti::small().bytes());
        bytes.extend(junk);
        assert_told(read_bytes("scan.nii.gz", &bytes), Repaired, "not gzip");
    }
    let mut bytes = gzipped(&Nifti::small().bytes());
    bytes.extend(b"\x1f\x8b\x08");
    assert_refused(read_bytes("scan.nii.gz", &bytes), "corrupt", "ends early");
}

#[test]
fn bytes_after_the_voxels_are_told() {
    let mut bytes = Nifti::small().bytes();
    bytes.extend([7; 100]);
    assert_told(read_bytes("scan.nii", &bytes), Decided, "100 bytes follow");
    assert_told(read_bytes("scan.nii.gz", &gzipped(&bytes)), Decided, "100 bytes follow");
}

#[test]
fn a_decompression_bomb_is_stopped() {
    let mut bytes = Nifti::small().bytes();
    bytes.resize(80 << 20, 0);
    assert_refused(read_bytes("scan.nii.gz", &gzipped(&bytes)), "corrupt", "follow the voxels");
}

#[test]
fn sizes_beyond_the_file_are_refused_before_any_allocation() {
    assert_refused(small(|n| n.dim[1..4].fill(32767)), "corrupt", "cannot hold");
    let mut two = Nifti::new(2, false, true, Dtype::Float64, &[5, 4, 3]);
    for huge in [i64::MAX, 1 << 31, 1 << 32, 1 << 62, 0x5555_5555_5555_5556] {
        two.dim[1..4].fill(huge);
        assert_refused(read_bytes("scan.nii", &two.bytes()), "corrupt", "cannot hold");
        two.dim[1..4].copy_from_slice(&[1, 1, huge]);
        assert_refused(read_bytes("scan.nii.gz", &gzipped(&two.bytes())), "corrupt", "hold");
    }
}

#[test]
fn a_negative_size_is_refused() {
    assert_refused(small(|n| n.dim[2] = -4), "corrupt", "dim[2] is -4");
}

#[test]
fn a_size_of_zero_is_refused() {
    assert_refused(small(|n| n.dim[3] = 0), "corrupt", "dim[3] is 0");
}

#[test]
fn an_impossible_number_of_axes_is_refused() {
    for axes in [0, 8, 9, -1, 0x0300] {
        assert_refused(small(|n| n.dim[0] = axes), "corrupt", "dim[0] is");
    }
}

#[test]
fn a_sixth_axis_is_refused() {
    assert_refused(small(|n| (n.dim[0], n.dim[6]) = (6, 2)), "unsupported", "dim[6] is 2");
}

#[test]
fn a_cifti_matrix_is_refused_by_name_and_is_no_volume_of_many_channels() {
    for intent in [3000, 3002, 3006, 3099] {
        assert_refused(small(|nifti| nifti.intent = intent), "unsupported", "CIFTI");
    }
    small(|nifti| nifti.intent = 2999).unwrap();
}

#[test]
fn the_long_axis_of_freesurfer_is_refused_by_name() {
    assert_refused(small(|n| n.dim[1] = -1), "unsupported", "FreeSurfer");
}

#[test]
fn a_sform_that_is_not_finite_gives_way_to_the_qform() {
    for bad in [f64::NAN, f64::INFINITY] {
        let whole = small(|n| (n.srow[1][1], n.qform_code) = (bad, 1));
        let whole = assert_told(whole, Repaired, "the qform was used");
        assert_eq!(whole.header.affine.0[1], [0.0, 3.0, 0.0, -20.0]);
        assert!(whole.header.fields["sform"][1][1].is_null());
        assert_refused(small(|n| n.srow[1][1] = bad), "corrupt", "sform");
    }
    assert_refused(small(|n| n.srow = [[0.0; 4]; 3]), "corrupt", "sform");
}

#[test]
fn a_qform_that_is_no_rotation_is_refused() {
    for bad in [[0.9, 0.9, 0.0], [f64::NAN, 0.0, 0.0]] {
        let whole = small(|n| (n.sform_code, n.qform_code, n.quatern) = (0, 1, bad));
        assert_refused(whole, "corrupt", "qform");
    }
    let whole = small(|n| (n.sform_code, n.qform_code, n.qoffset[0]) = (0, 1, f64::NAN));
    assert_refused(whole, "corrupt", "qform");
}

#[test]
fn a_quaternion_that_rounding_has_made_too_long_is_the_same_turn() {
    let turned = |b: f64| small(|n| (n.sform_code, n.qform_code, n.quatern[0]) = (0, 1, b));
    let exact = turned(1.0).unwrap();
    assert_eq!(exact.findings, []);
    // Of single precision, the next but seven.
    let long = assert_told(turned(1.0 + 8.0 * f64::from(f32::EPSILON)), Repaired, "longer than 1");
    let (long, exact) = (long.header.affine, exact.header.affine);
    for (long, exact) in long.0.iter().flatten().zip(exact.0.iter().flatten()) {
        assert!((long - exact).abs() < 1e-9, "{long} {exact}");
    }
    assert_refused(turned(1.00001), "corrupt", "qform");
}

#[test]
fn a_form_code_that_means_nothing_is_told_with_what_was_done() {
    let whole = assert_told(small(|n| n.sform_code = 7), Guessed, "sform_code is 7");
    assert_eq!(whole.header.affine.0[1], [0.0, 3.0, 0.0, -20.0]);
    let whole = small(|n| (n.sform_code, n.qform_code) = (-1, 99));
    assert_told(whole, Guessed, "the sform counts as absent");
    let whole = small(|n| (n.sform_code, n.qform_code) = (0, 99));
    assert_told(whole, Guessed, "qform_code is 99, which NIfTI does not define");
    for code in 1..=5 {
        assert_eq!(small(|n| n.sform_code = code).unwrap().findings, []);
    }
}

#[test]
fn a_voxel_size_of_zero_is_taken_from_the_sform() {
    let whole = assert_told(small(|n| n.pixdim[3] = 0.0), Repaired, "taken from the sform");
    assert_eq!(whole.header.spacing.mm(), [4.0, 3.0, 2.0]);
}

#[test]
fn a_voxel_size_of_zero_without_transform_is_refused() {
    for bad in [0.0, f64::NAN, f64::INFINITY] {
        let whole = small(|n| (n.sform_code, n.pixdim[2]) = (0, bad));
        assert_refused(whole, "corrupt", "set pixdim");
    }
}

#[test]
fn a_voxel_size_of_zero_along_a_single_voxel_is_one() {
    let mut flat = Nifti::new(1, false, true, Dtype::Int16, &[5, 4]);
    (flat.sform_code, flat.pixdim[3]) = (0, 0.0);
    let whole = assert_told(read_bytes("scan.nii", &flat.bytes()), Guessed, "axis of one voxel");
    assert_eq!(whole.header.spacing.mm(), [1.0, 3.0, 2.0]);
}

#[test]
fn a_handedness_of_zero_is_one() {
    let whole = small(|n| (n.sform_code, n.qform_code, n.pixdim[0]) = (0, 1, 0.0));
    let whole = assert_told(whole, Repaired, "qfac");
    assert_eq!(whole.header.affine.0[2], [0.0, 0.0, 4.0, 30.0]);
}

#[test]
fn a_negative_voxel_size_is_made_positive() {
    for qform_code in [0, 1] {
        let whole = small(|n| (n.sform_code, n.qform_code, n.pixdim[2]) = (0, qform_code, -3.0));
        let whole = assert_told(whole, Repaired, "absolute value");
        assert_eq!(whole.header.spacing.mm(), [4.0, 3.0, 2.0]);
    }
}

#[test]
fn an_offset_of_zero_in_a_single_file_is_the_end_of_its_header() {
    assert_told(small(|n| n.vox_offset = 0.0), Repaired, "from byte 352");
    let mut two = Nifti::new(2, false, true, Dtype::Int16, &[5, 4, 3]);
    two.vox_offset = 0.0;
    assert_told(read_bytes("scan.nii", &two.bytes()), Repaired, "from byte 544");
}

#[test]
fn an_offset_that_cannot_be_is_refused() {
    for bad in [100.0, 348.0, 351.0, -16.0, f64::NAN, f64::INFINITY, 1e30, 352.5] {
        assert_refused(small(|n| n.vox_offset = bad), "corrupt", "vox_offset");
    }
    assert_refused(small(|n| n.vox_offset = 1e9), "corrupt", "byte 1000000000");
    let mut two = Nifti::new(2, false, true, Dtype::Int16, &[5, 4, 3]);
    for bad in [1e18, -1.0, 540.0] {
        two.vox_offset = bad;
        assert_refused(read_bytes("scan.nii", &two.bytes()), "corrupt", "");
    }
}

#[test]
fn an_offset_inside_what_gzip_could_hold_but_does_not_is_refused() {
    let mut nifti = Nifti::small();
    nifti.vox_offset = 4000.0;
    assert_refused(read_bytes("scan.nii.gz", &gzipped(&nifti.bytes())), "corrupt", "too early");
}

#[test]
fn a_wrong_bitpix_gives_way_to_the_datatype() {
    for bitpix in [0, 8, 32, -16] {
        assert_told(small(|n| n.bitpix = bitpix), Repaired, "the datatype was taken");
    }
}

#[test]
fn a_datatype_that_is_not_read_is_named() {
    for (code, words) in [
        (0, "datatype 0 (unknown)"),
        (1, "datatype 1 (single bits)"),
        (32, "complex"),
        (128, "colour"),
        (1536, "float128"),
        (1792, "complex"),
        (2048, "complex"),
        (2304, "colour"),
        (777, "datatype 777"),
    ] {
        assert_refused(small(|n| n.datatype = code), "unsupported", words);
    }
}

#[test]
fn a_slope_without_a_finite_intercept_is_refused() {
    for bad in [f64::NAN, f64::NEG_INFINITY] {
        assert_refused(small(|n| n.scl = [2.0, bad]), "corrupt", "scl_inter");
    }
}

#[test]
fn a_bad_magic_is_not_a_nifti_file() {
    for (magic, words) in [(b"n+3\0", "magic"), (b"\0\0\0\0", "ANALYZE"), (b"n+2\0", "magic")] {
        let mut bytes = Nifti::small().bytes();
        bytes[344..348].copy_from_slice(magic);
        assert_refused(read_bytes("scan.nii", &bytes), "unsupported", words);
    }
    for text in [&b"not"[..], &[0; 400]] {
        assert_refused(read_bytes("scan.nii", text), "unsupported", "not a NIfTI file");
    }
}

#[test]
fn what_is_no_scan_is_called_what_it_is_and_the_way_to_a_scan_is_told() {
    let mut dicom = vec![0; 128];
    dicom.extend(b"DICM\x02\0\0\0");
    let lfs = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n";
    let (_folder, path) = file("scan.dcm", &dicom);
    for (bytes, words) in [
        (&lfs[..], "git lfs pull"),
        (b"/annex/objects/SHA256E-s31390--f50d.nii.gz\n", "git annex get"),
        (b"NRRD0004\ntype: short\n", "NRRD"),
        (b"ObjectType = Image\nNDims = 3\n", "MetaImage"),
        (b"NDims = 3\n", "MetaImage"),
        (&dicom, "dcm2niix"),
        (b"PK\x03\x04rest", "ZIP"),
        (b"<!DOCTYPE html><html>", "web page"),
    ] {
        assert_refused(read_bytes("scan.nii.gz", bytes), "unsupported", words);
    }
    let folder = path.parent().expect("a folder");
    assert_refused(read_bytes("scan.nii", b""), "corrupt", "the file is empty");
    let series = folder.join("scan");
    std::fs::create_dir(&series).expect("folder");
    std::fs::copy(&path, series.join("1")).expect("copied");
    assert_refused(read(&series, 1), "unsupported", "a folder of DICOM files");
    let link = folder.join("scan.nii");
    let absent = "../.git/annex/objects/Xx/Yy/SHA256E-s1--0.nii/SHA256E-s1--0.nii";
    std::os::unix::fs::symlink(absent, &link).expect("a link");
    assert_refused(read(&link, 1), "unsupported", "git annex get");
}

#[test]
fn a_magic_altered_by_a_text_transfer_is_refused() {
    let mut bytes = Nifti::new(2, false, true, Dtype::Int16, &[5, 4, 3]).bytes();
    bytes.remove(8);
    bytes.push(0);
    assert_refused(read_bytes("scan.nii", &bytes), "corrupt", "text mode");
}

#[test]
fn a_path_that_is_no_file_is_named() {
    let folder = tempfile::tempdir().expect("folder");
    let missing = folder.path().join("scan-that-is-not.nii");
    assert_refused(read(&missing, 1), "not found", "scan-that-is-not.nii");
    let directory = folder.path().join("scan.nii");
    std::fs::create_dir(&directory).expect("folder");
    assert_refused(read(&directory, 1), "unsupported", "a folder: give the scans in it");
}
