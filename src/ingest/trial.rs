//! Trying codecs: chunks taken from the scan itself are encoded by each, and patches of the
//! workload are read from them.

use std::time::{Duration, Instant};

use serde::Serialize;

use super::sample::{chunks, for_each_stack, patch_start};
use crate::layout::{
    self, Access, ChunkLayout, Codec, CostConstants, LayoutPlan, PlanOptions, VolumeSpec,
    WeightedPatch, Workload,
};
use crate::scan::Scan;
use crate::store::{ArrayShape, Trial, TrialScratch};
use crate::{Error, Finding, Result};

/// How codecs are compared, in words.
const RULE: &str = "the least time per patch, to which each stored byte of the chunks it touches \
    adds an eighth of a nanosecond; of those within a tenth of the least, one that every Zarr \
    reader knows, then the smallest";

/// Scores this close to the least count as equal: measured times vary about as much.
const TIE: f64 = 1.1;

/// Bytes of chunks that a codec encodes of one stack of planes, or one chunk.
const ENCODED_BYTES: usize = 2 << 20;
/// So many chunks of a stack are enough, however small they are.
const ENCODED_CHUNKS: usize = 64;
/// Bytes of patches that are read from the chunks of one stack, or one patch.
const READ_BYTES: usize = 6 << 20;
/// So many patches are enough, however small they are.
const READ_PATCHES: usize = 8;
/// Of a patch of more bytes a part is read, and the time multiplied.
const PATCH_BYTES: usize = 8 << 20;

/// What is timed is done at least so often, and for so long; the fastest counts.
const ROUNDS: usize = 3;
const ROUNDS_TIME: Duration = Duration::from_millis(10);

/// What became of chunks of a scan, stored by one codec.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CodecTrial {
    /// The codec, and the chunks and shards planned for it.
    pub layout: ChunkLayout,
    /// Bytes stored for each byte of the voxels, in the type that is stored.
    pub size: f64,
    /// Decoding whole chunks on one core, in GB/s of decoded bytes.
    pub decode_gb_per_s: f64,
    /// Reading a patch on one core, the average over the workload, in microseconds.
    pub microseconds: f64,
    /// What is compared, in microseconds: the time of a patch, and an eighth of a nanosecond for
    /// each stored byte of the chunks it touches ([`CostConstants::first_read_gb_per_s`]).
    pub score: f64,
    /// Every Zarr reader knows the codec ([`Codec::is_standard`]).
    pub standard: bool,
    /// This codec is taken: it has the least score; of those within a tenth of the least, one that
    /// is standard goes first, then the smallest.
    pub chosen: bool,
}

/// Tries those of `codecs` that can store the voxels; one of them is chosen. The scan, of the shape
/// and type of `volume`, is at its first plane before and after.
///
/// `progress` counts every byte of the scan's first frame in the end; others are not looked at.
/// What is sampled, and with it every size, depends on the scan and the options alone.
///
/// # Errors
/// [`Error::InvalidArgument`] if no codec can store the voxels; those of planning and of reading
/// the scan; [`Error::Cancelled`].
pub(super) fn try_codecs(
    codecs: &[Codec],
    scan: &mut dyn Scan,
    volume: &VolumeSpec,
    workload: &Workload,
    options: &PlanOptions,
    progress: &(dyn Fn(u64) -> bool + Sync),
) -> Result<Vec<CodecTrial>> {
    let able = |codec: &&Codec| codec.check_for(volume.dtype).is_ok();
    let mut candidates = Vec::new();
    for codec in codecs.iter().filter(able) {
        let plan = layout::plan(volume, workload, &PlanOptions { codec: *codec, ..*options })?;
        candidates.push(Candidate { plan, sums: Sums::default() });
    }
    if candidates.is_empty() {
        // Says what would do.
        codecs.iter().try_for_each(|codec| codec.check_for(volume.dtype))?;
    }
    let patches = patches(volume, workload)?;
    let depth = candidates.iter().map(|c| c.plan.layout.chunk[0]).max().unwrap_or(1);
    let mut bench = Bench { scratch: TrialScratch::default(), out: Vec::new(), progress };
    for_each_stack(scan, depth, progress, |n, stack| {
        candidates.iter_mut().try_for_each(|c| c.measure(volume, &patches, n, stack, &mut bench))
    })?;
    let mut trials: Vec<_> = candidates.iter().map(Candidate::trial).collect();
    if let Some(chosen) = best(&trials) {
        trials[chosen].chosen = true;
    }
    Ok(trials)
}

