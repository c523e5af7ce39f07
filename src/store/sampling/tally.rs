//! Counting the content of a volume's blocks, plane by plane.

use std::collections::BTreeMap;
use std::ops::Range;

use rayon::prelude::*;

use super::count::{self, Beyond, NoWeight};
use super::{Counted, SamplingIndex, VERSION, frames, grid};
use crate::error::show;
use crate::sample::{BLOCK, BlockCount, BlockSum, ClassBlocks, Contents};
use crate::store::ArrayShape;
use crate::{Dtype, Error, Frame, Kind, Result, Scaling, with_element};

/// Most pairs of a block and a label in it, over all frames: their index takes 100 MB in memory.
/// Usual label maps have a few pairs for each block.
const MAX_ENTRIES: usize = 1 << 22;

/// Blocks that are counted between two checks of the number of entries, whatever the number of
/// threads.
const BATCH: usize = 64;

/// Builds the [`SamplingIndex`] of a volume. The result does not depend on the number of threads or
/// the division into planes.
pub(crate) struct Tally {
    voxels: Voxels,
    shape: ArrayShape,
    frames: Vec<FrameTally>,
    entries: usize,
    /// The reason why there will be no index, once known.
    refused: Option<String>,
}

/// The properties of the voxels.
#[derive(Clone, Copy)]
struct Voxels {
    counted: Counted,
    dtype: Dtype,
    /// Shape of a frame, `z, y, x`.
    shape: [usize; 3],
}

/// The content of a frame's blocks so far.
#[derive(Clone)]
struct FrameTally {
    /// Content of the blocks in the layer whose planes are not complete; empty between two layers.
    open: Vec<Content>,
    done: Done,
}

/// The content of the blocks in complete layers.
#[derive(Clone)]
enum Done {
    Classes(BTreeMap<i64, Vec<BlockCount>>),
    Weights { blocks: Vec<BlockSum>, total: f64 },
}

/// The content of one block.
#[derive(Clone)]
enum Content {
    Classes(BTreeMap<i64, u64>),
    Weight(f64),
}

/// Why a block could not be counted.
enum Failure {
    Beyond(String),
    NoWeight { at: [usize; 3], weight: f64 },
}

impl Tally {
    /// An empty tally. `None` for intensities, which cannot be sampled.
    pub(crate) fn new(kind: Kind, shape: &ArrayShape, scaling: Option<Scaling>) -> Option<Self> {
        if kind == Kind::Intensity {
            return None;
        }
        let (counted, refused) = match Counted::of(kind, shape.dtype, scaling) {
            Ok(counted) => (counted, None),
            Err(reason) => (Counted::Labels, Some(reason)),
        };
        let voxels = Voxels { counted, dtype: shape.dtype, shape: shape.shape };
        let nothing = FrameTally { open: Vec::new(), done: voxels.none_done() };
        let frames = vec![nothing; frames(shape)];
        Some(Self { voxels, shape: shape.clone(), frames, entries: 0, refused })
    }

