//! The choice among equivalent headers: a candidate is accepted if reading it gives exactly the
//! wanted values.

use serde_json::{Map, Value};

use super::fields::Fields;
use super::{NiftiVersion, WriteHeader};
use super::{check, describe, encode, geometry, record};
use crate::{Affine, Scaling};

/// Longest axis of NIfTI-1.
const LONGEST_AXIS: usize = i16::MAX as usize;

/// The fields of a NIfTI-1 header if it can hold the values, rounded to single precision; otherwise
/// of NIfTI-2.
pub(super) fn rounded(header: &WriteHeader) -> Fields {
    describe::fields(header, if fits_one(header) { 1 } else { 2 })
}

/// The chosen fields, and whether numbers were rounded.
pub(super) struct Chosen {
    pub(super) fields: Fields,
    pub(super) is_rounded: bool,
}

/// The first candidate that is read as exactly the wanted values. Candidates have the transforms,
/// units and numbers of the source's header, or those of `header` alone, both as NIfTI-1 before
/// NIfTI-2. The last candidate always succeeds, except for a time step without time points.
///
/// If `version` is given, the best candidate of that version; `None` if it has no room for the
/// volume.
pub(super) fn exact(
    header: &WriteHeader,
    source: &Map<String, Value>,
    version: Option<NiftiVersion>,
) -> Option<Chosen> {
    let plain = |version| describe::fields(header, version);
    let as_source = |version| record::restore(source, plain(version));
    let candidates = [as_source(1), as_source(2), Some(plain(1))];
    let asked = |fields: &Fields| version.is_none_or(|v| v.number() == fields.version);
    let mut candidates = candidates.into_iter().flatten().filter(asked);
    if let Some(fields) = candidates.find(|fields| says(fields, header)) {
        return Some(Chosen { fields, is_rounded: false });
    }
    if version == Some(NiftiVersion::One) {
        return fits_one(header).then(|| Chosen { fields: plain(1), is_rounded: true });
    }
    Some(Chosen { fields: plain(2), is_rounded: false })
}

/// Whether reading these fields gives exactly the wanted values.
fn says(fields: &Fields, header: &WriteHeader) -> bool {
    let Ok(read) = Fields::parse(&encode::bytes(fields)) else { return false };
    let findings = &mut Vec::new();
    let sizes = check::voxels(&read, findings).is_ok_and(|voxels| {
        (voxels.dtype, voxels.shape) == (header.dtype, header.shape)
            && (voxels.times, voxels.channels) == (header.times, header.channels)
    });
    let identity = Scaling { slope: 1.0, intercept: 0.0 };
    let scaling = header.scaling.filter(|scaling| *scaling != identity);
    let step = header.time_step.filter(|_| header.times > 1);
    sizes
        && geometry::affine(&read, header.shape, findings).is_ok_and(|a| a == header.affine)
        && check::scaling(&read).is_ok_and(|found| found == scaling)
        && geometry::time_step(&read, header.times, findings) == step
        && check::is_label(&read, findings) == header.is_label
}

/// Whether the values fit 16-bit sizes and the range of single precision.
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
