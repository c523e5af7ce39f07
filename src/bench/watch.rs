//! Progress of a benchmark, and its cancellation.

use super::{Report, VolumeReport};
use crate::{Error, Result, VolumeName};

/// A step of the progress.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Step<'a> {
    /// It begins.
    Started {
        /// The report, without any volume yet.
        report: &'a Report,
        /// Number of volumes that will be measured.
        volumes: usize,
        /// Number of volumes that were found.
        found: usize,
    },
    /// A volume begins.
    Volume {
        /// Its name.
        name: &'a VolumeName,
        /// Number of its rows.
        rows: usize,
        /// Bytes of the uncompressed copy that is written first; 0 without a copy.
        copied: u64,
    },
    /// Number of bytes of the copy written since the last step.
    Copied(u64),
    /// Called before each patch, without news, so that a cancellation takes effect soon.
    Going,
    /// One more row was measured.
    Row,
    /// A volume was measured.
    Measured(&'a VolumeReport),
    /// A volume could not be measured.
    Failed {
        /// Its name.
        name: &'a VolumeName,
        /// The reason.
        error: &'a Error,
    },
}

/// The caller's function, which reading threads call, too.
pub(super) type Progress<'a> = &'a (dyn Fn(Step<'_>) -> bool + Sync);

/// Reports a step, and fails if the answer is to cancel.
pub(super) fn tell(progress: Progress<'_>, step: Step<'_>) -> Result<()> {
    if progress(step) { Ok(()) } else { Err(Error::Cancelled) }
}
