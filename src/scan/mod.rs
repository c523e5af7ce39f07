//! Medical files as streams of voxel planes; no other module knows their formats.
//!
//! [`open`] detects the format from the content and returns a [`Scan`]: a header, and the voxels
//! plane by plane in `z, y, x` order, frames one after the other or interleaved ([`Order`]); memory
//! holds only the planes that the caller asks for. [`find`] lists the scans that paths name,
//! including folders and pairs of files; [`Planes`] are sources that several threads read.
//! [`ScanWriter`] writes files in the format of their extension.
//!
//! A new format is one new folder here, one line in [`open`] and in [`find`], and one in
//! [`ScanFormat`] if it is also written; `bytes` holds what formats share, and `foreign` names
//! formats that are recognised but not supported.
//!
//! Voxels are delivered as stored: scalings and geometry are metadata. Free text of a header
//! (names, dates, descriptions, paths) never leaves this module.

mod bytes;
mod channels;
mod find;
mod foreign;
mod header;
pub mod nifti;
mod order;
mod outgoing;
mod planes;
mod reject;
mod writer;

use std::path::Path;

pub use bytes::data_file;
pub use find::{Found, find};
pub use header::ScanHeader;
pub use order::Order;
pub use outgoing::WriteHeader;
pub use planes::{PlaneScan, Planes};
pub use writer::{ScanFormat, ScanWriter, WriteOptions};

use crate::{Finding, Frame, Result};

/// An opened source file: its header, and its voxels from first to last.
///
/// The voxels come in `frames` (one 3-D volume for each time point and channel), in the order of
/// the file; [`Scan::frame`] gives the `n`-th frame. Within a frame, planes come from `z = 0` up.
/// If the file interleaves frames, so does the scan: [`ScanHeader::order`] says how, and one plane
/// of each interleaved frame is then delivered together.
pub trait Scan: Send {
    /// The description of the voxels.
    fn header(&self) -> &ScanHeader;

    /// The frame that is delivered `n`-th, for `n` below `header().frames()`.
    fn frame(&self, n: usize) -> Frame;

    /// Fills `out` with the next planes of the current frame, C-contiguous, in the byte order of
    /// this machine. `out` holds a whole number of steps ([`ScanHeader::step_bytes`]) and does not
    /// reach past the frame, or the interleaved frames; after their last plane, the next frame
    /// begins.
    ///
    /// # Errors
    /// [`crate::Error::CorruptScan`] if the file ends early or its voxels cannot be decoded,
    /// [`crate::Error::Io`] if it cannot be read: the scan cannot be used any longer then, open it
    /// again. [`crate::Error::InvalidArgument`] for a buffer of another length.
    fn read_planes(&mut self, out: &mut [u8]) -> Result<()>;

    /// Must be called after the last plane: reads the rest of the file, verifies trailing
    /// checksums, and returns the findings made while reading. Planes that were not asked for are
    /// skipped.
    ///
    /// # Errors
    /// [`crate::Error::CorruptScan`] if a checksum fails: the delivered voxels must not be used.
    fn finish(&mut self) -> Result<Vec<Finding>>;

    /// Starts over with the first plane of the first frame. Possible at any time, except after an
    /// error. The header stays as it is.
    ///
    /// # Errors
    /// Those of [`Scan::read_planes`].
    fn rewind(&mut self) -> Result<()>;
}

/// Opens a scan of any supported format, detected from its content, not its name.
///
/// # Errors
/// [`crate::Error::NotFound`], [`crate::Error::UnsupportedScan`] for unsupported formats and types,
/// [`crate::Error::CorruptScan`] for headers that contradict themselves or the file's size,
/// [`crate::Error::Io`].
pub fn open(path: &Path) -> Result<Box<dyn Scan>> {
    foreign::refuse(path)?;
    nifti::open(path)
}
