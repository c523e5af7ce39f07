//! The bytes of one file in order: plain files are mapped in windows, gzipped files inflated.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::{Path, PathBuf};

use super::gzip::{MAGIC, Members};
use crate::mapped::Mapped;
use crate::{Error, Finding, Result};

/// More than DEFLATE can expand: its limit is 1032 to 1.
const MOST_INFLATION: u64 = 1100;
/// Bytes discarded at a time.
const SCRATCH: usize = 64 << 10;

pub(in crate::scan) struct Stream {
    path: PathBuf,
    bytes: Bytes,
    /// Length of the file on disk.
    length: u64,
    /// Position in the (inflated) bytes.
    at: u64,
}

enum Bytes {
    Plain(File),
    Gzip(Box<Members>),
}

impl Stream {
    pub(in crate::scan) fn open(path: &Path) -> Result<Self> {
        let (mut file, length) = regular(path)?;
        let mut start = Vec::with_capacity(MAGIC.len());
        (&mut file)
            .take(MAGIC.len() as u64)
            .read_to_end(&mut start)
            .map_err(Error::io("read", path))?;
        file.rewind().map_err(Error::io("read", path))?;
        let bytes = if start == MAGIC {
            Bytes::Gzip(Box::new(Members::new(file).map_err(|e| fault(path, e))?))
        } else {
            Bytes::Plain(file)
        };
        Ok(Self { path: path.into(), bytes, length, at: 0 })
    }

    pub(in crate::scan) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the file is not compressed.
    pub(in crate::scan) const fn is_plain(&self) -> bool {
        matches!(self.bytes, Bytes::Plain(_))
    }

    /// Position in the (inflated) bytes.
    pub(in crate::scan) const fn at(&self) -> u64 {
        self.at
    }

    /// The most bytes that can come, whatever a header says.
    pub(in crate::scan) const fn most(&self) -> u64 {
        match self.bytes {
            Bytes::Plain(_) => self.length,
            Bytes::Gzip(_) => self.length.saturating_mul(MOST_INFLATION),
        }
    }

    /// A finding if the name of the file contradicts its content.
    pub(in crate::scan) fn name_finding(&self) -> Option<Finding> {
        let named = self.path.extension().and_then(OsStr::to_str);
        let named = named.is_some_and(|e| e.eq_ignore_ascii_case("gz"));
        match (named, &self.bytes) {
            (true, Bytes::Plain(_)) => Some(Finding::decided(
                "the file is named .gz but is not compressed; it was read as it is",
            )),
            (false, Bytes::Gzip(_)) => Some(Finding::decided(
                "the file is gzipped although its name does not say so; it was inflated",
            )),
            _ => None,
        }
    }

    /// Fills `out`; only at the end of the file is it not full.
    pub(in crate::scan) fn read_up_to(&mut self, out: &mut [u8]) -> Result<usize> {
        let held = match &mut self.bytes {
            Bytes::Plain(file) => {
                let left = usize::try_from(self.length.saturating_sub(self.at));
                let held = out.len().min(left.unwrap_or(usize::MAX));
                let window =
                    Mapped::window(file, self.at, held).map_err(|e| fault(&self.path, e))?;
                out[..held].copy_from_slice(&window);
                held
            }
            Bytes::Gzip(members) => members.read(out).map_err(|e| fault(&self.path, e))?,
        };
        self.at += held as u64;
        Ok(held)
    }

    pub(in crate::scan) fn read_exact(&mut self, out: &mut [u8]) -> Result<()> {
        let wanted = out.len();
        let held = self.read_up_to(out)?;
        if held < wanted { Err(self.too_short((wanted - held) as u64)) } else { Ok(()) }
    }

    /// Moves forward to a position.
    pub(in crate::scan) fn skip_to(&mut self, position: u64) -> Result<()> {
        let mut left = position.saturating_sub(self.at);
        if let Bytes::Plain(_) = self.bytes {
            let step = left.min(self.length.saturating_sub(self.at));
            self.at += step;
            left -= step;
        } else {
            left -= self.discard(left)?;
        }
        if left > 0 { Err(self.too_short(left)) } else { Ok(()) }
    }

    /// Moves back to the beginning.
    pub(in crate::scan) fn rewind(&mut self) -> Result<()> {
        if let Bytes::Gzip(members) = &mut self.bytes {
            members.rewind().map_err(|e| fault(&self.path, e))?;
        }
        self.at = 0;
        Ok(())
    }

    /// Reads to the end, at most `cap` bytes, so that every checksum is verified.
    pub(in crate::scan) fn finish(&mut self, cap: u64) -> Result<Vec<Finding>> {
        let mut findings = Vec::new();
        let rest = match self.bytes {
            Bytes::Plain(_) => self.length.saturating_sub(self.at),
            Bytes::Gzip(_) => self.discard(cap.saturating_add(1))?,
        };
        if let Bytes::Gzip(members) = &self.bytes {
            if rest > cap {
                let reason = format!(
                    "more than {cap} bytes follow the voxels, too many to read for the checksum"
                );
                return Err(Error::CorruptScan { path: self.path.clone(), reason });
            }
            if members.has_junk() {
                findings.push(Finding::repaired(
                    "bytes that are not gzip follow the compressed data; they were ignored",
                ));
            }
        }
        if rest > 0 {
            findings.push(Finding::decided(format!(
                "{rest} bytes follow those that the header describes; they were ignored"
            )));
        }
        Ok(findings)
    }

    /// Discards up to `most` bytes; returns their number.
    fn discard(&mut self, most: u64) -> Result<u64> {
        let mut scratch = vec![0; SCRATCH];
        let mut gone = 0;
        while gone < most {
            let step = usize::try_from(most - gone).unwrap_or(SCRATCH).min(SCRATCH);
            let held = self.read_up_to(&mut scratch[..step])?;
            gone += held as u64;
            if held < step {
                break;
            }
        }
        Ok(gone)
    }

    fn too_short(&self, missing: u64) -> Error {
        let reason = format!(
            "the file ends {missing} bytes too early, after {} bytes; copy or export it again",
            self.at
        );
        Error::CorruptScan { path: self.path.clone(), reason }
    }
}

/// Opens a file of a scan; gives its length, too.
pub(super) fn regular(path: &Path) -> Result<(File, u64)> {
    let metadata = std::fs::metadata(path).map_err(|e| match e.kind() {
        io::ErrorKind::NotFound => Error::NotFound { what: "scan", path: path.into() },
        _ => Error::io("open", path)(e),
    })?;
    // Checked first, because opening a named pipe would wait for a writer.
    if !metadata.is_file() {
        let source = io::Error::new(io::ErrorKind::InvalidInput, "not a regular file");
        return Err(Error::io("open", path)(source));
    }
    Ok((File::open(path).map_err(Error::io("open", path))?, metadata.len()))
}

/// Distinguishes damage of the file from failures of the system.
fn fault(path: &Path, error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::InvalidData => {
            Error::CorruptScan { path: path.into(), reason: error.to_string() }
        }
        io::ErrorKind::UnexpectedEof => {
            Error::CorruptScan { path: path.into(), reason: "the file ends early".into() }
        }
        _ => Error::io("read", path)(error),
    }
}
