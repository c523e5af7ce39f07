//! The interface between the store and the place of its bytes.
//!
//! Everything that the store reads or writes goes through a [`Disk`], by keys such as
//! `case01/image/zarr.json`: a [`Source`] for reading, and a [`Sink`] for disks that can be written
//! to. Three rules let local disks, network file systems and object stores share one design:
//!
//! - An object under a unique key never changes. Writers choose names at random, so that no two
//!   writers use the same.
//! - One small document for each volume does change, by [`Sink::swap`], a compare-and-swap: of
//!   several writers exactly one wins, and each writer learns the outcome.
//! - Correctness never depends on a lock or on the listing of a folder. [`Sink::hold`] is advice:
//!   it saves a second writer of this machine useless work.

mod blob;
mod handle;
mod local;
mod sink;
mod source;

pub use blob::Blob;
pub use handle::Disk;
pub use local::LocalDisk;
pub use sink::{Held, Sink, Swap, Usage};
pub use source::{FetchError, Source, Span, Stamp, Version};

pub(crate) use sink::is_in_the_making;
pub(crate) use source::is_absent;
