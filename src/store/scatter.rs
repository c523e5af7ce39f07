//! Voxels into memory in which they lie neither one behind the other nor backwards, as in an array
//! whose first axis is the fastest, or whose channels come last.
//!
//! Decoders write rows. A part of a chunk is decoded into a buffer of the thread first, and its
//! voxels are copied from there in the order in which they lie in memory.

use std::cell::RefCell;

use crate::Result;
use crate::codec::{Part, Target, signed};

thread_local! {
    static ROWS: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// A larger buffer is not kept: a thread may live long after its last large chunk.
const KEPT_BYTES: usize = 16 << 20;

/// The place of a part in such memory.
pub(super) struct Scatter<'t, 'a> {
    /// Bytes of a voxel that is returned.
    item: usize,
    shape: [usize; 3],
    target: &'t mut Target<'a>,
}

impl<'t, 'a> Scatter<'t, 'a> {
    /// The place `target` of `part`, of voxels of `item` bytes.
    pub(super) fn new(item: usize, part: &Part, target: &'t mut Target<'a>) -> Self {
        Self { item, shape: part.shape, target }
    }

    /// Has `decode` write the part to dense memory, and copies its voxels from there.
    pub(super) fn write(self, decode: impl FnOnce(&mut Target<'_>) -> Result<()>) -> Result<()> {
        ROWS.with_borrow_mut(|rows| {
            let row = self.shape[2] * self.item;
            let plane = self.shape[1] * row;
            let length = self.shape[0] * plane;
            if rows.len() < length {
                rows.resize(length, 0);
            }
            let dense = &mut rows[..length];
            let strides = [plane, row, self.item].map(signed);
            let rows_of = self.target.rows;
            decode(&mut Target { bytes: &mut *dense, offset: 0, strides, rows: rows_of })?;
            match self.item {
                1 => self.copy::<1>(dense),
                2 => self.copy::<2>(dense),
                4 => self.copy::<4>(dense),
                _ => self.copy::<8>(dense),
            }
            if rows.capacity() > KEPT_BYTES {
                *rows = Vec::new();
            }
            Ok(())
        })
    }

    fn copy<const N: usize>(self, dense: &[u8]) {
        let (dense, shape) = (dense.as_chunks::<N>().0, self.shape);
        let from = [shape[1] * shape[2], shape[2], 1];
        let Target { bytes, offset, strides, .. } = self.target;
        // The axis with the smallest stride is walked innermost, so that memory is written forwards.
        let mut axes = [0, 1, 2];
        axes.sort_by_key(|a| std::cmp::Reverse(strides[*a].unsigned_abs()));
        let [outer, middle, inner] = axes;
        for i in 0..shape[outer] {
            for j in 0..shape[middle] {
                let mut source = i * from[outer] + j * from[middle];
                let by = signed(i) * strides[outer] + signed(j) * strides[middle];
                let mut at = offset.wrapping_add_signed(by);
                for _ in 0..shape[inner] {
                    bytes[at..][..N].copy_from_slice(&dense[source]);
                    source += from[inner];
                    at = at.wrapping_add_signed(strides[inner]);
                }
            }
        }
    }
}
