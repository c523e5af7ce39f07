//! Writing a gzip file of many members (RFC 1952), each compressed independently.
//!
//! Every reader of gzip takes consecutive members for one file. Members have a fixed length, so the
//! bytes of the file do not depend on the number of threads.

use std::io::{self, Write};

use flate2::Compression;
use flate2::write::GzEncoder;
use rayon::prelude::*;

use crate::StagedFile;

/// Bytes in a member: many times the 32 KiB that DEFLATE looks back, so that starting anew costs
/// little, but few enough that a layer of chunks occupies several threads.
const MEMBER: usize = 1 << 20;
/// Members that are collected for each thread.
const WAITING: usize = 2;

/// Collects bytes until there is work for every thread of the current pool, then compresses them;
/// outside of a pool, on the calling thread.
#[derive(Debug)]
pub(in crate::scan) struct MemberWriter {
    file: StagedFile,
    level: Compression,
    waiting: Vec<u8>,
}

impl MemberWriter {
    /// `level` is 0 to 9.
    pub(in crate::scan) fn new(file: StagedFile, level: u32) -> Self {
        Self { file, level: Compression::new(level), waiting: Vec::new() }
    }

    pub(in crate::scan) fn write_all(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        let most = MEMBER * threads().map_or(1, |threads| WAITING * threads);
        while self.waiting.len() + bytes.len() >= most {
            // More bytes than this may wait, if they were collected in a larger pool.
            let (now, later) = bytes.split_at(most.saturating_sub(self.waiting.len()));
            self.waiting.extend_from_slice(now);
            let whole = self.waiting.len() / MEMBER * MEMBER;
            self.compress(whole)?;
            bytes = later;
        }
        self.waiting.extend_from_slice(bytes);
        Ok(())
    }

    /// Compresses the remaining bytes and returns the complete file.
    pub(in crate::scan) fn finish(mut self) -> io::Result<StagedFile> {
        self.compress(self.waiting.len())?;
        Ok(self.file)
    }

    /// Writes the first `bytes` of the waiting bytes as members, in order.
    fn compress(&mut self, bytes: usize) -> io::Result<()> {
        let (now, level) = (&self.waiting[..bytes], self.level);
        if threads().is_some() {
            let members: Vec<_> =
                now.par_chunks(MEMBER).map(|piece| member(piece, level)).collect();
            members.into_iter().try_for_each(|member| self.file.write_all(&member?))?;
        } else {
            now.chunks(MEMBER).try_for_each(|piece| self.file.write_all(&member(piece, level)?))?;
        }
        self.waiting.drain(..bytes);
        Ok(())
    }
}

/// Number of threads of the current pool; `None` outside of a pool.
fn threads() -> Option<usize> {
    rayon::current_thread_index().map(|_| rayon::current_num_threads())
}

/// Without a name and a time, so that the same bytes give the same member.
fn member(bytes: &[u8], level: Compression) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(bytes.len() / 2), level);
    encoder.write_all(bytes)?;
    encoder.finish()
}
