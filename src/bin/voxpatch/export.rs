//! `export`: a stored volume, to a NIfTI file.

use std::time::Duration;

use voxpatch::Place;
use voxpatch::{ExportOptions, ExportReport, Pool};

use crate::args::Export;
use crate::code::{self, Code};
use crate::convert::finding;
use crate::interrupt::Interrupt;
use crate::output;

pub fn run(args: &Export) -> anyhow::Result<Code> {
    let interrupt = Interrupt::listen()?;
    let (volume, pool) = (Place::find(&args.volume)?.volume()?, Pool::new(args.threads)?);
    let options =
        ExportOptions::default().level(args.level).overwrite(args.overwrite).nifti(args.nifti);
    let bar = output::progress(volume.raw_bytes(), "export", args.json);
    let progress = |bytes| {
        bar.inc(bytes);
        !interrupt.is_set()
    };
    let report = voxpatch::export(&volume, &args.out, &options, &pool, &progress);
    bar.finish_and_clear();
    let report = report?;
    if args.json {
        output::print_json(&report)?;
    } else {
        output::print(&text(&report))?;
    }
    Ok(code::DONE)
}

fn text(report: &ExportReport) -> String {
    let took = Duration::from_secs_f64(report.seconds);
    let format = match report.level {
        Some(level) => format!("{}, gzip level {level}", report.format),
        None => report.format.clone(),
    };
    let narrowed = if report.dtype.size() > report.stored_dtype.size() {
        format!(" (stored as {})", report.stored_dtype)
    } else {
        String::new()
    };
    let facts = [
        ("voxels", output::volume(report.shape, report.times, report.channels)),
        ("spacing", output::millimetres(report.spacing)),
        ("type", format!("{}{narrowed}, {}", report.dtype, report.kind)),
        ("format", format),
        (
            "size",
            format!(
                "{} from {}, {}",
                output::bytes(report.file_bytes),
                output::bytes(report.raw_bytes),
                output::ratio(report.raw_bytes, report.file_bytes)
            ),
        ),
        ("time", format!("{:.2} s, {}", report.seconds, output::rate(report.raw_bytes, took))),
    ];
    let title = format!("{} to {}", report.name, report.path.display());
    let findings = report.findings.iter().map(finding);
    [title, output::facts(&facts)].into_iter().chain(findings).collect::<Vec<_>>().join("\n")
}
