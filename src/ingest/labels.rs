//! Label maps with a scaling: voxels are replaced by the labels that they mean.

use super::narrow::planes;
use crate::scan::{Scan, ScanHeader};
use crate::{Dtype, Element, Error, Finding, Frame, Hint, Result, Scaling, with_element};

/// The most that a label may be off a whole number. Beyond this, rounding cannot be told from a
/// value between labels.
const FURTHEST: f64 = 0.01;

/// The largest number up to which `f64` holds every whole number.
const LARGEST: f64 = 9_007_199_254_740_992.0;

/// Voxels that are converted together.
const BLOCK: usize = 256;

/// The types of labels and other whole numbers, with their least and greatest values: the narrowest
/// first, and unsigned before signed.
pub(super) const TYPES: [(Dtype, i64, i64); 7] = [
    (Dtype::UInt8, 0, u8::MAX as i64),
    (Dtype::Int8, i8::MIN as i64, i8::MAX as i64),
    (Dtype::UInt16, 0, u16::MAX as i64),
    (Dtype::Int16, i16::MIN as i64, i16::MAX as i64),
    (Dtype::UInt32, 0, u32::MAX as i64),
    (Dtype::Int32, i32::MIN as i64, i32::MAX as i64),
    (Dtype::Int64, i64::MIN, i64::MAX),
];

/// The scan, at its first plane, with voxels replaced by the labels that they mean: as the
/// narrowest integers that hold all labels, without a scaling. The finding says so.
///
/// Reads the scan through; `progress` counts all its bytes.
///
/// # Errors
/// [`Error::InvalidArgument`] for the first voxel whose real value is not a label.
pub(super) fn meant(
    mut scan: Box<dyn Scan>,
    scaling: Scaling,
    progress: &(dyn Fn(u64) -> bool + Sync),
) -> Result<(Box<dyn Scan>, Finding)> {
    let (least, greatest) = survey(&mut *scan, scaling, progress)?;
    scan.rewind()?;
    let (from, holds) = (scan.header().dtype, |(_, low, high): &&(Dtype, i64, i64)| {
        *low <= least && greatest <= *high
    });
    let to = TYPES.iter().find(holds).map_or(Dtype::Int64, |(dtype, ..)| *dtype);
    let Scaling { slope, intercept } = scaling;
    let told = format!(
        "labels are stored as the numbers that they mean, {least} to {greatest}, as {to}: voxels \
         of the source are {from}, label = {slope} x voxel + {intercept}"
    );
    let header = ScanHeader { dtype: to, scaling: None, ..scan.header().clone() };
    let planes = planes(scan.header())?;
    Ok((Box::new(Meant { scan, header, from, scaling, planes }), Finding::decided(told)))
}

/// The label that a voxel means; `None` if its real value is not a whole number.
///
/// Allows for two roundings: a program that scales values takes the nearest voxel, so values are
/// off by up to half a slope; and most files hold slope and intercept as `float32`, which moves
/// either term by its last digit.
#[allow(clippy::cast_possible_truncation)]
fn label(voxel: f64, Scaling { slope, intercept }: Scaling) -> Option<i64> {
    let scaled = voxel * slope;
    let value = scaled + intercept;
    let digits = f64::from(f32::EPSILON) * (scaled.abs() + intercept.abs());
    let rounding = (slope.abs() / 2.0 + digits).min(FURTHEST);
    let nearest = value.round();
    // This comparison refuses a NaN as well.
    let whole = (value - nearest).abs() <= rounding && nearest.abs() <= LARGEST;
    whole.then_some(nearest as i64)
}

/// Voxels as labels, or the index and value of the first voxel that is not a label.
fn labels<T: Element>(
    voxels: &[u8],
    scaling: Scaling,
    mut each: impl FnMut(&[i64]),
) -> std::result::Result<(), (usize, f64)> {
    let mut block = [0; BLOCK];
    for (n, voxels) in voxels.chunks(BLOCK * size_of::<T>()).enumerate() {
        let block = &mut block[..voxels.len() / size_of::<T>()];
        for (at, bytes) in voxels.chunks_exact(size_of::<T>()).enumerate() {
            let voxel = bytemuck::pod_read_unaligned::<T>(bytes).to_f64();
            let value = || voxel * scaling.slope + scaling.intercept;
            block[at] = label(voxel, scaling).ok_or_else(|| (n * BLOCK + at, value()))?;
        }
        each(block);
    }
    Ok(())
}

