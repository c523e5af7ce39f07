//! Buffers that are held between patches, within a budget: in memory, and beyond the budget in a
//! scratch file.
//!
//! The file is read and written at positions, not mapped: a full disk is then an error instead of a
//! signal, and the file does not count as memory of this process.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

use super::buffers::Buffers;
use crate::exec::locked;
use crate::{Error, Result};

/// Memory of an aggregator, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct MemoryUse {
    /// The most that may be held in memory.
    pub budget: u64,
    /// The bytes held in memory now.
    pub held: u64,
    /// The most that was held in memory.
    pub peak: u64,
    /// The most that was held in the scratch file.
    pub spilled_peak: u64,
}

/// The budget, and the scratch file that takes the excess.
#[derive(Debug)]
pub(super) struct Memory {
    budget: u64,
    held: AtomicU64,
    peak: AtomicU64,
    /// Not inside the mutex of the file: a thread may have held that mutex when this process was
    /// forked.
    spilled_peak: AtomicU64,
    scratch: Mutex<ScratchFile>,
    /// Buffers that were in use at the peak and are not in use now.
    unused: Buffers<f32>,
    unused_sums: Buffers<f64>,
}

/// Numbers kept between patches.
#[derive(Debug)]
pub(super) enum HeldBuffer<T> {
    InMemory(Vec<T>),
    /// In the scratch file: position in bytes, and length.
    Spilled(u64, usize),
}

impl<T> HeldBuffer<T> {
    fn bytes(length: usize) -> u64 {
        (length * size_of::<T>()) as u64
    }
}

impl Memory {
    /// Makes no file yet: the first spill makes the scratch file in `folder`.
    pub(super) fn new(budget: u64, folder: PathBuf) -> Self {
        let scratch = ScratchFile { folder, file: None, end: 0, free: HashMap::new(), used: 0 };
        let [held, peak, spilled_peak] = [0; 3].map(AtomicU64::new);
        let (unused, unused_sums) = (Buffers::default(), Buffers::default());
        let scratch = Mutex::new(scratch);
        Self { budget, held, peak, spilled_peak, scratch, unused, unused_sums }
    }

    pub(super) fn used(&self) -> MemoryUse {
        MemoryUse {
            budget: self.budget,
            held: self.held.load(Ordering::Relaxed),
            peak: self.peak.load(Ordering::Relaxed),
            spilled_peak: self.spilled_peak.load(Ordering::Relaxed),
        }
    }

    /// Counts `bytes` as held if they fit the budget; false if they do not.
    pub(super) fn take(&self, bytes: u64) -> bool {
        let more = |held: u64| held.checked_add(bytes).filter(|held| *held <= self.budget);
        let taken = self.held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        if let Ok(before) = taken {
            self.peak.fetch_max(before + bytes, Ordering::Relaxed);
            if before + bytes + self.unused.bytes() + self.unused_sums.bytes() > self.budget {
                self.unused.clear();
                self.unused_sums.clear();
            }
        }
        taken.is_ok()
    }

