//! Voxel types: a closed list, and the sealed [`Element`] trait that ties it to Rust's types.

use std::fmt;
use std::str::FromStr;

pub use half::f16;
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// The type of a voxel, named as in `NumPy` and Zarr.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum Dtype {
    UInt8,
    UInt16,
    UInt32,
    UInt64,
    Int8,
    Int16,
    Int32,
    Int64,
    Float16,
    Float32,
    Float64,
}

impl Dtype {
    /// Every type, in the order of the enum.
    pub const ALL: [Self; 11] = [
        Self::UInt8,
        Self::UInt16,
        Self::UInt32,
        Self::UInt64,
        Self::Int8,
        Self::Int16,
        Self::Int32,
        Self::Int64,
        Self::Float16,
        Self::Float32,
        Self::Float64,
    ];

    /// Bytes of one voxel: 1, 2, 4 or 8.
    #[must_use]
    pub const fn size(self) -> usize {
        match self {
            Self::UInt8 | Self::Int8 => 1,
            Self::UInt16 | Self::Int16 | Self::Float16 => 2,
            Self::UInt32 | Self::Int32 | Self::Float32 => 4,
            Self::UInt64 | Self::Int64 | Self::Float64 => 8,
        }
    }

    /// True for every type but the three floats.
    #[must_use]
    pub const fn is_integer(self) -> bool {
        !matches!(self, Self::Float16 | Self::Float32 | Self::Float64)
    }

    /// The name used by `NumPy` and Zarr, such as `int16`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::UInt8 => "uint8",
            Self::UInt16 => "uint16",
            Self::UInt32 => "uint32",
            Self::UInt64 => "uint64",
            Self::Int8 => "int8",
            Self::Int16 => "int16",
            Self::Int32 => "int32",
            Self::Int64 => "int64",
            Self::Float16 => "float16",
            Self::Float32 => "float32",
            Self::Float64 => "float64",
        }
    }
}

impl fmt::Display for Dtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Dtype {
    type Err = Error;

    fn from_str(s: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|d| d.name() == s).ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|d| d.name()).collect();
            Error::invalid("dtype", s, format!("use one of {}", names.join(", ")))
        })
    }
}

/// Real value = `slope` x stored voxel + `intercept`. Finite, slope not zero.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Scaling {
    pub slope: f64,
    pub intercept: f64,
}

mod sealed {
    pub trait Sealed {}
}

/// A Rust type that voxels can be read as: the eleven of [`Dtype`], and no others.
pub trait Element:
    bytemuck::Pod + PartialOrd + Default + fmt::Debug + Send + Sync + sealed::Sealed
{
    /// The matching [`Dtype`].
    const DTYPE: Dtype;

    /// The voxel as `f64`. 64-bit integers beyond 2^53 are rounded to nearest.
    fn to_f64(self) -> f64;

    /// The voxel as `f32`, rounded to nearest.
    fn to_f32(self) -> f32;

    /// The nearest voxel of this type: saturating, NaN becomes 0 for integers.
    fn from_f64(value: f64) -> Self;

    /// The voxel as an integer; floats are cut off towards 0.
    fn to_integer(self) -> i128;

    /// The nearest voxel of this type: saturating.
    fn from_integer(value: i128) -> Self;
}

macro_rules! elements {
    ($($t:ty => $d:ident, $from_integer:expr;)*) => {$(
        impl sealed::Sealed for $t {}
        #[allow(clippy::cast_lossless, clippy::cast_possible_truncation, clippy::cast_precision_loss, clippy::cast_sign_loss)]
        impl Element for $t {
            const DTYPE: Dtype = Dtype::$d;
            fn to_f64(self) -> f64 { self as f64 }
            fn to_f32(self) -> f32 { self as f32 }
            fn from_f64(value: f64) -> Self { value as $t }
            #[inline]
            fn to_integer(self) -> i128 { self as i128 }
            #[inline]
            fn from_integer(value: i128) -> Self { $from_integer(value) }
        }
    )*};
}

