//! One frame as an uncompressed file: what a memory map reads.

use std::path::Path;

use voxpatch::scan::nifti::{NiftiWriter, WriteHeader};
use voxpatch::{Affine, Dtype};

use crate::interrupt::Interrupt;
use crate::output;

/// The header of a single frame of voxels as they are.
pub fn plain_header(dtype: Dtype, shape: [usize; 3], affine: Affine) -> WriteHeader {
    WriteHeader {
        dtype,
        shape,
        times: 1,
        channels: 1,
        affine,
        space: None,
        scaling: None,
        time_step: None,
        is_label: false,
    }
}

/// Writes a file, `depth` planes at a time: `fill` is given the first plane and the bytes of
/// them all, fewer at the end. Needs memory for that many planes. `what` names the work.
pub fn write_copy(
    path: &Path,
    header: &WriteHeader,
    depth: usize,
    (what, quiet): (&str, bool),
    interrupt: &Interrupt,
    mut fill: impl FnMut(usize, &mut [u8]) -> voxpatch::Result<()>,
) -> anyhow::Result<()> {
    let [planes, rows, columns] = header.shape;
    let plane = rows * columns * header.dtype.size();
    let mut writer = NiftiWriter::create(path, header, None)?;
    // In units of the largest voxel, so that any type can be seen in them.
    let mut slab = vec![0_u64; (plane * depth.min(planes)).div_ceil(size_of::<u64>())];
    let slab: &mut [u8] = bytemuck::cast_slice_mut(&mut slab);
    let bar = output::progress((plane * planes) as u64, what, quiet);
    for first in (0..planes).step_by(depth) {
        interrupt.check()?;
        let slab = &mut slab[..plane * depth.min(planes - first)];
        fill(first, slab)?;
        writer.write_planes(slab)?;
        bar.inc(slab.len() as u64);
    }
    bar.finish_and_clear();
    Ok(writer.finish()?)
}
