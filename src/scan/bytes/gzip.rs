//! The members of a gzip file (RFC 1952) as one stream of bytes, each member's checksum and
//! length verified.
//!
//! Inflates directly into the caller's buffer. Bytes after the last member are reported, not
//! refused, unless they begin like a member.
//!
//! flate2's own readers do not fit: `MultiGzDecoder` refuses bytes after the last member.
//! `GzDecoder`, one for each member, reports damage with the error kind for wrong calls
//! (`InvalidInput`), allocates a window for each of the many members of a bgzip file, keeps names
//! and comments, and refuses those beyond 64 KiB.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek};

use flate2::{Crc, Decompress, FlushDecompress, Status};

/// The first two bytes of every member.
pub(in crate::scan) const MAGIC: [u8; 2] = [0x1f, 0x8b];
/// Compressed bytes read at once.
const INPUT: usize = 256 << 10;
/// Bytes inflated at once: few enough to be still in cache for their checksum.
const OUTPUT: usize = 512 << 10;

pub(in crate::scan) struct Members {
    input: BufReader<File>,
    inflate: Decompress,
    crc: Crc,
    state: Position,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Position {
    /// Inside a member's compressed data.
    Body,
    /// After the last member; `junk` says whether other bytes follow.
    End { junk: bool },
    /// A read failed: the position is lost.
    Failed,
}

fn damaged(reason: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}

impl Members {
    /// `file` must be at its beginning.
    pub(in crate::scan) fn new(file: File) -> io::Result<Self> {
        let mut members = Self {
            input: BufReader::with_capacity(INPUT, file),
            inflate: Decompress::new(false),
            crc: Crc::new(),
            state: Position::Body,
        };
        members.begin_member()?;
        Ok(members)
    }

    /// Fills `out`; only at the end of the last member is it not full. Errors of kind `InvalidData`
    /// or `UnexpectedEof` mean damage of the file; after any error every read fails.
    pub(in crate::scan) fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let filled = self.inflate_into(out);
        if filled.is_err() {
            self.state = Position::Failed;
        }
        filled
    }

    /// Starts over with the first member.
    pub(in crate::scan) fn rewind(&mut self) -> io::Result<()> {
        self.input.rewind()?;
        self.begin_member()
    }

    /// Whether bytes after the last member are not a gzip member. Known once a read has returned
    /// fewer bytes than asked for.
    pub(in crate::scan) fn has_junk(&self) -> bool {
        self.state == Position::End { junk: true }
    }

    fn inflate_into(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < out.len() {
            match self.state {
                Position::Body => filled += self.step(&mut out[filled..])?,
                Position::End { .. } => break,
                Position::Failed => return Err(damaged("an earlier read failed")),
            }
        }
        Ok(filled)
    }

    /// One call of the inflater; returns the number of bytes made.
    fn step(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let input = match self.input.fill_buf() {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => return Ok(0),
            input => input?,
        };
        if input.is_empty() {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the compressed data ends early",
            ));
        }
        let most = out.len().min(OUTPUT);
        let (read, made) = (self.inflate.total_in(), self.inflate.total_out());
        let status = self
            .inflate
            .decompress(input, &mut out[..most], FlushDecompress::None)
            .map_err(|_| damaged("the compressed data cannot be inflated"))?;
        // Lossless: both are at most the length of a slice.
        let read = usize::try_from(self.inflate.total_in() - read).map_err(io::Error::other)?;
        let made = usize::try_from(self.inflate.total_out() - made).map_err(io::Error::other)?;
        self.input.consume(read);
        self.crc.update(&out[..made]);
        match status {
            Status::StreamEnd => self.end_member()?,
            _ if read == 0 && made == 0 => {
                return Err(damaged("the compressed data does not go on"));
            }
            _ => {}
        }
        Ok(made)
    }

    fn end_member(&mut self) -> io::Result<()> {
        let crc = u32::from_le_bytes(self.take()?);
        let length = u32::from_le_bytes(self.take()?);
        if crc != self.crc.sum() {
            return Err(damaged("the gzip checksum does not match the data"));
        }
        if u64::from(length) != self.inflate.total_out() & u64::from(u32::MAX) {
            return Err(damaged("the gzip length does not match the data"));
        }
        self.begin_member()
    }

    /// Reads a member's header, or finds the end.
    fn begin_member(&mut self) -> io::Result<()> {
        for expected in MAGIC {
            let Some(byte) = self.next_byte()? else {
                self.state = Position::End { junk: expected == MAGIC[1] };
                return Ok(());
            };
            if byte != expected {
                self.state = Position::End { junk: true };
                return Ok(());
            }
        }
        let [method, flags, ..] = self.take::<8>()?;
        if method != 8 || flags & 0b1110_0000 != 0 {
            return Err(damaged("the gzip header is of an unknown kind"));
        }
        if flags & 0b100 != 0 {
            let extra = u16::from_le_bytes(self.take()?);
            for _ in 0..extra {
                self.take::<1>()?;
            }
        }
        // A file name, then a comment, each up to a zero byte.
        for flag in [0b1000, 0b1_0000] {
            while flags & flag != 0 && self.take::<1>()? != [0] {}
        }
        if flags & 0b10 != 0 {
            self.take::<2>()?;
        }
        self.inflate.reset(false);
        self.crc.reset();
        self.state = Position::Body;
        Ok(())
    }

    fn take<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.input.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn next_byte(&mut self) -> io::Result<Option<u8>> {
        let mut byte = [0];
        match self.input.read_exact(&mut byte) {
            Ok(()) => Ok(Some(byte[0])),
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
            Err(e) => Err(e),
        }
    }
}
