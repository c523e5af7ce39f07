//! Aggregation: predictions of overlapping patches become volumes on disk, chunk by chunk.
//!
//! A [`Plan`] lays a grid of patches over a volume and says which outputs are made of the
//! predictions ([`Output`], [`Values`]) and how these are blended ([`Blend`]). An [`Aggregator`]
//! takes the predictions, in any order and from any thread, and writes each shard of the outputs
//! once, when the last patch that touches the shard has arrived. Between patches it holds a band of
//! the volume: along the axis on which patches proceed, the layers of chunks that a patch reaches
//! into before all their patches have come. That is the patch and up to a chunk at each end of it,
//! whatever the volume's length ([`Plan::memory`]); class scores of a scan never exist as a whole.
//! Outputs of one head share this memory: many take no more than one.
//!
//! - **The same bytes**, in whatever order predictions arrive: sums are taken in the plan's order,
//!   and an early prediction is kept until its turn, in memory or, beyond a budget, in a scratch
//!   file.
//! - **No volume of weights**: a grid is the product of its axes, and so are the sums of windows.
//! - **Whole or not at all**: outputs are published when every shard is written and checked. A
//!   killed run is resumed: from the shards that are written, and from the last checkpoint of all
//!   others ([`Aggregator::checkpoint`]).
//! - **Several processes**: [`Plan::split`] cuts the outputs into boxes of whole shards, each of
//!   which one process makes; [`finalise`] publishes the outputs.
//!
//! ```text
//! prediction -> boxes, one for each chunk    (axis, contribution)
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
mod context;
mod contribution;
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
mod plan;
mod planned;
mod prediction;
mod report;
mod saved;
mod shard;
mod state;
mod stored;
mod sums;
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
