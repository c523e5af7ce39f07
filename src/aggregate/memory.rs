//! What is held between one patch and the next, within a budget: in memory, and what is beyond it
//! in a scratch file.
//!
//! The file is read and written at positions, not mapped: a full disk is then an error and not a
//! signal, and what is there is no memory of this process.

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

/// What aggregating has held so far, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct MemoryUse {
    /// What may be held in memory.
    pub budget: u64,
    /// What is held in memory now.
    pub held: u64,
    /// The most that was.
    pub peak: u64,
    /// The most that was in the scratch file.
    pub spilled_peak: u64,
}

/// The budget, and the scratch file behind it.
#[derive(Debug)]
pub(super) struct Memory {
    budget: u64,
    held: AtomicU64,
    peak: AtomicU64,
    /// Beside the file, whose lock a thread may have held when this process was forked off.
    spilled_peak: AtomicU64,
    scratch: Mutex<Scratch>,
    /// What was held at the peak and is not held now.
    unused: Buffers<f32>,
    unused_sums: Buffers<f64>,
}

/// Numbers kept between patches.
#[derive(Debug)]
pub(super) enum Held<T> {
    InMemory(Vec<T>),
    /// In the scratch file: first byte, and how many numbers.
    Spilled(u64, usize),
}

impl<T> Held<T> {
    fn bytes(length: usize) -> u64 {
        (length * size_of::<T>()) as u64
    }
}

impl Memory {
    /// The scratch file is made in `folder` when it is needed first.
    pub(super) fn new(budget: u64, folder: PathBuf) -> Self {
        let scratch = Scratch { folder, file: None, end: 0, free: HashMap::new(), used: 0 };
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

    /// Whether so much more fits the budget; it is then counted as held.
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

    /// What was taken is no longer held.
    pub(super) fn give_back(&self, bytes: u64) {
        self.held.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// So many zeros.
    pub(super) fn zeros(&self, length: usize) -> Vec<f32> {
        self.unused.zeros(length)
    }

    /// So many zeros to add to.
    pub(super) fn zero_sums(&self, length: usize) -> Vec<f64> {
        self.unused_sums.zeros(length)
    }

    /// Takes a buffer that is needed no longer.
    pub(super) fn reuse(&self, buffer: Vec<f32>) {
        self.unused.keep(buffer, self.room(self.unused_sums.bytes()));
    }

    /// Takes sums that are needed no longer.
    pub(super) fn reuse_sums(&self, buffer: Vec<f64>) {
        self.unused_sums.keep(buffer, self.room(self.unused.bytes()));
    }

    /// Bytes of buffers that may be kept, beside `others` that are: what was held at the peak.
    fn room(&self, others: u64) -> u64 {
        let (peak, held) = (self.peak.load(Ordering::Relaxed), self.held.load(Ordering::Relaxed));
        peak.saturating_sub(held).saturating_sub(others)
    }

    /// Keeps numbers: as they are if they fit the budget, else in the scratch file.
    pub(super) fn keep<T: bytemuck::Pod>(&self, numbers: Vec<T>) -> Result<Held<T>> {
        if self.take(Held::<T>::bytes(numbers.len())) {
            return Ok(Held::InMemory(numbers));
        }
        let at = self.spill(bytemuck::cast_slice(&numbers))?;
        Ok(Held::Spilled(at, numbers.len()))
    }

    /// What is kept, which it stays; in `buffer` if it has to be read for that.
    pub(super) fn look<'a, T: bytemuck::Pod>(
        &self,
        held: &'a Held<T>,
        buffer: &'a mut Vec<T>,
    ) -> Result<&'a [T]> {
        match held {
            Held::InMemory(numbers) => Ok(numbers),
            Held::Spilled(at, length) => {
                buffer.resize(*length, T::zeroed());
                self.read(*at, bytemuck::cast_slice_mut(buffer))?;
                Ok(buffer)
            }
        }
    }

    /// Gives back what was kept, which is then no longer.
    pub(super) fn release<T: bytemuck::Pod>(&self, held: Held<T>) -> Result<Vec<T>> {
        match held {
            Held::InMemory(numbers) => {
                self.give_back(Held::<T>::bytes(numbers.len()));
                Ok(numbers)
            }
            Held::Spilled(at, length) => {
                let mut numbers = vec![T::zeroed(); length];
                self.read(at, bytemuck::cast_slice_mut(&mut numbers))?;
                self.scratch().free(at, Held::<T>::bytes(length));
                Ok(numbers)
            }
        }
    }

    /// Writes bytes to a stretch of the scratch file of their own.
    fn spill(&self, bytes: &[u8]) -> Result<u64> {
        let mut scratch = self.scratch();
        let at = scratch.stretch(bytes.len() as u64);
        self.spilled_peak.fetch_max(scratch.used, Ordering::Relaxed);
        let path = scratch.path();
        let failed = Error::io("write", path);
        // While it is locked: what it waits for is the disk.
        let written = scratch.file().and_then(|file| file.write_all_at(bytes, at));
        written.map(|()| at).map_err(failed)
    }

    fn read(&self, at: u64, bytes: &mut [u8]) -> Result<()> {
        let mut scratch = self.scratch();
        let failed = Error::io("read", scratch.path());
        scratch.file().and_then(|file| file.read_exact_at(bytes, at)).map_err(failed)
    }

    fn scratch(&self) -> std::sync::MutexGuard<'_, Scratch> {
        // Stretches are counted before they are written.
        locked(&self.scratch)
    }
}

/// A file without a name, in stretches that are used again.
#[derive(Debug)]
struct Scratch {
    folder: PathBuf,
    file: Option<File>,
    end: u64,
    /// Stretches that are free, by their bytes, of which there are few.
    free: HashMap<u64, Vec<u64>>,
    used: u64,
}

impl Scratch {
    fn path(&self) -> PathBuf {
        self.folder.join("scratch")
    }

    /// The file, which has no name, so that nothing is left of it whatever happens.
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

/// The bytes of the stretch for so many: four classes to each power of two, so that encoded chunks,
/// no two of which are of one size, take each other's places.
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
