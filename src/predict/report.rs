//! What was predicted, while it is and afterwards.

use std::time::Instant;

use serde::Serialize;

use crate::Result;
use crate::aggregate::Aggregator;
use crate::aggregate::{AggregateReport, Clipped, MemoryUse, Part};

/// How far predicting has come. A false answer to any of them ends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// What is to be done is known: so many patches are to be predicted in this run, of so many,
    /// and so many bytes of voxels are looked through in the end.
    Begun {
        /// Patches of this run.
        patches: u64,
        /// Patches of the plan.
        of: u64,
        /// Bytes.
        bytes: u64,
    },
    /// So many more patches were predicted; 0 while the model is waited for.
    Predicted(u64),
    /// So many more bytes were looked through.
    Checked(u64),
}

/// What came of a run.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct PredictReport {
    /// The command.
    pub command: String,
    /// What the model's answers are.
    pub heads: Vec<HeadReport>,
    /// Patches predicted in this run.
    pub patches: u64,
    /// Patches of the plan.
    pub of: u64,
    /// The part that was made, if it was one.
    pub part: Option<Part>,
    /// What was held between patches.
    pub memory: MemoryUse,
    /// Voxels that were cut off, of each output.
    pub clipped: Vec<Clipped>,
    /// How what was held was kept for whoever would have had to go on.
    pub checkpoints: Checkpoints,
    /// From the first patch to the last prediction.
    pub seconds: f64,
    /// Of these, those spent waiting for the model. The others went into reading its answers and
    /// aggregating them.
    pub waited: f64,
    /// What was published; nothing after one part of several.
    pub published: Option<AggregateReport>,
}

/// What was held between patches, kept while the model predicted.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Checkpoints {
    /// How often it was.
    pub written: u64,
    /// What that took.
    pub seconds: f64,
    /// Why it could not be kept, the last time that it could not. It does not end a prediction.
    pub failed: Option<String>,
}

impl Checkpoints {
    /// Keeps what is held, if it is time.
    ///
    /// # Errors
    /// That of a shard that could not be written, without which nothing can come of the outputs.
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

/// One block of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct HeadReport {
    /// Channels.
    pub channels: usize,
    /// Voxels of the volume to one of the prediction, `z, y, x`.
    pub factor: [usize; 3],
    /// Shape of a prediction, `z, y, x`.
    pub shape: [usize; 3],
    /// Type of its numbers, as `NumPy` calls it; nothing if no patch was left to predict.
    pub dtype: &'static str,
}
