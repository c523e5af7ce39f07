//! A store in a folder of a local or network file system.

mod claim;
mod folders;
mod hold;
mod network;
mod put;
mod swap;

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::source::is_absent;
use super::{Blob, FetchError, Held, Sink, Source, Span, Stamp, Swap, Usage, Version};
use crate::mapped::Mapped;
use crate::{Error, Result};

/// Chunks at most this many bytes apart are read together, with the bytes between them.
const GAP_BYTES: usize = 16 << 10;

/// A folder of a file system. Every file is written under a temporary name, synced, and renamed, so
/// that a file that is mapped or being read never changes.
#[derive(Debug, Clone)]
pub struct LocalDisk {
    root: PathBuf,
    /// Files are mapped into memory; otherwise they are read at positions.
    maps: bool,
    /// Other machines write to the folder too, so that locks may not hold.
    is_shared: bool,
}

impl LocalDisk {
    /// The disk below `root`, which need not exist. Files are mapped, unless `root` is on a network
    /// file system.
    #[must_use]
    pub fn new(root: impl Into<PathBuf>) -> Self {
        let root = root.into();
        let is_shared = network::is_shared(&root);
        Self { root, maps: !is_shared, is_shared }
    }

    /// Chooses whether files are mapped into memory or read at positions.
    #[must_use]
    pub fn mapping(self, maps: bool) -> Self {
        Self { maps, ..self }
    }

    /// Treats the disk as one that other machines write to, too.
    #[must_use]
    pub fn shared(self) -> Self {
        Self { is_shared: true, ..self }
    }

    /// The disk at a path that may end in `?mode=map` or `?mode=read`.
    pub(super) fn at(path: &Path) -> Result<Self> {
        let text = path.to_string_lossy();
        let Some((folder, mode)) = text.rsplit_once("?mode=").filter(|_| !path.exists()) else {
            return Ok(Self::new(path));
        };
        let maps = match mode {
            "map" => true,
            "read" => false,
            _ => {
                return Err(Error::invalid("mode of a store", mode, "use ?mode=map or ?mode=read"));
            }
        };
        let disk = Self::new(folder).mapping(maps);
        // Whoever asks for reads knows of a network file system that has no number here.
        Ok(if maps { disk } else { disk.shared() })
    }

    fn file(&self, key: &str) -> PathBuf {
        if key.is_empty() { self.root.clone() } else { self.root.join(key) }
    }
}

impl Source for LocalDisk {
    fn get(&self, key: &str) -> io::Result<(Vec<u8>, Version)> {
        swap::read(&self.file(key))
    }

    fn fetch(
        &self,
        spans: &[Span<'_>],
        each: &mut dyn FnMut(usize, Vec<u8>),
    ) -> Result<(), FetchError> {
        let mut open: Option<(&str, File)> = None;
        for (n, Span { key, range }) in spans.iter().enumerate() {
            let mut read = || {
                let file = match &open {
                    Some((there, file)) if there == key => file,
                    _ => &open.insert((key, File::open(self.file(key))?)).1,
                };
                let length = usize::try_from(range.end - range.start).map_err(io::Error::other)?;
                let mut bytes = Vec::new();
                bytes.try_reserve_exact(length).map_err(|_| ErrorKind::OutOfMemory)?;
                bytes.resize(length, 0);
                file.read_exact_at(&mut bytes, range.start).map(|()| bytes)
            };
            each(n, read().map_err(|source| FetchError { span: n, source })?);
        }
        Ok(())
    }

    fn length(&self, key: &str) -> io::Result<u64> {
        fs::metadata(self.file(key)).map(|found| found.len())
    }

    fn view(&self, key: &str) -> io::Result<Option<Blob>> {
        if !self.maps {
            return Ok(None);
        }
        Mapped::open(&self.file(key)).map(|map| Some(map.into()))
    }

    fn gap(&self) -> usize {
        GAP_BYTES
    }

    fn list(&self, key: &str) -> io::Result<Vec<String>> {
        folders::list(&self.file(key))
    }

    /// Device, inode, length, and time of change. An inode is used again only after its file is
    /// gone, and the next file with this inode has a later time of change.
    #[allow(clippy::cast_sign_loss)]
    fn stamp(&self, key: &str) -> io::Result<Option<Stamp>> {
        match fs::metadata(self.file(key)) {
            Ok(m) => {
                let changed = [m.ctime() as u64, m.ctime_nsec() as u64];
                Ok(Some(Stamp([m.dev(), m.ino(), m.len(), changed[0], changed[1]])))
            }
            Err(e) if is_absent(&e) => Ok(None),
            Err(e) => Err(e),
        }
    }

    fn path(&self, key: &str) -> PathBuf {
        self.file(key)
    }
}

impl Sink for LocalDisk {
    fn put(&self, key: &str, parts: &[&[u8]]) -> io::Result<()> {
        put::put(&self.file(key), &mut |file| put::write_all(file, parts))
    }

    fn put_streamed(
        &self,
        key: &str,
        content: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>,
    ) -> io::Result<()> {
        put::put(&self.file(key), &mut |file| {
            let mut buffered = io::BufWriter::with_capacity(1 << 20, file);
            content(&mut buffered)?;
            buffered.flush()
        })
    }

    fn flush(&self, folder: &str) -> io::Result<()> {
        folders::sync(&self.root, folder)
    }

    fn swap(&self, key: &str, expected: Option<&Version>, new: Option<&[u8]>) -> io::Result<Swap> {
        swap::swap(&self.file(key), expected, new, self.is_shared)
    }

    fn delete(&self, key: &str) -> io::Result<()> {
        folders::delete(&self.root, key)
    }

    fn usage(&self, key: &str) -> io::Result<Option<Usage>> {
        let there = folders::usage(&self.file(key))?;
        Ok(there.map(|(newest, bytes)| Usage {
            // After the clock was set back, files may lie in the future; they count as new.
            age: SystemTime::now().duration_since(newest).unwrap_or_default(),
            bytes,
        }))
    }

    fn hold(&self, folder: &str) -> io::Result<Held> {
        hold::hold(&self.root, &self.file(folder), self.is_shared)
    }
}
