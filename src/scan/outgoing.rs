//! The header of a file to write, common to all formats.

use crate::{Affine, Dtype, Scaling, Space};

/// The description of the voxels to write.
#[derive(Debug, Clone)]
pub struct WriteHeader {
    /// Type of the voxels; one that the format has ([`crate::scan::ScanFormat::carries`]).
    pub dtype: Dtype,
    /// Shape of one frame, `z, y, x`, each at least 1.
    pub shape: [usize; 3],
    /// Number of time points, at least 1.
    pub times: usize,
    /// Number of channels, at least 1.
    pub channels: usize,
    /// Voxel `(x, y, z)` to RAS millimetres; must be finite and invertible. NIfTI-1 keeps it in
    /// single precision.
    pub affine: Affine,
    /// The coordinate system of the affine. Formats that require one get the scanner's for `None`.
    pub space: Option<Space>,
    /// Scaling from stored voxels to real values.
    pub scaling: Option<Scaling>,
    /// Seconds between time points, positive.
    pub time_step: Option<f64>,
    /// The voxels are labels.
    pub is_label: bool,
}
