//! The numbers of a header for given values: millimetres, seconds, and the affine as sform, and as
//! qform if a qform can hold it.

use super::WriteHeader;
use super::fields::Fields;
use super::quaternion;
use crate::scan::bytes::ByteOrder;
use crate::{Affine, Dtype, Space};

/// `NIFTI_UNITS_MM` and `NIFTI_UNITS_SEC`.
const UNITS: i64 = 2 | 8;
/// `NIFTI_INTENT_LABEL`: the voxels are labels.
pub(super) const INTENT_LABEL: i64 = 1002;
/// `NIFTI_INTENT_VECTOR`, for several channels.
const INTENT_VECTOR: i64 = 1007;
/// Largest cosine between axes that still counts as a right angle.
const RIGHT_ANGLE: f64 = 1e-6;

/// NIfTI's codes of voxel types.
const DATATYPES: [(Dtype, i64); 10] = [
    (Dtype::UInt8, 2),
    (Dtype::Int16, 4),
    (Dtype::Int32, 8),
    (Dtype::Float32, 16),
    (Dtype::Float64, 64),
    (Dtype::Int8, 256),
    (Dtype::UInt16, 512),
    (Dtype::UInt32, 768),
    (Dtype::Int64, 1024),
    (Dtype::UInt64, 1280),
];

/// NIfTI's code of a voxel type; `None` if it has none.
pub(super) fn datatype(dtype: Dtype) -> Option<i64> {
    DATATYPES.into_iter().find(|(known, _)| *known == dtype).map(|(_, code)| code)
}

/// The numbers of a header with these values, in the given version.
pub(super) fn fields(header: &WriteHeader, version: u8) -> Fields {
    let qform = qform(&header.affine);
    let (qfac, quatern) = qform.unwrap_or((1.0, [0.0; 3]));
    let code = header.space.unwrap_or(Space::Scanner).code();
    let [z, y, x] = header.affine.spacing().map_or([1.0; 3], crate::Spacing::mm);
    let scaling = header.scaling.map_or([1.0, 0.0], |s| [s.slope, s.intercept]);
    let [right, front, head, _] = header.affine.0;
    Fields {
        version,
        order: ByteOrder::Little,
        single: true,
        dim: dim(header),
        pixdim: [qfac, x, y, z, header.time_step.unwrap_or(0.0), 1.0, 1.0, 1.0],
        // Types without a code are refused before.
        datatype: datatype(header.dtype).unwrap_or(0),
        bitpix: 8 * integer(header.dtype.size()),
        vox_offset: 0.0,
        scl_slope: scaling[0],
        scl_inter: scaling[1],
        cal_min: 0.0,
        cal_max: 0.0,
        slice_start: 0,
        slice_end: 0,
        slice_code: 0,
        slice_duration: 0.0,
        toffset: 0.0,
        xyzt_units: UNITS,
        intent_code: match (header.is_label, header.channels) {
            (true, _) => INTENT_LABEL,
            (false, 2..) => INTENT_VECTOR,
            (false, _) => 0,
        },
        intent_p: [0.0; 3],
        dim_info: 0,
        qform_code: if qform.is_some() { code } else { 0 },
        sform_code: code,
        quatern,
        qoffset: [right[3], front[3], head[3]],
        srow: [right, front, head],
    }
}

/// Number of axes, then x, y, z, time, channel and two of 1.
fn dim(header: &WriteHeader) -> [i64; 8] {
    let [z, y, x] = header.shape.map(integer);
    let (times, channels) = (integer(header.times), integer(header.channels));
    let axes = match (times, channels) {
        (_, 2..) => 5,
        (2.., _) => 4,
        _ => 3,
    };
    [axes, x, y, z, times, channels, 1, 1]
}

/// Lossless: the sizes belong to a file that fits 63 bits.
fn integer(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// Handedness and quaternion of an affine whose axes are at right angles; otherwise `None`.
pub(super) fn qform(affine: &Affine) -> Option<(f64, [f64; 3])> {
    let [z, y, x] = affine.spacing().ok()?.mm();
    let lengths = [x, y, z];
    let mut unit: [[f64; 3]; 3] =
        std::array::from_fn(|r| std::array::from_fn(|c| affine.0[r][c] / lengths[c]));
    let column = |m: &[[f64; 3]; 3], c: usize| [m[0][c], m[1][c], m[2][c]];
    let dot = |a: [f64; 3], b: [f64; 3]| a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
    let [x, y, z] = [0, 1, 2].map(|c| column(&unit, c));
    if [dot(x, y), dot(y, z), dot(z, x)].iter().any(|cosine| cosine.abs() > RIGHT_ANGLE) {
        return None;
    }
    let cross = [x[1] * y[2] - x[2] * y[1], x[2] * y[0] - x[0] * y[2], x[0] * y[1] - x[1] * y[0]];
    let qfac = if dot(cross, z) < 0.0 { -1.0 } else { 1.0 };
    for row in &mut unit {
        row[2] *= qfac;
    }
    Some((qfac, quaternion::components(unit)))
}
