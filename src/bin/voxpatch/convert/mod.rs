//! `convert`: each scan becomes a volume, or an error message.

mod scans;
mod text;

use serde::Serialize;
use voxpatch::layout::Codec;
use voxpatch::scan::Found;
use voxpatch::{ConvertOptions, ConvertReport, Dataset, Error, Pool, VolumeName};

use crate::args::{Convert, IfExists};
use crate::code::{self, Code};
use crate::interrupt::Interrupt;
use crate::{label_names, output};
use scans::{names, scans};
use text::text;

pub use text::finding;

/// The JSON output.
#[derive(Default, Serialize)]
struct Outcome {
    converted: Vec<ConvertReport>,
    /// Volumes that exist already, converted from the same files with the same options.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unchanged: Vec<String>,
    failed: Vec<Failure>,
}

#[derive(Serialize)]
struct Failure {
    name: String,
    error: String,
}

pub fn run(args: &Convert) -> anyhow::Result<Code> {
    let scans = scans(args)?;
    let volumes = names(&scans, args)?;
    let tried = if args.layout.is_auto() { Codec::CANDIDATES.to_vec() } else { Vec::new() };
    let names = args.label_names.as_deref().map(label_names::read).transpose()?;
    let options = ConvertOptions::default()
        .workload(args.reads.workload()?)
        .plan(args.layout.options())
        .codecs(tried)
        .kind(args.meaning.kind())
        .fourth_axis(args.fourth_axis)
        .narrow(args.narrow)
        .labels(names.unwrap_or_default())
        .overwrite(args.existing.is_to() == IfExists::Overwrite);
    let interrupt = Interrupt::listen()?;
    let (dataset, pool) = (Dataset::create(&args.out)?, Pool::new(args.threads)?);
    let mut outcome = Outcome::default();
    for (scan, name) in scans.iter().zip(volumes) {
        match one(scan, &dataset, &name, &options, &pool, &interrupt, args) {
            Ok(None) => {
                if !args.json {
                    output::print(&format!(
                        "{name}: there already, from the same file with the same options"
                    ))?;
                }
                outcome.unchanged.push(name.to_string());
            }
            Ok(Some(report)) => {
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
            // Of several scans, the others are still converted.
            Err(error) => {
                let reason = error.to_string();
                let nameless = matches!(error, Error::InvalidArgument { .. });
                let mut told = anyhow::Error::new(error);
                if nameless {
                    told = told.context(scan.name());
                }
                crate::complain(&told);
                outcome.failed.push(Failure { name: name.to_string(), error: reason });
            }
        }
    }
    if args.json {
        output::print_json(&outcome)?;
    } else if scans.len() > 1 {
        let (done, of) = (outcome.converted.len(), scans.len());
        let before = match outcome.unchanged.len() {
            0 => String::new(),
            n => format!(", {n} there already"),
        };
        output::print(&format!("{done} of {} converted{before}", output::count(of, "scan")))?;
    }
    Ok(code::failed_if(!outcome.failed.is_empty()))
}

/// Nothing to report for an existing volume that should be kept.
fn one(
    found: &Found,
    dataset: &Dataset,
    name: &VolumeName,
    options: &ConvertOptions,
    pool: &Pool,
    interrupt: &Interrupt,
    args: &Convert,
) -> voxpatch::Result<Option<ConvertReport>> {
    let scan = found.open()?;
    let options = &options.clone().source_digest(Some(found.digest()?));
    if args.existing.is_to() == IfExists::Same && voxpatch::is_converted(dataset, name, options)? {
        return Ok(None);
    }
    let header = scan.header();
    // A survey reads the scan once more, and trying codecs its first frame.
    let passes = 1 + usize::from(options.surveys(header));
    let frames = passes * header.frames() + usize::from(!options.codecs.is_empty());
    let total = frames * header.plane_bytes() * header.shape[0];
    let bar = output::progress(total as u64, &name.to_string(), args.json);
    let progress = |bytes| {
        bar.inc(bytes);
        !interrupt.is_set()
    };
    let report = voxpatch::convert(scan, dataset, name, options, pool, &progress);
    bar.finish_and_clear();
    report.map(Some)
}
