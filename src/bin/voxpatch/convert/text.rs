//! The text about a conversion.

use std::time::Duration;

use voxpatch::{Certainty, CodecTrial, ConvertReport, Finding};

use crate::args::Convert;
use crate::output;

pub fn text(report: &ConvertReport, args: &Convert) -> String {
    let origin = if args.reads.workload().is_ok_and(|given| given.is_some()) {
        ""
    } else {
        output::DEFAULT_WORKLOAD
    };
    let took = Duration::from_secs_f64(report.seconds);
    let dtype = output::dtype(report.dtype, report.stored_dtype);
    let mut facts = vec![
        ("voxels", output::volume(report.shape, report.times, report.channels)),
        ("spacing", output::millimetres(report.spacing)),
        ("type", format!("{dtype}, {}, from {}", report.kind, report.source_format)),
        ("patches", output::workload(&report.workload) + origin),
        ("layout", output::layout(&report.layout)),
        (
            "size",
            format!(
                "{} from {}, {}",
                output::bytes(report.stored_bytes),
                output::bytes(report.raw_bytes),
                output::ratio(report.raw_bytes, report.stored_bytes)
            ),
        ),
        ("time", format!("{:.2} s, {}", report.seconds, output::rate(report.raw_bytes, took))),
    ];
    if let Some(reason) = report.reasons.first() {
        facts.insert(5, ("why", reason.clone()));
    }
    if let Some(index) = &report.index {
        facts.push(("index", format!("{}, for sampling", output::index(index))));
    }
    let findings = report.findings.iter().map(finding);
    let mut lines: Vec<_> =
        [report.name.clone(), output::facts(&facts)].into_iter().chain(findings).collect();
    if !report.trial.is_empty() {
        lines.push(trial(&report.trial));
    }
    lines.join("\n")
}

/// The table of tried codecs.
fn trial(trials: &[CodecTrial]) -> String {
    let header = ["tried", "chunk", "size", "expected µs/patch", "score", "read by", ""];
    let rows: Vec<_> = trials
        .iter()
        .map(|t| {
            vec![
                t.layout.codec.to_string(),
                output::shape(t.layout.chunk),
                format!("{:.1} %", 100.0 * t.size),
                format!("{:.1}", t.microseconds),
                format!("{:.1}", t.score),
                if t.standard { "every Zarr reader" } else { "voxpatch" }.to_owned(),
                if t.chosen { "chosen" } else { "" }.to_owned(),
            ]
        })
        .collect();
    output::table(&header, &rows)
}

/// A finding as a line, its certainty in front.
pub fn finding(finding: &Finding) -> String {
    let certainty = match finding.certainty {
        Certainty::Decided => "decided",
        Certainty::Guessed => "guessed",
        Certainty::Repaired => "repaired",
    };
    format!("{certainty}: {}", finding.message)
}
