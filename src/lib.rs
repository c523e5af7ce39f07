//! Patches of 3D medical scans, read from chunked out-of-core storage.

pub mod dtype;
pub mod error;
mod exec;
mod finding;
mod geometry;
mod kind;
mod mapped;

pub mod scan;

pub mod layout;

mod store;

pub mod ingest;

pub use dtype::{Dtype, Element, Scaling};
pub use error::{Error, Result};
pub use exec::Pool;
pub use finding::{Certainty, Finding};
pub use geometry::{Affine, Frame, Region, Spacing, voxels};
pub use kind::Kind;
