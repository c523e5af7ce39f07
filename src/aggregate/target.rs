//! Where finished chunks go.

use super::memory::Memory;
use super::plan::Plan;
use crate::store::{EncodeScratch, Job};

/// What a task keeps between chunks.
#[derive(Default)]
pub(super) struct StoreScratch {
    pub(super) voxels: Vec<u8>,
    pub(super) encode: EncodeScratch,
}

/// Where finished chunks go.
pub(super) struct Target<'a> {
    pub(super) plan: &'a Plan,
    pub(super) memory: &'a Memory,
    pub(super) job: &'a Job,
}
