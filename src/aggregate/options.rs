//! How to aggregate.

use std::path::PathBuf;
use std::time::Duration;

use super::{NonFinite, Overwrite};
use crate::setters::setters;

/// How to aggregate, beside what the plan says.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct AggregateOptions {
    /// Bytes that may be held between patches: sums of unfinished chunks, pieces that came before
    /// their turn, and encoded chunks of unfinished shards. What exceeds it goes to a scratch file.
    /// Without, twice [`super::Plan::memory`], and 64 MiB at least.
    ///
    /// Not counted: what is being worked on, which is a few chunks and a shard for each thread, and
    /// shards that wait to be written, 64 MiB and one shard at most.
    pub budget: Option<u64>,
    /// The folder of the scratch file, which has no name there and is gone with the process.
    /// Without, that of the environment variable `TMPDIR`, or else `/var/tmp`: unlike `/tmp`, which
    /// is memory on many machines, that is a disk.
    pub scratch: Option<PathBuf>,
    /// What to do if an aggregation of these outputs was begun before and not finished.
    pub unfinished: Unfinished,
    /// What outputs may replace. It stays until the new ones are complete.
    pub overwrite: Overwrite,
    /// What becomes of NaN and infinite predictions.
    pub non_finite: NonFinite,
    /// What made the predictions, in the caller's words: an unfinished aggregation is resumed only
    /// if it is the same, so that one model's predictions are not mixed with another's. Kept until
    /// the outputs are published, and not with them.
    pub made_by: String,
    /// How often [`super::Aggregator::checkpoint_if_due`] keeps what is held, so that a process
    /// that is killed loses no more than what came since: 60 seconds if nothing else is said, less
    /// often where it would take more than a twentieth of the time; without, never.
    /// [`crate::predict::predict`] calls it after each batch, and keeps what is held when it is
    /// told to stop or the model fails; whoever adds predictions to an [`super::Aggregator`] calls
    /// it themselves.
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
    /// Where the scratch file is made.
    pub(super) fn scratch_folder(&self) -> PathBuf {
        let named = self.scratch.clone().or_else(|| std::env::var_os("TMPDIR").map(PathBuf::from));
        let on_disk = || Some(PathBuf::from("/var/tmp")).filter(|folder| folder.is_dir());
        named.or_else(on_disk).unwrap_or_else(std::env::temp_dir)
    }
}

/// What to do about an aggregation that was begun and not finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Unfinished {
    /// It is an error. A part of several joins the others all the same.
    #[default]
    Refuse,
    /// Go on with it, if plan and [`AggregateOptions::made_by`] are the same, and its last run did
    /// not end in doubt.
    Resume,
    /// The same, also where a program that predicts did not do as it should, so that what is
    /// written may be wrong: the caller knows better.
    ResumeInDoubt,
    /// Throw away what there is of it, or of this part of it, and begin anew.
    Restart,
}
