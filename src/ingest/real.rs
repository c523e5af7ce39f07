//! Scans whose planes have different scalings: voxels become real values, because a volume has one
//! type and at most one scaling.

use super::labels::TYPES;
use super::narrow::planes;
use crate::scan::{Order, Scan, ScanHeader};
use crate::{Dtype, Element, Error, Finding, Frame, Result, Scaling, with_element};

/// Voxels that are converted together.
const BLOCK: usize = 256;

/// The scaling that changes no value.
const IDENTITY: Scaling = Scaling { slope: 1.0, intercept: 0.0 };

/// The scan with one scaling for all planes, or with none.
///
/// If all planes have the same scaling, voxels stay as they are. Otherwise they become real values:
/// as the narrowest integers of up to 32 bits that hold every value which voxels of the scan's type
/// can mean, if slopes and intercepts are whole numbers; otherwise as `float32`. A finding says so.
///
/// # Errors
/// [`Error::InvalidArgument`] if the number of scalings differs from that of planes, and for a
/// scaling that is not finite.
pub(super) fn scaled_alike(scan: Box<dyn Scan>) -> Result<(Box<dyn Scan>, Option<Finding>)> {
    let header = scan.header();
    let scalings = header.plane_scalings.clone();
    let Some(first) = scalings.first().copied() else { return Ok((scan, None)) };
    let wanted = header.frames() * header.shape[0];
    if scalings.len() != wanted {
        let reason = format!(
            "the scan has {wanted} planes, and needs one scaling for each, or \
                              none"
        );
        return Err(Error::invalid("number of plane scalings", scalings.len(), reason));
    }
    let is_finite = |s: &Scaling| s.slope.is_finite() && s.intercept.is_finite();
    if let Some(n) = scalings.iter().position(|scaling| !is_finite(scaling)) {
        let value = format!("{:?}", scalings[n]);
        let reason = format!("plane {n} of the scan needs a finite slope and intercept");
        return Err(Error::invalid("scaling", value, reason));
    }
    let is_global = scalings.iter().all(|scaling| *scaling == first);
    let from = header.dtype;
    let to = if is_global { from } else { holding(from, &scalings) };
    let scaling = Some(first).filter(|scaling| is_global && *scaling != IDENTITY);
    let header = ScanHeader { dtype: to, scaling, plane_scalings: Vec::new(), ..header.clone() };
    if is_global {
        return Ok((Box::new(Real { scan, header, raw: None }), None));
    }
    let told = format!(
        "planes of the source have different scalings: their real values are stored, as {to}; \
         voxels of the source are {from}"
    );
    let raw = Raw { from, scalings, planes: planes(scan.header())?, at: 0 };
    Ok((Box::new(Real { scan, header, raw: Some(raw) }), Some(Finding::decided(told))))
}

/// The type that holds the real values of voxels of a type.
fn holding(from: Dtype, scalings: &[Scaling]) -> Dtype {
    let limits = TYPES.into_iter().find(|(dtype, ..)| *dtype == from);
    let Some((_, low, high)) = limits else { return Dtype::Float32 };
    let mut range = (i128::MAX, i128::MIN);
    for Scaling { slope, intercept } in scalings {
        let (Some(slope), Some(intercept)) = (whole(*slope), whole(*intercept)) else {
            return Dtype::Float32;
        };
        for voxel in [low, high] {
            let value = i128::from(voxel) * slope + intercept;
            range = (range.0.min(value), range.1.max(value));
        }
    }
    let holds = |(dtype, low, high): &(Dtype, i64, i64)| {
        dtype.size() <= 4 && i128::from(*low) <= range.0 && range.1 <= i128::from(*high)
    };
    TYPES.into_iter().find(holds).map_or(Dtype::Float32, |(dtype, ..)| dtype)
}

/// A whole number of at most 32 bits: larger numbers give values beyond any 32-bit type.
#[allow(clippy::cast_possible_truncation)]
fn whole(number: f64) -> Option<i128> {
    let is_whole = number.fract() == 0.0 && number.abs() <= f64::from(u32::MAX);
    is_whole.then_some(number as i128)
}

/// A scan that delivers the voxels of an inner scan under another header.
struct Real {
    scan: Box<dyn Scan>,
    header: ScanHeader,
    /// How voxels become real values; `None` if they stay as they are.
    raw: Option<Raw>,
}

/// Buffer and scalings of the inner scan's voxels.
struct Raw {
    from: Dtype,
    /// For each frame in the order of delivery, one scaling for each plane.
    scalings: Vec<Scaling>,
    planes: Vec<u8>,
    /// Number of steps delivered; a step is one plane of each interleaved frame.
    at: usize,
}

impl Scan for Real {
    fn header(&self) -> &ScanHeader {
        &self.header
    }

    fn frame(&self, n: usize) -> Frame {
        self.scan.frame(n)
    }

