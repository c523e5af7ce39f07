//! NIfTI-1 and NIfTI-2: single files and header/image pairs, plain and gzipped.
//!
//! A file is read as a stream of bytes; `Fields` are the fields of its header as stored; `check`
//! refuses impossible ones, and `geometry` finds the position of the voxels. Later code trusts what
//! passes these two. A [`NiftiWriter`] gets its numbers from `describe`, and may `choose` among
//! equivalent headers; `encode` turns one into bytes.
//!
//! In a file, `x` runs fastest, then `y`, `z`, time, channel: bytes read in order are C-contiguous
//! `z, y, x` frames, so no frame is ever transposed.
//!
//! Not supported: ANALYZE 7.5, colour and complex voxels, more than five axes, header extensions.

mod check;
mod choose;
mod describe;
mod encode;
mod fields;
mod geometry;
mod mapped;
mod pair;
mod quaternion;
mod record;
mod write;

use std::path::{Path, PathBuf};

pub use super::WriteHeader;
pub use mapped::MappedNifti;
pub use write::{NiftiVersion, NiftiWriter};

use super::bytes::{ByteOrder, Stream, reverse_each};
use super::reject::Reject;
use super::{Order, Scan, ScanHeader};
use crate::{Certainty, Error, Finding, Frame, Result, Space};
use fields::Fields;

/// Inflated bytes after the voxels that are read to reach the checksum: more than any padding, but
/// few enough that a decompression bomb ends soon.
const DRAIN: u64 = 64 << 20;

struct NiftiScan {
    header: ScanHeader,
    stream: Stream,
    /// Position of the first voxel, in bytes.
    offset: u64,
    /// The bytes of each voxel must be reversed.
    swapped: bool,
    /// Bytes of the current frame that are not read yet, and frames after it.
    frame_left: usize,
    frames_left: usize,
}

/// Opens a single file, or a pair by either half.
pub(super) fn open(path: &Path) -> Result<Box<dyn Scan>> {
    Ok(Box::new(NiftiScan::open(path)?))
}

/// Header and image of the pair to which a path belongs, if both exist.
pub(super) fn halves(path: &Path) -> Option<[PathBuf; 2]> {
    pair::halves(path)
}

/// Whether a file should be read as NIfTI: by its name, or by its first bytes.
pub(super) fn is_like_scan(path: &Path) -> bool {
    let is = |path: &Path, ending: &str| {
        path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case(ending))
    };
    let inner = path.with_extension("");
    // A compressed image half is recognised by name, because it has no header and would be inflated
    // in vain.
    if is(path, "nii") || is(path, "gz") && is(&inner, "nii") || halves(path).is_some() {
        return true;
    }
    let begins = || {
        let mut start = [0; 4];
        Stream::open(path)?.read_up_to(&mut start).map(|held| start[..held].to_vec())
    };
    begins().is_ok_and(|start: Vec<u8>| fields::header_length(&start).is_some())
}

impl NiftiScan {
    fn open(path: &Path) -> Result<Self> {
        let header_path = pair::header_of(path);
        let mut stream = Stream::open(&header_path)?;
        let mut findings: Vec<Finding> = stream.name_finding().into_iter().collect();
        let fields = read_fields(&mut stream)?;
        if !fields.single {
            // Extensions may follow a header, so only damage after it is reported.
            let is_damage = |finding: &Finding| finding.certainty == Certainty::Repaired;
            findings.extend(stream.finish(DRAIN)?.into_iter().filter(is_damage));
            stream = Stream::open(&pair::image_of(path, &header_path)?)?;
            findings.extend(stream.name_finding());
        }
        let reject = |reject: Reject| reject.at(&header_path);
        let voxels = check::voxels(&fields, &mut findings).map_err(reject)?;
        voxels.fit(stream.most()).map_err(|reject| reject.at(stream.path()))?;
        let affine = geometry::affine(&fields, voxels.shape, &mut findings).map_err(reject)?;
        let header = ScanHeader {
            dtype: voxels.dtype,
            shape: voxels.shape,
            times: voxels.times,
            channels: voxels.channels,
            order: Order::Frames,
            affine,
            space: Space::of_codes(fields.sform_code, fields.qform_code),
            spacing: affine.spacing()?,
            time_step: geometry::time_step(&fields, voxels.times, &mut findings),
            scaling: check::scaling(&fields).map_err(reject)?,
            plane_scalings: Vec::new(),
            is_label: check::is_label(&fields, &mut findings),
            format: if fields.version == 1 { "nifti-1" } else { "nifti-2" },
            fields: record::record(&fields, voxels.shape),
            findings,
        };
        stream.skip_to(voxels.offset)?;
        Ok(Self {
            offset: voxels.offset,
            swapped: voxels.dtype.size() > 1 && fields.order != ByteOrder::NATIVE,
            frame_left: header.shape[0] * header.plane_bytes(),
            frames_left: header.frames() - 1,
            header,
            stream,
        })
    }
}

fn read_fields(stream: &mut Stream) -> Result<Fields> {
    let mut bytes = [0; fields::LONGEST];
    let mut held = stream.read_up_to(&mut bytes[..fields::SHORTEST])?;
    if held == fields::SHORTEST && fields::header_length(&bytes) == Some(fields::LONGEST) {
        held += stream.read_up_to(&mut bytes[held..])?;
    }
    Fields::parse(&bytes[..held]).map_err(|reject| reject.at(stream.path()))
}

impl Scan for NiftiScan {
    fn header(&self) -> &ScanHeader {
        &self.header
    }

    fn frame(&self, n: usize) -> Frame {
        Frame { time: n % self.header.times, channel: n / self.header.times }
    }

    fn read_planes(&mut self, out: &mut [u8]) -> Result<()> {
        if self.frame_left == 0 && self.frames_left > 0 {
            self.frames_left -= 1;
            self.frame_left = self.header.shape[0] * self.header.plane_bytes();
        }
        if !out.len().is_multiple_of(self.header.plane_bytes()) || out.len() > self.frame_left {
            let reason = format!(
                "must be whole planes of {} bytes, of which the frame has {} bytes left",
                self.header.plane_bytes(),
                self.frame_left
            );
            return Err(Error::invalid("buffer length", out.len(), reason));
        }
        self.stream.read_exact(out)?;
        self.frame_left -= out.len();
        if self.swapped {
            reverse_each(out, self.header.dtype.size());
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<Vec<Finding>> {
        let frame = self.header.shape[0] * self.header.plane_bytes();
        let unread = (self.frames_left * frame + self.frame_left) as u64;
        self.stream.skip_to(self.stream.at().saturating_add(unread))?;
        (self.frames_left, self.frame_left) = (0, 0);
        self.stream.finish(DRAIN)
    }

    fn rewind(&mut self) -> Result<()> {
        self.stream.rewind()?;
        self.stream.skip_to(self.offset)?;
        self.frame_left = self.header.shape[0] * self.header.plane_bytes();
        self.frames_left = self.header.frames() - 1;
        Ok(())
    }
}