    /// Counts `bytes` as no longer held.
    pub(super) fn give_back(&self, bytes: u64) {
        self.held.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// A buffer of `length` zeros.
    pub(super) fn zeros(&self, length: usize) -> Vec<f32> {
        self.unused.zeros(length)
    }

    /// A buffer of `length` zeros in double precision.
    pub(super) fn zero_sums(&self, length: usize) -> Vec<f64> {
        self.unused_sums.zeros(length)
    }

    /// Takes back a buffer that is not needed any longer.
    pub(super) fn reuse(&self, buffer: Vec<f32>) {
        self.unused.keep(buffer, self.room(self.unused_sums.bytes()));
    }

    /// Takes back sums that are not needed any longer.
    pub(super) fn reuse_sums(&self, buffer: Vec<f64>) {
        self.unused_sums.keep(buffer, self.room(self.unused.bytes()));
    }

    /// Bytes that unused buffers may take besides `others`: all of them together stay within the
    /// peak.
    fn room(&self, others: u64) -> u64 {
        let (peak, held) = (self.peak.load(Ordering::Relaxed), self.held.load(Ordering::Relaxed));
        peak.saturating_sub(held).saturating_sub(others)
    }

    /// Keeps numbers: in memory if they fit the budget, else in the scratch file.
    pub(super) fn keep<T: bytemuck::Pod>(&self, numbers: Vec<T>) -> Result<HeldBuffer<T>> {
        if self.take(HeldBuffer::<T>::bytes(numbers.len())) {
            return Ok(HeldBuffer::InMemory(numbers));
        }
        let at = self.spill(bytemuck::cast_slice(&numbers))?;
        Ok(HeldBuffer::Spilled(at, numbers.len()))
    }

    /// The numbers that are kept, which stay there; those in the scratch file are read into
    /// `buffer`.
    pub(super) fn look<'a, T: bytemuck::Pod>(
        &self,
        held: &'a HeldBuffer<T>,
        buffer: &'a mut Vec<T>,
    ) -> Result<&'a [T]> {
        match held {
            HeldBuffer::InMemory(numbers) => Ok(numbers),
            HeldBuffer::Spilled(at, length) => {
                buffer.resize(*length, T::zeroed());
                self.read(*at, bytemuck::cast_slice_mut(buffer))?;
                Ok(buffer)
            }
        }
    }

    /// Gives back the numbers and frees the space that kept them.
    pub(super) fn release<T: bytemuck::Pod>(&self, held: HeldBuffer<T>) -> Result<Vec<T>> {
        match held {
            HeldBuffer::InMemory(numbers) => {
                self.give_back(HeldBuffer::<T>::bytes(numbers.len()));
                Ok(numbers)
            }
            HeldBuffer::Spilled(at, length) => {
                let mut numbers = vec![T::zeroed(); length];
                self.read(at, bytemuck::cast_slice_mut(&mut numbers))?;
                self.scratch().free(at, HeldBuffer::<T>::bytes(length));
                Ok(numbers)
            }
        }
    }

    /// Writes bytes to a new stretch of the scratch file; gives the position.
    fn spill(&self, bytes: &[u8]) -> Result<u64> {
        let mut scratch = self.scratch();
        let at = scratch.stretch(bytes.len() as u64);
        self.spilled_peak.fetch_max(scratch.used, Ordering::Relaxed);
        let path = scratch.path();
        let failed = Error::io("write", path);
        // Under the lock: the threads would wait for the disk in any case.
        let written = scratch.file().and_then(|file| file.write_all_at(bytes, at));
        written.map(|()| at).map_err(failed)
    }

    fn read(&self, at: u64, bytes: &mut [u8]) -> Result<()> {
        let mut scratch = self.scratch();
        let failed = Error::io("read", scratch.path());
        scratch.file().and_then(|file| file.read_exact_at(bytes, at)).map_err(failed)
    }

    fn scratch(&self) -> std::sync::MutexGuard<'_, ScratchFile> {
        // Usable after a panic: the list of free stretches is updated before a write begins.
        locked(&self.scratch)
    }
}

/// A file without a name, divided into stretches that are used again.
#[derive(Debug)]
struct ScratchFile {
    folder: PathBuf,
    file: Option<File>,
    end: u64,
    /// Positions of free stretches by their size; there are few sizes.
    free: HashMap<u64, Vec<u64>>,
    used: u64,
}

impl ScratchFile {
    fn path(&self) -> PathBuf {
        self.folder.join("scratch")
    }

    /// The file, which has no name, so that it vanishes with the process in all cases.
    fn file(&mut self) -> io::Result<&File> {
        if self.file.is_none() {
            self.file = Some(tempfile::tempfile_in(&self.folder)?);
        }
        Ok(self.file.as_ref().expect("it was made above"))
    }

    fn stretch(&mut self, bytes: u64) -> u64 {
        let bytes = size_class(bytes);
        self.used += bytes;
        if let Some(at) = self.free.get_mut(&bytes).and_then(Vec::pop) {
            return at;
        }
        let at = self.end;
        self.end += bytes;
        at
    }

    fn free(&mut self, at: u64, bytes: u64) {
        let bytes = size_class(bytes);
        self.used -= bytes;
        self.free.entry(bytes).or_default().push(at);
    }
}

/// The size of the stretch for `bytes`: four sizes for each power of two, so that encoded chunks,
/// which differ in size, can use each other's stretches.
fn size_class(bytes: u64) -> u64 {
    let step = (bytes.next_power_of_two() / 8).max(1);
    bytes.next_multiple_of(step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_the_budget_is_spilled_and_comes_back() {
        let folder = tempfile::tempdir().unwrap();
        let memory = Memory::new(10, folder.path().into());
        let kept: Vec<_> = (0..6_u8)
            .map(|n| memory.keep(vec![f32::from(n); usize::from(n % 3)]).unwrap())
            .collect();
        let used = memory.used();
        assert!(used.peak <= 10 && used.held == 8 && used.spilled_peak == 16, "{used:?}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        for (n, held) in (0..6_u8).zip(kept) {
            let numbers = memory.release(held).unwrap();
            assert_eq!(numbers, vec![f32::from(n); usize::from(n % 3)]);
        }
        assert_eq!(memory.used().held, 0);
        // Stretches are used again.
        let end = memory.scratch().end;
        assert!(memory.take(10));
        for bytes in 1..5000 {
            let class = size_class(bytes);
            assert!((bytes..=bytes + bytes / 4).contains(&class) && size_class(class) == class);
        }
        drop(memory.keep(vec![1_f32; 2]).unwrap());
        assert_eq!(memory.scratch().end, end);
    }

    #[test]
    fn a_scratch_file_that_cannot_be_made_is_an_error_that_names_it() {
        let folder = tempfile::tempdir().unwrap();
        let memory = Memory::new(0, folder.path().join("none"));
        let error = memory.keep(vec![1_u8]).unwrap_err().to_string();
        assert!(error.contains("none/scratch"), "{error}");
    }
}
