//! Fetching: regions in, voxels out.

mod cost;
mod padded;
mod read;

pub use cost::ReadCost;
