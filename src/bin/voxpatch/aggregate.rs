//! `aggregate` and `finalise`: a program's predictions become volumes.

use std::process::ExitCode;

use indicatif::ProgressBar;
use std::sync::OnceLock;
use voxpatch::aggregate::{AggregateReport, Clipped, Part, finalise};
use voxpatch::predict::{self, Model, PredictOptions, PredictReport, Step};
use voxpatch::store::{Place, VolumeInfo};
use voxpatch::{Error, Pool, Volume};

use crate::args::{Aggregate, Finalise};
use crate::interrupt::Interrupt;
use crate::output;

pub fn run(args: &Aggregate) -> anyhow::Result<ExitCode> {
    let interrupt = Interrupt::listen()?;
    let place = Place::find(&args.volume)?;
    let mut volume = place.volume()?;
    if let Some(padding) = args.pad {
        volume = volume.padded(padding);
    }
    if args.scaled {
        volume = volume.scaled();
    }
    if let Some(dtype) = args.dtype {
        volume = volume.converted(dtype);
    }
    let options = args.options(volume.name().subject())?;
    if let Some(parts) = args.parts {
        return show_parts(&volume, &options, parts, args, &interrupt);
    }
    let (pool, model) = (Pool::new(args.threads)?, Model::start(&args.exec)?);
    let bars = Bars { quiet: args.json, resumes: args.resume, ..Bars::default() };
    let progress = |step| {
        bars.show(step);
        !interrupt.is_set()
    };
    let report = predict::predict(&volume, place.dataset(), model, &options, &pool, &progress);
    bars.clear();
    match report {
        Ok(report) if args.json => output::print_json(&report)?,
        Ok(report) => output::print(&text(&report, &options))?,
        Err(Error::Cancelled) => {
            return Ok(stopped("--resume goes on from what was predicted"));
        }
        Err(error) => return Err(error.into()),
    }
    Ok(ExitCode::SUCCESS)
}

/// What was interrupted is no failure of its own.
fn stopped(next: &str) -> ExitCode {
    crate::complain(&anyhow::anyhow!("interrupted before all was published\nhint: {next}"));
    ExitCode::from(crate::INTERRUPTED)
}

/// The bars on standard error: patches, then bytes.
#[derive(Default)]
struct Bars {
    quiet: bool,
    /// It goes on with a run that was stopped.
    resumes: bool,
    patches: OnceLock<ProgressBar>,
    checked: OnceLock<ProgressBar>,
    bytes: OnceLock<u64>,
}

impl Bars {
    fn show(&self, step: Step) {
        match step {
            Step::Begun { patches, of, bytes } => {
                if self.resumes && !self.quiet {
                    output::note(&format!("resuming: {patches} of {of} patches are left"));
                }
                let patches = usize::try_from(patches).unwrap_or(usize::MAX);
                self.patches.get_or_init(|| output::steps(patches, "predict patches", self.quiet));
                self.bytes.get_or_init(|| bytes);
            }
            Step::Predicted(n) => {
                if let Some(bar) = self.patches.get() {
                    bar.inc(n);
                }
            }
            Step::Checked(n) => {
                let total = self.bytes.get().copied().unwrap_or(0);
                let bar = self.checked.get_or_init(|| {
                    if let Some(patches) = self.patches.get() {
                        patches.finish_and_clear();
                    }
                    output::progress(total, "check and publish", self.quiet)
                });
                bar.inc(n);
            }
        }
    }

    fn clear(&self) {
        let bars = [&self.patches, &self.checked];
        bars.into_iter().filter_map(OnceLock::get).for_each(ProgressBar::finish_and_clear);
    }
}

/// `--parts`: who would make what.
fn show_parts(
    volume: &Volume,
    options: &PredictOptions,
    parts: usize,
    args: &Aggregate,
    interrupt: &Interrupt,
) -> anyhow::Result<ExitCode> {
    let model = Model::start(&args.exec)?;
    let plan = predict::plan(volume, model, options, &|_| !interrupt.is_set())?;
    let parts = plan.split(parts)?;
    if args.json {
        output::print_json(&parts)?;
    } else {
        output::print(&parts_table(&parts, plan.grid().len()))?;
    }
    Ok(ExitCode::SUCCESS)
}

