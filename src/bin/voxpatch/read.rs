//! `read`: one patch, to a file.

use std::io::Write;

use anyhow::Context;
use ndarray::Ix4;
use voxpatch::Place;
use voxpatch::scan::{ScanFormat, ScanWriter, WriteHeader};
use voxpatch::{
    Element, Error, Frames, Kind, ReadCost, Region, StagedFile, View, Volume, npy, with_element,
};

use crate::args::Read;
use crate::code::{self, Code};
use crate::output;

/// Of patches written as `.nii.gz`: the level that tools commonly use.
const GZIP_LEVEL: u32 = 6;

/// The view to read by, and, if several frames are to be read, which.
fn chosen(volume: &Volume, args: &Read) -> anyhow::Result<(View, Option<Frames>)> {
    let view = volume.view();
    match (args.frame, args.frames) {
        (Some(frame), _) => Ok((view.frame(frame)?, None)),
        (None, Some(_)) if !is_npy(args) => anyhow::bail!(
            "several frames are written to .npy alone: name one (--frame 0,0), or write the whole \
             volume with voxpatch export"
        ),
        (None, Some(frames)) => {
            // Told before a byte is read.
            view.frames(frames).map(drop)?;
            Ok((view, Some(frames)))
        }
        // Of several, none is meant unless it is named.
        (None, None) if volume.times() * volume.channels() > 1 => anyhow::bail!(
            "{} has {} and {}: name the one to read, such as --frame 0,0, or read --frames all \
             of them to a .npy",
            volume.name(),
            output::count(volume.times(), "time point"),
            output::count(volume.channels(), "channel")
        ),
        (None, None) => Ok((view, None)),
    }
}

pub fn run(args: &Read) -> anyhow::Result<Code> {
    let (mut view, frames) = chosen(&Place::find(&args.volume)?.volume()?, args)?;
    if let Some(padding) = args.pad {
        view = view.padded(padding);
    }
    if args.scaled {
        view = view.scaled();
    }
    if let Some(dtype) = args.dtype {
        view = view.converted(dtype);
    }
    if !is_npy(args) {
        let (format, dtype) = (ScanFormat::of(&args.out)?, view.returned_dtype());
        let carried = format.carries(dtype);
        if carried != dtype {
            output::note(&format!(
                "{} has no {dtype}; written as {carried}, which holds every voxel exactly",
                format.name()
            ));
            view = view.converted(carried);
        }
    }
    let region = Region::new(args.start, args.shape);
    check_free(args)?;
    let mut cost = ReadCost::default();
    let read = match frames {
        None => {
            with_element!(view.returned_dtype(), T => write::<T>(&view, region, args))?;
            cost += view.cost(region)?;
            output::shape(args.shape)
        }
        Some(frames) => {
            let view = view.frames(frames)?;
            with_element!(view.returned_dtype(), T => write_frames::<T>(&view, region, args))?;
            cost += view.cost(region)?;
            let count = output::count(view.channels(), "frame");
            format!("{count}, {}", output::shape(args.shape))
        }
    };
    output::print(&format!(
        "{}: {read} of {}; {}, {} read",
        args.out.display(),
        view.returned_dtype(),
        output::count(cost.chunks, "chunk"),
        output::bytes(cost.stored_bytes)
    ))?;
    Ok(code::DONE)
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

fn write_frames<T: Element>(view: &View<Ix4>, region: Region, args: &Read) -> anyhow::Result<()> {
    let patch = view.read::<T>(region)?;
    write_npy(patch.as_slice().context("patches are contiguous")?, patch.shape(), args)
}

fn write_npy<T: Element>(voxels: &[T], shape: &[usize], args: &Read) -> anyhow::Result<()> {
    let mut file = StagedFile::create(&args.out)?;
    file.write_all(&npy::header(T::DTYPE, shape))
        .and_then(|()| file.write_all(&npy::numbers(voxels)))
        .with_context(|| format!("cannot write {}", args.out.display()))?;
    check_free(args)?;
    Ok(file.finish()?)
}

fn write<T: Element>(view: &View, region: Region, args: &Read) -> anyhow::Result<()> {
    let volume = view.volume();
    let patch = view.read::<T>(region)?;
    if is_npy(args) {
        let voxels = patch.as_slice().context("patches are contiguous")?;
        return write_npy(voxels, &region.shape, args);
    }
    let header = WriteHeader {
        dtype: T::DTYPE,
        shape: region.shape,
        times: 1,
        channels: 1,
        affine: volume.affine().shifted(region.start),
        space: volume.attributes().space,
        scaling: if args.scaled { None } else { volume.attributes().scaling },
        time_step: None,
        is_label: volume.kind() == Kind::Label && !args.scaled,
    };
    let mut writer = ScanWriter::create(&args.out, &header, GZIP_LEVEL)?;
    let voxels = patch.as_slice().context("patches are contiguous")?;
    writer.write_voxels(bytemuck::cast_slice(voxels))?;
    check_free(args)?;
    Ok(writer.finish()?)
}
