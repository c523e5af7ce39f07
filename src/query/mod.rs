//! Fetching: regions in, voxels out.

mod aligned;
mod batch;
mod bounds;
mod buffer;
mod bytes;
mod cost;
mod fetch;
mod field;
mod padded;
mod plain;
mod plan;
mod read;
pub mod stream;
mod together;
mod voxels;

pub use aligned::Aligned;
pub use buffer::Buffer;
pub use bytes::PatchBuffer;
pub use cost::ReadCost;
pub use voxels::Voxels;
