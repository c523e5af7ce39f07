//! How to aggregate.

use super::{NonFinite, Overwrite};

/// How to aggregate, beside what the plan says.
#[derive(Debug, Clone, Default)]
pub struct AggregateOptions {
    /// Bytes that may be held between patches: sums of unfinished chunks, pieces that came before
    /// their turn, and encoded chunks of unfinished shards. What exceeds it goes to a scratch file in
    /// the dataset. Without, twice [`super::Plan::memory`], and 64 MiB at least.
    ///
    /// Not counted: what is being worked on, which is a few chunks and a shard for each thread, and
    /// shards that wait to be written, 64 MiB and one shard at most.
    pub budget: Option<u64>,
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
}

/// What to do about an aggregation that was begun and not finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Unfinished {
    /// It is an error. A part of several joins the others all the same.
    #[default]
    Refuse,
    /// Go on with it, if plan and [`AggregateOptions::made_by`] are the same.
    Resume,
    /// Throw away what there is of it, or of this part of it, and begin anew.
    Restart,
}
