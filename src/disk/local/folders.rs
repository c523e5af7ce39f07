//! Folders: created, listed, flushed, and deleted with their content, while other processes do the
//! same.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::time::SystemTime;

use crate::durable;

/// How often a missing folder is created again. Other processes may remove it as often as they fail
/// or end. Some file systems report a missing parent for folders that can never be created.
pub(super) const TRIES: usize = 1000;

/// Names directly inside a folder, sorted; none if the folder does not exist.
pub(super) fn list(folder: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut names = Vec::new();
    for entry in entries {
        // Names that are not Unicode cannot be ours.
        if let Ok(name) = entry?.file_name().into_string() {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// Creates a folder and its missing parents, each name durable, while other processes may remove
/// them. False if the folder exists already.
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
                // Removed by another process in between.
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

/// Makes all names below a folder durable, and those of the folder and its parents up to the
/// root's. Names that vanish meanwhile are ignored.
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

/// Treats a vanished file as success.
fn there(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(e) if super::is_absent(&e) => Ok(()),
        result => result,
    }
}

/// Deletes a file, or a folder with its content, and then the parents that are empty, except the
/// root.
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
        // The system refuses if the folder is not empty or gone.
        if fs::remove_dir(root.join(above)).is_err() {
            break;
        }
        folder = above;
    }
    Ok(())
}

/// The latest change at or below a path, and the bytes of all files; `None` if nothing exists
/// there.
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
