//! Compare-and-swap of one file.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

use super::claim::Claim;
use super::folders;
use super::is_absent;
use super::put::{Staged, write_all};
use crate::disk::{Swap, Version};
use crate::durable;

/// A whole file. Swapped documents contain unique names, so that no content occurs twice: the
/// content serves as the version.
pub(super) fn read(path: &Path) -> io::Result<(Vec<u8>, Version)> {
    let bytes = fs::read(path)?;
    let version = Version(blake3::hash(&bytes).to_hex().to_string());
    Ok((bytes, version))
}

pub(super) fn swap(
    path: &Path,
    expected: Option<&Version>,
    new: Option<&[u8]>,
    is_shared: bool,
) -> io::Result<Swap> {
    let folder = path.parent().ok_or(ErrorKind::InvalidInput)?;
    if version(path)?.as_ref() != expected {
        return Ok(Swap::Lost);
    }
    let Some(new) = new else {
        return if expected.is_none() {
            Ok(Swap::Done)
        } else {
            claimed(path, expected, is_shared, || fs::remove_file(path))
        };
    };
    folders::make(folder)?;
    let staged = Staged::write(path, &mut |file| write_all(file, &[new]))?;
    if expected.is_none() {
        match fs::hard_link(staged.path(), path) {
            Ok(()) => return durable::names(folder).map(|()| Swap::Done),
            Err(e) if e.kind() == ErrorKind::AlreadyExists => return Ok(Swap::Lost),
            // The file system has no links.
            Err(e) if matches!(e.kind(), ErrorKind::Unsupported | ErrorKind::PermissionDenied) => {}
            Err(e) => return Err(e),
        }
    }
    claimed(path, expected, is_shared, || staged.rename(path))
}

/// Runs `change` if the file still has the expected version, and makes the change durable.
fn claimed(
    path: &Path,
    expected: Option<&Version>,
    is_shared: bool,
    change: impl FnOnce() -> io::Result<()>,
) -> io::Result<Swap> {
    let claim = Claim::take(path, is_shared)?;
    if version(path)?.as_ref() != expected {
        return Ok(Swap::Lost);
    }
    claim.check()?;
    change()?;
    durable::names(path.parent().ok_or(ErrorKind::InvalidInput)?)?;
    Ok(Swap::Done)
}

fn version(path: &Path) -> io::Result<Option<Version>> {
    match read(path) {
        Ok((_, version)) => Ok(Some(version)),
        Err(e) if is_absent(&e) => Ok(None),
        Err(e) => Err(e),
    }
}
