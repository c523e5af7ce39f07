//! The choice of a layout: the cost of every candidate, the best one, and its rivals.

use std::collections::HashMap;

use super::candidates::Search;
use super::report::{Candidate, LayoutPlan, PatchPlan, PlanOptions, VolumeSpec};
use super::shard::{self, MEMORY_AIM, memory_to_write, product};
use super::{ChunkLayout, CostModel, PatchCost, WeightedPatch, Workload};
use crate::error::show;
use crate::{Error, Result};

/// Scores this close to the best count as equal; memory and the number of chunks then decide.
const TIE: f64 = 1.02;
/// How many runners-up are shown, besides the shapes that are always shown.
const RUNNERS_UP: usize = 3;

/// Chooses how to cut and compress a volume for a workload.
///
/// # Errors
/// [`Error::InvalidArgument`] if the volume is empty or its bytes do not fit 64 bits, if a grid's
/// overlap is not less than a patch, or if the codec cannot store the voxels' type.
/// [`Error::InvalidLayout`] if a chunk or shard given in `options` is not possible.
pub fn plan(volume: &VolumeSpec, workload: &Workload, options: &PlanOptions) -> Result<LayoutPlan> {
    check(volume)?;
    options.codec.check_for(volume.dtype)?;
    let patches = workload.in_voxels(volume.spacing)?;
    let item_bytes = volume.dtype.size();
    let model = CostModel::new(volume.shape, item_bytes, options.codec, workload.access());
    let mut pricing = Pricing::new(model, workload, patches);
    let ranking = Ranking::new(&mut pricing, options.shard);

    let best = || ranking.best(&model).map_or_else(|| Err(uncuttable(options)), |c| Ok(c.chunk));
    let layout = match (options.chunk, options.shard) {
        (Some(chunk), Some(shard)) => ChunkLayout::new(chunk, shard, options.codec)?,
        (Some(chunk), None) => shard::choose(&model, chunk, options.codec)?,
        (None, Some(shard)) => ChunkLayout::new(best()?, shard, options.codec)?,
        (None, None) => shard::choose(&model, best()?, options.codec)?,
    };
    // A shard that reaches beyond the volume holds the same chunks as one that ends with the
    // volume.
    let whole =
        |a: usize| volume.shape[a].div_ceil(layout.chunk[a]).saturating_mul(layout.chunk[a]);
    let shard = std::array::from_fn(|a| layout.shard[a].min(whole(a)));
    let layout = ChunkLayout::new(layout.chunk, shard, layout.codec)?;
    // A shard that the caller has given is kept as given.
    let layout = if options.shard.is_none() { shard::span_frames(layout, volume)? } else { layout };
    layout.check_for(volume.shape, [volume.times, volume.channels])?;
    Ok(describe(volume, options, layout, &mut pricing, &ranking))
}

fn check(volume: &VolumeSpec) -> Result<()> {
    let axes = [&volume.shape[..], &[volume.times, volume.channels]].concat();
    let refuse = |reason| Err(Error::invalid("volume", show(&volume.shape), reason));
    if axes.contains(&0) {
        return refuse("has no voxels; every axis, times and channels must be at least 1");
    }
    let bytes = axes.iter().try_fold(volume.dtype.size(), |bytes, n| bytes.checked_mul(*n));
    if bytes.is_none() {
        return refuse("has more bytes than fit in 64 bits");
    }
    Ok(())
}

/// The error for no candidate, which only a given shard can cause.
fn uncuttable(options: &PlanOptions) -> Error {
    let shard = options.shard.unwrap_or_default();
    let reason = format!(
        "shard {} cannot be cut into chunks that fit the volume; every axis must be at least 1, \
         with divisors up to the volume's",
        show(&shard)
    );
    Error::InvalidLayout { reason }
}

/// Computes the costs of chunk shapes for one workload, and caches the counts along each axis.
struct Pricing<'a> {
    model: CostModel,
    workload: &'a Workload,
    /// In voxels, in the workload's order.
    patches: Vec<[usize; 3]>,
    /// Chunks touched, by patch, axis and unit.
    counts: HashMap<(usize, usize, usize), f64>,
}

impl<'a> Pricing<'a> {
    fn new(model: CostModel, workload: &'a Workload, patches: Vec<[usize; 3]>) -> Self {
        Self { model, workload, patches, counts: HashMap::new() }
    }

    fn patch(&mut self, index: usize, chunk: [usize; 3]) -> PatchCost {
        let Self { model, patches, counts, .. } = self;
        let patch = patches[index];
        model.patch_with(patch, chunk, |axis, unit| {
            let count = counts.entry((index, axis, unit));
            *count.or_insert_with(|| model.along(patch, axis, unit))
        })
    }

