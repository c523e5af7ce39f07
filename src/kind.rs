//! The meaning of a volume's voxels.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// Whether voxels are measurements, labels, or weights for sampling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A measurement: means and interpolation are meaningful.
    Intensity,
    /// A whole number that names a structure: only equality is meaningful.
    Label,
    /// The relative probability of drawing a voxel: numbers from 0 up, of any sum.
    Weights,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Intensity => "intensity",
            Self::Label => "label",
            Self::Weights => "weights",
        })
    }
}

impl FromStr for Kind {
    type Err = Error;

    fn from_str(s: &str) -> Result<Self> {
        match s {
            "intensity" => Ok(Self::Intensity),
            "label" => Ok(Self::Label),
            "weights" => Ok(Self::Weights),
            _ => Err(Error::invalid("kind", s, "use intensity, label or weights")),
        }
    }
}
