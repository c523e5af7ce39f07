//! Patches of 3D medical scans, read from chunked out-of-core storage.

pub mod dtype;
pub mod error;
mod exec;
mod finding;
mod geometry;
mod kind;
mod mapped;
mod padding;
pub mod statistics;

pub mod phantom;

pub mod scan;

pub mod layout;

pub mod store;

pub mod ingest;

mod query;

pub use dtype::{Dtype, Element, Scaling};
pub use error::{Error, Result};
pub use exec::Pool;
pub use finding::{Certainty, Finding};
pub use geometry::{Affine, Frame, Region, Spacing, voxels};
pub use ingest::{ConvertOptions, ConvertReport, convert};
pub use kind::Kind;
pub use padding::Padding;
pub use query::ReadCost;
pub use statistics::Statistics;
pub use store::{Dataset, Volume, VolumeName};
