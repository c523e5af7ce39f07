//! Files as byte slices: the only place that maps memory.
#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::ops::{Deref, Range};
use std::path::Path;

/// Bytes of one advice. Linux ignores the part of a longer advice beyond its readahead window,
/// which has this size by default, or beyond the largest request of the device.
const ADVICE_BYTES: usize = 128 << 10;

/// A read-only view of a file, or of a range of it.
///
/// If another program truncates a file while it is mapped, an access raises a signal, as with every
/// memory map. Our own writers only rename finished files into place, so a store that only voxpatch
/// writes to is safe.
#[derive(Debug)]
pub(crate) struct Mapped(Option<memmap2::Mmap>);

impl Mapped {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let length = file.metadata()?.len();
        Self::window(&file, 0, usize::try_from(length).map_err(io::Error::other)?)
    }

    /// Maps `length` bytes from `offset`; the offset need not be aligned. Dropping a window
    /// releases its pages, so that reading a file window by window never holds the whole file.
    pub(crate) fn window(file: &File, offset: u64, length: usize) -> io::Result<Self> {
        if length == 0 {
            return Ok(Self(None));
        }
        // The system allows a map beyond the end, and an access then fails: refused here.
        let (end, there) = (offset.checked_add(length as u64), file.metadata()?.len());
        if end.is_none_or(|end| end > there) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        // SAFETY: the map is private and read-only, and lives as long as the slices borrowed from
        // it. Concurrent truncation is the documented limit above: it ends the process by a
        // signal, it does not yield invalid values, as any bytes are valid `u8`.
        let map = unsafe { memmap2::MmapOptions::new().offset(offset).len(length).map(file) }?;
        Ok(Self(Some(map)))
    }

    /// Tells the kernel that these bytes, which lie inside, are about to be read. The kernel
    /// fetches missing bytes while the caller goes on; otherwise a later read fetches them.
    pub(crate) fn will_need(&self, range: Range<usize>) {
        let Some(map) = &self.0 else { return };
        for start in range.clone().step_by(ADVICE_BYTES) {
            let length = ADVICE_BYTES.min(range.end - start);
            let _ = map.advise_range(memmap2::Advice::WillNeed, start, length);
        }
    }
}

impl Deref for Mapped {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.0.as_deref().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_bounded_by_the_file() {
        let file = tempfile::NamedTempFile::new().expect("temporary file");
        std::fs::write(file.path(), b"0123456789").expect("write");
        assert_eq!(&*Mapped::open(file.path()).expect("map"), b"0123456789");
        let open = File::open(file.path()).expect("open");
        assert_eq!(&*Mapped::window(&open, 3, 4).expect("map"), b"3456");
        assert_eq!(&*Mapped::window(&open, 10, 0).expect("map"), b"");
        assert!(Mapped::window(&open, 3, 8).is_err());
        assert!(Mapped::window(&open, u64::MAX, 8).is_err());
    }
}
