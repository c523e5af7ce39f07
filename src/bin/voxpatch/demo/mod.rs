//! `demo`: a scan is stored, read back in random patches, compared, and timed; then a model passes
//! over it.

mod pass;
mod race;
mod smooth;
mod source;
mod summary;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde::Serialize;
use voxpatch::layout::{Access, LayoutPlan, PatchShape, VolumeSpec, WeightedPatch, Workload, plan};
use voxpatch::scan::ScanHeader;
use voxpatch::{
    ConvertOptions, ConvertReport, Dataset, Error, Pool, VolumeName, scan, voxels, with_element,
};

use crate::args::Demo;
use crate::interrupt::Interrupt;
use crate::measure::{Scratch, free_space};
use crate::output;
use pass::Pass;
use race::Race;
use source::Source;

/// What was done and measured.
#[derive(Serialize)]
struct Outcome {
    /// Made here, not given.
    synthetic: bool,
    /// The one given.
    #[serde(skip)]
    scan: Option<PathBuf>,
    /// Shape of a patch, `z, y, x`.
    patch: [usize; 3],
    threads: usize,
    plan: LayoutPlan,
    convert: ConvertReport,
    race: Race,
    pass: Pass,
    /// Where the volume is kept, if it is.
    kept: Option<PathBuf>,
}

pub fn run(args: &Demo) -> anyhow::Result<ExitCode> {
    let interrupt = Interrupt::listen()?;
    let scratch = Scratch::new(&std::env::temp_dir(), "demo", "TMPDIR")?;
    let pool = Pool::new(args.threads)?;
    let name = match &args.scan {
        Some(path) => VolumeName::for_file(path),
        None => VolumeName::new("demo", "image")?,
    };
    let dataset =
        Dataset::create(args.out.clone().unwrap_or_else(|| scratch.path().join("store")))?;
    // Told before any work is done.
    for name in [&name, &pass::name(&name)?] {
        if !matches!(dataset.open_volume(name), Err(Error::NotFound { .. })) {
            let path = dataset.path().join(name.to_string());
            anyhow::bail!("already exists: {} (keep the demo in another --out)", path.display());
        }
    }
    if args.scan.is_none() {
        room_for(args.shape, scratch.path())?;
    }
    let source = Source::new(args, scratch.path(), &pool, &interrupt)?;
    let (layout_plan, options, patch) = prepare(source.mapped.header(), args.patch)?;

    let scan = scan::open(&source.path)?;
    let total = scan.header().plane_bytes() * scan.header().shape[0] * scan.header().frames();
    let bar = output::progress(total as u64, "convert", args.json);
    let progress = |bytes| {
        bar.inc(bytes);
        !interrupt.is_set()
    };
    let convert = voxpatch::convert(scan, &dataset, &name, &options, &pool, &progress);
    bar.finish_and_clear();
    let convert = convert?;
    let dtype = source.mapped.header().dtype;
    let race = with_element!(dtype, T => {
        race::run::<T>(&dataset, &name, &source.mapped, patch, &interrupt)
    })?;
    let told = (args.json, &interrupt);
    let pass = with_element!(dtype, T => {
        pass::run::<T>(&dataset, &name, &source.mapped, patch, &pool, told)
    })?;
    let outcome = Outcome {
        synthetic: args.scan.is_none(),
        scan: args.scan.clone(),
        patch,
        threads: pool.threads(),
        plan: layout_plan,
        convert,
        race,
        pass,
        kept: args.out.as_ref().map(|store| store.join(name.to_string())),
    };
    if args.json {
        output::print_json(&outcome)?;
    } else {
        output::print(&summary::text(&outcome))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The plan for reading patches of this shape, cut down to the volume.
fn prepare(
    header: &ScanHeader,
    patch: [usize; 3],
) -> anyhow::Result<(LayoutPlan, ConvertOptions, [usize; 3])> {
    let patch: [usize; 3] = std::array::from_fn(|a| patch[a].min(header.shape[a]));
    let weighted = WeightedPatch::new(PatchShape::Voxels(patch), 1.0)?;
    let workload = Workload::new(vec![weighted], Access::Random)?;
    let volume = VolumeSpec {
        shape: header.shape,
        times: header.times,
        channels: header.channels,
        spacing: header.spacing,
        dtype: header.dtype,
    };
    let options = ConvertOptions { workload: Some(workload.clone()), ..ConvertOptions::default() };
    Ok((plan(&volume, &workload, &options.plan)?, options, patch))
}

/// Fails if the synthetic scan and its store would fill the disk.
fn room_for(shape: [usize; 3], folder: &Path) -> anyhow::Result<()> {
    let free = free_space(folder)?;
    // 16-bit voxels, and a store that is hardly ever larger.
    let need = voxels(shape).and_then(|n| u64::try_from(n).ok()?.checked_mul(4));
    if need.is_none_or(|need| need > free) {
        anyhow::bail!(
            "--shape {}: the scan and its store do not fit the {} that are free in {}; use a \
             smaller shape, or name another disk in TMPDIR",
            output::shape(shape),
            output::bytes(free),
            folder.display()
        );
    }
    Ok(())
}