    fn read_planes(&mut self, out: &mut [u8]) -> Result<()> {
        let Some(raw) = &mut self.raw else { return self.scan.read_planes(out) };
        let (wide, item) = (raw.from.size(), self.header.dtype.size());
        let step = self.header.step_bytes();
        for out in out.chunks_mut(raw.planes.len() / wide * item) {
            let length = out.len() / item * wide;
            self.scan.read_planes(&mut raw.planes[..length])?;
            let delivered = raw.planes[..length].chunks(step / item * wide);
            for (from, out) in delivered.zip(out.chunks_mut(step)) {
                scale(&self.header, raw.from, &raw.scalings, raw.at, from, out);
                raw.at += 1;
            }
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<Vec<Finding>> {
        self.scan.finish()
    }

    fn rewind(&mut self) -> Result<()> {
        if let Some(raw) = &mut self.raw {
            raw.at = 0;
        }
        self.scan.rewind()
    }
}

/// Turns the `at`-th step of the delivery into real values.
fn scale(
    header: &ScanHeader,
    from: Dtype,
    scalings: &[Scaling],
    at: usize,
    voxels: &[u8],
    out: &mut [u8],
) {
    let (depth, group) = (header.shape[0], header.order.group());
    let (first, z) = (at / depth * group, at % depth);
    let of_frame = |n: usize| scalings[(first + n) * depth + z];
    let here: Vec<_> = (0..group).map(of_frame).collect();
    let plane = header.plane_bytes() / header.dtype.size();
    let of_voxel = |voxel: usize| match header.order {
        Order::Voxels(_) => here[voxel % group],
        Order::Frames | Order::Planes(_) => here[voxel / plane],
    };
    let mut block = [0.0; BLOCK];
    let blocks =
        voxels.chunks(BLOCK * from.size()).zip(out.chunks_mut(BLOCK * header.dtype.size()));
    for (n, (voxels, out)) in blocks.enumerate() {
        let block = &mut block[..voxels.len() / from.size()];
        with_element!(from, T => read::<T>(voxels, block));
        for (at, value) in block.iter_mut().enumerate() {
            let Scaling { slope, intercept } = of_voxel(n * BLOCK + at);
            *value = *value * slope + intercept;
        }
        with_element!(header.dtype, T => write::<T>(block, out));
    }
}

fn read<T: Element>(voxels: &[u8], values: &mut [f64]) {
    for (voxel, value) in voxels.chunks_exact(size_of::<T>()).zip(values) {
        *value = bytemuck::pod_read_unaligned::<T>(voxel).to_f64();
    }
}

fn write<T: Element>(values: &[f64], out: &mut [u8]) {
    for (value, out) in values.iter().zip(out.chunks_exact_mut(size_of::<T>())) {
        out.copy_from_slice(bytemuck::bytes_of(&<T as Element>::from_f64(*value)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(f64, f64)]) -> Vec<Scaling> {
        pairs
            .iter()
            .map(|(slope, intercept)| Scaling { slope: *slope, intercept: *intercept })
            .collect()
    }

    #[test]
    fn integers_are_taken_where_they_hold_whatever_a_voxel_can_mean() {
        for (from, pairs, to) in [
            (Dtype::UInt8, &[(1.0, 0.0), (1.0, -1.0)][..], Dtype::Int16),
            (Dtype::Int8, &[(1.0, 128.0), (-1.0, 127.0)], Dtype::UInt8),
            (Dtype::Int8, &[(1.0, 128.0), (1.0, 127.0)], Dtype::Int16),
            (Dtype::UInt8, &[(2.0, 0.0), (257.0, 0.0)], Dtype::UInt16),
            (Dtype::UInt8, &[(2.0, 0.0), (258.0, 0.0)], Dtype::UInt32),
            (Dtype::Int16, &[(65_536.0, 0.0), (1.0, 0.0)], Dtype::Int32),
            (Dtype::Int16, &[(65_537.0, 0.0), (1.0, 0.0)], Dtype::Float32),
            (Dtype::Int16, &[(1.0, 0.0), (1.0, 0.5)], Dtype::Float32),
            (Dtype::Int16, &[(1.0, 0.0), (0.1, 0.0)], Dtype::Float32),
            (Dtype::Int16, &[(1.0, 1e300), (1.0, 0.0)], Dtype::Float32),
            (Dtype::UInt64, &[(1.0, 0.0), (2.0, 0.0)], Dtype::Float32),
            (Dtype::Int64, &[(1.0, 0.0), (2.0, 0.0)], Dtype::Float32),
            (Dtype::Float64, &[(1.0, 0.0), (2.0, 0.0)], Dtype::Float32),
        ] {
            assert_eq!(holding(from, &of(pairs)), to, "{from} {pairs:?}");
        }
    }
}
