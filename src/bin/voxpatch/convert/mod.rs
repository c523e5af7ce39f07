//! `convert`: each scan becomes a volume, or a message why not.

mod text;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

use serde::Serialize;
use voxpatch::layout::Codec;
use voxpatch::{ConvertOptions, ConvertReport, Dataset, Error, Pool, VolumeName, scan};

use crate::args::Convert;
use crate::interrupt::Interrupt;
use crate::output;
use text::text;

pub use text::finding;

/// What is printed as JSON.
#[derive(Default, Serialize)]
struct Outcome {
    converted: Vec<ConvertReport>,
    failed: Vec<Failure>,
}

#[derive(Serialize)]
struct Failure {
    name: String,
    error: String,
}

pub fn run(args: &Convert) -> anyhow::Result<ExitCode> {
    let names = names(args)?;
    let options = ConvertOptions {
        workload: args.reads.workload()?,
        plan: args.layout.options(),
        codecs: if args.layout.is_auto() { Codec::CANDIDATES.to_vec() } else { Vec::new() },
        kind: args.meaning.kind(),
        fourth_axis: args.fourth_axis,
        narrow: args.narrow,
        overwrite: args.overwrite,
    };
    let interrupt = Interrupt::listen()?;
    let (dataset, pool) = (Dataset::create(&args.out)?, Pool::new(args.threads)?);
    let mut outcome = Outcome::default();
    for (path, name) in args.scans.iter().zip(names) {
        match one(path, &dataset, &name, &options, &pool, &interrupt, args.json) {
            Ok(report) => {
                if !args.json {
                    output::print(&text(&report, args))?;
                }
                outcome.converted.push(report);
            }
            Err(Error::Cancelled) => {
                let done = outcome.converted.len();
                let error = anyhow::Error::new(Error::Cancelled);
                return Err(if done == 0 {
                    error
                } else {
                    error.context(format!(
                        "{name} (stored before it: {})",
                        output::count(done, "scan")
                    ))
                });
            }
            // Of several scans, those that can be converted are.
            Err(error) => {
                let reason = error.to_string();
                let nameless = matches!(error, Error::InvalidArgument { .. });
                let mut told = anyhow::Error::new(error);
                if nameless {
                    told = told.context(path.display().to_string());
                }
                crate::complain(&told);
                outcome.failed.push(Failure { name: name.to_string(), error: reason });
            }
        }
    }
    if args.json {
        output::print_json(&outcome)?;
    } else if args.scans.len() > 1 {
        let (done, of) = (outcome.converted.len(), args.scans.len());
        output::print(&format!("{done} of {} converted", output::count(of, "scan")))?;
    }
    Ok(ExitCode::from(u8::from(!outcome.failed.is_empty())))
}

/// A name for each scan, all different.
fn names(args: &Convert) -> anyhow::Result<Vec<VolumeName>> {
    if let Some(name) = &args.name {
        return Ok(vec![name.clone()]);
    }
    let mut taken: BTreeMap<VolumeName, &Path> = BTreeMap::new();
    let mut names = Vec::new();
    for path in &args.scans {
        let name = VolumeName::for_file(path);
        if let Some(other) = taken.insert(name.clone(), path) {
            anyhow::bail!(
                "{} and {} would both be stored as {name}; nothing was converted (convert them \
                 one by one, with --name)",
                other.display(),
                path.display()
            );
        }
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        if !file.starts_with(name.subject()) {
            output::note(&format!("{file} is stored as {name} (--name chooses another name)"));
        }
        names.push(name);
    }
    Ok(names)
}

fn one(
    path: &Path,
    dataset: &Dataset,
    name: &VolumeName,
    options: &ConvertOptions,
    pool: &Pool,
    interrupt: &Interrupt,
    quiet: bool,
) -> voxpatch::Result<ConvertReport> {
    let scan = scan::open(path)?;
    let header = scan.header();
    // Narrowed, or as labels with a scaling, a scan is read twice; to try codecs, its first frame
    // once more.
    let passes = 1 + usize::from(options.surveys(header));
    let frames = passes * header.frames() + usize::from(!options.codecs.is_empty());
    let total = frames * header.plane_bytes() * header.shape[0];
    let bar = output::progress(total as u64, &name.to_string(), quiet);
    let progress = |bytes| {
        bar.inc(bytes);
        !interrupt.is_set()
    };
    let report = voxpatch::convert(scan, dataset, name, options, pool, &progress);
    bar.finish_and_clear();
    report
}
