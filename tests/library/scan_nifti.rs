//! Sound NIfTI files of every kind read as the voxels and the geometry that were put into them.
#![allow(clippy::float_cmp)] // The numbers are exact in single precision.

use crate::common::nifti::{Nifti, Whole, expected, gzipped, read, types};
use voxpatch::{Affine, Certainty, Dtype, Scaling};

const AFFINE: Affine = Affine([
    [2.0, 0.0, 0.0, -10.0],
    [0.0, 3.0, 0.0, -20.0],
    [0.0, 0.0, 4.0, 30.0],
    [0.0, 0.0, 0.0, 1.0],
]);

fn written(nifti: &Nifti, gzip: bool, slab: usize) -> Whole {
    let folder = tempfile::tempdir().expect("folder");
    read(&nifti.write(folder.path(), gzip), slab).expect("a sound file")
}

fn assert_voxels(whole: &Whole) {
    let header = &whole.header;
    assert_eq!(whole.frames.len(), header.times * header.channels);
    let mut seen = std::collections::HashSet::new();
    for (frame, voxels) in &whole.frames {
        assert!(frame.time < header.times && frame.channel < header.channels);
        assert!(seen.insert(*frame), "{frame:?} came twice");
        assert!(*voxels == expected(header.dtype, *frame, header.shape), "{frame:?} differs");
    }
}

fn assert_close(affine: Affine, expected: [[f64; 4]; 4]) {
    for (ours, theirs) in affine.0.iter().flatten().zip(expected.iter().flatten()) {
        assert!((ours - theirs).abs() < 1e-5, "{affine:?} is not {expected:?}");
    }
}

#[test]
fn every_type_in_every_container_reads_as_written() {
    for dtype in types() {
        for (version, big, single, gzip) in
            (0..16u8).map(|i| (1 + (i & 1), i & 2 > 0, i & 4 > 0, i & 8 > 0))
        {
            let nifti = Nifti::new(version, big, single, dtype, &[7, 5, 11]);
            let whole = written(&nifti, gzip, 3);
            let header = &whole.header;
            assert_eq!((header.dtype, header.shape), (dtype, [11, 5, 7]));
            assert_eq!(header.format, format!("nifti-{version}"));
            assert_eq!(header.affine, AFFINE);
            assert_eq!(header.spacing.mm(), [4.0, 3.0, 2.0]);
            assert_eq!((header.time_step, header.scaling, header.is_label), (None, None, false));
            assert_eq!(header.fields["byte_order"], if big { "big" } else { "little" });
            assert_eq!(whole.findings, []);
            assert_voxels(&whole);
        }
    }
}

#[test]
fn a_scan_starts_over_from_anywhere() {
    for (big, single, gzip) in (0..8u8).map(|i| (i & 1 > 0, i & 2 > 0, i & 4 > 0)) {
        let nifti = Nifti::new(1, big, single, Dtype::Int16, &[7, 5, 3, 2]);
        let folder = tempfile::tempdir().expect("folder");
        let mut scan = voxpatch::scan::open(&nifti.write(folder.path(), gzip)).expect("sound");
        let (shape, plane) = (scan.header().shape, scan.header().plane_bytes());
        let mut read = |planes: usize, finish: bool| {
            let mut voxels = vec![0; planes * plane];
            for plane in voxels.chunks_exact_mut(plane) {
                scan.read_planes(plane).expect("sound");
            }
            if finish {
                assert_eq!(scan.finish().expect("sound"), []);
            }
            scan.rewind().expect("possible at any time");
            voxels
        };
        let whole: Vec<u8> = (0..2)
            .flat_map(|time| expected(Dtype::Int16, voxpatch::Frame { time, channel: 0 }, shape))
            .collect();
        for planes in [0, 1, 3, 4, 6] {
            assert!(read(planes, false) == whole[..planes * plane]);
            assert!(read(planes, true) == whole[..planes * plane]);
        }
    }
}

