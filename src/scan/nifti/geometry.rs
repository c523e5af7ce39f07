//! The position of the voxels: one affine out of the three that a header can hold, in millimetres.
//!
//! The sform if it has a code, otherwise the qform if it has one, otherwise the plain voxel sizes,
//! as in nibabel. Matrices take voxel indices `(x, y, z)` and give RAS+.

use super::fields::Fields;
use super::quaternion;
use crate::scan::reject::Reject;
use crate::{Affine, Finding};

/// Sform and qform disagree if their positions of a corner of the volume are further apart than
/// this part of the smallest voxel spacing: well above the rounding of single precision.
const DISAGREEMENT: f64 = 0.01;

/// One of the two transforms of a header.
enum Xform {
    Absent,
    Unusable,
    Usable(Affine),
}

impl Xform {
    fn new(code: i64, affine: Option<Affine>) -> Self {
        match affine.filter(Affine::is_usable) {
            _ if code <= 0 => Self::Absent,
            Some(affine) => Self::Usable(affine),
            None => Self::Unusable,
        }
    }
}

/// The affine from voxel `(x, y, z)` to RAS millimetres for a frame of `shape` (`z, y, x`), finite
/// and invertible.
pub(super) fn affine(
    fields: &Fields,
    shape: [usize; 3],
    findings: &mut Vec<Finding>,
) -> Result<Affine, Reject> {
    note_undefined("sform", fields.sform_code, findings);
    note_undefined("qform", fields.qform_code, findings);
    let mut repairs = Vec::new();
    let sform = Xform::new(fields.sform_code, Some(sform(fields)));
    let qform = Xform::new(fields.qform_code, qform(fields, shape, &mut repairs));
    let chosen = match (sform, qform) {
        (Xform::Usable(sform), qform) => {
            findings.extend(beside_sform(fields, &sform, &qform, shape));
            sform
        }
        (Xform::Unusable, Xform::Usable(qform)) => {
            findings.push(Finding::repaired(
                "the sform is not finite or has no volume; the qform was used in its place",
            ));
            findings.append(&mut repairs);
            qform
        }
        (Xform::Absent, Xform::Usable(qform)) => {
            findings.append(&mut repairs);
            qform
        }
        (Xform::Absent, Xform::Absent) => base(fields, shape, findings)?,
        (Xform::Unusable, _) => return Err(unusable("sform", fields.sform_code)),
        (_, Xform::Unusable) => return Err(unusable("qform", fields.qform_code)),
    };
    let unit = millimetres(fields, findings);
    let mut scaled = chosen;
    scaled.0[..3].iter_mut().flatten().for_each(|v| *v *= unit);
    if scaled.is_usable() {
        Ok(scaled)
    } else {
        Err(Reject::Corrupt("the voxel sizes are beyond what numbers can hold".into()))
    }
}

/// The greatest code that NIfTI defines: `NIFTI_XFORM_TEMPLATE_OTHER`.
const GREATEST_CODE: i64 = 5;

/// Notes the treatment of a transform with an undefined code: as in `nifti_clib`, which only asks
/// whether the code is greater than 0.
fn note_undefined(which: &str, code: i64, findings: &mut Vec<Finding>) {
    let done = match code {
        0..=GREATEST_CODE => return,
        ..0 => "counts as absent",
        _ => "counts as present, of an unknown space",
    };
    findings.push(Finding::guessed(format!(
        "{which}_code is {code}, which NIfTI does not define; the {which} {done}"
    )));
}

fn unusable(which: &str, code: i64) -> Reject {
    Reject::Corrupt(format!(
        "{which}_code is {code} but the {which} is not a finite, invertible transform, and no \
         other can take its place; correct it, or set its code to 0 to use pixdim alone"
    ))
}

/// The sform, whatever its code.
pub(super) fn sform(fields: &Fields) -> Affine {
    let [x, y, z] = fields.srow;
    Affine([x, y, z, [0.0, 0.0, 0.0, 1.0]])
}

/// The qform, whatever its code; `None` if its quaternion or the voxel sizes are impossible.
pub(super) fn qform(
    fields: &Fields,
    shape: [usize; 3],
    findings: &mut Vec<Finding>,
) -> Option<Affine> {
    let rotation = quaternion::rotation(fields.quatern)?;
    if quaternion::is_too_long(fields.quatern) {
        findings.push(Finding::repaired(
            "the quaternion of the qform is longer than 1 by at most a part in a million; it was \
             divided by its length",
        ));
    }
    let mut sizes = sizes(fields, shape, findings).ok()?;
    #[allow(clippy::float_cmp)]
    if fields.pixdim[0] == -1.0 {
        sizes[2] = -sizes[2];
    } else if fields.pixdim[0] != 1.0 {
        findings.push(Finding::repaired(format!(
            "pixdim[0] (qfac) is {}, must be 1 or -1; 1 was taken",
            fields.pixdim[0]
        )));
    }
    let row = |r: usize| {
        let [x, y, z]: [f64; 3] = std::array::from_fn(|c| rotation[r][c] * sizes[c]);
        [x, y, z, fields.qoffset[r]]
    };
    Some(Affine([row(0), row(1), row(2), [0.0, 0.0, 0.0, 1.0]]))
}