    fn candidate(&mut self, chunk: [usize; 3], role: &'static str) -> Candidate {
        let weights: Vec<f64> = self.workload.patches().iter().map(WeightedPatch::weight).collect();
        // Divided by the largest weight first, so that no sum of finite weights is infinite.
        let largest = weights.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
        let [mut sum, mut chunks, mut decoded, mut returned, mut time, mut read] = [0.0; 6];
        for (index, weight) in weights.iter().enumerate() {
            let cost = self.patch(index, chunk);
            let weight = weight / largest;
            sum += weight;
            chunks += weight * cost.chunks;
            decoded += weight * cost.bytes_decoded;
            returned += weight * cost.bytes_returned;
            time += weight * cost.nanoseconds;
            read += weight * cost.bytes_read;
        }
        let microseconds = time / sum / 1e3;
        let first_read = read / self.model.constants.first_read_gb_per_s / sum / 1e3;
        let grid: [usize; 3] = std::array::from_fn(|a| self.model.volume[a].div_ceil(chunk[a]));
        Candidate {
            chunk,
            role,
            chunks: chunks / sum,
            amplification: decoded / returned,
            microseconds,
            score: (microseconds + first_read) * self.model.growth(chunk),
            total_chunks: product(grid),
        }
    }

    /// The shape of the patch of largest weight, in voxels.
    fn main_patch(&self) -> [usize; 3] {
        let weights = self.workload.patches().iter().map(WeightedPatch::weight);
        let pairs = weights.zip(&self.patches);
        let heaviest = pairs.reduce(|best, next| if next.0 > best.0 { next } else { best });
        *heaviest.expect("a workload has a patch").1
    }
}

/// All candidates, best score first.
struct Ranking(Vec<Candidate>);

impl Ranking {
    fn new(pricing: &mut Pricing<'_>, shard: Option<[usize; 3]>) -> Self {
        let CostModel { volume, item_bytes, .. } = pricing.model;
        let clip = |p: &[usize; 3]| std::array::from_fn(|a| p[a].min(volume[a]));
        let patches: Vec<[usize; 3]> = pricing.patches.iter().map(clip).collect();
        let search = Search { volume, item_bytes, patches: &patches, shard };
        let named = [(pricing.main_patch(), "patch-shaped"), ([32; 3], "cube"), ([64; 3], "cube")];
        let mut shapes: Vec<([usize; 3], &str)> = Vec::new();
        let named = named.into_iter().filter_map(|(c, role)| Some((search.bounded(c)?, role)));
        for (chunk, role) in named.chain(search.all().into_iter().map(|c| (c, "runner-up"))) {
            shapes.push((chunk, role));
        }
        // The sort is stable: among equal shapes, the one with a role comes first and is kept.
        shapes.sort_by_key(|(chunk, _)| *chunk);
        shapes.dedup_by_key(|(chunk, _)| *chunk);
        let mut ranked: Vec<Candidate> =
            shapes.into_iter().map(|(chunk, role)| pricing.candidate(chunk, role)).collect();
        ranked.sort_by(|a, b| a.score.total_cmp(&b.score));
        Self(ranked)
    }

    /// The best candidate: among scores within [`TIE`] of the best, the least memory above the aim,
    /// then the fewest chunks, the least padding, the best score.
    fn best(&self, model: &CostModel) -> Option<&Candidate> {
        let limit = self.0.first()?.score * TIE;
        let stored = |c: &Candidate| c.total_chunks.saturating_mul(product(c.chunk));
        let excess = |c: &Candidate| shard::least_memory(model, c.chunk).saturating_sub(MEMORY_AIM);
        let ties = self.0.iter().take_while(|c| c.score <= limit);
        ties.min_by_key(|c| (excess(c), c.total_chunks, stored(c)))
    }

    /// The best few and every shape with a role, without `chunk` itself; best first.
    fn rivals(&self, chunk: [usize; 3]) -> Vec<Candidate> {
        let others = self.0.iter().filter(|c| c.chunk != chunk).enumerate();
        others
            .filter(|(rank, c)| *rank < RUNNERS_UP || c.role != "runner-up")
            .map(|(_, c)| c.clone())
            .collect()
    }
}

fn describe(
    volume: &VolumeSpec,
    options: &PlanOptions,
    layout: ChunkLayout,
    pricing: &mut Pricing<'_>,
    ranking: &Ranking,
) -> LayoutPlan {
    let role = if options.chunk.is_some() { "given" } else { "chosen" };
    let chosen = pricing.candidate(layout.chunk, role);
    let weights = pricing.workload.patches();
    let patches = (0..weights.len())
        .map(|index| {
            let cost = pricing.patch(index, layout.chunk);
            PatchPlan {
                patch: pricing.patches[index],
                weight: weights[index].weight(),
                amplification: cost.amplification(),
                microseconds: cost.nanoseconds / 1e3,
                cost,
            }
        })
        .collect();
    let frames = [volume.times, volume.channels];
    let blocks = [0, 1].map(|a| frames[a].div_ceil(layout.frames[a]));
    let mut plan = LayoutPlan {
        layout,
        patches,
        rivals: ranking.rivals(layout.chunk),
        chunks: chosen.total_chunks.saturating_mul(product(frames)),
        shards: product(layout.shards(volume.shape)).saturating_mul(product(blocks)),
        memory_to_write: memory_to_write(volume.shape, &layout, volume.dtype.size()),
        chosen,
        reasons: Vec::new(),
    };
    plan.reasons = super::explain::reasons(&plan, volume, options);
    plan
}