#[test]
fn one_to_seven_axes_read_as_frames_of_three() {
    for (sizes, shape, times, channels) in [
        (&[6][..], [1, 1, 6], 1, 1),
        (&[6, 4], [1, 4, 6], 1, 1),
        (&[6, 4, 3, 5], [3, 4, 6], 5, 1),
        (&[6, 4, 3, 1, 2], [3, 4, 6], 1, 2),
        (&[6, 4, 3, 4, 3], [3, 4, 6], 4, 3),
    ] {
        for (gzip, slab) in [(false, 2), (true, 1), (true, 100)] {
            let whole = written(&Nifti::new(1, true, true, Dtype::UInt32, sizes), gzip, slab);
            let header = &whole.header;
            assert_eq!((header.shape, header.times, header.channels), (shape, times, channels));
            assert_eq!(header.time_step, (times > 1).then_some(1.5));
            assert_voxels(&whole);
        }
    }
    let mut seven = Nifti::new(1, false, true, Dtype::UInt8, &[6, 4, 3, 4, 3]);
    seven.dim[0] = 7;
    assert_voxels(&written(&seven, false, 2));
}

#[test]
fn a_pair_opens_by_either_of_its_names() {
    for gzip in [false, true] {
        let folder = tempfile::tempdir().expect("folder");
        let nifti = Nifti::new(1, false, false, Dtype::Int16, &[5, 4, 3]);
        let header = nifti.write(folder.path(), gzip);
        let image = header.to_str().expect("text").replace(".hdr", ".img");
        assert_voxels(&read(&header, 2).expect("by header"));
        assert_voxels(&read(image.as_ref(), 2).expect("by image"));
    }
}

#[test]
fn voxels_after_extensions_are_found() {
    for gzip in [false, true] {
        let mut nifti = Nifti::small();
        nifti.voxels_at = 16_752;
        nifti.vox_offset = 16_752.0;
        assert_voxels(&written(&nifti, gzip, 2));
    }
}

#[test]
fn several_gzip_members_are_one_stream() {
    let folder = tempfile::tempdir().expect("folder");
    let nifti = Nifti::new(1, false, true, Dtype::Int16, &[40, 30, 20]);
    let bytes = nifti.bytes();
    let path = folder.path().join("scan.nii.gz");
    let members: Vec<u8> = bytes.chunks(997).flat_map(gzipped).chain(gzipped(b"")).collect();
    std::fs::write(&path, members).expect("write");
    let whole = read(&path, 3).expect("a sound file");
    assert_voxels(&whole);
    assert_eq!(whole.findings, []);
}

#[test]
fn content_decides_and_a_misleading_name_is_told() {
    let folder = tempfile::tempdir().expect("folder");
    let bytes = Nifti::small().bytes();
    for (name, bytes, words) in
        [("a.nii.gz", bytes.clone(), "not compressed"), ("b.nii", gzipped(&bytes), "gzipped")]
    {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).expect("write");
        let whole = read(&path, 2).expect("a sound file");
        assert_voxels(&whole);
        assert!(whole.says(Certainty::Decided, words), "{:?}", whole.findings);
    }
}

#[test]
fn the_qform_is_used_where_there_is_no_sform() {
    let mut nifti = Nifti::small();
    (nifti.sform_code, nifti.qform_code) = (0, 1);
    // Half a turn about x, with the left-handed flag: y and z change sign, z once more.
    nifti.quatern = [1.0, 0.0, 0.0];
    nifti.pixdim[0] = -1.0;
    let whole = written(&nifti, false, 2);
    assert_close(
        whole.header.affine,
        [
            [2.0, 0.0, 0.0, -10.0],
            [0.0, -3.0, 0.0, -20.0],
            [0.0, 0.0, 4.0, 30.0],
            [0.0, 0.0, 0.0, 1.0],
        ],
    );
    // A quarter turn about z.
    nifti.quatern = [0.0, 0.0, 0.5f64.sqrt()];
    nifti.pixdim[0] = 1.0;
    let whole = written(&nifti, false, 2);
    assert_close(
        whole.header.affine,
        [
            [0.0, -3.0, 0.0, -10.0],
            [2.0, 0.0, 0.0, -20.0],
            [0.0, 0.0, 4.0, 30.0],
            [0.0, 0.0, 0.0, 1.0],
        ],
    );
    assert_eq!(whole.findings, []);
}

#[test]
fn without_transforms_the_volume_is_centred_and_flipped_as_in_nibabel() {
    let mut nifti = Nifti::small();
    nifti.sform_code = 0;
    let whole = written(&nifti, false, 2);
    let expected =
        [[-2.0, 0.0, 0.0, 4.0], [0.0, 3.0, 0.0, -4.5], [0.0, 0.0, 4.0, -4.0], [0.0, 0.0, 0.0, 1.0]];
    assert_eq!(whole.header.affine.0, expected);
    assert!(whole.says(Certainty::Guessed, "no sform and no qform"));
}

