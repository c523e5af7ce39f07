//! Writing files that appear as a whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, IoSlice, Write as _};
use std::path::{Path, PathBuf};

use super::folders::TRIES;
use crate::disk::sink::IN_THE_MAKING;
use crate::process::Maker;
use crate::{durable, unique};

/// A file under construction, under a unique name. If dropped before the rename, it is removed; a
/// killed process leaves it behind.
pub(super) struct Staged {
    path: PathBuf,
    maker: Maker,
}

impl Staged {
    /// Writes a file beside `path` and makes its content durable. Creates the folder if it does not
    /// exist, even if other processes remove it meanwhile.
    pub(super) fn write(
        path: &Path,
        content: &mut dyn FnMut(&mut File) -> io::Result<()>,
    ) -> io::Result<Self> {
        let folder = path.parent().ok_or(ErrorKind::InvalidInput)?;
        let (staged, mut file) = Self::create(folder)?;
        content(&mut file)?;
        // A failed sync is final: the kernel drops the pages and reports the error once, so that a
        // second sync would succeed without the data. The caller starts over from the source.
        durable::contents(&file)?;
        Ok(staged)
    }

    fn create(folder: &Path) -> io::Result<(Self, File)> {
        let mut missing = ErrorKind::NotFound.into();
        for _ in 0..TRIES {
            let path = folder.join(format!("{IN_THE_MAKING}{}", unique::id()));
            match OpenOptions::new().write(true).create_new(true).open(&path) {
                Ok(file) => return Ok((Self { path, maker: Maker::new() }, file)),
                Err(e) if e.kind() == ErrorKind::NotFound => {
                    missing = e;
                    match fs::create_dir_all(folder) {
                        Err(e) if e.kind() == ErrorKind::NotFound => {}
                        made => made?,
                    }
                }
                Err(e) => return Err(e),
            }
        }
        Err(missing)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Renames the file to its final path, replacing an existing file.
    pub(super) fn rename(self, to: &Path) -> io::Result<()> {
        fs::rename(&self.path, to)?;
        std::mem::forget(self);
        Ok(())
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if self.maker.is_here() {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Writes a file beside `path`, makes its content durable, and renames it to `path`.
pub(super) fn put(
    path: &Path,
    content: &mut dyn FnMut(&mut File) -> io::Result<()>,
) -> io::Result<()> {
    Staged::write(path, content)?.rename(path)
}

/// Writes many parts with few system calls, without copying them together.
pub(super) fn write_all(file: &mut File, parts: &[&[u8]]) -> io::Result<()> {
    let filled = parts.iter().filter(|part| !part.is_empty());
    let mut slices: Vec<IoSlice<'_>> = filled.map(|part| IoSlice::new(part)).collect();
    let mut left = &mut slices[..];
    while !left.is_empty() {
        match file.write_vectored(left) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(written) => IoSlice::advance_slices(&mut left, written),
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}
