//! Writing a NIfTI single file, plane by plane.
//!
//! A file at the wanted path is always complete: see [`StagedFile`].

use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::choose::Chosen;
use super::{choose, describe, encode, record};
use crate::scan::WriteHeader;
use crate::scan::bytes::{ByteOrder, MemberWriter, reverse_each};
use crate::{Error, Result, Scaling, StagedFile};

/// The two versions of NIfTI.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NiftiVersion {
    /// Axes of up to 32767 voxels, and numbers in single precision; every program reads it.
    One,
    /// Longer axes, and numbers in double precision; many viewers do not read it.
    Two,
}

impl NiftiVersion {
    /// 1 or 2.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::One => 1,
            Self::Two => 2,
        }
    }
}

/// Writes one NIfTI file, `.nii` or `.nii.gz`. If dropped before [`NiftiWriter::finish`], nothing
/// is left.
///
/// The version is NIfTI-1, or NIfTI-2 if an axis is longer than 32767 or a number does not fit
/// single precision. The affine is written as sform, and also as qform if its axes are at right
/// angles, both with the code of the header. Bytes are little-endian. A compressed file consists of
/// gzip members of 1 MiB each, which readers take for one stream; the current pool compresses them
/// in parallel, to the same bytes for any number of threads.
#[derive(Debug)]
pub struct NiftiWriter {
    path: PathBuf,
    sink: Sink,
    version: u8,
    is_rounded: bool,
    plane: usize,
    item: usize,
    /// Bytes that are not written yet.
    left: u64,
}

#[derive(Debug)]
enum Sink {
    Plain(StagedFile),
    Gzip(MemberWriter),
}

impl NiftiWriter {
    /// Begins a file; `gzip` is a level from 0 to 9, or `None` for a plain file. An existing file
    /// at `path` stays as it is until [`NiftiWriter::finish`] replaces it.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for values that a header cannot hold, [`Error::Io`].
    pub fn create(path: &Path, header: &WriteHeader, gzip: Option<u32>) -> Result<Self> {
        let left = validate(header, gzip)?;
        let chosen = Chosen { fields: choose::rounded(header), is_rounded: true };
        Self::with_fields(path, header, &chosen, gzip, left)
    }

    /// As [`NiftiWriter::create`], but without rounding: readers find exactly the affine, scaling
    /// and time step of the header. `source` are the fields of the header that these values were
    /// read from ([`ScanHeader::fields`](crate::scan::ScanHeader::fields)), or empty. If its
    /// transforms, codes, units and other numbers give the same values as `header`, they are
    /// written unchanged; otherwise only `header` counts. The version is NIfTI-1 if that holds all
    /// values, otherwise NIfTI-2. A given `version` is always written; as NIfTI-1, numbers are then
    /// rounded to single precision if necessary ([`NiftiWriter::is_rounded`]).
    ///
    /// # Errors
    /// Those of [`NiftiWriter::create`], and [`Error::InvalidArgument`] for values that a requested
    /// NIfTI-1 has no room for.
    pub fn create_exact(
        path: &Path,
        header: &WriteHeader,
        source: &Map<String, Value>,
        version: Option<NiftiVersion>,
        gzip: Option<u32>,
    ) -> Result<Self> {
        let left = validate(header, gzip)?;
        let chosen = choose::exact(header, source, version).ok_or_else(|| {
            let [z, y, x] = header.shape;
            let value = format!("{z}x{y}x{x}, {} times", header.times);
            let reason = "NIfTI-1 holds axes of up to 32767 voxels, and numbers in the range of \
                          single precision; write NIfTI-2";
            Error::invalid("volume", value, reason)
        })?;
        Self::with_fields(path, header, &chosen, gzip, left)
    }

    fn with_fields(
        path: &Path,
        header: &WriteHeader,
        Chosen { fields, is_rounded }: &Chosen,
        gzip: Option<u32>,
        left: u64,
    ) -> Result<Self> {
        let file = StagedFile::create(path)?;
        let sink = match gzip {
            None => Sink::Plain(file),
            Some(level) => Sink::Gzip(MemberWriter::new(file, level)),
        };
        let item = header.dtype.size();
        let plane = header.shape[1] * header.shape[2] * item;
        let (version, is_rounded) = (fields.version, *is_rounded);
        let mut writer = Self { path: path.into(), sink, version, is_rounded, plane, item, left };
        writer.write(&encode::bytes(fields))?;
        Ok(writer)
    }

    /// The header with its channels in the fourth axis, where NIfTI has time, if a source with
    /// these fields had them there; otherwise unchanged.
    pub(in crate::scan) fn with_axes_of(
        mut header: WriteHeader,
        fields: &Map<String, Value>,
    ) -> WriteHeader {
        let channels = header.channels;
        if header.times == 1 && channels > 1 && record::has_fourth_axis(fields, channels) {
            (header.times, header.channels) = (channels, 1);
            header.time_step = record::time_step(fields);
        }
        header
    }