#[test]
fn transforms_that_disagree_are_told_and_both_kept() {
    let mut nifti = Nifti::small();
    nifti.qform_code = 1;
    let whole = written(&nifti, false, 2);
    assert_eq!(whole.findings, [], "the same place, told twice");
    nifti.qoffset[1] += 0.5;
    let whole = written(&nifti, false, 2);
    assert_eq!(whole.header.affine, AFFINE);
    assert!(whole.says(Certainty::Decided, "disagree"));
    assert_eq!(whole.header.fields["qform"][1][3], -19.5);
    assert_eq!(whole.header.fields["sform"][1][3], -20.0);
    nifti.quatern = [0.9, 0.9, 0.0];
    let whole = written(&nifti, false, 2);
    assert!(whole.says(Certainty::Decided, "qform is impossible"));
    assert!(whole.header.fields["qform"].is_null());
}

#[test]
fn lengths_become_millimetres_and_times_seconds() {
    let sizes = [5, 4, 3, 2];
    for (space, factor) in [(1, 1e3), (2, 1.0), (3, 1e-3), (0, 1.0)] {
        for (time, step) in [(8, Some(1.5)), (16, Some(1.5e-3)), (24, Some(1.5e-6)), (32, None)] {
            let mut nifti = Nifti::new(2, false, true, Dtype::UInt8, &sizes);
            nifti.units = space | time;
            let whole = written(&nifti, false, 2);
            assert_close(whole.header.affine, {
                let mut scaled = AFFINE.0;
                scaled[..3].iter_mut().flatten().for_each(|v| *v *= factor);
                scaled
            });
            assert!((whole.header.spacing.mm()[0] - 4.0 * factor).abs() < 1e-9);
            assert_eq!(whole.header.time_step, step);
            assert_eq!(whole.says(Certainty::Guessed, "millimetres"), space == 0);
            assert_eq!(whole.says(Certainty::Decided, "millimetres"), space & 1 == 1);
        }
    }
}

#[test]
fn scaling_and_labels_are_told_and_the_voxels_left_alone() {
    for (scl, scaling) in [
        ([2.0, -1024.0], Some(Scaling { slope: 2.0, intercept: -1024.0 })),
        ([1.0, 5.0], Some(Scaling { slope: 1.0, intercept: 5.0 })),
        ([1.0, 0.0], None),
        ([0.0, 7.0], None),
        ([f64::NAN, f64::NAN], None),
        ([f64::INFINITY, 0.0], None),
    ] {
        let mut nifti = Nifti::small();
        nifti.scl = scl;
        nifti.intent = 1002;
        let whole = written(&nifti, false, 2);
        assert_eq!(whole.header.scaling, scaling);
        assert!(whole.header.is_label && whole.says(Certainty::Decided, "labels"));
        assert_voxels(&whole);
    }
}

#[test]
fn fields_are_numbers_only_and_no_text_of_the_file_appears() {
    let mut nifti = Nifti::small();
    nifti.scl = [f64::NAN, f64::INFINITY];
    let whole = written(&nifti, false, 2);
    assert!(whole.header.fields["scl_slope"].is_null());
    assert_eq!(whole.header.fields["dim"][1], 5);
    assert_eq!(whole.header.fields["pixdim"][3], 4.0);
    assert!(!format!("{whole:?}").contains("CANARY"));
}

#[test]
fn the_buffer_must_hold_whole_planes_of_one_frame() {
    let folder = tempfile::tempdir().expect("folder");
    let nifti = Nifti::new(1, false, true, Dtype::UInt8, &[5, 4, 3, 2]);
    let mut scan = voxpatch::scan::open(&nifti.write(folder.path(), false)).expect("sound");
    assert!(scan.read_planes(&mut [0; 21]).is_err());
    assert!(scan.read_planes(&mut [0; 80]).is_err(), "reaches into the next frame");
    scan.read_planes(&mut [0; 60]).expect("the first frame");
    scan.read_planes(&mut [0; 60]).expect("the second frame");
    assert!(scan.read_planes(&mut [0; 20]).is_err(), "there is no third");
    assert_eq!(scan.finish().expect("the end"), []);
}
