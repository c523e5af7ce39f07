//! As what a view returns voxels.

use crate::{Dtype, Normalise};

/// As what voxels are returned.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Values {
    /// In the type of the source.
    Source,
    /// Scaled, as `f32`.
    Real,
    /// Scaled and normalised, as `f32`.
    Normalised(Normalise),
    /// The source's voxels in another type.
    Converted(Dtype),
    /// In the type that is on disk.
    Stored,
}

impl Values {
    /// What tells them from others, to people.
    pub(super) fn words(self) -> String {
        match self {
            Self::Source => "as the scan has them".to_owned(),
            Self::Real => "real values".to_owned(),
            Self::Normalised(Normalise { clip, mean, std }) => {
                let clipped = clip.map_or_else(String::new, |(low, high)| {
                    format!("clipped to {low} to {high}, ")
                });
                format!("real values, {clipped}less {mean}, divided by {std}")
            }
            Self::Converted(dtype) => format!("converted to {dtype}"),
            Self::Stored => "as stored".to_owned(),
        }
    }
}
