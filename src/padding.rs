//! The values of a patch outside of the volume, defined as in `numpy.pad`.

use std::fmt;
use std::str::FromStr;

use crate::{Dtype, Element, Error, Hint, Result, f16, with_element};

/// How voxels outside of the volume are filled.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Padding {
    /// One value everywhere, in the returned units. An error if the returned type cannot hold it;
    /// floats with fewer digits hold it rounded.
    Constant(f64),
    /// The nearest voxel of the volume.
    Edge,
    /// Mirrored at the border voxels, which are not repeated: `c b | a b c | b a`.
    Reflect,
    /// Mirrored at the border, border voxels repeated: `b a | a b c | c b`.
    Symmetric,
    /// The volume repeated: `b c | a b c | a b`.
    Wrap,
}

impl Padding {
    /// Refuses a constant that this type cannot hold.
    pub(crate) fn check(self, dtype: Dtype) -> Result<()> {
        let Self::Constant(value) = self else { return Ok(()) };
        let (is_held, held) = with_element!(dtype, T => if dtype.is_integer() {
            let least = T::from_integer(i128::MIN).to_integer();
            let most = T::from_integer(i128::MAX).to_integer();
            // A value beyond `i128` saturates, which is beyond every type.
            #[allow(clippy::cast_possible_truncation)]
            let is_held = value.fract() == 0.0 && (least..=most).contains(&(value as i128));
            (is_held, format!("whole numbers from {least} to {most}"))
        } else {
            // Infinity and NaN are returned if they were asked for.
            let is_held = <T as Element>::from_f64(value).to_f64().is_finite() || !value.is_finite();
            let most = if dtype == Dtype::Float16 { f16::MAX.to_f64() } else { f32::MAX.into() };
            (is_held, format!("numbers up to {most:e}"))
        });
        if is_held {
            return Ok(());
        }
        let reason = format!(
            "voxels are returned as {dtype}, which holds {held}: choose one of them, or have the \
             voxels returned as a type that holds it"
        );
        Err(Error::invalid("padding", self, reason).hinting(Hint::ReturnedType))
    }

    /// The index inside an axis of length `n` (at least 1) whose voxel is used for `index`; `None`
    /// for a constant.
    pub(crate) fn source(self, index: i128, n: usize) -> Option<usize> {
        // Twice the length of any axis fits.
        let length = i128::try_from(n).ok()?;
        let inside = match self {
            _ if (0..length).contains(&index) => index,
            Self::Constant(_) => return None,
            Self::Edge => index.clamp(0, length - 1),
            // A single voxel can only be mirrored onto itself.
            Self::Reflect if n == 1 => 0,
            Self::Reflect => {
                let period = 2 * (length - 1);
                let at = index.rem_euclid(period);
                at.min(period - at)
            }
            Self::Symmetric => {
                let at = index.rem_euclid(2 * length);
                at.min(2 * length - 1 - at)
            }
            Self::Wrap => index.rem_euclid(length),
        };
        usize::try_from(inside).ok()
    }
}

impl fmt::Display for Padding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Constant(value) => write!(f, "constant:{value}"),
            Self::Edge => f.write_str("edge"),
            Self::Reflect => f.write_str("reflect"),
            Self::Symmetric => f.write_str("symmetric"),
            Self::Wrap => f.write_str("wrap"),
        }
    }
}

impl FromStr for Padding {
    type Err = Error;

