//! What is shared by all threads while chunks are finished.

use super::memory::Memory;
use super::plan::Plan;
use crate::store::{EncodeScratch, Job};

/// Buffers that a thread uses again for every chunk.
#[derive(Default)]
pub(super) struct StoreScratch {
    pub(super) voxels: Vec<u8>,
    pub(super) encode: EncodeScratch,
}

/// What is shared by all threads while chunks are finished.
pub(super) struct Context<'a> {
    pub(super) plan: &'a Plan,
    pub(super) memory: &'a Memory,
    pub(super) job: &'a Job,
}
