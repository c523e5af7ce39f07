//! `read`: one patch, to a file.

use std::io::Write;
use std::process::ExitCode;

use anyhow::Context;
use voxpatch::scan::nifti::{NiftiWriter, WriteHeader};
use voxpatch::store::Place;
use voxpatch::{Dtype, Element, Error, Kind, Region, StagedFile, Volume, npy, with_element};

use crate::args::Read;
use crate::output;

/// Of patches written as `.nii.gz`: the level that tools commonly use.
const GZIP_LEVEL: u32 = 6;

/// The frame that is to be read: of several, none is meant unless it is named.
fn chosen(volume: Volume, args: &Read) -> anyhow::Result<Volume> {
    match args.frame {
        Some(frame) => Ok(volume.frame(frame)?),
        None if volume.times() * volume.channels() > 1 => anyhow::bail!(
            "{} has {} and {}: name the one to read, such as --frame 0,0",
            volume.name(),
            output::count(volume.times(), "time point"),
            output::count(volume.channels(), "channel")
        ),
        None => Ok(volume),
    }
}

pub fn run(args: &Read) -> anyhow::Result<ExitCode> {
    let mut volume = chosen(Place::find(&args.volume)?.volume()?, args)?;
    if let Some(padding) = args.pad {
        volume = volume.padded(padding);
    }
    if args.scaled {
        volume = volume.scaled();
    }
    if let Some(dtype) = args.dtype {
        volume = volume.converted(dtype);
    }
    if volume.returned_dtype() == Dtype::Float16 && !is_npy(args) {
        output::note("NIfTI has no float16; written as float32, which holds every voxel exactly");
        volume = volume.converted(Dtype::Float32);
    }
    let region = Region::new(args.start, args.shape);
    check_free(args)?;
    with_element!(volume.returned_dtype(), T => write::<T>(&volume, region, args))?;
    let cost = volume.cost(region)?;
    output::print(&format!(
        "{}: {} of {}; {}, {} read",
        args.out.display(),
        output::shape(args.shape),
        volume.returned_dtype(),
        output::count(cost.chunks, "chunk"),
        output::bytes(cost.stored_bytes)
    ))?;
    Ok(ExitCode::SUCCESS)
}

fn check_free(args: &Read) -> voxpatch::Result<()> {
    if !args.overwrite && args.out.symlink_metadata().is_ok() {
        return Err(Error::AlreadyExists { path: args.out.clone() });
    }
    Ok(())
}

fn is_npy(args: &Read) -> bool {
    args.out.to_string_lossy().ends_with(".npy")
}

fn write<T: Element>(volume: &Volume, region: Region, args: &Read) -> anyhow::Result<()> {
    let patch = volume.read::<T>(region)?;
    if is_npy(args) {
        let mut file = StagedFile::create(&args.out)?;
        let voxels = patch.as_slice().context("patches are contiguous")?;
        file.write_all(&npy::header(T::DTYPE, &region.shape))
            .and_then(|()| file.write_all(&npy::numbers(voxels)))
            .with_context(|| format!("cannot write {}", args.out.display()))?;
        check_free(args)?;
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
    let gzip = args.out.to_string_lossy().ends_with(".gz").then_some(GZIP_LEVEL);
    let mut writer = NiftiWriter::create(&args.out, &header, gzip)?;
    let voxels = patch.as_slice().context("patches are contiguous")?;
    writer.write_planes(bytemuck::cast_slice(voxels))?;
    check_free(args)?;
    Ok(writer.finish()?)
}