/// What to tell whoever reads the volume; `None` if nothing was tried.
pub(super) fn finding(trials: &[CodecTrial]) -> Option<Finding> {
    let CodecTrial { layout, .. } = trials.iter().find(|trial| trial.chosen)?;
    let (codec, tried) = (layout.codec, trials.len());
    Some(Finding::decided(format!("codec {codec}, of {tried} tried on parts of the scan: {RULE}")))
}

/// The one to take, by [`RULE`].
fn best(trials: &[CodecTrial]) -> Option<usize> {
    let least = trials.iter().map(|trial| trial.score).min_by(f64::total_cmp)?;
    let ties = (0..trials.len()).filter(|n| trials[*n].score <= least * TIE);
    ties.min_by(|a, b| {
        let (a, b) = (&trials[*a], &trials[*b]);
        b.standard.cmp(&a.standard).then(a.size.total_cmp(&b.size))
    })
}

/// A patch of the workload, as it is read.
struct Patch {
    access: Access,
    /// As far as it lies in the volume, `z, y, x`.
    shape: [usize; 3],
    /// The part that is read.
    part: [usize; 3],
    /// How many are read from the chunks of each stack.
    count: usize,
    /// What each nanosecond of these reads adds to the workload's average.
    weight: f64,
}

#[allow(clippy::cast_precision_loss)]
fn patches(volume: &VolumeSpec, workload: &Workload) -> Result<Vec<Patch>> {
    let weights: Vec<f64> = workload.patches().iter().map(WeightedPatch::weight).collect();
    // Divided by the largest first, so that no sum of finite weights is infinite.
    let largest = weights.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
    let sum: f64 = weights.iter().map(|weight| weight / largest).sum();
    let bytes = |shape: [usize; 3]| shape.iter().product::<usize>() * volume.dtype.size();
    let patch = |(shape, weight): ([usize; 3], f64)| {
        let shape = std::array::from_fn(|a| shape[a].min(volume.shape[a]));
        let mut part = shape;
        while bytes(part) > PATCH_BYTES {
            let longest = (0..3).max_by_key(|&a| part[a]).unwrap_or(0);
            part[longest] = part[longest].div_ceil(2);
        }
        let count = (READ_BYTES / bytes(part)).clamp(1, READ_PATCHES);
        let scale = bytes(shape) as f64 / bytes(part) as f64;
        let weight = weight / largest / sum * scale / count as f64;
        Patch { access: workload.access(), shape, part, count, weight }
    };
    let shapes = workload.in_voxels(volume.spacing)?;
    Ok(shapes.into_iter().zip(weights).map(patch).collect())
}

/// A codec, the layout planned for it, and what was measured so far.
struct Candidate {
    plan: LayoutPlan,
    sums: Sums,
}

/// Over the stacks of planes.
#[derive(Default)]
struct Sums {
    stacks: f64,
    chunks: f64,
    raw_bytes: f64,
    stored_bytes: f64,
    decoded_bytes: f64,
    /// Nanoseconds of decoding these.
    decoding: f64,
    /// Nanoseconds of a patch.
    patch: f64,
}

