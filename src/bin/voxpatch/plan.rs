//! `plan`: the layout that a scan would get, explained.

use voxpatch::layout::{self, LayoutPlan, VolumeSpec, Workload};
use voxpatch::scan;

use crate::args::Plan;
use crate::code::{self, Code};
use crate::output;

pub fn run(args: &Plan) -> anyhow::Result<Code> {
    let volume = spec(args)?;
    let given = args.reads.workload()?;
    let origin = if given.is_none() { output::DEFAULT_WORKLOAD } else { "" };
    let workload = given.unwrap_or_else(|| Workload::default_for(volume.spacing));
    let plan = layout::plan(&volume, &workload, &args.layout.options())?;
    if args.json {
        output::print_json(&plan)?;
    } else {
        output::print(&text(&volume, &plan, &workload, origin))?;
    }
    Ok(code::DONE)
}

/// The volume, from the header of a scan or from the flags.
fn spec(args: &Plan) -> anyhow::Result<VolumeSpec> {
    if let Some(path) = &args.scan {
        let scan = scan::open(path)?;
        let header = scan.header();
        return Ok(VolumeSpec {
            shape: header.shape,
            times: header.times,
            channels: header.channels,
            spacing: header.spacing,
            dtype: header.dtype,
        });
    }
    match (args.shape, args.spacing, args.dtype) {
        (Some(shape), Some(spacing), Some(dtype)) => Ok(VolumeSpec {
            shape,
            times: args.times.unwrap_or(1),
            channels: args.channels.unwrap_or(1),
            spacing,
            dtype,
        }),
        _ => anyhow::bail!("give a scan, or --shape, --spacing and --dtype"),
    }
}

fn text(volume: &VolumeSpec, plan: &LayoutPlan, workload: &Workload, origin: &str) -> String {
    let facts = output::facts(&[
        ("voxels", output::volume(volume.shape, volume.times, volume.channels)),
        ("spacing", output::millimetres(volume.spacing)),
        ("type", volume.dtype.to_string()),
        ("layout", output::layout(&plan.layout)),
        ("files", format!("{} shards, {} chunks", plan.shards, plan.chunks)),
        ("memory", format!("{} to write it", output::bytes(plan.memory_to_write))),
        ("patches", output::workload(workload) + origin),
    ]);
    let patches: Vec<_> = plan
        .patches
        .iter()
        .map(|p| {
            vec![
                output::shape(p.patch),
                p.weight.to_string(),
                format!("{:.1}", p.cost.chunks),
                output::bytes_of(p.cost.bytes_decoded),
                format!("{:.2}", p.amplification),
                format!("{:.0}", p.microseconds),
            ]
        })
        .collect();
    let header = ["patch", "weight", "chunks", "decoded", "decoded/returned", "µs on one core"];
    let patches = output::table(&header, &patches);
    let candidates: Vec<_> = std::iter::once(&plan.chosen)
        .chain(&plan.rivals)
        .map(|c| {
            vec![
                output::shape(c.chunk),
                c.role.to_owned(),
                format!("{:.1}", c.chunks),
                format!("{:.2}", c.amplification),
                format!("{:.0}", c.microseconds),
                format!("{:.0}", c.score),
                c.total_chunks.to_string(),
            ]
        })
        .collect();
    let header =
        ["chunk", "", "chunks/patch", "decoded/returned", "µs/patch", "score", "chunks in all"];
    let candidates = output::table(&header, &candidates);
    let least = plan.rivals.iter().map(|c| c.score).fold(f64::INFINITY, f64::min);
    let equal = if plan.chosen.role == "chosen" && plan.chosen.score > least {
        "\nScores are accurate to about 2 %: among those this close to the least, the chunk that \
         needs the least\nmemory to write and makes the fewest chunks is chosen."
    } else {
        ""
    };
    let reasons: Vec<_> = plan.reasons.iter().map(|reason| format!("- {reason}")).collect();
    format!(
        "{}\n\nExpected for each patch, on average:\n{patches}\n\nWhat else was possible (lower \
         scores are better):\n{candidates}\n\nA score is the time of a patch in µs, with that of getting its bytes from disk once, times \
         what small\nchunks add to the store.{equal}\n\nWhy:\n{}",
        facts,
        reasons.join("\n")
    )
}
