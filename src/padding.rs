//! What stands where a patch leaves the volume; the definitions are those of `numpy.pad`.

use std::fmt;
use std::str::FromStr;

use crate::{Error, Result};

/// How voxels outside of the volume are made up.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Padding {
    /// One value everywhere, in the units that are returned; saturated to the voxel type.
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
    /// The index inside an axis of length `n` (at least 1) whose voxel stands at `index`; `None`
    /// if a constant does.
    pub(crate) fn source(self, index: i64, n: usize) -> Option<usize> {
        let length = i64::try_from(n).unwrap_or(i64::MAX);
        let inside = match self {
            _ if (0..length).contains(&index) => index,
            Self::Constant(_) => return None,
            Self::Edge => index.clamp(0, length - 1),
            // A single voxel has nothing to mirror but itself.
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
            assert!(padding.source(i64::MIN, 3).is_some() && padding.source(i64::MAX, 3).is_some());
        }
        assert_eq!(Padding::Constant(1.0).source(-1, 3), None);
        assert_eq!(Padding::Constant(1.0).source(1, 3), Some(1));
    }
}
