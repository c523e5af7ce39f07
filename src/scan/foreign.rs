//! Files in formats that are not supported, recognised by their first bytes, so that the message
//! can say what to do.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

use crate::{Error, Result};

/// Bytes that are examined: DICOM has its mark after a preamble of 128 bytes.
const LOOKED_AT: u64 = 256;
/// Entries of a folder that are examined.
const MOST_ENTRIES: usize = 64;

/// The position of a mark, the mark, and its meaning.
const MARKS: &[(usize, &[u8], &str)] = &[
    (0, b"version https://git-lfs", "a Git LFS pointer, not the scan itself: git lfs pull gets it"),
    (0, b"/annex/objects/", ANNEX),
    (128, b"DICM", DICOM),
    (0, b"NRRD", "an NRRD file: save it as NIfTI, with 3D Slicer or SimpleITK for example"),
    (0, b"ObjectType", META),
    (0, b"NDims", META),
    (0, b"\x89HDF", "an HDF5 file: save the image in it as NIfTI"),
    (0, b"PK\x03\x04", "a ZIP archive: unpack it"),
    (0, b"<!DOCTYPE", "a web page, as a failed download leaves it: download the scan again"),
    (0, b"<html", "a web page, as a failed download leaves it: download the scan again"),
];
const ANNEX: &str =
    "a git-annex pointer, not the scan itself: git annex get (or datalad get) gets it";
const DICOM: &str = "a DICOM file, a slice of a series: make one NIfTI file of the series' folder, \
                     with dcm2niix -z y FOLDER for example";
const STORE: &str = "a Zarr store already: give the file that it was made from";
const FOLDER: &str = "a folder: give the scans in it, each by its file";
const META: &str = "a MetaImage header (.mhd, .mha): save it as NIfTI, with SimpleITK for example";

/// Refuses files of a known foreign format; all others pass.
pub(super) fn refuse(path: &Path) -> Result<()> {
    let unsupported = |what: &str| {
        Err(Error::UnsupportedScan { path: path.into(), reason: format!("it is {what}") })
    };
    let metadata = match std::fs::metadata(path) {
        Ok(metadata) => metadata,
        // The file is a link to content that git-annex has not fetched.
        Err(e) if e.kind() == ErrorKind::NotFound => {
            let target = std::fs::read_link(path).unwrap_or_default();
            let annexed = target.to_string_lossy().contains(".git/annex/objects");
            return if annexed { unsupported(ANNEX) } else { Ok(()) };
        }
        Err(_) => return Ok(()),
    };
    if metadata.is_dir() {
        return unsupported(folder(path));
    }
    if !metadata.is_file() {
        return Ok(());
    }
    if metadata.len() == 0 {
        let reason = "the file is empty, as left by an interrupted copy or download: get it again";
        return Err(Error::CorruptScan { path: path.into(), reason: reason.into() });
    }
    mark(path).map_or(Ok(()), unsupported)
}

/// The meaning of a file's mark, if it has a known one. Errors of reading are left to the caller's
/// next read.
fn mark(path: &Path) -> Option<&'static str> {
    let mut start = Vec::new();
    File::open(path).ok()?.take(LOOKED_AT).read_to_end(&mut start).ok()?;
    let has = |(at, mark, _): &&(usize, &[u8], &str)| {
        start.get(*at..).is_some_and(|rest| rest.starts_with(mark))
    };
    MARKS.iter().find(has).map(|(_, _, what)| *what)
}

/// Refuses a folder that is known to hold no scans, whatever its files are.
pub(super) fn refuse_folder(path: &Path) -> Result<()> {
    if path.join("zarr.json").is_file() {
        return Err(Error::UnsupportedScan { path: path.into(), reason: format!("it is {STORE}") });
    }
    Ok(())
}

/// The error for a folder without scans, although folders with files of these formats are accepted.
pub(super) fn folder_without_scans(path: &Path, formats: &str) -> Error {
    let reason = match folder(path) {
        FOLDER => format!(
            "it is a folder without supported scans: it must directly contain {formats} files"
        ),
        what => format!("it is {what}"),
    };
    Error::UnsupportedScan { path: path.into(), reason }
}

/// The kind of a folder, by its files.
fn folder(path: &Path) -> &'static str {
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten().take(MOST_ENTRIES);
    let mut files = entries.map(|entry| entry.path()).filter(|path| path.is_file());
    if path.join("zarr.json").is_file() {
        return STORE;
    }
    if files.any(|file| mark(&file) == Some(DICOM)) {
        return "a folder of DICOM files: make a NIfTI file of it, with dcm2niix -z y FOLDER for \
                example";
    }
    FOLDER
}
