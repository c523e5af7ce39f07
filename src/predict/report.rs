//! Progress and report of a prediction.

use std::time::Instant;

use serde::Serialize;

use crate::Result;
use crate::aggregate::Aggregator;
use crate::aggregate::{AggregateReport, Clipped, MemoryUse, Part};

/// A step of the progress. If the callback returns false for any step, the prediction is cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The amount of work is known.
    Begun {
        /// Patches to predict in this run.
        patches: u64,
        /// Patches of the plan.
        of: u64,
        /// Bytes of voxels of the outputs, which are read once more before publication.
        bytes: u64,
    },
    /// Number of patches predicted since the last step; 0 while the model is waited for.
    Predicted(u64),
    /// Number of bytes read for the final check since the last step.
    Checked(u64),
}

/// The result of a run.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct PredictReport {
    /// The command of the model.
    pub command: String,
    /// The heads of the model's answers.
    pub heads: Vec<HeadReport>,
    /// Patches predicted in this run.
    pub patches: u64,
    /// Patches of the plan.
    pub of: u64,
    /// The part that was made, if the run made one part.
    pub part: Option<Part>,
    /// Memory that was held between patches.
    pub memory: MemoryUse,
    /// Voxels that were cut off, of each output.
    pub clipped: Vec<Clipped>,
    /// Checkpoints that were written.
    pub checkpoints: Checkpoints,
    /// Seconds from the first patch to the last prediction.
    pub seconds: f64,
    /// Seconds spent waiting for the model. The rest of `seconds` was spent reading its answers and
    /// aggregating them.
    pub waited: f64,
    /// The published outputs; `None` after one part of several.
    pub published: Option<AggregateReport>,
}

/// Checkpoints written during a prediction.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Checkpoints {
    /// Number of checkpoints.
    pub written: u64,
    /// Seconds spent writing them.
    pub seconds: f64,
    /// Why the latest checkpoint that failed could not be written, which does not end a prediction.
    pub failed: Option<String>,
}

impl Checkpoints {
    /// Writes a checkpoint, if it is time.
    ///
    /// # Errors
    /// That of a shard that could not be written, without which the outputs cannot be finished.
    pub(super) fn keep(&mut self, aggregator: &mut Aggregator) -> Result<()> {
        if !aggregator.is_checkpoint_due() {
            return Ok(());
        }
        let began = Instant::now();
        aggregator.flush()?;
        match aggregator.checkpoint() {
            Ok(false) => return Ok(()),
            Ok(true) => self.written += 1,
            Err(error) => self.failed = Some(error.to_string()),
        }
        self.seconds += began.elapsed().as_secs_f64();
        Ok(())
    }
}

/// One head of the model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct HeadReport {
    /// Channels of the head.
    pub channels: usize,
    /// Voxels of the volume per voxel of the prediction, `z, y, x`.
    pub factor: [usize; 3],
    /// Shape of a prediction, `z, y, x`.
    pub shape: [usize; 3],
    /// Type of the numbers, as `NumPy` calls it; empty if no patch was left to predict.
    pub dtype: &'static str,
}
