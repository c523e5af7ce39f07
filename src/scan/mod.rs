//! Medical files as streams of voxel planes; the only folder that knows their formats.
//!
//! [`open`] sniffs the content and returns a [`Scan`]: a header, and the voxels plane by plane in
//! `z, y, x` order, frames one after the other or interleaved ([`Order`]), never more of them in
//! memory than the caller asks for. [`find`] tells which scans some paths stand for, folders and
//! several files among them; [`Planes`] are sources that several threads read. On the way out,
//! [`ScanWriter`] takes the format from the ending of a name.
//!
//! A new format is one new folder here, one line in [`open`] and in [`find`], and one in
//! [`ScanFormat`] if it is written, too; `bytes` holds what formats share, and what is known and not
//! read is named by `foreign`.
//!
//! Voxels are delivered as stored: scale factors and geometry are metadata. Free text of a header
//! (names, dates, descriptions, paths) never leaves this folder.

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
/// the file; [`Scan::frame`] tells which frame comes `n`-th. Within a frame, planes come from
/// `z = 0` up. Where the file interleaves frames, so does the scan: [`ScanHeader::order`] tells how,
/// and a plane then is one of each frame that is interleaved.
pub trait Scan: Send {
    /// What the file says of its voxels.
    fn header(&self) -> &ScanHeader;

    /// Which frame is delivered `n`-th, for `n` below `header().frames()`.
    fn frame(&self, n: usize) -> Frame;

    /// Fills `out` with the next planes of the current frame, C-contiguous, in the byte order of
    /// this machine. `out` holds a whole number of planes ([`ScanHeader::step_bytes`]) and does not
    /// reach past the frame, or the frames that are interleaved; after the last plane the next
    /// begin.
    ///
    /// # Errors
    /// [`crate::Error::CorruptScan`] if the file ends early or its voxels cannot be decoded,
    /// [`crate::Error::Io`] if it cannot be read: the scan is of no further use then, open it
    /// again. [`crate::Error::InvalidArgument`] for a buffer of another length.
    fn read_planes(&mut self, out: &mut [u8]) -> Result<()>;

    /// To be called after the last plane: reads what remains, verifies trailing checksums, and
    /// tells what was noticed on the way. Planes that were not asked for are skipped.
    ///
    /// # Errors
    /// [`crate::Error::CorruptScan`] if a checksum fails: the voxels delivered are not to be used.
    fn finish(&mut self) -> Result<Vec<Finding>>;

    /// Starts over: the next plane is the first of the frame that is delivered first. Possible at
    /// any time, but not after an error. The header stays as it is.
    ///
    /// # Errors
    /// Those of [`Scan::read_planes`].
    fn rewind(&mut self) -> Result<()>;
}

/// Opens a scan of any known format, told by its content, not by its name.
///
/// # Errors
/// [`crate::Error::NotFound`], [`crate::Error::UnsupportedScan`] for formats and types not read
/// here, [`crate::Error::CorruptScan`] for headers that contradict themselves or the file's size,
/// [`crate::Error::Io`].
pub fn open(path: &Path) -> Result<Box<dyn Scan>> {
    foreign::refuse(path)?;
    nifti::open(path)
}
