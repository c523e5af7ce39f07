//! Predictions back to disk: overlapping patches become volumes, chunk by chunk.
//!
//! A [`Plan`] lays a grid of patches over a volume and says what is to become of their predictions
//! ([`Output`], [`Values`]) and how they are blended ([`Blend`]). An [`Aggregator`] takes the
//! predictions, in any order and from any thread, and writes each shard of the outputs once, when
//! the last patch that touches it has arrived. What it holds in between is a band of the volume:
//! along the axis on which patches proceed, the layers of chunks that a patch reaches into before
//! all their patches have come. That is the patch and up to a chunk at each end of it, whatever the
//! volume's length ([`Plan::memory`]); class scores of a scan never exist as a whole. Outputs of
//! one head share what is held: as many of them as you like take the memory of one.
//!
//! - **The same bytes**, in whatever order predictions arrive: sums are taken in the plan's order,
//!   and what comes before its turn is kept, in memory or, beyond a budget, in a scratch file.
//! - **No volume of weights**: a grid is the product of its axes, and so are the sums of windows.
//! - **Whole or not at all**: outputs are published when every shard is there and was checked. A
//!   run that was killed is resumed: from the shards that are written, and from what was held of
//!   others when that was kept last ([`Aggregator::checkpoint`]).
//! - **Several processes**: [`Plan::split`] cuts the outputs into boxes of whole shards, each of
//!   which is made by one of them; [`finalise`] ends it.
//!
//! ```text
//! prediction -> pieces, one for each chunk   (axis, piece)
//!            -> sums of a chunk              (group, open, memory)
//!            -> means                        (state, finish)
//!            -> what each output stores      (stored)
//!            -> encoded chunk -> shard       (shard, store)
//! ```

mod aggregator;
mod arrived;
mod axis;
mod begin;
mod blend;
mod buffers;
mod checkpoint;
mod complete;
mod difference;
mod document;
mod finalise;
mod finish;
mod group;
mod layouts;
mod memory;
mod open;
mod options;
mod output;
mod part;
mod piece;
mod plan;
mod planned;
mod prediction;
mod report;
mod saved;
mod shard;
mod state;
mod stored;
mod sums;
mod target;
mod weights;
mod wire;

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
pub use report::{AggregateReport, Clipped};

pub(crate) use document::channels_and_factors;
pub(crate) use plan::order;
