//! Options of an aggregation.

use std::path::PathBuf;
use std::time::Duration;

use super::{NonFinite, Overwrite};
use crate::setters::setters;

/// How to aggregate, apart from what the plan decides.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct AggregateOptions {
    /// Bytes that may be held between patches: sums of unfinished chunks, contributions that came
    /// before their turn, and encoded chunks of unfinished shards. The excess goes to a scratch
    /// file. By default twice [`super::Plan::memory`], and at least 64 MiB.
    ///
    /// Not counted: the chunks and the shard that each thread is working on, and shards that wait
    /// to be written, at most 64 MiB and one shard.
    pub budget: Option<u64>,
    /// The folder of the scratch file, which has no name there and vanishes with the process. By
    /// default the folder in the environment variable `TMPDIR`, or else `/var/tmp`, which is on
    /// disk, unlike `/tmp` on many machines.
    pub scratch: Option<PathBuf>,
    /// What to do if an aggregation of these outputs was begun before and not finished.
    pub unfinished: Unfinished,
    /// Whether outputs may replace existing volumes, which stay until the new ones are complete.
    pub overwrite: Overwrite,
    /// What becomes of NaN and infinite predictions.
    pub non_finite: NonFinite,
    /// What made the predictions, in the caller's words. An unfinished aggregation is resumed only
    /// with the same words, so that the predictions of two models are not mixed. Deleted when the
    /// outputs are published.
    pub made_by: String,
    /// How often [`super::Aggregator::checkpoint_if_due`] writes a checkpoint: a process that is
    /// killed loses only the predictions added since the last one. 60 seconds by default, less
    /// often where checkpoints would take more than a twentieth of the time; never if `None`.
    /// [`crate::predict::predict`] calls that function after each batch, and writes a checkpoint
    /// when it is told to stop or the model fails; whoever uses an [`super::Aggregator`] directly
    /// calls the function themselves.
    pub checkpoint: Option<Duration>,
}

setters!(AggregateOptions {
    budget: Option<u64>,
    scratch: Option<PathBuf>,
    unfinished: Unfinished,
    overwrite: Overwrite,
    non_finite: NonFinite,
    made_by: String,
    checkpoint: Option<Duration>,
});

impl Default for AggregateOptions {
    fn default() -> Self {
        Self {
            budget: None,
            scratch: None,
            unfinished: Unfinished::default(),
            overwrite: Overwrite::default(),
            non_finite: NonFinite::default(),
            made_by: String::new(),
            checkpoint: Some(Duration::from_mins(1)),
        }
    }
}

impl AggregateOptions {
    /// The folder in which the scratch file is made.
    pub(super) fn scratch_folder(&self) -> PathBuf {
        let named = self.scratch.clone().or_else(|| std::env::var_os("TMPDIR").map(PathBuf::from));
        let on_disk = || Some(PathBuf::from("/var/tmp")).filter(|folder| folder.is_dir());
        named.or_else(on_disk).unwrap_or_else(std::env::temp_dir)
    }
}

/// What to do about an aggregation that was begun and not finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Unfinished {
    /// An error. A part of several joins the other parts all the same.
    #[default]
    Refuse,
    /// Resume it, if the plan and [`AggregateOptions::made_by`] are the same and the last run did
    /// not end in doubt.
    Resume,
    /// Resume it, even if a model misbehaved, so that written voxels may be wrong: the caller takes
    /// the responsibility.
    ResumeInDoubt,
    /// Discard it, or this part of it, and begin anew.
    Restart,
}
