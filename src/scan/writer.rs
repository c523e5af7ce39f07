//! Writing scans in the format of the file's extension.

use std::path::Path;

use serde_json::{Map, Value};

use super::WriteHeader;
use super::nifti::{NiftiVersion, NiftiWriter};
use crate::{Dtype, Error, Result};

/// A format in which scans can be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ScanFormat {
    /// A single file, `.nii`.
    Nifti,
    /// The same compressed, `.nii.gz`.
    NiftiGz,
}

impl ScanFormat {
    /// The extensions and their formats.
    const ENDINGS: [(&str, Self); 2] = [(".nii.gz", Self::NiftiGz), (".nii", Self::Nifti)];

    /// The format of a file of this name.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for an extension that is not one of [`ScanFormat::endings`].
    pub fn of(path: &Path) -> Result<Self> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let known = Self::ENDINGS.into_iter().find(|(ending, _)| name.ends_with(ending));
        known.map(|(_, format)| format).ok_or_else(|| {
            let endings: Vec<_> = Self::endings().collect();
            let reason = format!("must end in {}", endings.join(" or "));
            Error::invalid("output path", path.display(), reason)
        })
    }

    /// The extensions of all formats.
    pub fn endings() -> impl Iterator<Item = &'static str> {
        Self::ENDINGS.into_iter().map(|(ending, _)| ending)
    }

    /// The name of the format in messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nifti | Self::NiftiGz => "NIfTI",
        }
    }

    /// Whether its files are compressed.
    #[must_use]
    pub const fn is_compressed(self) -> bool {
        matches!(self, Self::NiftiGz)
    }

    /// The type in which voxels of `dtype` are written: the same, or another type of the format
    /// that holds every voxel exactly.
    #[must_use]
    pub const fn carries(self, dtype: Dtype) -> Dtype {
        match (self, dtype) {
            (Self::Nifti | Self::NiftiGz, Dtype::Float16) => Dtype::Float32,
            (_, dtype) => dtype,
        }
    }
}

/// Options for writing a file.
#[derive(Debug, Clone, Copy)]
pub struct WriteOptions {
    /// Compression level from 0 (none) to 9, for formats that compress.
    pub level: u32,
    /// The version of NIfTI; by default NIfTI-1 if that holds every number exactly, otherwise
    /// NIfTI-2.
    pub nifti: Option<NiftiVersion>,
}

/// Writes one file, plane by plane, in the format of its extension. If dropped before
/// [`ScanWriter::finish`], nothing is left.
#[derive(Debug)]
pub struct ScanWriter {
    format: ScanFormat,
    header: WriteHeader,
    writer: Writer,
}

#[derive(Debug)]
enum Writer {
    Nifti(NiftiWriter),
}

impl ScanWriter {
    /// Begins a file. Numbers of the header may be rounded to those of the format.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for an unknown extension, and for headers that the format cannot
    /// hold; [`Error::Io`].
    pub fn create(path: &Path, header: &WriteHeader, level: u32) -> Result<Self> {
        let format = ScanFormat::of(path)?;
        let level = format.is_compressed().then_some(level);
        let writer = Writer::Nifti(NiftiWriter::create(path, header, level)?);
        Ok(Self { format, header: header.clone(), writer })
    }

    /// Begins a file from which exactly this header is read. `source` are the fields of the file
    /// that the volume came from ([`ScanHeader::fields`](super::ScanHeader::fields)), or empty:
    /// where they give the same values as `header`, they are written unchanged, and channels from
    /// its fourth axis become that axis again ([`ScanWriter::header`]).
    ///
    /// # Errors
    /// Those of [`ScanWriter::create`].
    pub fn create_exact(
        path: &Path,
        header: WriteHeader,
        source: &Map<String, Value>,
        WriteOptions { level, nifti }: WriteOptions,
    ) -> Result<Self> {
        let format = ScanFormat::of(path)?;
        let level = format.is_compressed().then_some(level);
        let header = NiftiWriter::with_axes_of(header, source);
        let writer = NiftiWriter::create_exact(path, &header, source, nifti, level)?;
        Ok(Self { format, header, writer: Writer::Nifti(writer) })
    }

    /// The format.
    #[must_use]
    pub const fn format(&self) -> ScanFormat {
        self.format
    }

    /// The description of the voxels in the file.
    #[must_use]
    pub const fn header(&self) -> &WriteHeader {
        &self.header
    }

    /// Name of the format and its version, such as `nifti-1`.
    #[must_use]
    pub const fn version(&self) -> &'static str {
        match &self.writer {
            Writer::Nifti(writer) => writer.format(),
        }
    }

    /// Whether numbers of the header may have been rounded.
    #[must_use]
    pub const fn is_rounded(&self) -> bool {
        match &self.writer {
            Writer::Nifti(writer) => writer.is_rounded(),
        }
    }

    /// Appends whole voxels, C-contiguous, in the byte order of this machine. Frames follow each
    /// other, time fastest, then channel; within a frame, planes go from `z = 0` up.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a part of a voxel, or more voxels than the header announced;
    /// [`Error::Io`].
    pub fn write_voxels(&mut self, voxels: &[u8]) -> Result<()> {
        match &mut self.writer {
            Writer::Nifti(writer) => writer.write_voxels(voxels),
        }
    }

    /// Syncs the file and moves it to its path.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if voxels are missing, [`Error::Io`]; nothing is left after an
    /// error.
    pub fn finish(self) -> Result<()> {
        match self.writer {
            Writer::Nifti(writer) => writer.finish(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_told_by_endings_and_others_are_refused_with_those_there_are() {
        for (name, format) in [
            ("a.nii", Some(ScanFormat::Nifti)),
            ("a/b.c.nii.gz", Some(ScanFormat::NiftiGz)),
            ("a.nii.gz.part", None),
            ("a.NII", None),
            ("a.nrrd", None),
            ("nii", None),
            ("", None),
        ] {
            let found = ScanFormat::of(Path::new(name));
            match found {
                Ok(found) => assert_eq!(Some(found), format, "{name}"),
                Err(error) => {
                    assert_eq!(format, None, "{name}");
                    let told = error.to_string();
                    assert!(told.contains("must end in .nii.gz or .nii"), "{told}");
                }
            }
        }
    }
}
