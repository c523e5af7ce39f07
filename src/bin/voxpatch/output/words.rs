//! Properties of volumes as text.

use voxpatch::IndexInfo;
use voxpatch::layout::{Access, ChunkLayout, Codec, PatchShape, WeightedPatch, Workload};
use voxpatch::{Dtype, Spacing};

use super::numbers::number;

/// `ZxYxX`.
pub fn shape(shape: [usize; 3]) -> String {
    shape.map(|n| n.to_string()).join("x")
}

/// The shape of a frame, and the number of frames if there are several.
pub fn volume(frame: [usize; 3], times: usize, channels: usize) -> String {
    let axes = [(times, "times"), (channels, "channels")];
    let more = axes.into_iter().filter(|(n, _)| *n > 1).map(|(n, what)| format!(", {n} {what}"));
    std::iter::once(shape(frame)).chain(more).collect()
}

/// The type on disk, and the source's if it differs.
pub fn dtype(source: Dtype, stored: Dtype) -> String {
    if source == stored {
        return stored.to_string();
    }
    format!("{stored}, narrowed from {source}")
}

/// A count with its noun: `1 scan`, `2 scans`.
pub fn count(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

/// The note about default patches.
pub const DEFAULT_WORKLOAD: &str = " (the default; give the shapes you read with --patch)";

/// The patches of a workload and their starts.
pub fn workload(workload: &Workload) -> String {
    let shape = |patch: &WeightedPatch| match patch.shape() {
        PatchShape::Voxels(voxels) => shape(voxels),
        PatchShape::Millimetres(mm) => format!("{} mm", mm.map(number).join("x")),
    };
    let patches = workload.patches();
    let one = |patch: &WeightedPatch| match patches.len() {
        1 => shape(patch),
        _ => format!("{} (weight {})", shape(patch), number(patch.weight())),
    };
    let access = match workload.access() {
        Access::Random => "at random".to_owned(),
        Access::Grid { overlap: [0, 0, 0] } => "on a grid".to_owned(),
        Access::Grid { overlap } => format!("on a grid, overlapping by {}", self::shape(overlap)),
    };
    format!("{}, {access}", patches.iter().map(one).collect::<Vec<_>>().join(", "))
}

/// Millimetres, `z, y, x`.
pub fn millimetres(spacing: Spacing) -> String {
    format!("{} mm", spacing.mm().map(number).join("x"))
}

/// Chunk, shard and codec in one line.
pub fn layout(layout: &ChunkLayout) -> String {
    let chunk = shape(layout.chunk);
    format!("chunks of {chunk} in shards of {}, {}", shard(layout), layout.codec)
}

/// The shape of a shard, `z, y, x`, and its number of frames, if there are several.
pub fn shard(layout: &ChunkLayout) -> String {
    let frames: usize = layout.frames.iter().product();
    let of = if frames > 1 { format!("{frames} frames of ") } else { String::new() };
    format!("{of}{}", shape(layout.shard))
}

/// The programs that read volumes of this codec.
pub fn readers(codec: Codec) -> &'static str {
    if codec.is_standard() {
        return "every Zarr reader";
    }
    "voxpatch and programs that link it; other Zarr readers need its plug-in"
}

/// The content of an index for sampling, as text.
pub fn index(index: &IndexInfo) -> String {
    match index {
        IndexInfo::Labels { labels, blocks } => {
            format!("{} in {}", count(*labels, "label"), count(*blocks, "block"))
        }
        IndexInfo::Weights { blocks } => format!("weights in {}", count(*blocks, "block")),
        IndexInfo::Nothing { reason } => format!("cannot be used: {reason}"),
    }
}
