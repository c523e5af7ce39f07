//! `read`: one patch, to a file.

use std::process::ExitCode;

use anyhow::Context;
use ndarray_npy::{WritableElement, WriteNpyExt};
use voxpatch::scan::nifti::{NiftiWriter, WriteHeader};
use voxpatch::store::Place;
use voxpatch::{Element, Kind, Region, StagedFile, Volume, with_element};

use crate::args::Read;
use crate::output;

/// Of patches written as `.nii.gz`: the level that tools commonly use.
const GZIP_LEVEL: u32 = 6;

pub fn run(args: &Read) -> anyhow::Result<ExitCode> {
    let mut volume = Place::find(&args.volume)?.volume()?.frame(args.frame)?;
    if let Some(padding) = args.pad {
        volume = volume.padded(padding);
    }
    if args.scaled {
        volume = volume.scaled();
    }
    let region = Region::new(args.start, args.shape);
    with_element!(volume.returned_dtype(), T => write::<T>(&volume, region, args))?;
    let cost = volume.cost(region)?;
    output::print(&format!(
        "{}: {} of {}; {} chunks, {} read",
        args.out.display(),
        output::shape(args.shape),
        volume.returned_dtype(),
        cost.chunks,
        output::bytes(cost.stored_bytes)
    ))?;
    Ok(ExitCode::SUCCESS)
}

fn write<T: Element + WritableElement>(
    volume: &Volume,
    region: Region,
    args: &Read,
) -> anyhow::Result<()> {
    let patch = volume.read::<T>(region)?;
    let name = args.out.to_string_lossy();
    if name.ends_with(".npy") {
        let mut file = StagedFile::create(&args.out)?;
        let failed = || format!("cannot write {}", args.out.display());
        patch.write_npy(&mut file).with_context(failed)?;
        return Ok(file.finish()?);
    }
    let header = WriteHeader {
        dtype: T::DTYPE,
        shape: region.shape,
        times: 1,
        channels: 1,
        affine: volume.affine().shifted(region.start),
        xform_code: WriteHeader::xform_code_of(&volume.attributes().source_fields),
        scaling: if args.scaled { None } else { volume.attributes().scaling },
        time_step: None,
        is_label: volume.kind() == Kind::Label && !args.scaled,
    };
    let gzip = name.ends_with(".gz").then_some(GZIP_LEVEL);
    let mut writer = NiftiWriter::create(&args.out, &header, gzip)?;
    let voxels = patch.as_slice().context("patches are contiguous")?;
    writer.write_planes(bytemuck::cast_slice(voxels))?;
    Ok(writer.finish()?)
}
