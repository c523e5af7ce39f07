//! Where the voxels of a patch go: memory with strides in bytes.

use std::ops::Range;

use crate::codec::signed;
use crate::error::show;

/// Where a patch goes: a buffer, and in bytes where its first voxel is, and from there the next
/// frame, plane, row and voxel. Any stride is negative where the patch is mirrored.
///
/// No two voxels of a patch overlap, and all lie inside the buffer: [`Destination::strided`] refuses
/// others.
#[derive(Debug)]
pub(crate) struct Destination<'a> {
    pub(super) bytes: &'a mut [u8],
    pub(super) offset: usize,
    /// To the next frame.
    pub(super) frame: isize,
    /// To the next plane, row and voxel, `z, y, x`.
    pub(super) strides: [isize; 3],
    /// Bytes of a voxel.
    pub(super) item: usize,
}

impl<'a> Destination<'a> {
    /// A buffer that is an array of frames of this shape, `c, z, y, x`, C-contiguous, of voxels of
    /// `item` bytes.
    pub(crate) fn dense(bytes: &'a mut [u8], shape: [usize; 3], item: usize) -> Self {
        let row = shape[2] * item;
        let plane = shape[1] * row;
        let strides = [plane, row, item].map(signed);
        Self { bytes, offset: 0, frame: signed(shape[0] * plane), strides, item }
    }

    /// A buffer whose voxels lie apart by `strides`, in bytes, of an array `c, z, y, x` of this
    /// shape, none of which is 0. The buffer begins at the lowest byte of the array, so that along an
    /// axis with a negative stride the first voxel is the one that lies furthest in.
    ///
    /// # Errors
    /// What is wrong with the strides, if voxels would lie outside of the buffer or overlap. Axes
    /// that interlock (the stride of one ends inside of another's run) are refused as well: every
    /// axis must step over all voxels of the axes with smaller strides.
    pub(crate) fn strided(
        bytes: &'a mut [u8],
        shape: [usize; 4],
        strides: [isize; 4],
        item: usize,
    ) -> Result<Self, String> {
        // Along an axis of one voxel no step is ever taken, whatever its stride.
        let strides: [isize; 4] =
            std::array::from_fn(|a| if shape[a] == 1 { signed(item) } else { strides[a] });
        let mut axes = [0, 1, 2, 3];
        axes.sort_by_key(|a| strides[*a].unsigned_abs());
        let mut reach = item;
        for a in axes.into_iter().filter(|a| shape[*a] > 1) {
            let step = strides[a].unsigned_abs();
            if step < reach {
                let axis = ["c", "z", "y", "x"][a];
                return Err(format!(
                    "voxels would overlap: along {axis} they lie {step} bytes apart, and what lies \
                     within such a step takes {reach}; let each axis step over those with smaller \
                     strides"
                ));
            }
            let Some(more) = step.checked_mul(shape[a] - 1).and_then(|n| n.checked_add(reach))
            else {
                return Err("they reach further than memory does".to_owned());
            };
            reach = more;
        }
        if reach > bytes.len() {
            let length = bytes.len();
            return Err(format!(
                "voxels would lie outside of the buffer: a patch of shape {} reaches over {reach} \
                 bytes, and the buffer has {length}",
                show(&[shape[1], shape[2], shape[3]])
            ));
        }
        let ahead = (0..4).filter(|a| strides[*a] < 0);
        let offset = ahead.map(|a| strides[a].unsigned_abs() * (shape[a] - 1)).sum();
        let [frame, z, y, x] = strides;
        Ok(Self { bytes, offset, frame, strides: [z, y, x], item })
    }

    /// The same, mirrored along these axes, `z, y, x`; no axis of `shape` is 0.
    pub(crate) fn flipped(mut self, axes: [bool; 3], shape: [usize; 3]) -> Self {
        let last = std::array::from_fn(|a| if axes[a] { shape[a] - 1 } else { 0 });
        self = self.from(last);
        for (stride, flip) in self.strides.iter_mut().zip(axes) {
            *stride = if flip { -*stride } else { *stride };
        }
        self
    }

    /// The same from this voxel on, `z, y, x`.
    pub(crate) fn from(self, at: [usize; 3]) -> Self {
        Self { offset: place(self.offset, self.strides, at), ..self }
    }

