//! The waist between the store and whatever holds its bytes.
//!
//! Everything that the store reads or writes goes through a [`Disk`], by keys such as
//! `case01/image/zarr.json`: a [`Source`], which reads, and where the disk can be written to, a
//! [`Sink`]. Three rules let local disks, network file systems and object stores share one design:
//!
//! - What is put under a key of its own never changes. Writers choose names at random, so that no
//!   two of them meet.
//! - What does change is one small document for each volume, and [`Sink::swap`] changes it: by
//!   compare-and-swap, so that of several writers exactly one wins, and each is told.
//! - Nothing is told from a lock, or from what a folder lists. [`Sink::hold`] is advice: it spares
//!   a second writer of this machine the work, and no more.

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
