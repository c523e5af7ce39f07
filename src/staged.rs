//! Files that appear whole or not at all.

use std::fs::{File, Permissions};
use std::io::{self, BufWriter, Write};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD};
use tempfile::{Builder, NamedTempFile, TempPath};

use crate::process::Owned;
use crate::{Error, Result, durable};

/// A file under construction: [`StagedFile::finish`] makes it durable and moves it to the target in
/// one step. An existing file at the target stays until then. If dropped before, nothing is left.
///
/// Until it is finished the file has no name, so a killed process leaves nothing either. Linux
/// supports unnamed files on most local file systems; elsewhere the file has a hidden name in the
/// target's folder, which ends in `.partial` and stays after a kill.
#[derive(Debug)]
pub struct StagedFile {
    target: PathBuf,
    file: BufWriter<File>,
    /// The hidden name, if the file has one.
    hidden: Option<Owned<TempPath>>,
}

impl StagedFile {
    /// Creates the file, without touching any existing one.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a path without a file name, [`Error::Io`].
    pub fn create(target: &Path) -> Result<Self> {
        if target.file_name().is_none() {
            return Err(Error::invalid("output path", target.display(), "must end in a file name"));
        }
        let folder = folder_of(target);
        let (file, hidden) = if let Some(file) = unnamed(folder) {
            (file, None)
        } else {
            let named = hidden_name().tempfile_in(folder).map_err(Error::io("create", target));
            let (file, hidden) = named?.into_parts();
            (file, Some(Owned::new(hidden)))
        };
        Ok(Self { target: target.into(), file: BufWriter::new(file), hidden })
    }

    /// Makes the file durable and moves it to the target.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn finish(self) -> Result<()> {
        let Self { target, mut file, hidden } = self;
        let folder = folder_of(&target);
        file.flush()
            .and_then(|()| durable::contents(file.get_ref()))
            .and_then(|()| match hidden {
                Some(hidden) => Ok(hidden.into_inner()),
                // Linked under a hidden name first, because only a rename replaces a file at the
                // target.
                None => hidden_name()
                    .make_in(folder, |path| link(file.get_ref(), path))
                    .map(NamedTempFile::into_temp_path),
            })
            .and_then(|hidden| hidden.persist(&target).map_err(io::Error::from))
            .and_then(|()| durable::names(folder))
            .map_err(Error::io("write", &target))
    }
}

fn folder_of(target: &Path) -> &Path {
    let parent = target.parent().filter(|folder| !folder.as_os_str().is_empty());
    parent.unwrap_or(Path::new("."))
}

/// A short name, because the target's name may have the greatest length that the system allows.
fn hidden_name() -> Builder<'static, 'static> {
    let mut builder = Builder::new();
    // The user's mask is applied, as for every new file.
    builder.prefix(".voxpatch-").suffix(".partial").permissions(Permissions::from_mode(0o666));
    builder
}

/// A file without a name that can be given one; `None` if the system has none or refuses: creating
/// a file with a name then shows the error.
#[cfg(target_os = "linux")]
fn unnamed(folder: &Path) -> Option<File> {
    use rustix::fs::{Mode, OFlags};
    let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
    let file = rustix::fs::open(folder, flags, Mode::from_raw_mode(0o666)).ok()?;
    let file = File::from(file);
    open_path(&file).exists().then_some(file)
}

#[cfg(not(target_os = "linux"))]
fn unnamed(_: &Path) -> Option<File> {
    None
}

/// Gives an unnamed file a name.
fn link(file: &File, path: &Path) -> io::Result<()> {
    rustix::fs::linkat(CWD, open_path(file), CWD, path, AtFlags::SYMLINK_FOLLOW)?;
    Ok(())
}

/// The path by which the system shows an open file.
fn open_path(file: &File) -> PathBuf {
    format!("/proc/self/fd/{}", file.as_raw_fd()).into()
}

impl Write for StagedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::durable::tests::were_synced;

    #[test]
    fn a_file_is_seen_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.npy");
        let inside = || fs::read_dir(folder.path()).unwrap().count();
        drop(StagedFile::create(&path).unwrap());
        assert_eq!(inside(), 0);
        fs::write(&path, b"before").unwrap();
        let mut first = StagedFile::create(&path).unwrap();
        let mut second = StagedFile::create(&path).unwrap();
        first.write_all(b"first").unwrap();
        second.write_all(b"second").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"before");
        first.finish().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"first");
        drop(second);
        assert_eq!((fs::read(&path).unwrap(), inside()), (b"first".to_vec(), 1));
    }

    #[test]
    fn a_killed_export_leaves_nothing_where_files_need_no_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.nii.gz");
        let mut staged = StagedFile::create(&path).unwrap();
        staged.write_all(b"half").unwrap();
        let has_no_name = staged.hidden.is_none();
        // As a kill does: nothing is tidied.
        std::mem::forget(staged);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), usize::from(!has_no_name));
    }

    #[test]
    fn a_file_has_any_name_that_the_system_allows_and_lasts_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("n".repeat(255));
        for content in [b"first", b"again"] {
            let mut staged = StagedFile::create(&path).unwrap();
            staged.write_all(content).unwrap();
            were_synced([]);
            staged.finish().unwrap();
            assert_eq!(were_synced([&path, folder.path()]), [true, true]);
            assert_eq!(fs::read(&path).unwrap(), content);
        }
        let made_as_usual = folder.path().join("usual");
        fs::write(&made_as_usual, b"").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(&path), mode(&made_as_usual));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_target_that_cannot_be_is_named_and_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let taken = folder.path().join("taken");
        fs::create_dir(&taken).unwrap();
        let refused = StagedFile::create(&taken).unwrap().finish().unwrap_err();
        assert!(matches!(refused, Error::Io { path, .. } if path == taken));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        let missing = folder.path().join("none/a.npy");
        assert!(StagedFile::create(&missing).unwrap_err().to_string().contains("none/a.npy"));
        assert!(StagedFile::create(Path::new("/")).is_err());
    }
}
