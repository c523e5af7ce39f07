//! `bench`: patches of stored volumes, timed beside an uncompressed memory map of the same voxels.

mod bars;
mod cache;
mod cases;
mod counters;
mod figures;
mod inflated;
mod labels;
mod machine;
mod pass;
mod plot;
mod row;
mod subject;
mod summary;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde::Serialize;
use time::OffsetDateTime;
use voxpatch::layout::ChunkLayout;
use voxpatch::store::Place;
use voxpatch::{
    Dataset, Dtype, Element, Error, Region, StagedFile, Volume, VolumeName, with_element,
};

use crate::args::Bench;
use crate::interrupt::Interrupt;
use crate::measure::{Scratch, free_space, plain_header, write_copy};
use crate::output;
use inflated::Inflated;
use machine::Machine;
use row::Row;
use subject::Subject;

/// The copy is written in slabs of as many planes as this holds, at most.
const SLAB_BYTES: usize = 128 << 20;

/// What is printed as JSON.
#[derive(Serialize)]
struct Report {
    voxpatch: &'static str,
    machine: Machine,
    /// Of the start, in UTC.
    date: String,
    /// Seconds that a row was to take, more or less.
    seconds: f64,
    seed: u64,
    /// How cold rows were made cold, if any were asked for.
    cold_method: Option<&'static str>,
    volumes: Vec<Measured>,
    failed: Vec<Failure>,
}

/// One volume and its rows.
#[derive(Serialize)]
struct Measured {
    name: String,
    /// Of a frame; the first is read.
    shape: [usize; 3],
    times: usize,
    channels: usize,
    dtype: Dtype,
    stored_dtype: Dtype,
    layout: ChunkLayout,
    /// Of all frames.
    raw_bytes: u64,
    stored_bytes: u64,
    /// Of the first frame, uncompressed; `None` without such a copy.
    copy_bytes: Option<u64>,
    /// The same scan as a `.nii.gz`, if it was written.
    inflated: Option<Inflated>,
    rows: Vec<Row>,
}

#[derive(Serialize)]
struct Failure {
    name: String,
    error: String,
}

pub fn run(args: &Bench) -> anyhow::Result<ExitCode> {
    let interrupt = Interrupt::listen()?;
    if cfg!(debug_assertions) {
        output::note("built without optimisation (cargo build --release): its times mean nothing");
    }
    let place = Place::find(&args.store)?;
    let mut names = place.volumes()?;
    // Told before any work is done.
    let mut plot = args.plot.as_deref().map(StagedFile::create).transpose()?;
    let limit = args.limit.unwrap_or(usize::MAX);
    if names.len() > limit {
        output::note(&format!("the first {limit} of {} volumes (--limit)", names.len()));
        names.truncate(limit);
    }
    let mut report = Report {
        voxpatch: env!("CARGO_PKG_VERSION"),
        machine: Machine::here(),
        date: OffsetDateTime::now_utc().date().to_string(),
        seconds: args.seconds,
        seed: args.seed,
        cold_method: args.cold.then_some(cache::METHOD),
        volumes: Vec::new(),
        failed: Vec::new(),
    };
    if !args.json {
        let told = if names.is_empty() { "no volumes" } else { &summary::header(&report) };
        output::print(told)?;
    }
    for name in &names {
        match one(args, place.dataset(), name, &interrupt) {
            Ok(measured) => {
                if !args.json {
                    output::print(&summary::volume(&measured))?;
                }
                report.volumes.push(measured);
            }
            Err(error) if matches!(error.downcast_ref(), Some(Error::Cancelled)) => {
                return Err(error);
            }
            // The others are still worth measuring.
            Err(error) => {
                crate::complain(&error);
                let error = crate::message(&error);
                report.failed.push(Failure { name: name.to_string(), error });
            }
        }
    }
    if let (Some(mut file), Some(path)) = (plot.take(), &args.plot)
        && !report.volumes.is_empty()
    {
        plot::write(&report, &mut file, path)?;
        file.finish()?;
    }
    if args.json {
        output::print_json(&report)?;
    } else if !report.volumes.is_empty() {
        output::print(&summary::notes(&report))?;
    }
    Ok(ExitCode::from(u8::from(!report.failed.is_empty())))
}

