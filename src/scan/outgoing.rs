//! What a file that is to be written says of its voxels, whatever its format.

use crate::{Affine, Dtype, Scaling, Space};

/// What to say of the voxels.
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
    /// Voxel `(x, y, z)` to RAS millimetres; must be usable. NIfTI-1 keeps it in single precision.
    pub affine: Affine,
    /// Which coordinates these are. A format that must say is told the scanner's for `None`.
    pub space: Option<Space>,
    /// Stored voxel to real value.
    pub scaling: Option<Scaling>,
    /// Seconds between time points, positive.
    pub time_step: Option<f64>,
    /// The voxels are labels.
    pub is_label: bool,
}
