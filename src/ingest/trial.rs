//! Trying codecs: chunks taken from the scan itself are encoded by each. Sizes are measured; times
//! are those that the planner expects, so that every machine chooses alike.

use serde::Serialize;

use super::sample::{chunks, for_each_stack};
use crate::layout::{
    self, ChunkLayout, Codec, CostConstants, LayoutPlan, PlanOptions, VolumeSpec, Workload,
};
use crate::scan::Scan;
use crate::store::{ArrayShape, encode_chunks};
use crate::{Error, Finding, Result};

/// How codecs are compared, in words.
const RULE: &str = "the least time expected of a patch, to which each stored byte of the chunks it touches \
    adds an eighth of a nanosecond; of those within a tenth of the least, one that every Zarr \
    reader knows, then the smallest";

/// Scores this close to the least count as equal: expected times are no closer to measured ones.
const TIE: f64 = 1.1;

/// Bytes of chunks that a codec encodes of one stack of planes, or one chunk.
const ENCODED_BYTES: usize = 2 << 20;
/// So many chunks of a stack are enough, however small they are.
const ENCODED_CHUNKS: usize = 64;

/// What became of chunks of a scan, stored by one codec.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct CodecTrial {
    /// The codec, and the chunks and shards planned for it.
    pub layout: ChunkLayout,
    /// Bytes stored for each byte of the voxels, in the type that is stored.
    pub size: f64,
    /// What reading a patch on one core is expected to take, the average over the workload, in
    /// microseconds: by the planner's constants ([`layout::CostModel`]), not by a clock.
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
/// What comes of it depends on the scan and the options alone.
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
        candidates.push(Candidate { plan, chunks: 0, raw_bytes: 0, stored_bytes: 0 });
    }
    if candidates.is_empty() {
        // Says what would do.
        codecs.iter().try_for_each(|codec| codec.check_for(volume.dtype))?;
    }
    let depth = candidates.iter().map(|c| c.plan.layout.chunk[0]).max().unwrap_or(1);
    for_each_stack(scan, depth, progress, |stack| {
        candidates.iter_mut().try_for_each(|candidate| {
            if !progress(0) {
                return Err(Error::Cancelled);
            }
            candidate.encode(volume, stack)
        })
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

/// A codec, the layout planned for it, and what it made of the chunks so far.
struct Candidate {
    plan: LayoutPlan,
    chunks: usize,
    raw_bytes: usize,
    stored_bytes: usize,
}

impl Candidate {
    /// Encodes chunks of a stack of planes.
    fn encode(&mut self, volume: &VolumeSpec, stack: &[u8]) -> Result<()> {
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
        let encoded = encode_chunks(&array, layout, stack, &chunks(grid, most))?;
        self.chunks += encoded.chunks;
        self.raw_bytes += encoded.raw_bytes;
        self.stored_bytes += encoded.stored_bytes;
        Ok(())
    }

    #[allow(clippy::cast_precision_loss)]
    fn trial(&self) -> CodecTrial {
        let Self { plan, chunks, raw_bytes, stored_bytes } = self;
        let codec = plan.layout.codec;
        let stored_bytes = *stored_bytes as f64;
        let touched = plan.chosen.chunks * stored_bytes / *chunks as f64;
        let first_read = touched / CostConstants::of(codec).first_read_gb_per_s;
        CodecTrial {
            layout: plan.layout,
            size: stored_bytes / *raw_bytes as f64,
            microseconds: plan.chosen.microseconds,
            score: plan.chosen.microseconds + first_read / 1e3,
            standard: codec.is_standard(),
            chosen: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trial(codec: &str, size: f64, score: f64) -> CodecTrial {
        let codec: Codec = codec.parse().unwrap();
        CodecTrial {
            layout: ChunkLayout::new([1; 3], [1; 3], codec).unwrap(),
            size,
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
