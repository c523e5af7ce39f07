//! Several files as the channels of one scan, read one file after the other.

use std::path::{Path, PathBuf};

use super::{Order, Scan, ScanHeader, open};
use crate::{Affine, Error, Finding, Frame, Result, Scaling};

/// Allowed distance between a corner of the volume in two channels, in voxels of the least spacing:
/// more than single precision loses, too little to need resampling.
const FURTHEST: f64 = 0.01;

/// A scan whose channels are files of one frame each. One file is open at a time.
pub(super) struct Channels {
    files: Vec<PathBuf>,
    header: ScanHeader,
    /// The scalings of each file's planes, as found when the files were compared.
    scalings: Vec<Vec<Scaling>>,
    /// The open file, and its channel.
    current: Option<(usize, Box<dyn Scan>)>,
    /// Bytes of its frame that are not read yet.
    left: usize,
    /// Findings from the ends of files.
    late: Vec<Finding>,
}

impl Channels {
    /// `files` are the files of the channels in order, at least one.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for files that do not fit each other; those of [`open`].
    pub(super) fn open(files: Vec<PathBuf>) -> Result<Self> {
        let (mut header, mut is_label) = (Self::header_of(&files[0])?, true);
        let (mut findings, mut scalings) = (Vec::new(), Vec::new());
        for (channel, file) in files.iter().enumerate() {
            let other = Self::header_of(file)?;
            check(&files[0], &header, file, &other)?;
            is_label &= other.is_label;
            scalings.push(scalings_of(&other));
            findings.extend(other.findings.into_iter().map(|finding| of(channel, finding)));
        }
        (header.channels, header.order) = (files.len(), Order::Frames);
        (header.is_label, header.findings) = (is_label, findings);
        if scalings.iter().any(|of_channel| *of_channel != scalings[0]) {
            (header.scaling, header.plane_scalings) = (None, scalings.concat());
        } else {
            header.plane_scalings = header.plane_scalings.repeat(files.len());
        }
        Ok(Self { files, header, scalings, current: None, left: 0, late: Vec::new() })
    }

    fn header_of(file: &Path) -> Result<ScanHeader> {
        open(file).map(|scan| scan.header().clone())
    }

    fn frame_bytes(&self) -> usize {
        self.header.shape[0] * self.header.plane_bytes()
    }

    /// Opens the file of the next channel, after the file before was read to its end.
    fn advance(&mut self) -> Result<()> {
        let next = self.current.as_ref().map_or(0, |(channel, _)| channel + 1);
        self.close()?;
        let file = &self.files[next];
        let scan = open(file)?;
        // The file may have changed since it was compared.
        check(&self.files[0], &self.header, file, scan.header())?;
        if scalings_of(scan.header()) != self.scalings[next] {
            let reason = "the scaling of the file changed since the scan was opened; convert it \
                          again";
            return Err(Error::invalid("channel", file.display(), reason));
        }
        (self.current, self.left) = (Some((next, scan)), self.frame_bytes());
        Ok(())
    }

    /// Verifies the checksum of the open file.
    fn close(&mut self) -> Result<()> {
        if let Some((channel, scan)) = &mut self.current {
            let late = scan.finish()?;
            self.late.extend(late.into_iter().map(|finding| of(*channel, finding)));
        }
        Ok(())
    }

    fn is_last(&self) -> bool {
        self.current.as_ref().is_some_and(|(channel, _)| channel + 1 == self.files.len())
    }
}

impl Scan for Channels {
    fn header(&self) -> &ScanHeader {
        &self.header
    }

    fn frame(&self, n: usize) -> Frame {
        Frame { time: 0, channel: n }
    }

    fn read_planes(&mut self, out: &mut [u8]) -> Result<()> {
        if self.left == 0 && !self.is_last() {
            self.advance()?;
        }
        let plane = self.header.plane_bytes();
        let Some((_, scan)) = &mut self.current else { return Ok(()) };
        if !out.len().is_multiple_of(plane) || out.len() > self.left {
            let reason = format!(
                "must be whole planes of {plane} bytes, of which the channel has {} bytes left",
                self.left
            );
            return Err(Error::invalid("buffer length", out.len(), reason));
        }
        scan.read_planes(out)?;
        self.left -= out.len();
        Ok(())
    }

    fn finish(&mut self) -> Result<Vec<Finding>> {
        while !self.is_last() {
            self.advance()?;
        }
        self.close()?;
        self.left = 0;
        Ok(std::mem::take(&mut self.late))
    }

    fn rewind(&mut self) -> Result<()> {
        (self.current, self.left) = (None, 0);
        self.late.clear();
        Ok(())
    }
}

/// The scaling of each plane of a file of one frame.
fn scalings_of(header: &ScanHeader) -> Vec<Scaling> {
    if header.plane_scalings.is_empty() {
        let scaling = header.scaling.unwrap_or(Scaling { slope: 1.0, intercept: 0.0 });
        vec![scaling; header.shape[0]]
    } else {
        header.plane_scalings.clone()
    }
}

/// A finding of one channel.
fn of(channel: usize, mut finding: Finding) -> Finding {
    finding.message = format!("channel {channel}: {}", finding.message);
    finding
}

/// Checks that a file can be a channel beside the first.
fn check(first: &Path, header: &ScanHeader, file: &Path, other: &ScanHeader) -> Result<()> {
    if other.frames() != 1 {
        let reason = format!(
            "it has {} time points and {} channels; only scans of one time point and one channel \
             can be joined as channels",
            other.times, other.channels
        );
        return Err(Error::invalid("channel", file.display(), reason));
    }
    let differs = |what: &str, one: String, another: String| {
        let reason = format!(
            "{what} {another}, and {} has {one}; the channels of a scan must agree: resample or \
             convert one file to match the other",
            first.display()
        );
        Err(Error::invalid("channel", file.display(), format!("it has {reason}")))
    };
    if header.shape != other.shape {
        let show = |[z, y, x]: [usize; 3]| format!("{z}x{y}x{x} (z, y, x)");
        return differs("the shape", show(header.shape), show(other.shape));
    }
    if header.dtype != other.dtype {
        return differs("the voxel type", header.dtype.to_string(), other.dtype.to_string());
    }
    let least = header.spacing.mm().into_iter().fold(f64::INFINITY, f64::min);
    let distance = distance(&header.affine, &other.affine, header.shape);
    // This comparison refuses a NaN as well.
    if distance <= FURTHEST * least {
        return Ok(());
    }
    let show = |affine: &Affine| format!("{:?}", &affine.0[..3]);
    let what = format!("a corner {distance} mm away, by the affine");
    differs(&what, show(&header.affine), show(&other.affine))
}

/// The greatest distance between a corner of the volume under two affines, in millimetres.
#[allow(clippy::cast_precision_loss)]
fn distance(a: &Affine, b: &Affine, shape: [usize; 3]) -> f64 {
    let corners = (0..8).map(|n| {
        let corner: [f64; 3] =
            std::array::from_fn(|axis| if n >> axis & 1 == 1 { shape[axis] as f64 } else { 0.0 });
        let (a, b) = (a.world(corner), b.world(corner));
        (0..3).map(|axis| (a[axis] - b[axis]).powi(2)).sum::<f64>().sqrt()
    });
    // A NaN stays the result.
    let further = |most: f64, distance| most.is_nan() || distance <= most;
    corners.fold(0.0, |most, distance| if further(most, distance) { most } else { distance })
}
