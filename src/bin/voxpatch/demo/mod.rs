//! `demo`: a scan becomes a volume, is read, predicted, and exported again, by the calls that your
//! own program would make.

mod model;
mod summary;

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, bail, ensure};
use serde::Serialize;
use voxpatch::aggregate::AggregateReport;
use voxpatch::layout::{Access, PatchShape, WeightedPatch, Workload};
use voxpatch::phantom::ChestPhantom;
use voxpatch::sample::UniformSampler;
use voxpatch::stream::{ImageRequest, PatchStream, StreamOptions};
use voxpatch::{
    ConvertOptions, ConvertReport, Dataset, Error, ExportOptions, ExportReport, Frame, Pool,
    VolumeName, bench, scan,
};
use voxpatch::{Place, VerifyReport};

use crate::args::Demo;
use crate::code::{self, Code};
use crate::interrupt::Interrupt;
use crate::output;

#[derive(Serialize)]
struct Outcome {
    convert: ConvertReport,
    bench: bench::Report,
    /// Patches of the stream, and the seconds that they took.
    streamed: (usize, f64),
    predict: AggregateReport,
    export: ExportReport,
    verify: VerifyReport,
}

pub fn run(args: &Demo) -> anyhow::Result<Code> {
    let interrupt = Interrupt::listen()?;
    let going = |_bytes| !interrupt.is_set();
    let scratch = tempfile::Builder::new().prefix("voxpatch-demo-").tempdir();
    let scratch = scratch.context("cannot make a temporary folder (TMPDIR)")?;
    let (pool, store) = (Pool::new(args.threads)?, scratch.path().join("store"));
    let dataset = Dataset::create(args.out.as_ref().unwrap_or(&store))?;
    let name = args
        .scan
        .as_ref()
        .map_or(VolumeName::new("demo", "image")?, |path| VolumeName::for_file(path));
    let classes = VolumeName::new(name.subject(), format!("{}-classes", name.image()))?;
    for name in [&name, &classes] {
        if !matches!(dataset.open_volume(name), Err(Error::NotFound { .. })) {
            bail!("already exists: {name} (keep the demo in another --out)");
        }
    }
    let phantom = scratch.path().join("phantom.nii");
    if args.scan.is_none() {
        ChestPhantom::new(args.shape, args.spacing)?.write(&phantom, false, &pool, &going)?;
    }
    let (path, file) = (args.scan.as_ref().unwrap_or(&phantom), scratch.path().join("again.nii"));

    // Once: the scan becomes a volume, laid out for the patches that will be read.
    let scan = scan::open(path)?;
    let patch = std::array::from_fn(|axis| args.patch[axis].min(scan.header().shape[axis]));
    let weighted = WeightedPatch::new(PatchShape::Voxels(patch), 1.0)?;
    let workload = Some(Workload::new(vec![weighted], Access::Random)?);
    let options = ConvertOptions::default().workload(workload);
    let convert = voxpatch::convert(scan, &dataset, &name, &options, &pool, &going)?;

    // From then on: random patches, here timed beside a memory map of the same voxels, and from a
    // stream.
    let mut timed = bench::Options::default();
    timed.scratch = Some(scratch.path().into());
    let place = Place::find(dataset.path().join(name.to_string()))?;
    let bench = bench::measure(&place, &timed, &|_| !interrupt.is_set())?;
    let streamed = stream(&dataset, &name, patch, &pool, &interrupt)?;

    // A model predicts the whole volume; the volume is exported; every byte is verified.
    let volume = dataset.open_volume(&name)?;
    let predict = model::predict(&dataset, &volume, &classes, patch, &pool, &interrupt)?;
    let export = voxpatch::export(&volume, &file, &ExportOptions::default(), &pool, &going)?;
    let again = Dataset::create(scratch.path().join("again"))?;
    let again = voxpatch::convert(scan::open(&file)?, &again, &name, &options, &pool, &going)?;
    ensure!(again.voxel_digest == convert.voxel_digest, "the exported voxels are not the scan's");
    let verify = dataset.verify(&pool, &going)?;

    let code = code::failed_if(!verify.is_sound() || !bench.failed.is_empty());
    let outcome = Outcome { convert, bench, streamed, predict, export, verify };
    let text = || output::print(&summary::text(&outcome, args));
    if args.json { output::print_json(&outcome) } else { text() }?;
    Ok(code)
}

/// Patches as in a training loop: drawn by a sampler, read ahead by workers.
fn stream(
    dataset: &Dataset,
    name: &VolumeName,
    patch: [usize; 3],
    pool: &Pool,
    interrupt: &Interrupt,
) -> voxpatch::Result<(usize, f64)> {
    let options = StreamOptions::default()
        .images(vec![ImageRequest::new(name.image()).scaled().frame(Frame::default())])
        .patches_per_visit(64)
        .workers(pool.threads());
    let (sampler, began) = (Arc::new(UniformSampler::new(patch)?), Instant::now());
    for patch in PatchStream::new(dataset, vec![name.subject().into()], sampler, &options)? {
        patch?;
        interrupt.check()?;
    }
    Ok((options.patches_per_visit, began.elapsed().as_secs_f64()))
}
