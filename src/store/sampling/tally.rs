//! Counting what the chunks of a volume hold, while its layers pass by.

use std::collections::BTreeMap;

use rayon::prelude::*;

use super::count::{self, NoWeight, Strip, Uncountable};
use super::{Counted, SamplingIndex, VERSION, frames, grid, inside};
use crate::sample::{ChunkCount, ChunkSum, ClassChunks, Contents};
use crate::store::ArrayShape;
use crate::{Error, Frame, Kind, Result, Scaling, with_element};

/// Most pairs of a chunk and a label in it, of all frames: an index of so many takes 100 MB in
/// memory. Label maps have a few for each chunk.
const MAX_ENTRIES: usize = 1 << 22;

/// Chunks that are counted before what they hold is merged, whatever the number of threads.
const BATCH: usize = 64;

/// Gathers the [`SamplingIndex`] of a volume. The same for any number of threads.
pub(crate) struct Tally {
    counted: Counted,
    shape: ArrayShape,
    chunk: [usize; 3],
    frames: Vec<Chunks>,
    entries: usize,
    /// Why there will be no index, once that is known.
    refused: Option<String>,
}

/// What the chunks of a frame hold so far.
#[derive(Clone)]
enum Chunks {
    Classes(BTreeMap<i64, Vec<ChunkCount>>),
    Weights { chunks: Vec<ChunkSum>, total: f64 },
}

/// What one chunk holds.
enum Content {
    Classes(Vec<(i64, u64)>),
    Weight(f64),
}

/// Why that is not known.
enum Failure {
    Uncountable(Uncountable),
    NoWeight { at: [usize; 3], weight: f64 },
}

impl Tally {
    /// Nothing counted yet. `None` for intensities, which are not sampled by.
    pub(crate) fn new(
        kind: Kind,
        shape: &ArrayShape,
        scaling: Option<Scaling>,
        chunk: [usize; 3],
    ) -> Option<Self> {
        if kind == Kind::Intensity {
            return None;
        }
        let (counted, refused) = match Counted::of(kind, shape.dtype, scaling) {
            Ok(counted) => (counted, None),
            Err(reason) => (Counted::Labels, Some(reason)),
        };
        let empty = match counted {
            Counted::Labels => Chunks::Classes(BTreeMap::new()),
            Counted::Weights(_) => Chunks::Weights { chunks: Vec::new(), total: 0.0 },
        };
        let frames = vec![empty; frames(shape)];
        Some(Self { counted, shape: shape.clone(), chunk, frames, entries: 0, refused })
    }

