//! Fetching: regions in, voxels out.

mod cost;
mod field;
mod padded;
mod read;
pub mod stream;
mod voxels;

pub use cost::ReadCost;
pub use voxels::Voxels;
