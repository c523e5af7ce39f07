//! What to predict, and what to make of it.

use crate::aggregate::{AggregateOptions, Blend, Output};
use crate::sample::GridSampler;
use crate::setters::setters;
use crate::{Error, Frames, Padding, Result, View};

/// Which patches the model is given, and what becomes of its predictions.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct PredictOptions {
    /// The grid of patches.
    pub sampler: GridSampler,
    /// How predictions are blended.
    pub blend: Blend,
    /// The volumes to make, each of one of the blocks of an answer ([`Output::head`]). Their
    /// channels and factors are set to what the model's first answer shows.
    pub outputs: Vec<Output>,
    /// Patches that the model is given at a time.
    pub batch: usize,
    /// What of the volume the model is given as the channels of a patch.
    pub frames: Frames,
    /// One part of so many, from 0; without, all.
    pub part: Option<(usize, usize)>,
    /// What else is to be said of the aggregation. To what it says about who made the predictions
    /// is added: the command, and the voxels that it is given.
    pub aggregate: AggregateOptions,
}

setters!(PredictOptions {
    sampler: GridSampler,
    blend: Blend,
    outputs: Vec<Output>,
    batch: usize,
    frames: Frames,
    part: Option<(usize, usize)>,
    aggregate: AggregateOptions,
});

impl PredictOptions {
    /// One patch at a time, of the only time point.
    #[must_use]
    pub fn new(sampler: GridSampler, blend: Blend, outputs: Vec<Output>) -> Self {
        let aggregate = AggregateOptions::default();
        let frames = Frames::default();
        Self { sampler, blend, outputs, batch: 1, frames, part: None, aggregate }
    }

    /// Heads that an answer consists of.
    pub(super) fn heads(&self) -> usize {
        self.outputs.iter().map(|output| output.head + 1).max().unwrap_or(1)
    }

    pub(super) fn check(&self) -> Result<()> {
        if self.batch == 0 {
            return Err(Error::invalid("batch", 0, "a batch has one patch at least"));
        }
        self.outputs.iter().try_for_each(Output::check_head)?;
        match self.part {
            Some((part, of)) if part >= of => {
                let reason = format!("of {of} parts, counted from 0, there is none of this number");
                Err(Error::invalid("part", part, reason))
            }
            _ => Ok(()),
        }
    }

    /// What decides the predictions, beside the plan.
    pub(super) fn made_by(&self, command: &str, view: &View) -> String {
        let padding = view.padding().as_ref().map_or_else(|| "none".into(), Padding::to_string);
        let made = format!(
            "{command} (given {} voxels{} of {}, padding {padding})",
            view.returned_dtype(),
            view.words(),
            self.frames
        );
        match &self.aggregate.made_by[..] {
            "" => made,
            more => format!("{more}: {made}"),
        }
    }
}