elements!(
    u8 => UInt8, |v: i128| v.clamp(u8::MIN as i128, u8::MAX as i128) as u8;
    u16 => UInt16, |v: i128| v.clamp(u16::MIN as i128, u16::MAX as i128) as u16;
    u32 => UInt32, |v: i128| v.clamp(u32::MIN as i128, u32::MAX as i128) as u32;
    u64 => UInt64, |v: i128| v.clamp(u64::MIN as i128, u64::MAX as i128) as u64;
    i8 => Int8, |v: i128| v.clamp(i8::MIN as i128, i8::MAX as i128) as i8;
    i16 => Int16, |v: i128| v.clamp(i16::MIN as i128, i16::MAX as i128) as i16;
    i32 => Int32, |v: i128| v.clamp(i32::MIN as i128, i32::MAX as i128) as i32;
    i64 => Int64, |v: i128| v.clamp(i64::MIN as i128, i64::MAX as i128) as i64;
    f32 => Float32, |v: i128| v as f32;
    f64 => Float64, |v: i128| v as f64;
);

impl sealed::Sealed for f16 {}

impl Element for f16 {
    const DTYPE: Dtype = Dtype::Float16;

    #[inline]
    fn to_f64(self) -> f64 {
        Element::to_f32(self).into()
    }

    /// By arithmetic alone, so that the loop compiles to vector instructions, unlike the function
    /// of `half`.
    #[inline]
    fn to_f32(self) -> f32 {
        let bits = u32::from(self.to_bits());
        // Moves exponent and fraction to their positions in an `f32`.
        let moved = (bits & 0x7fff) << 13;
        let magnitude = match moved >> 23 {
            // Subnormal: read as a fraction of the least normal number, which is then subtracted.
            0 => (f32::from_bits(moved + (113 << 23)) - f32::from_bits(113 << 23)).to_bits(),
            // Infinity and NaN.
            31 => moved | 0xff << 23,
            _ => moved + ((127 - 15) << 23),
        };
        f32::from_bits(magnitude | (bits & 0x8000) << 16)
    }

    /// Rounded to nearest, ties to even; infinity beyond the greatest number.
    #[allow(clippy::cast_possible_truncation)]
    #[inline]
    fn from_f64(value: f64) -> Self {
        // Rounded only once: all bits beyond those of `f32` are merged into its last bit, which is
        // enough to tell a tie from its neighbours.
        const BEYOND: u64 = (1 << 29) - 1;
        let bits = value.to_bits();
        let odd = bits & !BEYOND | u64::from(bits & BEYOND != 0) << 29;
        Self::from_f32(f64::from_bits(odd) as f32)
    }

    #[allow(clippy::cast_possible_truncation)]
    #[inline]
    fn to_integer(self) -> i128 {
        Element::to_f64(self) as i128
    }

    #[allow(clippy::cast_precision_loss)]
    #[inline]
    fn from_integer(value: i128) -> Self {
        // Numbers that `f64` must round are infinite in half precision.
        <Self as Element>::from_f64(value as f64)
    }
}