/// The least and the greatest label.
fn survey(
    scan: &mut dyn Scan,
    scaling: Scaling,
    progress: &(dyn Fn(u64) -> bool + Sync),
) -> Result<(i64, i64)> {
    let ScanHeader { dtype, shape: [deep, rows, columns], order, .. } = *scan.header();
    let step = scan.header().step_bytes();
    let mut batch = planes(scan.header())?;
    let (mut least, mut greatest) = (i64::MAX, i64::MIN);
    for first in (0..scan.header().frames()).step_by(order.group()) {
        let mut z = 0;
        while z < deep {
            let count = (batch.len() / step).min(deep - z);
            let voxels = &mut batch[..count * step];
            scan.read_planes(voxels)?;
            let each = |labels: &[i64]| {
                for label in labels {
                    (least, greatest) = (least.min(*label), greatest.max(*label));
                }
            };
            with_element!(dtype, T => labels::<T>(voxels, scaling, each)).map_err(
                |(delivered, value)| {
                    let (n, place) = order.place(delivered, rows * columns);
                    no_label(scan.header(), scan.frame(first + n), (z, place), value)
                },
            )?;
            if !progress(voxels.len() as u64) {
                return Err(Error::Cancelled);
            }
            z += count;
        }
    }
    Ok((least, greatest))
}

/// The error for a voxel that is not a label; its index counts from the beginning of a plane.
fn no_label(header: &ScanHeader, frame: Frame, at: (usize, usize), value: f64) -> Error {
    let (plane, place) = at;
    let [_, rows, columns] = header.shape;
    let (z, y, x) = (plane + place / (rows * columns), place / columns % rows, place % columns);
    let frame = if header.frames() > 1 {
        format!(" of time {}, channel {}", frame.time, frame.channel)
    } else {
        String::new()
    };
    let reason = format!(
        "at voxel {z},{y},{x} (z, y, x){frame} is not a whole number, so this is not a label map: \
         round it and save it as integers, or convert it as intensities"
    );
    Error::invalid("label", value, reason).hinting(Hint::AsIntensities)
}

/// A scan that delivers labels instead of the voxels of an inner scan.
struct Meant {
    scan: Box<dyn Scan>,
    header: ScanHeader,
    /// Type of the inner scan's voxels.
    from: Dtype,
    scaling: Scaling,
    /// Buffer for planes of the inner scan.
    planes: Vec<u8>,
}

impl Scan for Meant {
    fn header(&self) -> &ScanHeader {
        &self.header
    }

    fn frame(&self, n: usize) -> Frame {
        self.scan.frame(n)
    }

    fn read_planes(&mut self, out: &mut [u8]) -> Result<()> {
        let (raw, item) = (self.from.size(), self.header.dtype.size());
        for out in out.chunks_mut(self.planes.len() / raw * item) {
            let planes = &mut self.planes[..out.len() / item * raw];
            self.scan.read_planes(planes)?;
            let mut out = out.chunks_mut(BLOCK * item);
            let each = |labels: &[i64]| {
                let out = out.next().unwrap_or_default();
                with_element!(self.header.dtype, T => write::<T>(labels, out));
            };
            with_element!(self.from, T => labels::<T>(planes, self.scaling, each)).map_err(
                |_| {
                    let reason = "the voxels of the scan changed while they were read; convert it \
                                  again";
                    Error::invalid("scan", self.header.format, reason)
                },
            )?;
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<Vec<Finding>> {
        self.scan.finish()
    }

    fn rewind(&mut self) -> Result<()> {
        self.scan.rewind()
    }
}

/// Writes labels, which were found to fit the type and `f64`.
#[allow(clippy::cast_precision_loss)]
fn write<T: Element>(labels: &[i64], out: &mut [u8]) {
    for (label, out) in labels.iter().zip(out.chunks_exact_mut(size_of::<T>())) {
        out.copy_from_slice(bytemuck::bytes_of(&T::from_f64(*label as f64)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_what_the_writer_rounded_and_nothing_between_two() {
        // As nibabel saves 0, 1 and 2 in 16 bits, with a slope of float32.
        let scaling = Scaling {
            slope: f64::from(2.0_f32 / 65_535.0),
            intercept: f64::from(32_768.0_f32 * (2.0_f32 / 65_535.0)),
        };
        for (voxel, means) in [(-32_768.0, 0), (0.0, 1), (32_767.0, 2)] {
            assert_eq!(label(voxel, scaling), Some(means));
        }
        for voxel in [-16_384.0, 5.0, 32_000.0, f64::NAN, f64::INFINITY] {
            assert_eq!(label(voxel, scaling), None, "{voxel}");
        }
        let of = |slope, intercept| Scaling { slope, intercept };
        assert_eq!(label(7.0, of(2.0, -3.0)), Some(11));
        assert_eq!(label(7.0, of(1.0, 0.5)), None);
        assert_eq!(label(3.0, of(f64::from(0.1_f32), 0.0)), None);
        assert_eq!(label(30.0, of(f64::from(0.1_f32), 0.0)), Some(3));
        assert_eq!(label(1.0, of(1e300, 0.0)), None);
    }
}
