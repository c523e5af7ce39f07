//! The reasons for a plan, in sentences.

use super::report::{LayoutPlan, PlanOptions, VolumeSpec};
use super::shard::{LAYERS_IN_MEMORY, MEMORY_AIM, product};
use crate::error::show;

/// One sentence for each decision and each consequence.
pub(super) fn reasons(
    plan: &LayoutPlan,
    volume: &VolumeSpec,
    options: &PlanOptions,
) -> Vec<String> {
    let mut reasons = vec![chunk_reason(plan, volume, options)];
    reasons.extend(plan.patches.iter().map(|p| {
        format!(
            "a patch of {} touches {:.1} chunks on average, decodes {:.2} bytes per returned byte, \
             and is expected to take {:.0} µs on one core",
            show(&p.patch),
            p.cost.chunks,
            p.amplification,
            p.microseconds
        )
    }));
    reasons.extend(rival_reason(plan));
    reasons.push(shard_reason(plan, volume, options));
    reasons.push(memory_reason(plan));
    reasons
}

fn chunk_reason(plan: &LayoutPlan, volume: &VolumeSpec, options: &PlanOptions) -> String {
    let chunk = plan.layout.chunk;
    let shape = show(&chunk);
    let size = bytes(product([chunk[0], chunk[1], chunk[2], volume.dtype.size()]));
    if options.chunk.is_some() {
        return format!("chunks of {shape} ({size}) were given");
    }
    let share = match options.shard {
        Some(shard) => format!(" among those that divide the shard {}", show(&shard)),
        None if chunk == volume.shape => " (the whole volume)".into(),
        None => String::new(),
    };
    format!(
        "chunks of {shape} ({size}): the least expected time over the workload{share}, counting \
         the bytes that small chunks add to the store; among equals within 2 %, the shape that \
         needs little memory to write and makes the fewest chunks"
    )
}

/// The expected times of the best known alternatives, relative to the chosen chunk.
fn rival_reason(plan: &LayoutPlan) -> Option<String> {
    let compared: Vec<_> = plan
        .rivals
        .iter()
        .filter(|r| r.role != "runner-up" || plan.chosen.role == "given")
        .map(|r| {
            let times = r.microseconds / plan.chosen.microseconds;
            format!("{} ({}) {times:.2} times as long", show(&r.chunk), r.role)
        })
        .collect();
    (!compared.is_empty()).then(|| format!("other chunks would take: {}", compared.join(", ")))
}

fn shard_reason(plan: &LayoutPlan, volume: &VolumeSpec, options: &PlanOptions) -> String {
    let layout = &plan.layout;
    let shape = show(&layout.shard);
    let frames = product(layout.frames);
    let [z, y, x] = layout.shard;
    let size = bytes(product([z, y, x, volume.dtype.size()]).saturating_mul(frames));
    let files = if plan.shards == 1 { "one file".into() } else { format!("{} files", plan.shards) };
    let chunks = product(layout.chunks_per_shard()).saturating_mul(frames);
    let of = if frames == 1 { String::new() } else { format!(" of {frames} frames") };
    let why = if options.shard.is_some() {
        "as given"
    } else if frames > 1 {
        "whole frames, as many as make a file of useful size"
    } else if layout.shards(volume.shape) == [1; 3] {
        "the whole volume fits one"
    } else if layout.shards(volume.shape)[1..] == [1; 2] {
        "whole planes, as deep as the memory to write allows"
    } else {
        "part of each plane, because whole planes would make files too large"
    };
    format!("shards of {shape}{of} ({size}, {chunks} chunks each), {files}: {why}")
}

fn memory_reason(plan: &LayoutPlan) -> String {
    let need = bytes(plan.memory_to_write);
    let (layer, row) = (plan.layout.chunk[0], plan.layout.shard[0]);
    let frames = match product(plan.layout.frames) {
        1 => String::new(),
        n => format!(" of each of {n} frames"),
    };
    let text = format!(
        "writing takes about {need} of memory: {LAYERS_IN_MEMORY} layers of {layer} z-planes, and \
         {row} encoded{frames}"
    );
    if plan.memory_to_write <= MEMORY_AIM {
        return text;
    }
    format!("{text}; that is above the aim of {}, as a shard needs whole chunks", bytes(MEMORY_AIM))
}

/// `n` in the largest decimal unit that leaves at least 1.
#[allow(clippy::cast_precision_loss)]
fn bytes(n: u64) -> String {
    const UNITS: [&str; 7] = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];
    let (mut value, mut unit) = (n as f64, 0);
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    let digits = usize::from(unit > 0 && value < 99.95);
    format!("{value:.digits$} {}", UNITS[unit])
}
