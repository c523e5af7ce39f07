//! The two halves of a header/image pair, which lie in one folder.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// The header of the pair if `path` is named like an image half; otherwise `path` itself.
pub(super) fn header_of(path: &Path) -> PathBuf {
    stem(path, "img")
        .and_then(|stem| beside(path, &stem, "hdr"))
        .unwrap_or_else(|| path.to_path_buf())
}

/// The image half for a header, or `asked` if the caller has given the image itself.
pub(super) fn image_of(asked: &Path, header: &Path) -> Result<PathBuf> {
    if asked != header {
        return Ok(asked.to_path_buf());
    }
    let stem = stem(header, "hdr").unwrap_or_else(|| header.file_stem().unwrap_or_default().into());
    beside(header, &stem, "img").ok_or_else(|| Error::NotFound {
        what: "image half (.img) of a NIfTI pair",
        path: named(header, &stem, "img"),
    })
}

/// Both halves, header first, if `path` is named like one of them and both exist.
pub(super) fn halves(path: &Path) -> Option<[PathBuf; 2]> {
    let (own, other) = if let Some(stem) = stem(path, "hdr") {
        (path.to_path_buf(), beside(path, &stem, "img")?)
    } else {
        (beside(path, &stem(path, "img")?, "hdr")?, path.to_path_buf())
    };
    (own.is_file() && other.is_file()).then_some([own, other])
}

/// The file name without `.half` or `.half.gz`, in any case; `None` without such an ending.
fn stem(path: &Path, half: &str) -> Option<OsString> {
    let is = |path: &Path, extension: &str| {
        path.extension().is_some_and(|e| e.eq_ignore_ascii_case(extension))
    };
    let name = Path::new(path.file_name()?);
    let name = if is(name, "gz") { Path::new(name.file_stem()?) } else { name };
    is(name, half).then(|| name.file_stem().map(OsString::from))?
}

/// The existing file `stem.half` or `stem.half.gz` in the folder of `path`.
fn beside(path: &Path, stem: &OsString, half: &str) -> Option<PathBuf> {
    let upper = half.to_uppercase();
    [half.to_owned(), format!("{half}.gz"), format!("{upper}.GZ"), upper]
        .into_iter()
        .map(|ending| named(path, stem, &ending))
        .find(|candidate| candidate.is_file())
}

fn named(path: &Path, stem: &OsString, ending: &str) -> PathBuf {
    let mut name = stem.clone();
    name.push(".");
    name.push(ending);
    path.with_file_name(name)
}