    /// Counts the next layer of chunks of a frame, `layer` counted in chunks along z; `strip` gives
    /// the rows of chunks of it along x, by their number along y. Layers of a frame come from 0 up,
    /// frames in any order. Runs in parallel in the pool that it is called in.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for the first voxel of the layer that is no weight, and for
    /// weights whose sum is beyond `f64`.
    pub(crate) fn add_layer<'a>(
        &mut self,
        frame: Frame,
        layer: usize,
        strip: impl Fn(usize) -> Strip<'a> + Sync,
    ) -> Result<()> {
        let [_, rows, columns] = grid(self.shape.shape, self.chunk);
        let mut no_weight: Option<([usize; 3], f64)> = None;
        for first in (0..rows * columns).step_by(BATCH) {
            // Weights are looked at to the end, whatever becomes of the index: a wrong one is an
            // error. So are labels by the statistics.
            if self.refused.is_some() && matches!(self.counted, Counted::Labels) {
                return Ok(());
            }
            let batch = first..(first + BATCH).min(rows * columns);
            let count = |n| self.count([layer, n / columns, n % columns], strip(n / columns));
            let found: Vec<_> = batch.clone().into_par_iter().map(count).collect();
            for (n, content) in batch.zip(found) {
                match content {
                    Ok(content) => self.add(frame, (layer * rows * columns + n) as u64, content)?,
                    Err(Failure::Uncountable(why)) => self.refuse(match why {
                        Uncountable::Beyond(label) => {
                            format!(
                                "label {label} is beyond int64, the type that labels are sampled as"
                            )
                        }
                        Uncountable::TooMany => "a chunk of it holds too many labels".to_owned(),
                    }),
                    Err(Failure::NoWeight { at, weight }) => {
                        if no_weight.is_none_or(|(first, _)| at < first) {
                            no_weight = Some((at, weight));
                        }
                    }
                }
            }
        }
        no_weight.map_or(Ok(()), |(at, weight)| Err(self.no_weight(frame, at, weight)))
    }

    /// What the chunk at this place of the grid holds.
    fn count(&self, at: [usize; 3], strip: Strip<'_>) -> Result<Content, Failure> {
        let box_shape = inside(self.shape.shape, self.chunk, at);
        let rows = strip.rows(box_shape, at[2] * self.chunk[2], self.shape.dtype.size());
        match self.counted {
            Counted::Labels => with_element!(self.shape.dtype, T => count::labels::<T>(rows))
                .map(Content::Classes)
                .map_err(Failure::Uncountable),
            Counted::Weights(scaling) => {
                with_element!(self.shape.dtype, T => count::weights::<T>(rows, scaling))
                    .map(Content::Weight)
                    .map_err(|NoWeight { row, column, weight }| {
                        let start: [usize; 3] = std::array::from_fn(|a| at[a] * self.chunk[a]);
                        let (z, y) = (row / box_shape[1], row % box_shape[1]);
                        let at = [start[0] + z, start[1] + y, start[2] + column];
                        Failure::NoWeight { at, weight }
                    })
            }
        }
    }

    fn add(&mut self, frame: Frame, chunk: u64, content: Content) -> Result<()> {
        match (&mut self.frames[frame.time * self.shape.channels + frame.channel], content) {
            (Chunks::Classes(classes), Content::Classes(counts)) if self.refused.is_none() => {
                self.entries += counts.len();
                for (label, voxels) in counts {
                    classes.entry(label).or_default().push(ChunkCount { chunk, voxels });
                }
            }
            (Chunks::Weights { chunks, total }, Content::Weight(weight)) if weight > 0.0 => {
                self.entries += 1;
                chunks.push(ChunkSum { chunk, weight });
                *total += weight;
                if !total.is_finite() {
                    let reason = "is beyond float64; divide the weights by a constant";
                    return Err(Error::invalid("sum of weights", *total, reason));
                }
            }
            _ => {}
        }
        if self.entries > MAX_ENTRIES {
            self.refuse(format!(
                "its chunks hold more than {MAX_ENTRIES} labels or weights together; use larger \
                 chunks"
            ));
        }
        Ok(())
    }

    fn refuse(&mut self, reason: String) {
        if self.refused.is_none() {
            self.refused = Some(reason);
            self.frames.clear();
            self.frames.resize(frames(&self.shape), Chunks::Classes(BTreeMap::new()));
        }
    }

    fn no_weight(&self, frame: Frame, [z, y, x]: [usize; 3], weight: f64) -> Error {
        let Frame { time, channel } = frame;
        let frame = if frames(&self.shape) > 1 {
            format!(" of time {time}, channel {channel}")
        } else {
            String::new()
        };
        let reason = format!(
            "at voxel {z},{y},{x} (z, y, x){frame}: weights are finite and not negative; set what \
             is not to be drawn to 0, or convert it as intensities"
        );
        Error::invalid("weight", weight, reason)
    }

    /// The index of everything, or why there is none. `voxels` is the digest of what was counted.
    pub(crate) fn finish(self, voxels: String) -> Result<SamplingIndex, String> {
        if let Some(reason) = self.refused {
            return Err(reason);
        }
        let contents = |chunks| match chunks {
            Chunks::Classes(classes) => {
                let class = |(label, chunks)| ClassChunks { label, chunks };
                Contents::Classes(classes.into_iter().map(class).collect())
            }
            Chunks::Weights { chunks, .. } => Contents::Weights(chunks),
        };
        Ok(SamplingIndex {
            version: VERSION,
            voxels,
            scaling: match self.counted {
                Counted::Labels => None,
                Counted::Weights(scaling) => scaling,
            },
            shape: self.shape.shape,
            chunk: self.chunk,
            frames: self.frames.into_iter().map(contents).collect(),
        })
    }
}
