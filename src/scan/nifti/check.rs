//! Checks of a header: voxel type, extents, offset and scaling, before any memory is allocated for
//! them.

use super::fields::{Fields, LONGEST, SHORTEST};
use crate::scan::reject::Reject;
use crate::{Dtype, Finding, Scaling};

/// Bytes between a header and the first possible extension or voxel.
const EXTENDER: usize = 4;
/// `NIFTI_INTENT_LABEL`: the voxels are labels.
const INTENT_LABEL: i64 = 1002;
/// `NIFTI_INTENT_CONN_...`: the matrices of CIFTI-2, which are stored in NIfTI-2 files.
const INTENT_CIFTI: std::ops::Range<i64> = 3000..3100;

/// Type, shape and position of the voxels. Once [`fit`](Voxels::fit) succeeds, their bytes fit
/// `usize`.
#[derive(Debug)]
pub(super) struct Voxels {
    pub(super) dtype: Dtype,
    /// Shape of a frame, `z, y, x`.
    pub(super) shape: [usize; 3],
    pub(super) times: usize,
    pub(super) channels: usize,
    /// First voxel, in bytes from the start of the (inflated) file that holds them.
    pub(super) offset: u64,
}

impl Voxels {
    /// Checks that all voxels can lie inside a file of at most `most` (inflated) bytes.
    pub(super) fn fit(&self, most: u64) -> Result<(), Reject> {
        let [z, y, x] = self.shape;
        let end = [x, y, z, self.times, self.channels]
            .into_iter()
            .try_fold(self.dtype.size() as u64, |bytes, n| bytes.checked_mul(n as u64))
            .and_then(|bytes| bytes.checked_add(self.offset));
        if end.is_some_and(|end| end <= most && usize::try_from(end).is_ok()) {
            return Ok(());
        }
        Err(Reject::Corrupt(format!(
            "the header describes {} x {} frames of {z}x{y}x{x} (z, y, x) {} voxels from byte {}, \
             but the file cannot hold more than {most} bytes; the file is truncated or its header \
             wrong",
            self.times, self.channels, self.dtype, self.offset
        )))
    }
}

/// Checks type, extents and offset; [`Voxels::fit`] must be called next.
pub(super) fn voxels(fields: &Fields, findings: &mut Vec<Finding>) -> Result<Voxels, Reject> {
    // The extents come first: `dim[0]` confirms the byte order in which all other fields were read.
    let [x, y, z, times, channels] = extents(fields)?;
    if INTENT_CIFTI.contains(&fields.intent_code) {
        return Err(Reject::Unsupported(format!(
            "a CIFTI file (intent code {}): a matrix over vertices of surfaces and voxels, not a \
             volume; extract the volume first: wb_command -cifti-separate FILE COLUMN -volume-all \
             OUT.nii.gz",
            fields.intent_code
        )));
    }
    let dtype = dtype(fields, findings)?;
    let offset = offset(fields, findings)?;
    Ok(Voxels { dtype, shape: [z, y, x], times, channels, offset })
}

/// Sizes along x, y, z, time, channel; missing axes have size 1.
fn extents(fields: &Fields) -> Result<[usize; 5], Reject> {
    let axes = usize::try_from(fields.dim[0]).ok().filter(|n| (1..=7).contains(n));
    let Some(axes) = axes else {
        return Err(Reject::Corrupt(format!("dim[0] is {}, must be 1 to 7", fields.dim[0])));
    };
    if fields.dim[1] == -1 && fields.version == 1 {
        return Err(Reject::Unsupported(
            "dim[1] is -1, as FreeSurfer writes for axes above 32767; convert it to NIfTI-2".into(),
        ));
    }
    let mut sizes = [1; 7];
    for axis in 1..=axes {
        let size = fields.dim[axis];
        sizes[axis - 1] = usize::try_from(size)
            .ok()
            .filter(|n| *n > 0)
            .ok_or_else(|| Reject::Corrupt(format!("dim[{axis}] is {size}, must be at least 1")))?;
    }
    let [x, y, z, times, channels, rest @ ..] = sizes;
    if rest != [1, 1] {
        return Err(Reject::Unsupported(format!(
            "dim[6] is {} and dim[7] is {}; only x, y, z, time and channel are supported, so split \
             the others",
            rest[0], rest[1]
        )));
    }
    Ok([x, y, z, times, channels])
}

fn dtype(fields: &Fields, findings: &mut Vec<Finding>) -> Result<Dtype, Reject> {
    let dtype = match fields.datatype {
        2 => Dtype::UInt8,
        4 => Dtype::Int16,
        8 => Dtype::Int32,
        16 => Dtype::Float32,
        64 => Dtype::Float64,
        256 => Dtype::Int8,
        512 => Dtype::UInt16,
        768 => Dtype::UInt32,
        1024 => Dtype::Int64,
        1280 => Dtype::UInt64,
        code => {
            let what = match code {
                0 => "unknown",
                1 => "single bits",
                32 | 1792 | 2048 => "complex",
                128 | 2304 => "colour",
                1536 => "float128",
                _ => "not defined by NIfTI",
            };
            return Err(Reject::Unsupported(format!(
                "datatype {code} ({what}) is not supported; convert it to integers of 8 to 64 \
                 bits, float32 or float64 (2, 4, 8, 16, 64, 256, 512, 768, 1024, 1280)"
            )));
        }
    };
    let bits = 8 * dtype.size();
    if usize::try_from(fields.bitpix) != Ok(bits) {
        findings.push(Finding::repaired(format!(
            "bitpix is {} but datatype {} ({dtype}) has {bits} bits; the datatype was taken",
            fields.bitpix, fields.datatype
        )));
    }
    Ok(dtype)
}

fn offset(fields: &Fields, findings: &mut Vec<Finding>) -> Result<u64, Reject> {
    let header = if fields.version == 1 { SHORTEST } else { LONGEST };
    let first = if fields.single { (header + EXTENDER) as u64 } else { 0 };
    let given = fields.vox_offset;
    if given == 0.0 {
        if fields.single {
            findings.push(Finding::repaired(format!(
                "vox_offset is 0 in a single file; voxels were read from byte {first}"
            )));
        }
        return Ok(first);
    }
    // Whole numbers below 2^63, which no file exceeds.
    let whole = given.is_finite() && given.fract() == 0.0 && (0.0..2f64.powi(63)).contains(&given);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let offset = whole.then_some(given as u64).filter(|offset| *offset >= first);
    offset.ok_or_else(|| {
        Reject::Corrupt(format!(
            "vox_offset is {given}, must be a whole number of bytes, at least {first}"
        ))
    })
}

/// The scaling, if the header holds one that is not the identity.
pub(super) fn scaling(fields: &Fields) -> Result<Option<Scaling>, Reject> {
    let (slope, intercept) = (fields.scl_slope, fields.scl_inter);
    if slope == 0.0 || !slope.is_finite() {
        return Ok(None);
    }
    if !intercept.is_finite() {
        return Err(Reject::Corrupt(format!(
            "scl_slope is {slope} but scl_inter is {intercept}; set both, or slope 0 for none"
        )));
    }
    let scaling = Scaling { slope, intercept };
    Ok((scaling != Scaling { slope: 1.0, intercept: 0.0 }).then_some(scaling))
}

pub(super) fn is_label(fields: &Fields, findings: &mut Vec<Finding>) -> bool {
    let is_label = fields.intent_code == INTENT_LABEL;
    if is_label {
        findings.push(Finding::decided("intent_code 1002 declares the voxels to be labels"));
    }
    is_label
}
