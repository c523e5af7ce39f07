//! Options of a prediction.

use crate::aggregate::{AggregateOptions, Blend, Output};
use crate::sample::GridSampler;
use crate::setters::setters;
use crate::{Error, Frames, Padding, Result, View};

/// The patches that the model is given, and the outputs that are made of its predictions.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct PredictOptions {
    /// The grid of patches.
    pub sampler: GridSampler,
    /// How predictions are blended.
    pub blend: Blend,
    /// The volumes to make, each of one head ([`Output::head`]). Their channels and factors are
    /// replaced by those of the model's first answer.
    pub outputs: Vec<Output>,
    /// Patches per batch.
    pub batch: usize,
    /// The frames of the volume that the model is given as the channels of a patch.
    pub frames: Frames,
    /// The part to make, counted from 0, and the number of parts; `None` for the whole.
    pub part: Option<(usize, usize)>,
    /// Options of the aggregation. The command and the description of its input voxels are appended
    /// to [`AggregateOptions::made_by`].
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
    /// Batches of one patch, of the only time point.
    #[must_use]
    pub fn new(sampler: GridSampler, blend: Blend, outputs: Vec<Output>) -> Self {
        let aggregate = AggregateOptions::default();
        let frames = Frames::default();
        Self { sampler, blend, outputs, batch: 1, frames, part: None, aggregate }
    }

    /// Number of heads of an answer.
    pub(super) fn heads(&self) -> usize {
        self.outputs.iter().map(|output| output.head + 1).max().unwrap_or(1)
    }

    pub(super) fn check(&self) -> Result<()> {
        if self.batch == 0 {
            return Err(Error::invalid("batch", 0, "a batch has at least one patch"));
        }
        self.outputs.iter().try_for_each(Output::check_head)?;
        match self.part {
            Some((part, of)) if part >= of => {
                let reason = format!("there are {of} parts, numbered from 0");
                Err(Error::invalid("part", part, reason))
            }
            _ => Ok(()),
        }
    }

    /// Everything that decides the predictions, apart from the plan.
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
