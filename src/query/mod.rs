//! Fetching: regions in, voxels out.

mod aligned;
mod batch;
mod bounds;
mod cost;
mod field;
mod frames;
mod padded;
mod plan;
mod read;
pub mod stream;
mod voxels;

pub use aligned::Aligned;
pub use cost::ReadCost;
pub use voxels::Voxels;