/// The affine without a transform: axis-aligned, the middle of the volume at the origin, and x
/// growing to the patient's left, as in nibabel.
#[allow(clippy::cast_precision_loss)]
fn base(fields: &Fields, shape: [usize; 3], findings: &mut Vec<Finding>) -> Result<Affine, Reject> {
    let [x, y, z] = sizes(fields, shape, findings)?;
    findings.push(Finding::guessed(
        "no sform and no qform: axes were aligned with the world's, x to the patient's left, \
         centred at the origin",
    ));
    let middle = |axis: usize| (shape[axis] - 1) as f64 / 2.0;
    Ok(Affine([
        [-x, 0.0, 0.0, x * middle(2)],
        [0.0, y, 0.0, -y * middle(1)],
        [0.0, 0.0, z, -z * middle(0)],
        [0.0, 0.0, 0.0, 1.0],
    ]))
}

/// Absolute values of `pixdim` along `x, y, z`.
fn sizes(
    fields: &Fields,
    shape: [usize; 3],
    findings: &mut Vec<Finding>,
) -> Result<[f64; 3], Reject> {
    let mut sizes = [1.0; 3];
    for (axis, size) in sizes.iter_mut().enumerate() {
        let given = fields.pixdim[axis + 1];
        let says_something = given.is_finite() && given != 0.0;
        if says_something {
            *size = given.abs();
            if given < 0.0 {
                findings.push(Finding::repaired(format!(
                    "pixdim[{}] is {given}; its absolute value was taken",
                    axis + 1
                )));
            }
        } else if shape[2 - axis] == 1 {
            findings.push(Finding::guessed(format!(
                "pixdim[{}] is {given} along an axis of one voxel; 1 was taken",
                axis + 1
            )));
        } else {
            return Err(Reject::Corrupt(format!(
                "pixdim[{}] is {given} and no usable sform gives the voxel size; set pixdim or an \
                 sform in the header",
                axis + 1
            )));
        }
    }
    Ok(sizes)
}

/// Findings about the rest of the header where the sform is used.
fn beside_sform(fields: &Fields, sform: &Affine, qform: &Xform, shape: [usize; 3]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let is_empty = |axis: &usize| fields.pixdim[*axis] == 0.0 || !fields.pixdim[*axis].is_finite();
    if let Some(axis) = (1..=3).filter(|axis| shape[3 - axis] > 1).find(is_empty) {
        findings.push(Finding::repaired(format!(
            "pixdim[{axis}] is {}; voxel sizes were taken from the sform",
            fields.pixdim[axis]
        )));
    }
    match qform {
        Xform::Usable(qform) if disagree(sform, qform, shape) => {
            findings.push(Finding::decided(format!(
                "the sform (code {}) and the qform (code {}) disagree; the sform was used, other \
                 readers may use the qform",
                fields.sform_code, fields.qform_code
            )));
        }
        Xform::Unusable => findings
            .push(Finding::decided("the qform is impossible and was ignored; the sform was used")),
        _ => {}
    }
    findings
}

#[allow(clippy::cast_precision_loss)]
fn disagree(a: &Affine, b: &Affine, shape: [usize; 3]) -> bool {
    let spacing = a.spacing().map_or([0.0; 3], crate::Spacing::mm);
    let tolerance = DISAGREEMENT * spacing.into_iter().fold(f64::INFINITY, f64::min);
    (0..8).any(|corner| {
        let voxel: [f64; 3] = std::array::from_fn(|axis| {
            if corner >> axis & 1 == 1 { (shape[axis] - 1) as f64 } else { 0.0 }
        });
        let (a, b) = (a.world(voxel), b.world(voxel));
        (0..3).any(|axis| (a[axis] - b[axis]).abs() > tolerance)
    })
}

/// Millimetres per unit of length of the header.
fn millimetres(fields: &Fields, findings: &mut Vec<Finding>) -> f64 {
    let (unit, name) = match fields.xyzt_units & 0b111 {
        2 => return 1.0,
        1 => (1000.0, "metres"),
        3 => (0.001, "micrometres"),
        code => {
            findings.push(Finding::guessed(format!(
                "the unit of length is not stated (code {code}); millimetres were assumed"
            )));
            return 1.0;
        }
    };
    findings.push(Finding::decided(format!("lengths in {name} were converted to millimetres")));
    unit
}

/// Seconds between time points, if there are several and the header says.
pub(super) fn time_step(fields: &Fields, times: usize, findings: &mut Vec<Finding>) -> Option<f64> {
    let step = fields.pixdim[4];
    if times < 2 || !step.is_finite() || step <= 0.0 {
        return None;
    }
    let seconds = seconds(step, fields.xyzt_units);
    if seconds.is_none() {
        findings.push(Finding::guessed(format!(
            "the unit of the fourth axis (code {}) is not one of time; the time step was ignored",
            fields.xyzt_units & TIME_UNITS
        )));
    }
    seconds
}

/// The bits of a header's units that hold the unit of time.
const TIME_UNITS: i64 = 0b11_1000;

/// Seconds of a step along the fourth axis in these units; `None` if they are not units of time.
pub(super) fn seconds(step: f64, units: i64) -> Option<f64> {
    match units & TIME_UNITS {
        8 => Some(step),
        16 => Some(step / 1e3),
        24 => Some(step / 1e6),
        _ => None,
    }
}