fn one(
    args: &Bench,
    dataset: &Dataset,
    name: &VolumeName,
    interrupt: &Interrupt,
) -> anyhow::Result<Measured> {
    let volume = dataset.open_volume(name)?;
    let cases = cases::cases(args, &volume)?;
    let scratch = if args.no_baseline { None } else { Some(scratch(args, &volume)?) };
    let mut subject = Subject {
        dataset,
        name,
        shape: volume.shape(),
        copy: None,
        seconds: args.seconds,
        patches: args.patches,
        seed: args.seed,
        interrupt,
    };
    with_element!(volume.dtype(), T => {
        if let Some(scratch) = &scratch {
            subject.copy = Some(copy::<T>(&volume, scratch.path(), args.json, interrupt)?);
        }
        // No handle may be open when files are dropped from memory.
        let mut measured = facts(&volume, subject.copy.is_some());
        if let Some(scratch) = &scratch {
            measured.inflated = inflated::measure(&volume, scratch.path(), interrupt)?;
        }
        drop(volume);
        let bar = output::steps(cases.len(), &name.to_string(), args.json);
        let mut rows = Vec::with_capacity(cases.len());
        for case in cases {
            rows.push(row::measure::<T>(&subject, case)?);
            bar.inc(1);
        }
        bar.finish_and_clear();
        Ok(Measured { rows, ..measured })
    })
}

fn facts(volume: &Volume, copied: bool) -> Measured {
    let frame = volume.raw_bytes() / (volume.times() * volume.channels()).max(1) as u64;
    Measured {
        name: volume.name().to_string(),
        shape: volume.shape(),
        times: volume.times(),
        channels: volume.channels(),
        dtype: volume.dtype(),
        stored_dtype: volume.stored_dtype(),
        layout: *volume.layout(),
        raw_bytes: volume.raw_bytes(),
        stored_bytes: volume.stored_bytes(),
        copy_bytes: copied.then_some(frame),
        inflated: None,
        rows: Vec::new(),
    }
}

/// A folder with room for the copy.
fn scratch(args: &Bench, volume: &Volume) -> anyhow::Result<Scratch> {
    let parent = args.scratch.clone().unwrap_or_else(std::env::temp_dir);
    // The copy, and the same as a .nii.gz, which noise does not shrink.
    let copy = facts(volume, true).copy_bytes.unwrap_or(0);
    let (free, need) = (free_space(&parent)?, copy.saturating_mul(2));
    // The header, and the folder itself.
    if need.saturating_add(1 << 16) > free {
        anyhow::bail!(
            "{}: its uncompressed copy and a .nii.gz of it, {}, do not fit the {} that are free in {}; name another \
             folder with --scratch, or do without the copy with --no-baseline",
            volume.name(),
            output::bytes(need),
            output::bytes(free),
            parent.display()
        );
    }
    Scratch::new(&parent, "bench", "--scratch names another folder")
}

/// Writes the first frame as an uncompressed file.
fn copy<T: Element>(
    volume: &Volume,
    folder: &Path,
    quiet: bool,
    interrupt: &Interrupt,
) -> anyhow::Result<PathBuf> {
    let path = folder.join("copy.nii");
    let shape @ [_, rows, columns] = volume.shape();
    let header = plain_header(T::DTYPE, shape, *volume.affine());
    // Whole layers of chunks, so that each chunk is decoded once.
    let plane = rows * columns * size_of::<T>();
    let depth = volume.layout().chunk[0].min(SLAB_BYTES / plane).max(1);
    let told = format!("{}: uncompressed copy", volume.name());
    write_copy(&path, &header, depth, (&told, quiet), interrupt, |first, planes| {
        let planes: &mut [T] = bytemuck::cast_slice_mut(planes);
        let start = [i64::try_from(first).unwrap_or(i64::MAX), 0, 0];
        let depth = planes.len() / (rows * columns);
        volume.read_into(Region::new(start, [depth, rows, columns]), planes)
    })?;
    Ok(path)
}
