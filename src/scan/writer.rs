//! Files that are written, their format told by the ending of their name.

use std::path::Path;

use serde_json::{Map, Value};

use super::WriteHeader;
use super::nifti::{NiftiVersion, NiftiWriter};
use crate::{Dtype, Error, Result};

/// A format that scans are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ScanFormat {
    /// A single file, `.nii`.
    Nifti,
    /// The same compressed, `.nii.gz`.
    NiftiGz,
}

impl ScanFormat {
    /// How names end, and the formats.
    const ENDINGS: [(&str, Self); 2] = [(".nii.gz", Self::NiftiGz), (".nii", Self::Nifti)];

    /// The format of a file of this name.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for another ending than those of [`ScanFormat::endings`].
    pub fn of(path: &Path) -> Result<Self> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let known = Self::ENDINGS.into_iter().find(|(ending, _)| name.ends_with(ending));
        known.map(|(_, format)| format).ok_or_else(|| {
            let endings: Vec<_> = Self::endings().collect();
            let reason = format!("must end in {}", endings.join(" or "));
            Error::invalid("output path", path.display(), reason)
        })
    }

    /// The endings of names that a format is known for.
    pub fn endings() -> impl Iterator<Item = &'static str> {
        Self::ENDINGS.into_iter().map(|(ending, _)| ending)
    }

    /// What the format is called in messages.
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

    /// The type to write voxels of a type as: the same, or one that the format has and that holds
    /// every voxel exactly.
    #[must_use]
    pub const fn carries(self, dtype: Dtype) -> Dtype {
        match (self, dtype) {
            (Self::Nifti | Self::NiftiGz, Dtype::Float16) => Dtype::Float32,
            (_, dtype) => dtype,
        }
    }
}

/// How to write a file.
#[derive(Debug, Clone, Copy)]
pub struct WriteOptions {
    /// How hard to compress, from 0 (not at all) to 9, where the format does.
    pub level: u32,
    /// The version of NIfTI; without, NIfTI-1 where that holds every number exactly, else NIfTI-2.
    pub nifti: Option<NiftiVersion>,
}

/// Writes one file, plane by plane, in the format that its name says. Dropped before
/// [`ScanWriter::finish`], it leaves nothing behind.
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
    /// Begins a file. Numbers of the header may be rounded as the format has them.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for the ending of the name, and for headers that the format cannot
    /// hold; [`Error::Io`].
    pub fn create(path: &Path, header: &WriteHeader, level: u32) -> Result<Self> {
        let format = ScanFormat::of(path)?;
        let level = format.is_compressed().then_some(level);
        let writer = Writer::Nifti(NiftiWriter::create(path, header, level)?);
        Ok(Self { format, header: header.clone(), writer })
    }

    /// Begins a file that is read as exactly the header. `source` are the fields of the file that
    /// the volume came from, as [`ScanHeader::fields`](super::ScanHeader::fields) has them, or none:
    /// where they say the same as `header`, they are written as they stood there, and channels that
    /// were its fourth axis are that again ([`ScanWriter::header`]).
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

    /// What the file says of its voxels.
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
    /// other time fastest, then channel; within a frame planes go from `z = 0` up.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for less than whole voxels, or more than the header announced;
    /// [`Error::Io`].
    pub fn write_voxels(&mut self, voxels: &[u8]) -> Result<()> {
        match &mut self.writer {
            Writer::Nifti(writer) => writer.write_voxels(voxels),
        }
    }

    /// Syncs the file and gives it its name.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if voxels are missing, [`Error::Io`]; nothing is left then.
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
