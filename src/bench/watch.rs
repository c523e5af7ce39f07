//! What a caller is told on the way, and how it ends the work.

use super::{Report, VolumeReport};
use crate::{Error, Result, VolumeName};

/// Where the measuring stands.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Step<'a> {
    /// It begins.
    Started {
        /// The report, without any volume yet.
        report: &'a Report,
        /// How many volumes will be measured.
        volumes: usize,
        /// How many there are.
        found: usize,
    },
    /// A volume begins.
    Volume {
        /// Its name.
        name: &'a VolumeName,
        /// How many rows it will have.
        rows: usize,
        /// Bytes of the uncompressed copy that is written first; 0 without a copy.
        copied: u64,
    },
    /// So many more bytes of the copy are written.
    Copied(u64),
    /// Nothing new: asked before each patch, so that the work ends soon after it is told to.
    Going,
    /// One more row is measured.
    Row,
    /// A volume is measured.
    Measured(&'a VolumeReport),
    /// A volume cannot be measured.
    Failed {
        /// Its name.
        name: &'a VolumeName,
        /// Why.
        error: &'a Error,
    },
}

/// The caller's function: threads that read call it too.
pub(super) type Progress<'a> = &'a (dyn Fn(Step<'_>) -> bool + Sync);

/// Tells a step, and fails if the answer is to end.
pub(super) fn tell(progress: Progress<'_>, step: Step<'_>) -> Result<()> {
    if progress(step) { Ok(()) } else { Err(Error::Cancelled) }
}