    /// The frame of this number, for as long as it is written.
    pub(crate) fn of_frame(&mut self, n: usize) -> Destination<'_> {
        let offset = self.offset.wrapping_add_signed(signed(n) * self.frame);
        let Self { frame, strides, item, .. } = *self;
        Destination { bytes: self.bytes, offset, frame, strides, item }
    }

    /// Writes the voxels of a row, given by its plane and its place in that.
    pub(crate) fn write_row<const N: usize>(
        &mut self,
        [z, y]: [usize; 2],
        voxels: impl ExactSizeIterator<Item = [u8; N]>,
    ) {
        let mut at = place(self.offset, self.strides, [z, y, 0]);
        if self.strides[2] == signed(N) {
            let row = self.bytes[at..][..voxels.len() * N].as_chunks_mut().0;
            row.iter_mut().zip(voxels).for_each(|(out, voxel)| *out = voxel);
            return;
        }
        for voxel in voxels {
            self.bytes[at..][..N].copy_from_slice(&voxel);
            at = at.wrapping_add_signed(self.strides[2]);
        }
    }

    /// Fills a patch of this shape, `z, y, x`, with a voxel.
    pub(crate) fn fill(&mut self, shape: [usize; 3], voxel: &[u8]) {
        match *voxel {
            [a] => self.fill_with(shape, [a]),
            [a, b] => self.fill_with(shape, [a, b]),
            [a, b, c, d] => self.fill_with(shape, [a, b, c, d]),
            [a, b, c, d, e, f, g, h] => self.fill_with(shape, [a, b, c, d, e, f, g, h]),
            _ => {}
        }
    }

    fn fill_with<const N: usize>(&mut self, shape: [usize; 3], voxel: [u8; N]) {
        for z in 0..shape[0] {
            for y in 0..shape[1] {
                self.write_row([z, y], (0..shape[2]).map(|_| voxel));
            }
        }
    }

    /// Whether the voxels of a row lie side by side, forwards or backwards.
    pub(super) fn has_rows(&self) -> bool {
        self.strides[2].unsigned_abs() == self.item
    }
}

/// The byte of voxel `by`, `z, y, x`, from that of the first.
pub(super) fn place(offset: usize, strides: [isize; 3], by: [usize; 3]) -> usize {
    let by: isize = (0..3).map(|a| signed(by[a]) * strides[a]).sum();
    offset.wrapping_add_signed(by)
}

/// A part of a patch: some of its frames, and of these some planes, by their numbers in the patch.
pub(crate) type Slab = (Range<usize>, Range<usize>);

impl Destination<'_> {
    /// Whether the frames of a patch of this shape, `c, z, y, x`, lie apart in memory, and whether
    /// its planes do (of each frame by itself if the frames do, else of all frames together).
    pub(crate) fn lies_apart(&self, shape: [usize; 4]) -> [bool; 2] {
        let [z, y, x] = self.strides;
        let steps = [self.frame, z, y, x].map(isize::unsigned_abs);
        let beyond = |a: usize, others: &[usize]| {
            shape[a] > 1 && others.iter().all(|b| shape[*b] == 1 || steps[a] > steps[*b])
        };
        let frames = beyond(0, &[1, 2, 3]);
        [frames, beyond(1, if frames { &[2, 3] } else { &[0, 2, 3] })]
    }

    /// The places of slabs of a patch of this shape, `z, y, x`, in their order. The slabs are apart
    /// in memory: cut along axes that [`Self::lies_apart`] allows.
    pub(crate) fn split(self, slabs: &[Slab], shape: [usize; 3]) -> Vec<Self> {
        let Self { bytes, offset, frame, strides, item } = self;
        let mut places: Vec<_> = slabs
            .iter()
            .enumerate()
            .map(|(n, (frames, planes))| {
                let to_frame = offset.wrapping_add_signed(signed(frames.start) * frame);
                let first = place(to_frame, strides, [planes.start, 0, 0]);
                let last = [planes.len() - 1, shape[1] - 1, shape[2] - 1];
                let steps = (0..3).map(|a| signed(last[a]) * strides[a]);
                let steps = steps.chain([signed(frames.len() - 1) * frame]);
                let back = steps.clone().filter(|by| *by < 0).map(isize::unsigned_abs);
                let ahead = steps.filter(|by| *by > 0).map(isize::unsigned_abs);
                let (back, ahead): (usize, usize) = (back.sum(), ahead.sum());
                (first - back, first + ahead + item, first, n)
            })
            .collect();
        places.sort_unstable();
        let (mut rest, mut cut) = (bytes, 0);
        let mut split: Vec<_> = places
            .into_iter()
            .map(|(from, to, first, n)| {
                let (bytes, later) =
                    std::mem::take(&mut rest)[from - cut..].split_at_mut(to - from);
                (rest, cut) = (later, to);
                (n, Self { bytes, offset: first - from, frame, strides, item })
            })
            .collect();
        split.sort_unstable_by_key(|(n, _)| *n);
        split.into_iter().map(|(_, part)| part).collect()
    }
}
