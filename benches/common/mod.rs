//! The scan that benchmarks run on: `VOXPATCH_SCAN`, or a synthetic chest CT.
#![allow(dead_code, reason = "each benchmark uses its part")]

use std::path::{Path, PathBuf};

use voxpatch::phantom::ChestPhantom;
use voxpatch::scan::nifti::{NiftiWriter, WriteHeader};
use voxpatch::{Affine, Dtype, Spacing};

/// The scan's path; the synthetic one is written into `folder`, uncompressed.
pub fn scan(folder: &Path) -> PathBuf {
    if let Some(path) = std::env::var_os("VOXPATCH_SCAN") {
        return path.into();
    }
    let path = folder.join("phantom.nii");
    let shape = [192, 512, 512];
    let spacing = Spacing::new([1.0, 0.7, 0.7]).expect("positive");
    let phantom = ChestPhantom::new(shape, spacing).expect("a shape that fits");
    let mut voxels = vec![0_i16; shape.iter().product()];
    for (z, plane) in voxels.chunks_exact_mut(shape[1] * shape[2]).enumerate() {
        phantom.plane(z, plane).expect("a plane of the phantom");
    }
    write(&path, shape, spacing, &voxels, None);
    path
}

/// Writes 16-bit voxels (`z, y, x`) as NIfTI, gzipped with a level or plain.
pub fn write(path: &Path, shape: [usize; 3], spacing: Spacing, voxels: &[i16], gzip: Option<u32>) {
    let header = WriteHeader {
        dtype: Dtype::Int16,
        shape,
        times: 1,
        channels: 1,
        affine: Affine::from_spacing(spacing),
        space: None,
        scaling: None,
        time_step: None,
        is_label: false,
    };
    let mut writer = NiftiWriter::create(path, &header, gzip).expect("a writable folder");
    writer.write_planes(bytemuck::cast_slice(voxels)).expect("space");
    writer.finish().expect("space");
}

/// All voxels of a scan of 16-bit signed integers, and its shape, `z, y, x`.
pub fn voxels(path: &Path) -> ([usize; 3], Vec<i16>) {
    let mut scan = voxpatch::scan::open(path).expect("a readable scan");
    let shape = scan.header().shape;
    assert_eq!(scan.header().dtype, Dtype::Int16, "the benchmarks read int16");
    let mut voxels = vec![0_i16; shape.iter().product()];
    scan.read_planes(bytemuck::cast_slice_mut(&mut voxels)).expect("readable voxels");
    (shape, voxels)
}
