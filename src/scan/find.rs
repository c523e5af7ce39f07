//! Finding scans: a path names a file, one half of a pair, or a folder; several files may be
//! channels of one scan.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::bytes::digest;
use super::channels::Channels;
use super::{Scan, foreign, nifti, open};
use crate::{Error, Result};

/// Supported formats, for messages about folders.
const FORMATS: &str = "NIfTI (.nii, .nii.gz, .hdr with .img)";

/// One scan that can be opened, found by [`find`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// One file, or one for each channel.
    parts: Vec<SourceFile>,
}

/// A file as it was named, and all files that belong to it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct SourceFile {
    named: PathBuf,
    files: Vec<PathBuf>,
}

impl Found {
    /// Joins scans of one time point and one channel each as the channels of one scan, in this
    /// order, such as nnU-Net's `case_0000.nii.gz`, `case_0001.nii.gz`.
    ///
    /// Shape and voxel type must be the same; different scalings are kept for each channel
    /// ([`ScanHeader::plane_scalings`](super::ScanHeader::plane_scalings)). Affines may differ by
    /// rounding: no corner of the volume may be further from its position in the first scan than a
    /// hundredth of the least voxel spacing; the affine and the other header fields of the first
    /// scan are kept.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for no scans, and for the first file that does not match the
    /// first scan, naming both files and both values; those of [`open`].
    pub fn channels(found: Vec<Self>) -> Result<Self> {
        let joined = Self { parts: found.into_iter().flat_map(|found| found.parts).collect() };
        if joined.parts.is_empty() {
            let reason = "at least one scan is needed; name the files, one for each channel";
            return Err(Error::invalid("channels", 0, reason));
        }
        // Opened to be compared, then closed again.
        joined.open_channels()?;
        Ok(joined)
    }

    /// Opens the scan.
    ///
    /// # Errors
    /// Those of [`open`]; for joined channels also those of [`Found::channels`].
    pub fn open(&self) -> Result<Box<dyn Scan>> {
        match &self.parts[..] {
            [part] => open(&part.named),
            _ => Ok(Box::new(self.open_channels()?)),
        }
    }

    fn open_channels(&self) -> Result<Channels> {
        Channels::open(self.parts.iter().map(|part| part.named.clone()).collect())
    }

    /// The name of the scan in messages: the path as it was given, or the paths of all channels.
    #[must_use]
    pub fn name(&self) -> String {
        let names = self.parts.iter().map(|part| part.named.display().to_string());
        names.collect::<Vec<_>>().join(" + ")
    }

    /// Every file of the scan, at least one: the header of a pair comes first; channels are in
    /// order.
    #[must_use]
    pub fn files(&self) -> Vec<&Path> {
        self.parts.iter().flat_map(|part| &part.files).map(PathBuf::as_path).collect()
    }

    /// BLAKE3 of the files as stored on disk, in hexadecimal: for several files, of their digests
    /// in the order of [`Found::files`]. Reads all files.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Io`].
    pub fn digest(&self) -> Result<String> {
        digest::of_files(&self.files())
    }

    /// A single file or pair.
    fn file(path: &Path) -> Self {
        let files = nifti::halves(path).map_or_else(|| vec![path.to_path_buf()], Vec::from);
        Self { parts: vec![SourceFile { named: path.into(), files }] }
    }

    /// Whether both are halves of the same pair.
    fn is_other_half_of(&self, other: &Self) -> bool {
        let ([a], [b]) = (&self.parts[..], &other.parts[..]) else { return false };
        a.files.len() > 1 && a.files == b.files && a.named != b.named
    }
}

/// The scans that the paths name, in the order of the paths.
///
/// A file is a scan; its format is detected when it is opened, and nothing is read here. Either
/// half of a header/image pair names the pair, and both name one scan. A folder names the NIfTI
/// files directly inside it, each a scan, in the order of their names; hidden files are skipped.
///
/// # Errors
/// [`Error::UnsupportedScan`] for a folder without such files; [`Error::Io`] if a folder cannot be
/// listed.
pub fn find(paths: &[PathBuf]) -> Result<Vec<Found>> {
    let mut found: Vec<Found> = Vec::new();
    for path in paths {
        let more = if path.is_dir() { in_folder(path)? } else { vec![Found::file(path)] };
        for scan in more {
            if !found.iter().any(|other| scan.is_other_half_of(other)) {
                found.push(scan);
            }
        }
    }
    Ok(found)
}

fn in_folder(folder: &Path) -> Result<Vec<Found>> {
    foreign::refuse_folder(folder)?;
    let listed = std::fs::read_dir(folder).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let listed = listed.map_err(Error::io("list", folder))?;
    let mut files: Vec<PathBuf> = listed.iter().map(std::fs::DirEntry::path).collect();
    files.retain(|path| !is_hidden(path) && !path.is_dir() && nifti::is_like_scan(path));
    files.sort();
    if files.is_empty() {
        return Err(foreign::folder_without_scans(folder, FORMATS));
    }
    Ok(files.iter().map(|path| Found::file(path)).collect())
}

/// Skips the files that macOS writes to foreign disks, `._scan.nii`.
fn is_hidden(path: &Path) -> bool {
    path.file_name().map(OsStr::to_string_lossy).is_some_and(|name| name.starts_with('.'))
}
