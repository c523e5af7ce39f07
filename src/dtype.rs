//! Voxel types: a closed list, and the sealed [`Element`] trait that ties it to Rust's types.

use std::fmt;
use std::str::FromStr;

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
    Float32,
    Float64,
}

impl Dtype {
    /// Every type, in the order of the enum.
    pub const ALL: [Self; 10] = [
        Self::UInt8,
        Self::UInt16,
        Self::UInt32,
        Self::UInt64,
        Self::Int8,
        Self::Int16,
        Self::Int32,
        Self::Int64,
        Self::Float32,
        Self::Float64,
    ];

    /// Bytes of one voxel: 1, 2, 4 or 8.
    #[must_use]
    pub const fn size(self) -> usize {
        match self {
            Self::UInt8 | Self::Int8 => 1,
            Self::UInt16 | Self::Int16 => 2,
            Self::UInt32 | Self::Int32 | Self::Float32 => 4,
            Self::UInt64 | Self::Int64 | Self::Float64 => 8,
        }
    }

    /// True for every type but the two floats.
    #[must_use]
    pub const fn is_integer(self) -> bool {
        !matches!(self, Self::Float32 | Self::Float64)
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

/// A Rust type that voxels can be read as: the ten of [`Dtype`], and no others.
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

    /// The voxel as an integer: itself if it is one; floats are cut off towards 0.
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

/// Runs generic code for a [`Dtype`] known only at run time:
/// `with_element!(dtype, T => expression using T)`.
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
        assert!("float16".parse::<Dtype>().is_err());
    }
}