    /// Name of the format, `nifti-1` or `nifti-2`.
    #[must_use]
    pub const fn format(&self) -> &'static str {
        if self.version == 1 { "nifti-1" } else { "nifti-2" }
    }

    /// Whether numbers of the header may have been rounded to single precision.
    #[must_use]
    pub const fn is_rounded(&self) -> bool {
        self.is_rounded
    }

    /// Appends whole planes, C-contiguous, in the byte order of this machine. Frames follow each
    /// other, time fastest, then channel; within a frame, planes go from `z = 0` up.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a part of a plane, or more planes than the header announced;
    /// [`Error::Io`].
    pub fn write_planes(&mut self, planes: &[u8]) -> Result<()> {
        self.write_units(planes, "planes", self.plane)
    }

    /// As [`NiftiWriter::write_planes`], for any number of whole voxels.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a part of a voxel, or more voxels than the header announced;
    /// [`Error::Io`].
    pub fn write_voxels(&mut self, voxels: &[u8]) -> Result<()> {
        self.write_units(voxels, "voxels", self.item)
    }

    fn write_units(&mut self, voxels: &[u8], what: &str, unit: usize) -> Result<()> {
        let length = voxels.len();
        if !length.is_multiple_of(unit) || length as u64 > self.left {
            let reason = format!(
                "must be whole {what} of {unit} bytes, of which {} bytes are still to come",
                self.left
            );
            return Err(Error::invalid("buffer length", length, reason));
        }
        if ByteOrder::NATIVE == ByteOrder::Little {
            self.write(voxels)?;
        } else {
            let mut swapped = voxels.to_vec();
            reverse_each(&mut swapped, self.item);
            self.write(&swapped)?;
        }
        self.left -= length as u64;
        Ok(())
    }

    /// Syncs the file and moves it to its path.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if planes are missing, [`Error::Io`]; nothing is left after an
    /// error.
    pub fn finish(self) -> Result<()> {
        if self.left > 0 {
            let reason = "planes are missing; write them all before finishing";
            return Err(Error::invalid("bytes not written", self.left, reason));
        }
        let file = match self.sink {
            Sink::Plain(file) => file,
            Sink::Gzip(members) => members.finish().map_err(Error::io("write", &self.path))?,
        };
        file.finish()
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        match &mut self.sink {
            Sink::Plain(file) => file.write_all(bytes),
            Sink::Gzip(members) => members.write_all(bytes),
        }
        .map_err(Error::io("write", &self.path))
    }
}

/// Checks the header; returns the number of voxel bytes.
fn validate(header: &WriteHeader, gzip: Option<u32>) -> Result<u64> {
    if gzip.is_some_and(|level| level > 9) {
        return Err(Error::invalid("gzip level", gzip.unwrap_or(0), "must be 0 to 9"));
    }
    if describe::datatype(header.dtype).is_none() {
        let reason =
            "NIfTI has no such type; convert the voxels to float32, which every reader has";
        return Err(Error::invalid("dtype", header.dtype, reason));
    }
    if !header.affine.is_usable() {
        let reason = "must be finite and invertible, with a last row of 0 0 0 1";
        return Err(Error::invalid("affine", format!("{:?}", header.affine.0), reason));
    }
    let is_sound = |s: Scaling| s.slope != 0.0 && s.slope.is_finite() && s.intercept.is_finite();
    if !header.scaling.is_none_or(is_sound) {
        let value = format!("{:?}", header.scaling);
        return Err(Error::invalid("scaling", value, "must be finite, with a slope other than 0"));
    }
    if let Some(step) = header.time_step.filter(|t| !t.is_finite() || *t <= 0.0) {
        return Err(Error::invalid("time step", step, "must be positive seconds"));
    }
    let [z, y, x] = header.shape;
    let sizes = [x, y, z, header.times, header.channels];
    // Leaves room for the header itself; NIfTI-2 counts in 63 bits.
    let most = i64::MAX.unsigned_abs() - 1024;
    sizes
        .into_iter()
        .filter(|n| *n > 0)
        .try_fold(header.dtype.size() as u64, |bytes, n| bytes.checked_mul(n as u64))
        .filter(|bytes| *bytes <= most && sizes.iter().all(|n| *n > 0))
        .filter(|_| y.checked_mul(x).and_then(|n| n.checked_mul(header.dtype.size())).is_some())
        .ok_or_else(|| {
            let value = format!("{z}x{y}x{x}, {} times, {} channels", sizes[3], sizes[4]);
            Error::invalid("shape", value, "every axis must be at least 1, and all fit a file")
        })
}
