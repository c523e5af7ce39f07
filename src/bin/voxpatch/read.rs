//! `read`: one patch, to a file.

use std::process::ExitCode;

use anyhow::Context;
use voxpatch::scan::nifti::{NiftiWriter, WriteHeader};
use voxpatch::store::Place;
use voxpatch::{Dtype, Element, Kind, Region, StagedFile, Volume, with_element};

use crate::args::Read;
use crate::{npy, output};

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
    if volume.returned_dtype() == Dtype::Float16 && !is_npy(args) {
        output::note("NIfTI has no float16; written as float32, which holds every voxel exactly");
        volume = volume.converted(Dtype::Float32);
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

fn is_npy(args: &Read) -> bool {
    args.out.to_string_lossy().ends_with(".npy")
}

fn write<T: Element>(volume: &Volume, region: Region, args: &Read) -> anyhow::Result<()> {
    let patch = volume.read::<T>(region)?;
    if is_npy(args) {
        let mut file = StagedFile::create(&args.out)?;
        let failed = || format!("cannot write {}", args.out.display());
        npy::write(&patch, &mut file).with_context(failed)?;
        return Ok(file.finish()?);
    }
    let header = WriteHeader {
        dtype: T::DTYPE,
        shape: region.shape,
        times: 1,
        channels: 1,
        affine: volume.affine().shifted(region.start),
        xform_code: xform_code(volume),
        scaling: if args.scaled { None } else { volume.attributes().scaling },
        time_step: None,
        is_label: volume.kind() == Kind::Label && !args.scaled,
    };
    let gzip = args.out.to_string_lossy().ends_with(".gz").then_some(GZIP_LEVEL);
    let mut writer = NiftiWriter::create(&args.out, &header, gzip)?;
    let voxels = patch.as_slice().context("patches are contiguous")?;
    writer.write_planes(bytemuck::cast_slice(voxels))?;
    Ok(writer.finish()?)
}

/// Which coordinates the affine speaks of: that of the transform it was taken from, where the
/// source had one.
fn xform_code(volume: &Volume) -> i16 {
    let fields = &volume.attributes().source_fields;
    let code = |name| i16::try_from(fields.get(name)?.as_i64()?).ok();
    let given = ["sform_code", "qform_code"].into_iter().filter_map(code).find(|code| *code > 0);
    given.filter(|code| WriteHeader::XFORM_CODES.contains(code)).unwrap_or(WriteHeader::SCANNER)
}
