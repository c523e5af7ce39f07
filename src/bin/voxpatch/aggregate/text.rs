//! The text about a run.

use voxpatch::VolumeInfo;
use voxpatch::aggregate::{AggregateReport, Clipped};
use voxpatch::predict::{PredictOptions, PredictReport};

use crate::output;

#[allow(clippy::cast_precision_loss)]
pub fn text(report: &PredictReport, options: &PredictOptions) -> String {
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
    for Clipped { output, below, above, .. } in &report.clipped {
        if below + above > 0 {
            let told = format!(
                "{output}: {below} voxels were below and {above} above the range of its type, and \
                 became its least and its greatest number{}; uint8:SCALE and uint16:SCALE hold \
                 more",
                if report.patches < report.of { " (of those made in this run)" } else { "" }
            );
            facts.push(("clipped", told));
        }
    }
    if let Some(reason) = &report.checkpoints.failed {
        facts.push(("not saved", format!("the state between patches: {reason}")));
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
pub fn volumes(report: &AggregateReport) -> String {
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
