//! The trial of codecs: each codec encodes chunks of the scan itself. Sizes are measured; times are
//! the planner's expectation, so that every machine chooses alike.

use serde::Serialize;

use super::sample::{chunks, for_each_stack};
use crate::layout::{
    self, ChunkLayout, Codec, CostConstants, LayoutPlan, PlanOptions, VolumeSpec, Workload,
};
use crate::scan::Scan;
use crate::store::{ArrayShape, encode_chunks};
use crate::{Error, Finding, Result};

/// The comparison of codecs, in words.
const RULE: &str = "the least expected time of a patch plus an eighth of a nanosecond for each \
    stored byte of the chunks it touches; among those within a tenth of the least, one that every \
    Zarr reader knows, then the smallest";

/// Scores this close to the least count as equal: expected times differ from measured ones by as
/// much.
const TIE: f64 = 1.1;

/// Bytes of chunks that a codec encodes of one stack of planes, unless one chunk is larger.
const ENCODED_BYTES: usize = 2 << 20;
/// Most chunks of a stack that are encoded, even if they are small.
const ENCODED_CHUNKS: usize = 64;

/// One codec of a trial: size, expected time and score.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct CodecTrial {
    /// The codec, with the chunks and shards planned for it.
    pub layout: ChunkLayout,
    /// Stored bytes per byte of the voxels, in the stored type.
    pub size: f64,
    /// Expected time of a patch on one core, averaged over the workload, in microseconds: from the
    /// planner's constants ([`layout::CostModel`]), not measured.
    pub microseconds: f64,
    /// The quantity that is compared, in microseconds: the time of a patch, plus an eighth of a
    /// nanosecond for each stored byte of the chunks it touches
    /// ([`CostConstants::first_read_gb_per_s`]).
    pub score: f64,
    /// Every Zarr reader knows the codec ([`Codec::is_standard`]).
    pub standard: bool,
    /// This codec was chosen: it has the least score; among scores within a tenth of the least, a
    /// standard codec is preferred, then the smallest.
    pub chosen: bool,
}

/// Tries all `codecs` that can store the voxels, and marks one as chosen. The scan, of the shape
/// and type of `volume`, is at its first plane before and after.
///
/// `progress` counts all bytes of the scan's first frame, the only one that is read. The choice
/// depends on the scan and the options alone.
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
        // Returns the error of the first codec, which names codecs that fit.
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

/// The finding about the choice; `None` if no codec was tried.
pub(super) fn finding(trials: &[CodecTrial]) -> Option<Finding> {
    let CodecTrial { layout, .. } = trials.iter().find(|trial| trial.chosen)?;
    let (codec, tried) = (layout.codec, trials.len());
    Some(Finding::decided(format!(
        "codec {codec} was chosen from {tried} tried on parts of the \
                                   scan: {RULE}"
    )))
}

/// The index of the best codec, by [`RULE`].
fn best(trials: &[CodecTrial]) -> Option<usize> {
    let least = trials.iter().map(|trial| trial.score).min_by(f64::total_cmp)?;
    let ties = (0..trials.len()).filter(|n| trials[*n].score <= least * TIE);
    ties.min_by(|a, b| {
        let (a, b) = (&trials[*a], &trials[*b]);
        b.standard.cmp(&a.standard).then(a.size.total_cmp(&b.size))
    })
}

/// A codec, the layout planned for it, and its encoded bytes so far.
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
        // Only layers of chunks that the stack fills, as most layers of the volume are full.
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