    /// `constant`, `constant:VALUE`, `edge`, `reflect`, `symmetric` or `wrap`.
    fn from_str(s: &str) -> Result<Self> {
        let constant = |v: &str| v.parse().ok().filter(|v: &f64| !v.is_nan()).map(Self::Constant);
        match s.split_once(':') {
            None => match s {
                "constant" => Some(Self::Constant(0.0)),
                "edge" => Some(Self::Edge),
                "reflect" => Some(Self::Reflect),
                "symmetric" => Some(Self::Symmetric),
                "wrap" => Some(Self::Wrap),
                _ => None,
            },
            Some(("constant", value)) => constant(value),
            Some(_) => None,
        }
        .ok_or_else(|| {
            let reason = "use constant, constant:VALUE, edge, reflect, symmetric or wrap";
            Error::invalid("padding", s, reason)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_constant_that_the_type_cannot_hold_is_refused_with_the_range() {
        let told = |value: f64, dtype: Dtype| {
            Padding::Constant(value).check(dtype).map_err(|error| error.to_string())
        };
        for (dtype, held, refused, range) in [
            (Dtype::UInt8, vec![0.0, -0.0, 255.0], vec![-1.0, 256.0, 0.5], "from 0 to 255"),
            (Dtype::Int8, vec![-128.0], vec![-129.0, 128.0], "from -128 to 127"),
            (Dtype::Int16, vec![-32_768.0], vec![70_000.0, -40_000.0], "from -32768 to 32767"),
            (Dtype::UInt64, vec![1.8e19], vec![2_f64.powi(64), 1e300], "18446744073709551615"),
            (Dtype::Int64, vec![-(2_f64.powi(63))], vec![2_f64.powi(63)], "9223372036854775807"),
            (Dtype::Float16, vec![0.1, f64::NAN], vec![70_000.0, -1e9], "up to 6.5504e4"),
            (Dtype::Float32, vec![0.1, f64::INFINITY], vec![1e39, -1e300], "up to 3.40"),
            (Dtype::Float64, vec![0.1, f64::MAX, f64::NAN], vec![], ""),
        ] {
            assert!(held.iter().all(|value| told(*value, dtype).is_ok()), "{dtype}");
            let never = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY];
            let never = never.into_iter().filter(|_| dtype.is_integer());
            for value in refused.into_iter().chain(never) {
                let text = told(value, dtype).unwrap_err();
                assert!(text.contains(dtype.name()) && text.contains(range), "{text}");
            }
        }
        assert!(Padding::Edge.check(Dtype::UInt8).is_ok());
    }

    #[test]
    fn axes_as_long_as_numbers_go_are_mirrored() {
        let n = usize::MAX;
        let length = i128::try_from(n).unwrap();
        for (padding, before, far) in [
            (Padding::Reflect, 1, 1_i128 << 63),
            (Padding::Symmetric, 0, (1_i128 << 63) - 1),
            (Padding::Wrap, n - 1, length - (1_i128 << 63)),
        ] {
            assert_eq!(padding.source(-1, n), Some(before), "{padding}");
            assert_eq!(
                padding.source(i64::MIN.into(), n).map(|at| at as i128),
                Some(far),
                "{padding}"
            );
        }
        for n in [1 << 62, (1 << 62) + 1, (1 << 63) - 1] {
            for padding in [Padding::Reflect, Padding::Symmetric, Padding::Wrap, Padding::Edge] {
                let found =
                    [i64::MIN, -1, 0, i64::MAX].map(|index| padding.source(index.into(), n));
                assert!(found.iter().all(|at| at.is_some_and(|at| at < n)), "{padding} {found:?}");
            }
        }
    }

    #[test]
    fn indices_are_those_of_numpy_pad() {
        // numpy.pad(numpy.arange(3), (4, 4), mode), written out.
        let cases = [
            (Padding::Edge, [0, 0, 0, 0, 0, 1, 2, 2, 2, 2, 2]),
            (Padding::Reflect, [0, 1, 2, 1, 0, 1, 2, 1, 0, 1, 2]),
            (Padding::Symmetric, [2, 2, 1, 0, 0, 1, 2, 2, 1, 0, 0]),
            (Padding::Wrap, [2, 0, 1, 2, 0, 1, 2, 0, 1, 2, 0]),
        ];
        for (padding, expected) in cases {
            let found: Vec<_> = (-4..7).map(|i| padding.source(i, 3).unwrap()).collect();
            assert_eq!(found, expected, "{padding}");
            assert!((-4..7).all(|i| padding.source(i, 1) == Some(0)));
            assert!(
                [i64::MIN, i64::MAX]
                    .map(i128::from)
                    .iter()
                    .all(|i| padding.source(*i, 3).is_some())
            );
        }
        assert_eq!(Padding::Constant(1.0).source(-1, 3), None);
        assert_eq!(Padding::Constant(1.0).source(1, 3), Some(1));
    }
}
