//! Sources of single planes, which threads read in parallel, as scans.

use rayon::prelude::*;

use super::{Order, Scan, ScanHeader};
use crate::{Error, Finding, Frame, Result};

/// Voxels that several threads can read plane by plane, in any order, such as a series with a file
/// for each slice. [`PlaneScan`] turns them into a [`Scan`].
pub trait Planes: Send + Sync {
    /// The description of the voxels; its order is ignored.
    fn header(&self) -> &ScanHeader;

    /// Fills `out` with the plane `z` of a frame, C-contiguous `y, x`, in the byte order of this
    /// machine. `out` holds exactly one plane.
    ///
    /// # Errors
    /// Those of [`Scan::read_planes`]; the caller adds the plane.
    fn read_plane(&self, frame: Frame, z: usize, out: &mut [u8]) -> Result<()>;

    /// Must be called after the last plane: returns the findings made while reading.
    ///
    /// # Errors
    /// Those of [`Scan::finish`].
    fn finish(&self) -> Result<Vec<Finding>> {
        Ok(Vec::new())
    }
}

/// A scan of single planes: time points one after the other, in each its channels, in each its
/// planes. Planes that are asked for together are read in parallel by the current pool; outside of
/// a pool, one after the other by the calling thread.
#[derive(Debug)]
pub struct PlaneScan<P> {
    planes: P,
    header: ScanHeader,
    /// Number of planes delivered, of all frames.
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
        // The error of the first plane that fails is returned, whichever thread was faster.
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

/// Adds the plane that could not be read to an error.
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
