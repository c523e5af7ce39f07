//! The header of a scan, common to all formats.

use super::Order;
use crate::{Affine, Dtype, Finding, Scaling, Space, Spacing};

/// The description of a scan's voxels.
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
    /// The coordinate system of the affine, if the file says.
    pub space: Option<Space>,
    /// Voxel spacing in millimetres, `z, y, x`: the lengths of the affine's columns.
    pub spacing: Spacing,
    /// Seconds between time points, if the file says.
    pub time_step: Option<f64>,
    /// Scaling from stored voxels to real values, if the file says.
    pub scaling: Option<Scaling>,
    /// The scalings of planes where they differ: one for each plane of each frame, in the order of
    /// [`Scan::frame`](super::Scan::frame); [`ScanHeader::scaling`] is then `None`. Otherwise
    /// empty.
    pub plane_scalings: Vec<Scaling>,
    /// The file declares its voxels to be labels.
    pub is_label: bool,
    /// Name of the format, such as `nifti-1`.
    pub format: &'static str,
    /// Numeric header fields worth keeping, by their names in the format. No free text.
    pub fields: serde_json::Map<String, serde_json::Value>,
    /// Decisions, guesses and repairs made while reading the header.
    pub findings: Vec<Finding>,
}

impl ScanHeader {
    /// Number of 3-D frames: times x channels.
    #[must_use]
    pub const fn frames(&self) -> usize {
        self.times * self.channels
    }

    /// The smallest number of bytes delivered together: one z-plane of each interleaved frame.
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