#[allow(clippy::cast_precision_loss)]
fn parts_table(parts: &[Part], patches: u64) -> String {
    let row = |part: &Part| {
        vec![
            format!("{}/{}", part.index + 1, part.of),
            part.region.to_string(),
            part.patches.to_string(),
            part.shared.to_string(),
        ]
    };
    let header = ["part", "voxels of the source", "patches", "also needed by others"];
    let table = output::table(&header, &parts.iter().map(row).collect::<Vec<_>>());
    let predicted: u64 = parts.iter().map(|part| part.patches).sum();
    let most = parts.iter().map(|part| part.patches).max().unwrap_or(0);
    let halo = 100.0 * (predicted as f64 / patches as f64 - 1.0);
    format!(
        "{table}\n\n{predicted} predictions instead of {patches}: patches at the cuts cost {halo:.1} % \
         more. The longest part has {most}, {} of all.",
        output::number(most as f64 / patches as f64)
    )
}

#[allow(clippy::cast_precision_loss)]
fn text(report: &PredictReport, options: &PredictOptions) -> String {
    let rate = report.patches as f64 / report.seconds.max(1e-9);
    let own = (report.seconds - report.waited).max(0.0);
    let model = report.heads.iter().enumerate().map(|(n, head)| {
        let number = if report.heads.len() > 1 { format!("head {n}: ") } else { String::new() };
        let [z, y, x] = head.shape;
        let stride = if head.factor == [1; 3] {
            String::new()
        } else {
            format!(", a voxel for {} of the volume", output::shape(head.factor))
        };
        let of = if head.dtype.is_empty() { String::new() } else { format!(" of {}", head.dtype) };
        format!("{number}{}x{z}x{y}x{x} (c, z, y, x){of}{stride}", head.channels)
    });
    let mut facts = vec![
        ("model", report.command.clone()),
        ("predictions", model.collect::<Vec<_>>().join("; ")),
        ("blended by", options.blend.to_string()),
        (
            "patches",
            format!(
                "{} in this run, of {} in all; {}/s",
                report.patches,
                report.of,
                output::number(rate)
            ),
        ),
        (
            "time",
            format!(
                "{:.2} s: {:.2} s waiting for the model, {own:.2} s of own work",
                report.seconds, report.waited
            ),
        ),
        (
            "memory",
            format!(
                "{} held at most, of {} allowed; {} spilled to disk",
                output::bytes(report.memory.peak),
                output::bytes(report.memory.budget),
                output::bytes(report.memory.spilled_peak)
            ),
        ),
    ];
    for Clipped { output, below, above } in &report.clipped {
        if below + above > 0 {
            let told = format!(
                "{output}: {below} voxels were below and {above} above what its type holds, and are \
                 its least and its greatest{}; uint8:SCALE and uint16:SCALE hold more",
                if report.patches < report.of { " (of those made in this run)" } else { "" }
            );
            facts.push(("clipped", told));
        }
    }
    if let Some(reason) = &report.checkpoints.failed {
        facts.push(("not kept", format!("what was held between patches: {reason}")));
    }
    if let Some(part) = &report.part {
        let made = format!("{} of {}, {}", part.index + 1, part.of, part.region);
        facts.insert(0, ("part", made));
    }
    let made = match &report.published {
        Some(published) => volumes(published),
        None => "The part is complete. When all are: voxpatch finalise".to_owned(),
    };
    format!("{}\n\n{made}", output::facts(&facts))
}

/// The volumes that were made.
fn volumes(report: &AggregateReport) -> String {
    let row = |v: &VolumeInfo| {
        vec![
            v.name.clone(),
            output::volume(v.shape, v.times, v.channels),
            format!("{}, {}", v.dtype, v.kind),
            v.layout.codec.to_string(),
            output::shape(v.layout.chunk),
            output::shard(&v.layout),
            output::bytes(v.stored_bytes),
            output::ratio(v.raw_bytes, v.stored_bytes),
        ]
    };
    let header = ["volume", "shape", "values", "codec", "chunk", "shard", "size", "ratio"];
    output::table(&header, &report.outputs.iter().map(row).collect::<Vec<_>>())
}

/// `finalise`.
pub fn finish(args: &Finalise) -> anyhow::Result<ExitCode> {
    let interrupt = Interrupt::listen()?;
    let (place, pool) = (Place::find(&args.volume)?, Pool::new(args.threads)?);
    let name = place.name()?;
    let bar = output::spinner("check and publish", args.json);
    let progress = |bytes| {
        bar.inc(bytes);
        !interrupt.is_set()
    };
    let report = finalise(place.dataset(), &name, args.replace.overwrite(), &pool, &progress);
    bar.finish_and_clear();
    match report {
        Ok(report) if args.json => output::print_json(&report)?,
        Ok(report) => output::print(&volumes(&report))?,
        Err(Error::Cancelled) => return Ok(stopped("the same command goes on")),
        Err(error) => return Err(error.into()),
    }
    Ok(ExitCode::SUCCESS)
}
