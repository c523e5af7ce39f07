//! What the voxels of a volume mean.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// Whether voxels measure something or name something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A measurement: means and interpolation make sense.
    Intensity,
    /// A whole number naming a structure: only equality makes sense.
    Label,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Intensity => "intensity",
            Self::Label => "label",
        })
    }
}

impl FromStr for Kind {
    type Err = Error;

    fn from_str(s: &str) -> Result<Self> {
        match s {
            "intensity" => Ok(Self::Intensity),
            "label" => Ok(Self::Label),
            _ => Err(Error::invalid("kind", s, "use intensity or label")),
        }
    }
}
