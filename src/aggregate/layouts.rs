//! Chunks and shards of the outputs of a plan: outputs of one head get the same chunks, and shards
//! end at planes where all outputs can be cut into parts.

use super::Output;
use crate::Result;
use crate::layout::{self, ChunkLayout, VolumeSpec, Workload};

/// Largest shard of finished layers, in bytes, unless one layer of chunks is larger.
const LAYERS_BYTES: usize = 8 << 20;
/// Largest shard, in bytes, unless one chunk is larger.
const SHARD_BYTES: usize = 32 << 20;
/// Shards become at most this many times deeper to end at common planes.
const DEEPER: usize = 4;

/// An output whose chunks are to be chosen.
#[derive(Debug)]
pub(super) struct Uncut {
    pub(super) output: Output,
    /// The volume that will be stored.
    pub(super) spec: VolumeSpec,
    pub(super) workload: Workload,
}

impl Uncut {
    /// Whether both outputs are cut into the same chunks: outputs of one head are, unless one asks
    /// for another chunk.
    fn goes_with(&self, other: &Self) -> bool {
        let (a, b) = (&self.output, &other.output);
        (a.head, a.chunk, a.shard) == (b.head, b.chunk, b.shard) && self.workload == other.workload
    }

    fn layout(&self, chunk: Option<[usize; 3]>) -> Result<ChunkLayout> {
        let options = layout::PlanOptions { chunk, ..self.output.plan_options() };
        let planned = layout::plan(&self.spec, &self.workload, &options)?.layout;
        // A shard is written as soon as its last patch arrives, so each channel has its own files.
        planned.with_frames([1; 2])
    }
}

/// Chooses chunks and shards. Outputs that share chunks get the chunks of the widest type among
/// them, of the first such output. `outer` is the axis along which patches proceed.
pub(super) fn choose(outputs: &[Uncut], outer: usize) -> Result<Vec<ChunkLayout>> {
    let mut layouts: Vec<ChunkLayout> = Vec::new();
    for uncut in outputs {
        let others = outputs.iter().filter(|other| uncut.goes_with(other));
        let size = |uncut: &Uncut| uncut.spec.dtype.size();
        let widest = others.fold(uncut, |a, b| if size(b) > size(a) { b } else { a });
        let chunk = widest.layout(widest.output.chunk)?.chunk;
        layouts.push(uncut.layout(Some(chunk))?);
    }
    let is_free = |n: &usize| outputs[*n].output.shard.is_none();
    let free: Vec<usize> = (0..outputs.len()).filter(is_free).collect();
    for n in &free {
        let VolumeSpec { shape, dtype, .. } = outputs[*n].spec;
        layouts[*n] = flat_shards(layouts[*n], shape, dtype.size(), outer)?;
    }
    even_depths(&mut layouts, outputs, &free, outer)?;
    Ok(layouts)
}

/// Makes the shards of all outputs end at the same planes of the source: as deep as the flattest of
/// them, or deeper where their chunks demand it, up to `DEEPER`.
fn even_depths(
    layouts: &mut [ChunkLayout],
    outputs: &[Uncut],
    free: &[usize],
    outer: usize,
) -> Result<()> {
    let factor = |n: usize| outputs[n].output.factor[outer];
    let depths = |of: fn(&ChunkLayout) -> [usize; 3], n: usize| {
        of(&layouts[n])[outer].saturating_mul(factor(n))
    };
    let shards = free.iter().map(|n| depths(|layout| layout.shard, *n));
    let (Some(flattest), Some(deepest)) = (shards.clone().min(), shards.max()) else {
        return Ok(());
    };
    let chunks = free.iter().map(|n| depths(|layout| layout.chunk, *n));
    let unit = chunks.fold(1, least_common_multiple);
    if unit > deepest.saturating_mul(DEEPER) {
        return Ok(());
    }
    let length = free.iter().map(|n| outputs[*n].spec.shape[outer] * factor(*n)).max().unwrap_or(1);
    let units = length.div_ceil(unit);
    let depth = unit * layout::even(units, (flattest / unit).clamp(1, units));
    for n in free {
        let ChunkLayout { chunk, mut shard, codec, .. } = layouts[*n];
        let whole = outputs[*n].spec.shape[outer].next_multiple_of(chunk[outer]);
        shard[outer] = (depth / factor(*n)).min(whole);
        layouts[*n] = ChunkLayout::new(chunk, shard, codec)?;
    }
    Ok(())
}

