//! Voxels of a type that is known only at run time.

use std::any::Any;

use ndarray::{Array, ArrayView, Axis, Dimension, Ix3, RemoveAxis};

use crate::{Dtype, Element, f16, with_element};

macro_rules! voxels {
    ($($dtype:ident: $t:ty),*) => {
        /// An array of voxels in the type that they are returned in, C-contiguous: a patch
        /// (`z, y, x`), or a batch of patches (`n, z, y, x`); of several frames with their channels
        /// (`c, z, y, x` and `n, c, z, y, x`).
        #[derive(Debug, Clone, PartialEq)]
        #[allow(missing_docs)]
        pub enum Voxels<D: Dimension = Ix3> {
            $($dtype(Array<$t, D>)),*
        }

        impl<D: Dimension + 'static> Voxels<D> {
            /// Type of the voxels.
            #[must_use]
            pub const fn dtype(&self) -> Dtype {
                match self { $(Self::$dtype(_) => Dtype::$dtype),* }
            }

            /// Length of each axis.
            #[must_use]
            pub fn shape(&self) -> &[usize] {
                match self { $(Self::$dtype(array) => array.shape()),* }
            }

            fn any(&self) -> &dyn Any {
                match self { $(Self::$dtype(array) => array),* }
            }

            fn any_mut(&mut self) -> &mut dyn Any {
                match self { $(Self::$dtype(array) => array),* }
            }
        }

        $(impl<D: Dimension> From<Array<$t, D>> for Voxels<D> {
            fn from(array: Array<$t, D>) -> Self {
                Self::$dtype(array)
            }
        })*
    };
}

voxels!(
    UInt8: u8, UInt16: u16, UInt32: u32, UInt64: u64,
    Int8: i8, Int16: i16, Int32: i32, Int64: i64,
    Float16: f16, Float32: f32, Float64: f64
);

impl<D: Dimension + 'static> Voxels<D> {
    /// The voxels, if `T` is their type.
    #[must_use]
    pub fn as_array<T: Element>(&self) -> Option<ArrayView<'_, T, D>> {
        self.any().downcast_ref::<Array<T, D>>().map(|array| array.view())
    }

    /// The voxels, if `T` is their type; nothing is copied.
    #[must_use]
    pub fn into_array<T: Element>(mut self) -> Option<Array<T, D>> {
        self.any_mut().downcast_mut::<Array<T, D>>().map(std::mem::take)
    }

    /// Bytes that the voxels take.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.shape().iter().product::<usize>() * self.dtype().size()
    }
}

impl<D: Dimension + 'static> Voxels<D> {
    /// Arrays of one type and shape along a new first axis; `None` if they differ, or are none.
    pub(super) fn stack<'a>(
        parts: impl Iterator<Item = &'a Self> + Clone,
    ) -> Option<Voxels<D::Larger>>
    where
        D::Larger: RemoveAxis,
    {
        with_element!(parts.clone().next()?.dtype(), T => {
            let views: Option<Vec<_>> = parts.map(Self::as_array::<T>).collect();
            ndarray::stack(Axis(0), &views?).ok().map(Voxels::from)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn voxels_come_out_as_their_own_type_alone() {
        for dtype in Dtype::ALL {
            with_element!(dtype, T => {
                let array = Array::from_elem((2, 3, 4), T::from_f64(7.0));
                let voxels = Voxels::from(array.clone());
                assert_eq!((voxels.dtype(), voxels.shape()), (dtype, &[2, 3, 4][..]));
                assert_eq!(voxels.bytes(), 24 * dtype.size());
                assert_eq!(voxels.as_array::<T>().unwrap(), array);
                assert_eq!(voxels.as_array::<u8>().is_some(), dtype == Dtype::UInt8);
                assert_eq!(voxels.clone().into_array::<f64>().is_some(), dtype == Dtype::Float64);
                assert_eq!(voxels.into_array::<T>().unwrap(), array);
            });
        }
    }

    #[test]
    fn only_arrays_of_one_type_and_shape_are_stacked() {
        let (a, b) = (Array::from_elem((1, 2, 2), 1_i16), Array::from_elem((1, 2, 2), 2_i16));
        let [a, b] = [Voxels::from(a), Voxels::from(b)];
        let both = Voxels::stack([&a, &b].into_iter()).unwrap();
        assert_eq!(both.shape(), [2, 1, 2, 2]);
        assert_eq!(both.as_array::<i16>().unwrap()[[1, 0, 1, 1]], 2);
        let other = Voxels::from(Array::from_elem((1, 2, 2), 1_u16));
        assert!(Voxels::stack([&a, &other].into_iter()).is_none());
        let other = Voxels::from(Array::from_elem((1, 2, 3), 1_i16));
        assert!(Voxels::stack([&a, &other].into_iter()).is_none());
        assert!(Voxels::<Ix3>::stack(std::iter::empty()).is_none());
    }
}
