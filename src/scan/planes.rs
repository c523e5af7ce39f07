//! Sources of single planes, which threads read side by side, as scans.

use rayon::prelude::*;

use super::{Order, Scan, ScanHeader};
use crate::{Error, Finding, Frame, Result};

/// Voxels that can be read plane by plane, in any order and by several threads at a time, such as
/// those of a series with a file for each slice. [`PlaneScan`] makes a [`Scan`] of it.
pub trait Planes: Send + Sync {
    /// What the source says of its voxels. The order told there does not matter.
    fn header(&self) -> &ScanHeader;

    /// Fills `out` with the plane `z` of a frame, C-contiguous `y, x`, in the byte order of this
    /// machine. `out` holds exactly one plane.
    ///
    /// # Errors
    /// Those of [`Scan::read_planes`]; which plane it was need not be told.
    fn read_plane(&self, frame: Frame, z: usize, out: &mut [u8]) -> Result<()>;

    /// To be called after the last plane: tells what was noticed on the way.
    ///
    /// # Errors
    /// Those of [`Scan::finish`].
    fn finish(&self) -> Result<Vec<Finding>> {
        Ok(Vec::new())
    }
}

/// A scan of single planes: time points one after the other, in each its channels, in each its
/// planes. As many planes as are asked for at a time are read in parallel by the pool that this is
/// used in; outside of a pool, one after the other by the calling thread.
#[derive(Debug)]
pub struct PlaneScan<P> {
    planes: P,
    header: ScanHeader,
    /// Planes delivered so far, of all frames.
    at: usize,
}

impl<P: Planes> PlaneScan<P> {
    /// The scan, at its first plane.
    #[must_use]
    pub fn new(planes: P) -> Self {
        let header = ScanHeader { order: Order::Frames, ..planes.header().clone() };
        Self { planes, header, at: 0 }
    }
}

impl<P: Planes> Scan for PlaneScan<P> {
    fn header(&self) -> &ScanHeader {
        &self.header
    }

    fn frame(&self, n: usize) -> Frame {
        Frame { time: n / self.header.channels, channel: n % self.header.channels }
    }

    fn read_planes(&mut self, out: &mut [u8]) -> Result<()> {
        let (plane, depth) = (self.header.plane_bytes(), self.header.shape[0]);
        let left = if self.at < depth * self.header.frames() { depth - self.at % depth } else { 0 };
        let count = out.len() / plane;
        if !out.len().is_multiple_of(plane) || count > left {
            let reason = format!(
                "must be whole planes of {plane} bytes, of which the frame has {left} left"
            );
            return Err(Error::invalid("buffer length", out.len(), reason));
        }
        let (frame, first) = (self.frame(self.at / depth), self.at % depth);
        let read = |(n, out): (usize, &mut [u8])| {
            let z = first + n;
            self.planes.read_plane(frame, z, out).err().map(|error| named(error, frame, z))
        };
        // The first plane that fails is told, whichever thread was faster.
        let failed = if rayon::current_thread_index().is_some() {
            out.par_chunks_mut(plane).enumerate().find_map_first(read)
        } else {
            out.chunks_mut(plane).enumerate().find_map(read)
        };
        self.at += count;
        failed.map_or(Ok(()), Err)
    }

    fn finish(&mut self) -> Result<Vec<Finding>> {
        self.planes.finish()
    }

    fn rewind(&mut self) -> Result<()> {
        self.at = 0;
        Ok(())
    }
}

/// The error with the plane that could not be read.
fn named(error: Error, Frame { time, channel }: Frame, z: usize) -> Error {
    let plane = |reason| format!("plane {z} of time {time}, channel {channel}: {reason}");
    match error {
        Error::CorruptScan { path, reason } => Error::CorruptScan { path, reason: plane(reason) },
        Error::UnsupportedScan { path, reason } => {
            Error::UnsupportedScan { path, reason: plane(reason) }
        }
        Error::Io { action, path, source } => {
            let source = std::io::Error::new(source.kind(), plane(source.to_string()));
            Error::Io { action, path, source }
        }
        Error::InvalidArgument { what, value, reason, hint } => {
            Error::InvalidArgument { what, value, reason: plane(reason), hint }
        }
        other => other,
    }
}
