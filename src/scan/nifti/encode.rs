//! A header as bytes, little-endian: NIfTI-1 where it can hold the values, else NIfTI-2.

use super::WriteHeader;
use super::quaternion;
use crate::{Affine, Dtype};

/// Longest axis of NIfTI-1.
const LONGEST_AXIS: usize = i16::MAX as usize;
/// `NIFTI_UNITS_MM` and `NIFTI_UNITS_SEC`.
const UNITS: u8 = 2 | 8;
/// `NIFTI_INTENT_LABEL`.
const INTENT_LABEL: i16 = 1002;
/// `NIFTI_INTENT_VECTOR`, for several channels.
const INTENT_VECTOR: i16 = 1007;
/// Largest cosine between axes that still counts as a right angle.
const RIGHT_ANGLE: f64 = 1e-6;

/// Offset of each field that both versions have, and the width of its numbers.
struct Version {
    /// Bytes before the voxels: header and an empty extension flag.
    length: usize,
    wide: bool,
    datatype: usize,
    dim: usize,
    intent_code: usize,
    pixdim: usize,
    vox_offset: usize,
    scl: usize,
    units: usize,
    codes: usize,
    quatern: usize,
    srow: usize,
}

const ONE: Version = Version {
    length: 352,
    wide: false,
    datatype: 70,
    dim: 40,
    intent_code: 68,
    pixdim: 76,
    vox_offset: 108,
    scl: 112,
    units: 123,
    codes: 252,
    quatern: 256,
    srow: 280,
};

const TWO: Version = Version {
    length: 544,
    wide: true,
    datatype: 12,
    dim: 16,
    intent_code: 504,
    pixdim: 104,
    vox_offset: 168,
    scl: 176,
    units: 500,
    codes: 344,
    quatern: 352,
    srow: 400,
};

/// All bytes of a single file up to its first voxel.
pub(super) fn header(header: &WriteHeader) -> Vec<u8> {
    let version = if fits_one(header) { ONE } else { TWO };
    let mut out = Out { bytes: vec![0; version.length], wide: version.wide };
    let (length, magic, magic_at): (i32, &[u8], _) =
        if version.wide { (540, b"n+2\0\r\n\x1a\n", 4) } else { (348, b"n+1\0", 344) };
    out.put(0, &length.to_le_bytes());
    out.put(magic_at, magic);
    // A header of no such type is refused before.
    let (code, bits) = datatype(header.dtype).unwrap_or_default();
    out.put(version.datatype, &code.to_le_bytes());
    out.put(version.datatype + 2, &bits.to_le_bytes());
    out.sizes(version.dim, &dim(header));
    let intent = match (header.is_label, header.channels) {
        (true, _) => INTENT_LABEL,
        (false, 2..) => INTENT_VECTOR,
        (false, _) => 0,
    };
    // In NIfTI-2 these codes are wider; little-endian, the rest stays zero.
    out.put(version.intent_code, &intent.to_le_bytes());
    out.put(version.units, &[UNITS]);
    let qform = qform(&header.affine);
    let (qfac, quatern) = qform.unwrap_or((1.0, [0.0; 3]));
    let qform_code = if qform.is_some() { header.xform_code } else { 0 };
    let code_width = if version.wide { 4 } else { 2 };
    out.put(version.codes, &qform_code.to_le_bytes());
    out.put(version.codes + code_width, &header.xform_code.to_le_bytes());
    let [z, y, x] = header.affine.spacing().map_or([1.0; 3], crate::Spacing::mm);
    let step = header.time_step.unwrap_or(0.0);
    out.numbers(version.pixdim, &[qfac, x, y, z, step, 1.0, 1.0, 1.0]);
    if version.wide {
        out.put(version.vox_offset, &(version.length as u64).to_le_bytes());
    } else {
        out.numbers(version.vox_offset, &[352.0]);
    }
    let scaling = header.scaling.map_or([1.0, 0.0], |s| [s.slope, s.intercept]);
    out.numbers(version.scl, &scaling);
    let rows = &header.affine.0;
    let origin = [rows[0][3], rows[1][3], rows[2][3]];
    out.numbers(version.quatern, &[quatern, origin].concat());
    out.numbers(version.srow, &rows[..3].concat());
    out.bytes
}

/// Whether the values survive 16-bit sizes and single precision (rounded, but still of use).
fn fits_one(header: &WriteHeader) -> bool {
    #[allow(clippy::cast_possible_truncation)]
    let single = |v: f64| f64::from(v as f32);
    let [z, y, x] = header.shape;
    let scaling_holds = header.scaling.is_none_or(|s| {
        let (slope, intercept) = (single(s.slope), single(s.intercept));
        slope != 0.0 && slope.is_finite() && intercept.is_finite()
    });
    [x, y, z, header.times, header.channels].iter().all(|n| *n <= LONGEST_AXIS)
        && Affine(header.affine.0.map(|row| row.map(single))).is_usable()
        && header.time_step.is_none_or(|t| single(t).is_finite() && single(t) > 0.0)
        && scaling_holds
}

/// Code and bits of a voxel; `None` for the type that NIfTI does not have.
pub(super) const fn datatype(dtype: Dtype) -> Option<(i16, i16)> {
    let code = match dtype {
        Dtype::UInt8 => (2, 8),
        Dtype::Int16 => (4, 16),
        Dtype::Int32 => (8, 32),
        Dtype::Float32 => (16, 32),
        Dtype::Float64 => (64, 64),
        Dtype::Int8 => (256, 8),
        Dtype::UInt16 => (512, 16),
        Dtype::UInt32 => (768, 32),
        Dtype::Int64 => (1024, 64),
        Dtype::UInt64 => (1280, 64),
        Dtype::Float16 => return None,
    };
    Some(code)
}

/// Number of axes, then x, y, z, time, channel and two of 1.
fn dim(header: &WriteHeader) -> [u64; 8] {
    let [z, y, x] = header.shape.map(|n| n as u64);
    let (times, channels) = (header.times as u64, header.channels as u64);
    let axes = match (times, channels) {
        (_, 2..) => 5,
        (2.., _) => 4,
        _ => 3,
    };
    [axes, x, y, z, times, channels, 1, 1]
}

/// Handedness and quaternion of an affine whose axes are at right angles; `None` for others.
fn qform(affine: &Affine) -> Option<(f64, [f64; 3])> {
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

/// Header bytes in the making. All offsets are constants of this file, inside the header.
struct Out {
    bytes: Vec<u8>,
    /// 64-bit sizes and numbers instead of 16 and 32.
    wide: bool,
}

impl Out {
    fn put(&mut self, at: usize, value: &[u8]) {
        self.bytes[at..at + value.len()].copy_from_slice(value);
    }

    /// Sizes fit the width: [`fits_one`] has looked.
    fn sizes(&mut self, at: usize, values: &[u64]) {
        let width = if self.wide { 8 } else { 2 };
        for (i, value) in values.iter().enumerate() {
            self.put(at + i * width, &value.to_le_bytes()[..width]);
        }
    }

    #[allow(clippy::cast_possible_truncation)]
    fn numbers(&mut self, at: usize, values: &[f64]) {
        for (i, value) in values.iter().enumerate() {
            if self.wide {
                self.put(at + i * 8, &value.to_le_bytes());
            } else {
                self.put(at + i * 4, &(*value as f32).to_le_bytes());
            }
        }
    }
}