impl Candidate {
    /// Encodes chunks of the `n`-th stack of planes, and reads them.
    #[allow(clippy::cast_precision_loss)]
    fn measure(
        &mut self,
        volume: &VolumeSpec,
        patches: &[Patch],
        n: usize,
        stack: &[u8],
        bench: &mut Bench<'_>,
    ) -> Result<()> {
        let VolumeSpec { dtype, times, channels, shape, .. } = *volume;
        let [_, rows, columns] = shape;
        let layout = self.plan.layout;
        let depth = stack.len() / (rows * columns * dtype.size());
        // Layers of chunks that the stack fills, as most layers of the volume are filled.
        let grid = [
            (depth / layout.chunk[0]).max(1),
            rows.div_ceil(layout.chunk[1]),
            columns.div_ceil(layout.chunk[2]),
        ];
        let chunk_bytes = layout.chunk.iter().product::<usize>() * dtype.size();
        let most = (ENCODED_BYTES / chunk_bytes).clamp(1, ENCODED_CHUNKS);
        let array = ArrayShape { dtype, times, channels, shape };
        let trial = Trial::encode(&array, layout, stack, &chunks(grid, most))?;
        let Bench { scratch, out, progress } = bench;
        let largest = patches.iter().map(|p| p.part.iter().product::<usize>() * dtype.size());
        let room = largest.chain([chunk_bytes]).max().unwrap_or(0);
        if out.len() < room {
            out.resize(room, 0);
        }
        let sums = &mut self.sums;
        sums.stacks += 1.0;
        sums.chunks += trial.len() as f64;
        sums.raw_bytes += trial.raw_bytes as f64;
        sums.stored_bytes += trial.stored_bytes() as f64;
        sums.decoded_bytes += (trial.len() * chunk_bytes) as f64;
        sums.decoding += fastest(progress, || trial.decode(&mut out[..chunk_bytes], scratch))?;
        for Patch { access, shape: patch, part, count, weight } in patches {
            let numbers = n * count..(n + 1) * count;
            let starts: Vec<_> = numbers.map(|n| patch_start(n, *access, *patch, shape)).collect();
            let time = fastest(progress, || {
                starts.iter().try_for_each(|start| trial.read(*start, *part, out, scratch))
            })?;
            sums.patch += time * weight;
        }
        Ok(())
    }

    fn trial(&self) -> CodecTrial {
        let Self { plan, sums } = self;
        let codec = plan.layout.codec;
        let bytes = plan.chosen.chunks * sums.stored_bytes / sums.chunks;
        let nanoseconds = sums.patch / sums.stacks;
        let first_read = bytes / CostConstants::of(codec).first_read_gb_per_s;
        CodecTrial {
            layout: plan.layout,
            size: sums.stored_bytes / sums.raw_bytes,
            decode_gb_per_s: sums.decoded_bytes / sums.decoding,
            microseconds: nanoseconds / 1e3,
            score: (nanoseconds + first_read) / 1e3,
            standard: codec.is_standard(),
            chosen: false,
        }
    }
}

/// What timing needs beside the chunks.
struct Bench<'a> {
    scratch: TrialScratch,
    /// Where voxels go.
    out: Vec<u8>,
    progress: &'a (dyn Fn(u64) -> bool + Sync),
}

/// Nanoseconds of the fastest of some rounds of the same work; at least one.
fn fastest(
    progress: &(dyn Fn(u64) -> bool + Sync),
    mut work: impl FnMut() -> Result<()>,
) -> Result<f64> {
    let (mut least, mut all, mut rounds) = (Duration::MAX, Duration::ZERO, 0);
    while rounds < ROUNDS || all < ROUNDS_TIME {
        if !progress(0) {
            return Err(Error::Cancelled);
        }
        let began = Instant::now();
        work()?;
        let time = began.elapsed().max(Duration::from_nanos(1));
        (least, all, rounds) = (least.min(time), all + time, rounds + 1);
    }
    Ok(least.as_secs_f64() * 1e9)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trial(codec: &str, size: f64, score: f64) -> CodecTrial {
        let codec: Codec = codec.parse().unwrap();
        CodecTrial {
            layout: ChunkLayout::new([1; 3], [1; 3], codec).unwrap(),
            size,
            decode_gb_per_s: 1.0,
            microseconds: score,
            score,
            standard: codec.is_standard(),
            chosen: false,
        }
    }

    #[test]
    fn the_least_score_wins_unless_a_standard_or_a_smaller_codec_is_as_good() {
        let chosen =
            |trials: &[CodecTrial]| best(trials).map(|n| trials[n].layout.codec.to_string());
        let (packed, small) = (trial("packed:1", 0.4, 100.0), trial("packed:8", 0.3, 105.0));
        let [equal, slower] = [109.0, 111.0].map(|score| trial("blosc-lz4:5", 0.6, score));
        let as_equal = trial("blosc-lz4hc:5", 0.5, 109.5);
        assert_eq!(chosen(&[]), None);
        assert_eq!(chosen(&[packed.clone(), slower.clone()]).unwrap(), "packed:1");
        assert_eq!(chosen(&[slower, packed.clone(), small.clone()]).unwrap(), "packed:8");
        assert_eq!(chosen(&[packed.clone(), small.clone(), equal.clone()]).unwrap(), "blosc-lz4:5");
        assert_eq!(chosen(&[packed, equal, small, as_equal]).unwrap(), "blosc-lz4hc:5");
    }
}
