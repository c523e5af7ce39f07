//! Memory for voxels, and memory that is used again.

use std::ops::Range;
use std::sync::{Arc, Mutex, Weak};

/// Bytes to whose multiples memory is aligned: a cache line, and the widest vector register.
const ALIGNMENT: usize = 64;

/// Memory that begins at a multiple of 64 bytes.
///
/// Memory of a [`super::stream::PatchStream`] goes back to the stream when it is dropped, for a
/// patch to come: the system clears memory page by page before it hands it out, which takes about
/// as long as decoding voxels into it.
#[derive(Debug, Default)]
pub struct Buffer {
    memory: Vec<u8>,
    used: Range<usize>,
    home: Weak<Spare>,
}

impl Buffer {
    /// Zeroed memory of this many bytes; `None` if there is no such memory.
    #[must_use]
    pub fn zeroed(length: usize) -> Option<Self> {
        let whole = length.checked_add(ALIGNMENT).filter(|n| isize::try_from(*n).is_ok())?;
        let memory = bytemuck::allocation::try_zeroed_vec(whole).ok()?;
        Some(Self::of(memory, length, Weak::new()))
    }

    /// Memory that has room for its bytes wherever the first multiple of the alignment lies.
    fn of(memory: Vec<u8>, length: usize, home: Weak<Spare>) -> Self {
        let start = memory.as_ptr().align_offset(ALIGNMENT).min(memory.len() - length);
        Self { memory, used: start..start + length, home }
    }

    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.memory[self.used.clone()]
    }

    /// The bytes, to be written.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.memory[self.used.clone()]
    }

    /// Forgets all bytes from this one on.
    pub(super) fn truncate(&mut self, length: usize) {
        self.used.end = self.used.end.min(self.used.start + length);
    }
}

impl Clone for Buffer {
    /// The same bytes in memory of their own.
    fn clone(&self) -> Self {
        let length = self.used.len();
        let mut copy = Self::of(vec![0; length + ALIGNMENT], length, Weak::new());
        copy.bytes_mut().copy_from_slice(self.bytes());
        copy
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if let Some(home) = self.home.upgrade() {
            home.keep(std::mem::take(&mut self.memory));
        }
    }
}

/// Memory of buffers that were dropped. Never waits for a lock, which in a forked process may stay
/// locked for ever: memory is then taken from the system, or goes back to it.
#[derive(Debug)]
pub(super) struct Spare {
    /// As many pieces of memory are kept.
    most: usize,
    free: Mutex<Vec<Vec<u8>>>,
}

impl Spare {
    pub(super) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most, free: Mutex::new(Vec::new()) })
    }

    /// The same without any memory.
    pub(super) fn anew(&self) -> Arc<Self> {
        Self::new(self.most)
    }

    /// Memory of this many bytes, which may hold anything; `None` if there is no such memory.
    pub(super) fn buffer(self: &Arc<Self>, length: usize) -> Option<Buffer> {
        let home = Arc::downgrade(self);
        if let Some(memory) = self.take(length) {
            return Some(Buffer::of(memory, length, home));
        }
        let mut buffer = Buffer::zeroed(length)?;
        buffer.home = home;
        Some(buffer)
    }

    /// Memory that is large enough, and of which less than half would lie idle: the piece that came
    /// back last, which the processor's caches may still hold.
    fn take(&self, length: usize) -> Option<Vec<u8>> {
        let least = length + ALIGNMENT;
        let mut free = self.free.try_lock().ok()?;
        let found = free.iter().rposition(|memory| (least..2 * least).contains(&memory.len()))?;
        Some(free.remove(found))
    }

    /// Keeps memory in place of the piece that has waited longest, if there are enough.
    fn keep(&self, memory: Vec<u8>) {
        let Ok(mut free) = self.free.try_lock() else { return };
        let oldest = (free.len() >= self.most && !free.is_empty()).then(|| free.remove(0));
        if free.len() < self.most {
            free.push(memory);
        }
        drop(free);
        drop(oldest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_are_aligned_and_zeroed() {
        for length in [0, 1, 63, 64, 65, 1 << 20] {
            let mut buffer = Buffer::zeroed(length).unwrap();
            assert_eq!(buffer.bytes(), vec![0; length]);
            assert_eq!(buffer.bytes_mut().as_ptr().addr() % ALIGNMENT, 0);
        }
        assert!(Buffer::zeroed(usize::MAX).is_none());
        assert!(Buffer::zeroed(isize::MAX.unsigned_abs()).is_none());
    }

    #[test]
    fn memory_comes_back_and_is_used_again() {
        let spare = Spare::new(2);
        let mut first = spare.buffer(1000).unwrap();
        first.bytes_mut().fill(7);
        let at = first.bytes().as_ptr();
        first.truncate(10);
        assert_eq!(first.bytes(), [7; 10]);
        drop(first);
        let again = spare.buffer(990).unwrap();
        assert_eq!((again.bytes().as_ptr(), again.bytes().len()), (at, 990));
        // What is far too large or too small is left alone.
        drop(again);
        for other in [1001, 100] {
            assert_ne!(spare.buffer(other).unwrap().bytes().as_ptr(), at);
        }
    }

    #[test]
    fn only_so_many_pieces_are_kept_those_of_late() {
        let spare = Spare::new(2);
        let sizes = || locked_sizes(&spare);
        drop([100, 200, 300].map(|length| spare.buffer(length).unwrap()));
        assert_eq!(sizes(), [200 + ALIGNMENT, 300 + ALIGNMENT]);
        let held = spare.buffer(250).unwrap();
        assert_eq!(sizes(), [200 + ALIGNMENT]);
        drop(spare);
        // Without a home, memory goes back to the system.
        drop(held);
        let none = Spare::new(0);
        drop(none.buffer(5));
        assert!(locked_sizes(&none).is_empty());
    }

    fn locked_sizes(spare: &Spare) -> Vec<usize> {
        spare.free.lock().unwrap().iter().map(Vec::len).collect()
    }

    #[test]
    fn a_locked_store_of_memory_is_passed_by() {
        let spare = Spare::new(2);
        let free = spare.free.lock().unwrap();
        drop(spare.buffer(100).unwrap());
        assert!(free.is_empty());
    }
}
