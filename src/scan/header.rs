//! What every format tells of its voxels, in one shape.

use super::Order;
use crate::{Affine, Dtype, Finding, Scaling, Space, Spacing};

/// What a scan says of its voxels.
#[derive(Debug, Clone)]
pub struct ScanHeader {
    /// Type of the stored voxels.
    pub dtype: Dtype,
    /// Shape of one frame, `z, y, x`, each at least 1.
    pub shape: [usize; 3],
    /// Number of time points, 1 if there is no time axis.
    pub times: usize,
    /// Number of channels, 1 if there is no channel axis.
    pub channels: usize,
    /// The order in which the voxels of several frames are delivered.
    pub order: Order,
    /// Voxel `(x, y, z)` to RAS millimetres.
    pub affine: Affine,
    /// Which coordinates these are, where the file says.
    pub space: Option<Space>,
    /// Voxel spacing in millimetres, `z, y, x`: the lengths of the affine's columns.
    pub spacing: Spacing,
    /// Seconds between time points, where the file says.
    pub time_step: Option<f64>,
    /// Stored voxel to real value, where the file says.
    pub scaling: Option<Scaling>,
    /// The same where planes are scaled each in its own way: one for each plane of each frame, in
    /// the order of [`Scan::frame`](super::Scan::frame); [`ScanHeader::scaling`] then says nothing.
    /// Otherwise empty.
    pub plane_scalings: Vec<Scaling>,
    /// The file itself declares its voxels to be labels.
    pub is_label: bool,
    /// Name of the format, such as `nifti-1`.
    pub format: &'static str,
    /// Numeric header fields worth keeping, by their names in the format. No free text.
    pub fields: serde_json::Map<String, serde_json::Value>,
    /// What was decided, guessed and repaired while reading the header.
    pub findings: Vec<Finding>,
}

impl ScanHeader {
    /// Number of 3-D frames: times x channels.
    #[must_use]
    pub const fn frames(&self) -> usize {
        self.times * self.channels
    }

    /// Bytes that are delivered together at least: one z-plane of each interleaved frame.
    #[must_use]
    pub const fn step_bytes(&self) -> usize {
        self.order.group() * self.plane_bytes()
    }

    /// Bytes of one z-plane.
    #[must_use]
    pub const fn plane_bytes(&self) -> usize {
        self.shape[1] * self.shape[2] * self.dtype.size()
    }
}
