//! Folders: made, listed, made to last, and removed with what is in them, while others do the same.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::time::SystemTime;

use crate::durable;

/// How often a folder that is missing again is made again. Others may remove it as often as they
/// fail or end; some file systems say of folders that they will never make that one above is
/// missing.
pub(super) const TRIES: usize = 1000;

/// Names directly inside a folder, sorted; none if there is no such folder.
pub(super) fn list(folder: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut names = Vec::new();
    for entry in entries {
        // Names that are not Unicode are none of ours.
        if let Ok(name) = entry?.file_name().into_string() {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// Makes a folder and what is missing above it, each name durable, while others may remove them.
/// False if it is there already.
pub(super) fn make(path: &Path) -> io::Result<bool> {
    let mut missing = None;
    for _ in 0..TRIES {
        match fs::create_dir(path) {
            Ok(()) => match path.parent().map_or(Ok(()), durable::names) {
                Err(e) if e.kind() == ErrorKind::NotFound => missing = Some(e),
                synced => return synced.map(|()| true),
            },
            Err(e) if e.kind() == ErrorKind::AlreadyExists => match fs::metadata(path) {
                Ok(there) if there.is_dir() => return Ok(false),
                // Removed in between.
                Err(gone) if gone.kind() == ErrorKind::NotFound => missing = Some(gone),
                _ => return Err(e),
            },
            Err(e) if e.kind() == ErrorKind::NotFound => {
                let parent = path.parent().filter(|p| !p.as_os_str().is_empty());
                make(parent.ok_or(e)?)?;
                missing = Some(ErrorKind::NotFound.into());
            }
            Err(e) => return Err(e),
        }
    }
    Err(missing.unwrap_or_else(|| ErrorKind::NotFound.into()))
}

/// Makes all names below a folder last, and those of the folder and of all above it, up to that of
/// the root. Names that go meanwhile are others' business.
pub(super) fn sync(root: &Path, folder: &str) -> io::Result<()> {
    below(&root.join(folder))?;
    let mut above = Some(folder).filter(|folder| !folder.is_empty());
    while let Some(folder) = above {
        above = folder.rsplit_once('/').map(|(above, _)| above);
        there(durable::names(&root.join(above.unwrap_or_default())))?;
    }
    root.parent().map_or(Ok(()), |folder| there(durable::names(folder)))
}

fn below(folder: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        Err(e) if super::is_absent(&e) => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => below(&entry.path())?,
            Err(e) if e.kind() != ErrorKind::NotFound => return Err(e),
            _ => {}
        }
    }
    there(durable::names(folder))
}

/// What is gone needs nothing.
fn there(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(e) if super::is_absent(&e) => Ok(()),
        result => result,
    }
}

/// Removes a file, or a folder with all that is in it, and the folders above that are empty then,
/// but for the root.
pub(super) fn delete(root: &Path, key: &str) -> io::Result<()> {
    let path = root.join(key);
    let removed = match fs::symlink_metadata(&path) {
        Ok(m) if m.is_dir() => fs::remove_dir_all(&path),
        Ok(_) => fs::remove_file(&path),
        Err(e) => Err(e),
    };
    there(removed)?;
    let mut folder = key;
    while let Some((above, _)) = folder.rsplit_once('/') {
        // Of a folder that is not empty, or gone, the system says so.
        if fs::remove_dir(root.join(above)).is_err() {
            break;
        }
        folder = above;
    }
    Ok(())
}

/// When anything at or below a path was changed last, and the bytes of all files; `None` if there is
/// nothing.
pub(super) fn usage(path: &Path) -> io::Result<Option<(SystemTime, u64)>> {
    let metadata = match fs::symlink_metadata(path) {
        Err(e) if super::is_absent(&e) => return Ok(None),
        metadata => metadata?,
    };
    let mut newest = metadata.modified()?;
    let mut bytes = if metadata.is_file() { metadata.len() } else { 0 };
    if metadata.is_dir() {
        for name in list(path)? {
            if let Some((changed, more)) = usage(&path.join(name))? {
                newest = newest.max(changed);
                bytes += more;
            }
        }
    }
    Ok(Some((newest, bytes)))
}