    /// Counts planes of a frame; `row` gives a row along x by its plane, counted from the first of
    /// these planes, and its index in the plane. The planes of a frame come from 0 up, each once;
    /// frames come in any order. Runs in parallel in the current pool.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for the first voxel that is not a weight, and for weights whose
    /// sum exceeds `f64`.
    pub(crate) fn add_planes<'a>(
        &mut self,
        frame: Frame,
        planes: Range<usize>,
        row: impl Fn(usize, usize) -> &'a [u8] + Sync,
    ) -> Result<()> {
        let mut first = planes.start;
        while first < planes.end {
            let layer = first / BLOCK[0];
            let end = planes.end.min((layer + 1) * BLOCK[0]);
            self.add_to_layer(frame, first..end, &|z, y| row(z - planes.start, y))?;
            if end.is_multiple_of(BLOCK[0]) || end == self.voxels.shape[0] {
                self.close_layer(frame, layer)?;
            }
            first = end;
        }
        Ok(())
    }

    /// Counts planes of one layer of blocks; `row` is called with plane and row of the volume.
    fn add_to_layer<'a>(
        &mut self,
        frame: Frame,
        planes: Range<usize>,
        row: &(impl Fn(usize, usize) -> &'a [u8] + Sync),
    ) -> Result<()> {
        let voxels = self.voxels;
        let [_, rows, columns] = grid(voxels.shape);
        let at = frame.time * self.shape.channels + frame.channel;
        self.frames[at].open.resize(rows * columns, voxels.nothing());
        let mut no_weight: Option<([usize; 3], f64)> = None;
        for first in (0..rows * columns).step_by(BATCH) {
            // Weights are checked to the end, even without an index, because a wrong weight is an
            // error. For labels, the statistics do that.
            if self.refused.is_some() && matches!(voxels.counted, Counted::Labels) {
                return Ok(());
            }
            let last = (first + BATCH).min(rows * columns);
            let batch = self.frames[at].open[first..last].par_iter_mut().enumerate();
            let count = |(n, content): (usize, &mut Content)| {
                let n = first + n;
                voxels.count(&planes, [n / columns, n % columns], row, content)
            };
            let found: Vec<_> = batch.map(count).collect();
            for outcome in found {
                match outcome {
                    Ok(entries) => self.entries += entries,
                    Err(Failure::Beyond(label)) => self.refuse(format!(
                        "label {label} is beyond int64, the type of labels in an index"
                    )),
                    Err(Failure::NoWeight { at, weight }) => {
                        if no_weight.is_none_or(|(first, _)| at < first) {
                            no_weight = Some((at, weight));
                        }
                    }
                }
            }
            if self.entries > MAX_ENTRIES {
                self.refuse(format!(
                    "its blocks of {} voxels hold more than {MAX_ENTRIES} labels or weights \
                     together",
                    show(&BLOCK)
                ));
            }
        }
        no_weight.map_or(Ok(()), |(at, weight)| Err(self.no_weight(frame, at, weight)))
    }

    /// Keeps the content of a layer's blocks, all planes of which were counted.
    fn close_layer(&mut self, frame: Frame, layer: usize) -> Result<()> {
        let frame = &mut self.frames[frame.time * self.shape.channels + frame.channel];
        let open = std::mem::take(&mut frame.open);
        let first = (layer * open.len()) as u64;
        for (block, content) in (first..).zip(open) {
            match (&mut frame.done, content) {
                (Done::Classes(classes), Content::Classes(counts)) => {
                    for (label, voxels) in counts {
                        classes.entry(label).or_default().push(BlockCount { block, voxels });
                    }
                }
                (Done::Weights { blocks, total }, Content::Weight(weight)) if weight > 0.0 => {
                    blocks.push(BlockSum { block, weight });
                    *total += weight;
                    if !total.is_finite() {
                        let reason = "is beyond float64; divide the weights by a constant";
                        return Err(Error::invalid("sum of weights", *total, reason));
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Gives up the index, and frees its memory.
    fn refuse(&mut self, reason: String) {
        self.refused.get_or_insert(reason);
        self.entries = 0;
        for frame in &mut self.frames {
            frame.open.fill(self.voxels.nothing());
            frame.done = self.voxels.none_done();
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
            "at voxel {z},{y},{x} (z, y, x){frame}: weights must be finite and not negative; set \
             voxels that should not be drawn to 0, or convert it as intensities"
        );
        Error::invalid("weight", weight, reason)
    }

    /// The complete index, or the reason why there is none. `voxels` is the digest of the counted
    /// voxels.
    pub(crate) fn finish(self, voxels: String) -> Result<SamplingIndex, String> {
        if let Some(reason) = self.refused {
            return Err(reason);
        }
        let contents = |frame: FrameTally| match frame.done {
            Done::Classes(classes) => {
                let class = |(label, blocks)| ClassBlocks { label, blocks };
                Contents::Classes(classes.into_iter().map(class).collect())
            }
            Done::Weights { blocks, .. } => Contents::Weights(blocks),
        };
        Ok(SamplingIndex {
            version: VERSION,
            voxels,
            scaling: self.voxels.counted.scaling(),
            shape: self.shape.shape,
            block: BLOCK,
            frames: self.frames.into_iter().map(contents).collect(),
        })
    }
}

impl Voxels {
    /// The content of a block before any plane is counted.
    fn nothing(&self) -> Content {
        match self.counted {
            Counted::Labels => Content::Classes(BTreeMap::new()),
            Counted::Weights(_) => Content::Weight(0.0),
        }
    }

    /// The content of a frame without complete layers.
    fn none_done(&self) -> Done {
        match self.counted {
            Counted::Labels => Done::Classes(BTreeMap::new()),
            Counted::Weights(_) => Done::Weights { blocks: Vec::new(), total: 0.0 },
        }
    }

    /// Adds planes of a block to `content`; `place` is the block's position in the grid of its
    /// layer, `y, x`. Gives the number of entries by which the index grows.
    fn count<'a>(
        &self,
        planes: &Range<usize>,
        place: [usize; 2],
        row: &(impl Fn(usize, usize) -> &'a [u8] + Sync),
        content: &mut Content,
    ) -> Result<usize, Failure> {
        let axis = |a: usize| {
            let start = place[a - 1] * BLOCK[a];
            start..self.shape[a].min(start + BLOCK[a])
        };
        let (ys, xs, item) = (axis(1), axis(2), self.dtype.size());
        let height = ys.len();
        let bytes = xs.start * item..xs.end * item;
        let rows = planes
            .clone()
            .flat_map(|z| ys.clone().map(move |y| (z, y)))
            .map(|(z, y)| &row(z, y)[bytes.clone()]);
        match content {
            Content::Classes(counts) => {
                let before = counts.len();
                with_element!(self.dtype, T => count::labels::<T>(rows, counts))
                    .map_err(|Beyond(label)| Failure::Beyond(label))?;
                Ok(counts.len() - before)
            }
            Content::Weight(sum) => {
                let (before, scaling) = (*sum, self.counted.scaling());
                with_element!(self.dtype, T => count::weights::<T>(rows, scaling, sum)).map_err(
                    |NoWeight { row, column, weight }| {
                        let (z, y) = (planes.start + row / height, ys.start + row % height);
                        Failure::NoWeight { at: [z, y, xs.start + column], weight }
                    },
                )?;
                Ok(usize::from(before == 0.0 && *sum > 0.0))
            }
        }
    }
}
