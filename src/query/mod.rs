//! Fetching: regions in, voxels out.

mod batch;
mod cost;
mod padded;
mod plan;
mod read;

pub use cost::ReadCost;
