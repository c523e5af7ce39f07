//! The description of volumes as text.

use voxpatch::Kind;
use voxpatch::{Distribution, IndexInfo, VolumeInfo};

use crate::convert::finding;
use crate::output;

/// Most labels that are shown.
const LABELS: usize = 40;

/// Several, a line each.
pub fn list(volumes: &[VolumeInfo]) -> String {
    let header =
        ["volume", "shape", "spacing", "type", "kind", "index", "codec", "chunk", "size", "ratio"];
    let rows: Vec<_> = volumes
        .iter()
        .map(|v| {
            vec![
                v.name.clone(),
                output::volume(v.shape, v.times, v.channels),
                output::millimetres(v.spacing),
                output::dtype(v.dtype, v.stored_dtype),
                v.kind.to_string(),
                index(v).to_owned(),
                v.layout.codec.to_string(),
                output::shape(v.layout.chunk),
                output::bytes(v.stored_bytes),
                output::ratio(v.raw_bytes, v.stored_bytes),
            ]
        })
        .collect();
    let raw: u64 = volumes.iter().map(|v| v.raw_bytes).sum();
    let stored: u64 = volumes.iter().map(|v| v.stored_bytes).sum();
    let is_ours = |v: &VolumeInfo| !v.layout.codec.is_standard();
    let note = volumes.iter().find(|v| is_ours(v)).map_or_else(String::new, |v| {
        format!("\npacked volumes are read by {}", output::readers(v.layout.codec))
    });
    format!(
        "{}\n\n{}, {} from {}, {}{note}",
        output::table(&header, &rows),
        output::count(volumes.len(), "volume"),
        output::bytes(stored),
        output::bytes(raw),
        output::ratio(raw, stored)
    )
}

/// Whether a volume can be sampled by its voxels.
fn index(v: &VolumeInfo) -> &'static str {
    match (v.kind, &v.index) {
        (Kind::Intensity, _) => "-",
        (_, None) => "none",
        (_, Some(IndexInfo::Nothing { .. })) => "damaged",
        (_, Some(_)) => "yes",
    }
}

/// One, in full.
pub fn one(v: &VolumeInfo) -> String {
    let rows: Vec<_> = v.affine.0.iter().map(|row| row.map(|n| n.to_string()).join(" ")).collect();
    let dtype = output::dtype(v.dtype, v.stored_dtype);
    let mut facts = vec![
        ("voxels", output::volume(v.shape, v.times, v.channels)),
        ("spacing", output::millimetres(v.spacing)),
        ("type", format!("{dtype}, {}, from {}", v.kind, v.source_format)),
        ("orientation", format!("{} (x, y, z)", v.orientation)),
        ("affine", format!("{} (x, y, z to RAS mm)", rows[..3].join("; "))),
        ("layout", output::layout(&v.layout)),
        ("read by", output::readers(v.layout.codec).to_owned()),
        ("patches", output::workload(&v.workload)),
        (
            "size",
            format!(
                "{} from {}, {}",
                output::bytes(v.stored_bytes),
                output::bytes(v.raw_bytes),
                output::ratio(v.raw_bytes, v.stored_bytes)
            ),
        ),
        (
            "scaling",
            v.scaling.map_or_else(
                || "none: voxels are the values".to_owned(),
                |s| format!("value = {} x voxel + {}", s.slope, s.intercept),
            ),
        ),
    ];
    if let Some(step) = v.time_step {
        facts.push(("time step", format!("{step} s")));
    }
    distribution(&v.distribution, &mut facts);
    if v.kind != Kind::Intensity {
        let none = || {
            "none, or one of an earlier version: sampling by it needs one (voxpatch index)"
                .to_owned()
        };
        facts.push(("index", v.index.as_ref().map_or_else(none, output::index)));
    }
    facts.push(("digest", v.voxel_digest.clone()));
    let findings = v.findings.iter().map(finding);
    let lines = [v.name.clone(), output::facts(&facts)].into_iter().chain(findings);
    lines.collect::<Vec<_>>().join("\n")
}

fn distribution(distribution: &Distribution, facts: &mut Vec<(&'static str, String)>) {
    match distribution {
        Distribution::Intensity { moments, percentiles, non_finite } => {
            if let Some(m) = moments {
                let shown = [m.min, m.max, m.mean, m.std].map(output::number);
                let [min, max, mean, std] = shown;
                facts.push(("range", format!("{min} to {max}, mean {mean}, deviation {std}")));
            }
            let shown: Vec<_> = percentiles
                .iter()
                .map(|p| format!("{}%: {}", p.percent, output::number(p.value)))
                .collect();
            facts.push(("percentiles", shown.join(", ")));
            if *non_finite > 0 {
                facts.push(("not finite", format!("{non_finite} voxels (NaN or infinite)")));
            }
        }
        Distribution::Label { labels } => {
            let few = labels.iter().take(LABELS);
            let shown: Vec<_> = few.map(|l| format!("{}: {}", l.label, l.voxels)).collect();
            let more = match labels.len().saturating_sub(LABELS) {
                0 => String::new(),
                more => format!(", and {more} more (--json lists all)"),
            };
            facts.push(("labels", format!("{}{more} (label: voxels)", shown.join(", "))));
        }
    }
}
