//! Buffers of sums, used again, because the first touch of new memory is slow.

use std::sync::Mutex;

use crate::exec::locked;

/// Buffers that are not in use.
#[derive(Debug, Default)]
pub(super) struct Buffers<T>(Mutex<Kept<T>>);

#[derive(Debug, Default)]
struct Kept<T> {
    buffers: Vec<Vec<T>>,
    bytes: u64,
}

impl<T: bytemuck::Zeroable + Clone> Buffers<T> {
    /// A buffer of `length` zeros.
    pub(super) fn zeros(&self, length: usize) -> Vec<T> {
        let mut kept = locked(&self.0);
        // The buffers of one output have one length.
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

    /// Bytes of the buffers that are not in use.
    pub(super) fn bytes(&self) -> u64 {
        locked(&self.0).bytes
    }

    /// Frees the buffers.
    pub(super) fn clear(&self) {
        *locked(&self.0) = Kept { buffers: Vec::new(), bytes: 0 };
    }

    /// Keeps a buffer for later, unless the buffers would then exceed `most` bytes.
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
