//! Buffers of sums, used again: memory that the system gives anew is slow to touch.

use std::sync::Mutex;

use crate::exec::locked;

/// Buffers that nobody uses.
#[derive(Debug, Default)]
pub(super) struct Buffers<T>(Mutex<Kept<T>>);

#[derive(Debug, Default)]
struct Kept<T> {
    buffers: Vec<Vec<T>>,
    bytes: u64,
}

impl<T: bytemuck::Zeroable + Clone> Buffers<T> {
    /// So many zeros.
    pub(super) fn zeros(&self, length: usize) -> Vec<T> {
        let mut kept = locked(&self.0);
        // Those of one output are of one length.
        let Some(n) = kept.buffers.iter().rposition(|buffer| buffer.len() == length) else {
            drop(kept);
            return vec![T::zeroed(); length];
        };
        let mut buffer = kept.buffers.swap_remove(n);
        kept.bytes -= size_of_val(&*buffer) as u64;
        drop(kept);
        buffer.fill(T::zeroed());
        buffer
    }

    /// Bytes that are kept.
    pub(super) fn bytes(&self) -> u64 {
        locked(&self.0).bytes
    }

    /// Keeps none any longer.
    pub(super) fn clear(&self) {
        *locked(&self.0) = Kept { buffers: Vec::new(), bytes: 0 };
    }

    /// Keeps a buffer, unless the kept ones would be more than `most` bytes.
    pub(super) fn keep(&self, buffer: Vec<T>, most: u64) {
        let bytes = size_of_val(&*buffer) as u64;
        let mut kept = locked(&self.0);
        if kept.bytes + bytes <= most {
            kept.bytes += bytes;
            kept.buffers.push(buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_come_back_as_zeros_of_their_length_and_no_more_are_kept_than_allowed() {
        let buffers = Buffers::<f32>::default();
        for length in [3, 5, 3] {
            buffers.keep(vec![1.0; length], 32);
        }
        assert_eq!(buffers.bytes(), 32);
        for (length, left) in [(3, 20), (3, 20), (5, 0)] {
            assert_eq!(buffers.zeros(length), vec![0.0; length]);
            assert_eq!(buffers.bytes(), left);
        }
        buffers.keep(vec![1.0; 2], 32);
        buffers.clear();
        assert_eq!(buffers.bytes(), 0);
    }
}
