//! Predictions back to disk: overlapping patches become volumes, chunk by chunk.
//!
//! A [`Plan`] lays a grid of patches over a volume and says what is to become of their predictions
//! ([`Output`], [`Values`]) and how they are blended ([`Blend`]). An [`Aggregator`] takes the
//! predictions, in any order and from any thread, and writes each shard of the outputs once, when
//! the last patch that touches it has arrived. What it holds in between is a band of the volume, as
//! thick as a patch, whatever the volume's length: class scores of a scan never exist as a whole.
//!
//! - **The same bytes**, in whatever order predictions arrive: sums are taken in the plan's order,
//!   and what comes before its turn is kept, in memory or, beyond a budget, in a scratch file.
//! - **No volume of weights**: a grid is the product of its axes, and so are the sums of windows.
//! - **Whole or not at all**: outputs are published when every shard is there and was checked. A
//!   run that was killed is resumed; it asks for the patches of unfinished shards only.
//! - **Several processes**: [`Plan::split`] cuts the outputs into boxes of whole shards, each of
//!   which is made by one of them; [`finalise`] ends it.
//!
//! ```text
//! prediction -> pieces, one for each chunk   (axis, piece)
//!            -> sums of a chunk              (open, memory)
//!            -> means, and what is stored    (finish)
//!            -> encoded chunk -> shard       (state, store)
//! ```

mod aggregator;
mod axis;
mod begin;
mod blend;
mod buffers;
mod document;
mod finalise;
mod finish;
mod memory;
mod open;
mod options;
mod output;
mod part;
mod piece;
mod plan;
mod prediction;
mod report;
mod state;
mod sums;
mod weights;

pub use crate::store::Overwrite;
pub use aggregator::Aggregator;
pub(crate) use begin::unfinished;
pub use blend::Blend;
pub use finalise::finalise;
pub use memory::MemoryUse;
pub use options::{AggregateOptions, Unfinished};
pub use output::{Output, Values};
pub use part::Part;
pub use plan::Plan;
pub use prediction::{Location, NonFinite};
pub use report::AggregateReport;

pub(crate) use document::channels_and_factors;
pub(crate) use plan::order;