/// Runs generic code for a [`Dtype`] known only at run time:
/// `with_element!(dtype, T => expression using T)`.
///
/// `T` is an alias, and [`f16`](crate::f16) has a `from_f64` of its own, which may round twice:
/// write `<T as Element>::from_f64` inside.
#[doc(hidden)]
#[macro_export]
macro_rules! with_element {
    ($dtype:expr, $t:ident => $body:expr) => {
        match $dtype {
            $crate::Dtype::UInt8 => {
                type $t = u8;
                $body
            }
            $crate::Dtype::UInt16 => {
                type $t = u16;
                $body
            }
            $crate::Dtype::UInt32 => {
                type $t = u32;
                $body
            }
            $crate::Dtype::UInt64 => {
                type $t = u64;
                $body
            }
            $crate::Dtype::Int8 => {
                type $t = i8;
                $body
            }
            $crate::Dtype::Int16 => {
                type $t = i16;
                $body
            }
            $crate::Dtype::Int32 => {
                type $t = i32;
                $body
            }
            $crate::Dtype::Int64 => {
                type $t = i64;
                $body
            }
            $crate::Dtype::Float16 => {
                type $t = $crate::f16;
                $body
            }
            $crate::Dtype::Float32 => {
                type $t = f32;
                $body
            }
            $crate::Dtype::Float64 => {
                type $t = f64;
                $body
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_parse_back_and_sizes_agree() {
        for dtype in Dtype::ALL {
            assert_eq!(dtype.name().parse::<Dtype>().expect("own name"), dtype);
            with_element!(dtype, T => {
                assert_eq!(T::DTYPE, dtype);
                assert_eq!(size_of::<T>(), dtype.size());
            });
        }
        assert!("bfloat16".parse::<Dtype>().is_err());
    }

    fn half(value: f64) -> f16 {
        Element::from_f64(value)
    }

    #[test]
    fn every_float16_is_the_number_that_its_bits_say() {
        for bits in 0..=u16::MAX {
            let voxel = f16::from_bits(bits);
            let (exponent, fraction) = (i32::from(bits >> 10 & 31), f64::from(bits & 1023));
            let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
            let value = match (exponent, bits & 1023) {
                (31, 0) => f64::INFINITY,
                (31, _) => f64::NAN,
                (0, _) => fraction * 2_f64.powi(-24),
                _ => (1.0 + fraction / 1024.0) * 2_f64.powi(exponent - 15),
            } * sign;
            let found = Element::to_f64(voxel);
            assert!(found.to_bits() == value.to_bits() || found.is_nan() && value.is_nan());
            let single = f64::from(Element::to_f32(voxel));
            assert!(single.to_bits() == found.to_bits() || single.is_nan() && found.is_nan());
            let back = half(value);
            assert!(back.to_bits() == bits || back.is_nan() && voxel.is_nan(), "{bits:#x}");
            if value.is_finite() {
                #[allow(clippy::cast_possible_truncation)]
                let whole = value as i128;
                assert_eq!(voxel.to_integer(), whole);
                if exponent >= 25 {
                    assert_eq!(f16::from_integer(whole).to_integer(), whole);
                }
            }
        }
    }

    /// The next number up and down from the middle of two neighbours decide between them.
    #[test]
    fn doubles_become_the_nearest_float16_in_one_rounding() {
        for bits in 0..0x7bff_u16 {
            let [low, high] = [bits, bits + 1].map(f16::from_bits);
            let middle = f64::midpoint(Element::to_f64(low), Element::to_f64(high));
            let even = if bits % 2 == 0 { low } else { high };
            for sign in [1.0, -1.0] {
                assert_eq!(half(sign * middle), half(sign * Element::to_f64(even)));
                assert_eq!(half(sign * middle.next_down()), half(sign * Element::to_f64(low)));
                assert_eq!(half(sign * middle.next_up()), half(sign * Element::to_f64(high)));
            }
        }
        assert_eq!(half(65_520_f64.next_down()), f16::MAX);
        for beyond in [65_520.0, 1e300, f64::MAX, f64::INFINITY] {
            assert_eq!(half(beyond), f16::INFINITY);
            assert_eq!(half(-beyond), f16::NEG_INFINITY);
        }
        assert_eq!(half(-f64::MIN_POSITIVE / 4.0).to_bits(), 0x8000);
        assert!(half(f64::from_bits(f64::INFINITY.to_bits() + 1)).is_nan());
        assert_eq!(f16::from_integer(i128::MAX), f16::INFINITY);
        assert_eq!(f16::from_integer(-65_519), f16::MIN);
    }
}
