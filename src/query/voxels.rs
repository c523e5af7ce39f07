//! Voxels of a type that is known only at run time.

use std::fmt;
use std::sync::Arc;

use ndarray::{ArrayView, ArrayViewMut, Axis, Dimension, Ix3, RemoveAxis};

use super::buffer::{Buffer, Spare};
use crate::{Dtype, Element};

/// An array of voxels in the type that they are returned in, C-contiguous: a patch (`z, y, x`), or a
/// batch of patches (`n, z, y, x`); of several frames with their channels (`c, z, y, x` and
/// `n, c, z, y, x`). The first voxel lies at a multiple of 64 bytes.
#[derive(Clone)]
pub struct Voxels<D: Dimension = Ix3> {
    buffer: Buffer,
    dtype: Dtype,
    shape: D,
}

impl<D: Dimension> Voxels<D> {
    /// Voxels to be filled in, each of which may be anything; in memory of `spare`, or else zeros.
    /// `None` if there is no such memory. `shape` has as many axes as `D`.
    pub(super) fn new(dtype: Dtype, shape: &[usize], spare: Option<&Arc<Spare>>) -> Option<Self> {
        let bytes = shape.iter().try_fold(dtype.size(), |bytes, n| bytes.checked_mul(*n));
        let bytes = bytes.filter(|n| isize::try_from(*n).is_ok())?;
        let buffer = match spare {
            Some(spare) => spare.buffer(bytes)?,
            None => Buffer::zeroed(bytes)?,
        };
        let mut axes = D::zeros(shape.len());
        axes.slice_mut().copy_from_slice(shape);
        Some(Self { buffer, dtype, shape: axes })
    }

    /// Type of the voxels.
    #[must_use]
    pub const fn dtype(&self) -> Dtype {
        self.dtype
    }

    /// Length of each axis.
    #[must_use]
    pub fn shape(&self) -> &[usize] {
        self.shape.slice()
    }

    /// The voxels, if `T` is their type.
    #[must_use]
    pub fn as_array<T: Element>(&self) -> Option<ArrayView<'_, T, D>> {
        let voxels = (self.dtype == T::DTYPE).then(|| bytemuck::cast_slice(self.bytes()))?;
        ArrayView::from_shape(self.shape.clone(), voxels).ok()
    }

    /// The voxels, to be written, if `T` is their type.
    #[must_use]
    pub fn as_array_mut<T: Element>(&mut self) -> Option<ArrayViewMut<'_, T, D>> {
        let (shape, is_right) = (self.shape.clone(), self.dtype == T::DTYPE);
        let voxels = is_right.then(|| bytemuck::cast_slice_mut(self.buffer.bytes_mut()))?;
        ArrayViewMut::from_shape(shape, voxels).ok()
    }

    /// The bytes of the voxels, in the order of this machine.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.buffer.bytes()
    }

    /// The memory of the voxels.
    #[must_use]
    pub fn into_buffer(self) -> Buffer {
        self.buffer
    }

    /// The bytes, to be filled in.
    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        self.buffer.bytes_mut()
    }
}

impl<D: RemoveAxis> Voxels<D> {
    /// Leaves out all but the first `n` along the first axis.
    pub(super) fn truncate(&mut self, n: usize) {
        let [axis, others @ ..] = self.shape.slice_mut() else { return };
        *axis = n.min(*axis);
        let bytes = *axis * others.iter().product::<usize>() * self.dtype.size();
        self.buffer.truncate(bytes);
    }

    /// The first along the first axis, in the same memory.
    pub(super) fn into_first(mut self) -> Voxels<D::Smaller> {
        self.truncate(1);
        let Self { buffer, dtype, shape } = self;
        Voxels { buffer, dtype, shape: shape.remove_axis(Axis(0)) }
    }
}

impl<D: Dimension> PartialEq for Voxels<D> {
    /// Whether type, shape and every bit are the same.
    fn eq(&self, other: &Self) -> bool {
        (self.dtype, &self.shape) == (other.dtype, &other.shape) && self.bytes() == other.bytes()
    }
}

impl<D: Dimension> fmt::Debug for Voxels<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Voxels({}, {:?})", self.dtype, self.shape())
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Ix4, Slice};

    use super::*;
    use crate::with_element;

    #[test]
    fn voxels_come_out_as_their_own_type_alone() {
        for dtype in Dtype::ALL {
            with_element!(dtype, T => {
                let mut voxels = Voxels::<Ix3>::new(dtype, &[2, 3, 4], None).unwrap();
                assert_eq!((voxels.dtype(), voxels.shape()), (dtype, &[2, 3, 4][..]));
                assert_eq!(voxels.bytes(), vec![0; 24 * dtype.size()]);
                voxels.as_array_mut::<T>().unwrap()[[1, 2, 3]] = T::from_f64(7.0);
                let array = voxels.as_array::<T>().unwrap();
                assert!(array.iter().eq(&[[T::from_f64(0.0); 23].as_slice(), &[T::from_f64(7.0)]].concat()));
                assert_eq!(voxels.as_array::<u8>().is_some(), dtype == Dtype::UInt8);
                assert_eq!(voxels.as_array_mut::<f64>().is_some(), dtype == Dtype::Float64);
            });
        }
    }

    #[test]
    fn fewer_along_the_first_axis_are_those_in_front() {
        let numbered = || {
            let mut voxels = Voxels::<Ix4>::new(Dtype::UInt16, &[3, 2, 1, 2], None).unwrap();
            let numbers = voxels.as_array_mut::<u16>().unwrap();
            numbers.into_iter().zip(0..).for_each(|(voxel, n)| *voxel = n);
            voxels
        };
        let whole = numbered();
        let whole = whole.as_array::<u16>().unwrap();
        let mut two = numbered();
        two.truncate(2);
        assert_eq!(two.as_array::<u16>().unwrap(), whole.slice_axis(Axis(0), Slice::from(..2)));
        two.truncate(9);
        assert_eq!(two.shape(), [2, 2, 1, 2]);
        assert_eq!(
            numbered().into_first().as_array::<u16>().unwrap(),
            whole.index_axis(Axis(0), 0)
        );
    }

    #[test]
    fn equal_are_voxels_of_equal_type_shape_and_bits() {
        let new = |dtype, shape: &[usize]| Voxels::<Ix3>::new(dtype, shape, None).unwrap();
        let zeros = new(Dtype::UInt16, &[1, 2, 3]);
        assert_eq!(zeros, new(Dtype::UInt16, &[1, 2, 3]));
        assert_ne!(zeros, new(Dtype::Int16, &[1, 2, 3]));
        assert_ne!(zeros, new(Dtype::UInt16, &[2, 1, 3]));
        let mut other = new(Dtype::UInt16, &[1, 2, 3]);
        other.as_array_mut::<u16>().unwrap()[[0, 1, 2]] = 1;
        assert_ne!(zeros, other);
        assert!(Voxels::<Ix3>::new(Dtype::UInt16, &[1 << 40; 3], None).is_none());
    }
}
