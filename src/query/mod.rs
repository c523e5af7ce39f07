//! Fetching: regions in, voxels out.

mod cost;
mod field;
mod padded;
mod read;

pub use cost::ReadCost;