/// Groups chunks into shards that are flat along `outer`, the axis along which patches proceed.
fn flat_shards(
    layout: ChunkLayout,
    volume: [usize; 3],
    item: usize,
    outer: usize,
) -> Result<ChunkLayout> {
    let chunk = layout.chunk;
    let grid: [usize; 3] = std::array::from_fn(|a| volume[a].div_ceil(chunk[a]));
    let chunk_bytes = chunk.iter().product::<usize>().saturating_mul(item).max(1);
    let mut counts = [1; 3];
    // Extends the shard along x, then y, then z, but along the outer axis last.
    let others = [2, 1, 0].into_iter().filter(|a| *a != outer);
    for (a, most) in others.map(|a| (a, SHARD_BYTES)).chain([(outer, LAYERS_BYTES)]) {
        let now = counts.iter().product::<usize>() * chunk_bytes;
        counts[a] = layout::even(grid[a], (most / now).clamp(1, grid[a]));
    }
    let shard = std::array::from_fn(|a| counts[a] * chunk[a]);
    ChunkLayout::new(chunk, shard, layout.codec)
}

pub(super) fn least_common_multiple(a: usize, b: usize) -> usize {
    let (mut gcd, mut rest) = (a, b);
    while rest > 0 {
        (gcd, rest) = (rest, gcd % rest);
    }
    (a / gcd.max(1)).saturating_mul(b)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::Values;
    use crate::layout::{Access, Codec, PatchShape, WeightedPatch};
    use crate::{Dtype, Spacing};

    #[test]
    fn shards_are_flat_along_the_outer_axis_and_within_their_bytes() {
        let codec = Codec::default();
        for (chunk, volume, item, outer, expected) in [
            ([32, 32, 32], [1069, 512, 512], 4, 0, [32, 512, 512]),
            ([32, 32, 32], [1069, 512, 512], 1, 0, [32, 512, 512]),
            ([32, 32, 32], [64, 512, 512], 4, 2, [64, 512, 64]),
            ([8, 8, 8], [30, 20, 10], 4, 0, [32, 24, 16]),
        ] {
            let layout = ChunkLayout::new(chunk, chunk, codec).unwrap();
            assert_eq!(flat_shards(layout, volume, item, outer).unwrap().shard, expected);
        }
        let layout = ChunkLayout::new([32; 3], [32; 3], codec).unwrap();
        let shard = flat_shards(layout, [400, 2000, 2000], 4, 0).unwrap().shard;
        assert!(shard[0] == 32 && shard.iter().product::<usize>() * 4 <= SHARD_BYTES, "{shard:?}");
    }

    fn uncut(dtype: Dtype, factor: usize, head: usize) -> Uncut {
        let output = Output::new("a/b".parse().unwrap(), 4, Values::Float32);
        let shape = [600 / factor, 512, 512];
        let spacing = Spacing::new([1.0; 3]).unwrap();
        let spec = VolumeSpec { shape, times: 1, channels: 4, spacing, dtype };
        let patch = WeightedPatch::new(PatchShape::Voxels([64, 128, 128]), 1.0).unwrap();
        let workload = Workload::new(vec![patch], Access::Random).unwrap();
        Uncut { output: Output { head, factor: [factor, 1, 1], ..output }, spec, workload }
    }

    #[test]
    fn outputs_of_a_head_share_their_chunks_and_all_shards_end_at_the_same_planes() {
        let outputs = [
            uncut(Dtype::UInt8, 1, 0),
            uncut(Dtype::Float32, 1, 0),
            uncut(Dtype::Float16, 1, 0),
            uncut(Dtype::UInt16, 2, 1),
        ];
        let layouts = choose(&outputs, 0).unwrap();
        let alone = choose(&outputs[1..2], 0).unwrap()[0];
        assert!(layouts[..3].iter().all(|layout| layout.chunk == alone.chunk), "{layouts:?}");
        let depths = layouts.iter().zip(&outputs).map(|(l, o)| l.shard[0] * o.output.factor[0]);
        let depths: Vec<usize> = depths.collect();
        assert!(depths.iter().all(|depth| *depth == depths[0] && *depth < 600), "{depths:?}");
        // A chunk that is given is nobody else's.
        let mut given = outputs;
        given[1].output.chunk = Some([16, 16, 16]);
        let layouts = choose(&given, 0).unwrap();
        assert!(layouts[1].chunk == [16; 3] && layouts[0].chunk != [16; 3], "{layouts:?}");
    }
}
