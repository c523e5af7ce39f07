//! Voxels as labels and as real weights.

use crate::{Element, Scaling, f16};

/// A voxel that may be a label.
pub(crate) trait Label: Element {
    /// The label; `None` if it does not fit `i64`. Floats have none: whether they are labels is
    /// decided by the conversion, not again by every reader.
    fn label(self) -> Option<i64>;
}

macro_rules! integers {
    ($($t:ty)*) => {$(
        impl Label for $t {
            #[inline]
            fn label(self) -> Option<i64> {
                i64::try_from(self).ok()
            }
        }
    )*};
}

integers!(u8 u16 u32 u64 i8 i16 i32 i64);

macro_rules! floats {
    ($($t:ty)*) => {$(
        impl Label for $t {
            fn label(self) -> Option<i64> {
                None
            }
        }
    )*};
}

floats!(f16 f32 f64);

/// The real value of a stored voxel, in double precision.
#[inline]
pub(crate) fn real<T: Element>(voxel: T, scaling: Option<Scaling>) -> f64 {
    let value = voxel.to_f64();
    scaling.map_or(value, |scaling| value * scaling.slope + scaling.intercept)
}
