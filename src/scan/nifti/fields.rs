//! The fields of a NIfTI header as stored; both versions in one struct.
//!
//! Offsets are those of `nifti1.h` (348 bytes) and `nifti2.h` (540 bytes). Text fields are not
//! read, so that they cannot leak.

use crate::scan::bytes::ByteOrder;
use crate::scan::reject::Reject;

/// Length of a NIfTI-1 header.
pub(super) const SHORTEST: usize = 348;
/// Length of a NIfTI-2 header.
pub(super) const LONGEST: usize = 540;
/// Follows `n+2` or `ni2` in NIfTI-2; any transfer in text mode alters it.
const GUARD: &[u8] = b"\0\r\n\x1a\n";

/// A parsed header. Its values are not checked.
#[derive(Debug, Clone)]
pub(super) struct Fields {
    pub(super) version: u8,
    pub(super) order: ByteOrder,
    /// Header and voxels share a file.
    pub(super) single: bool,
    pub(super) dim: [i64; 8],
    pub(super) pixdim: [f64; 8],
    pub(super) datatype: i64,
    pub(super) bitpix: i64,
    /// An integer in NIfTI-2; `f64` is exact for any offset in a real file.
    pub(super) vox_offset: f64,
    pub(super) scl_slope: f64,
    pub(super) scl_inter: f64,
    pub(super) cal_min: f64,
    pub(super) cal_max: f64,
    pub(super) slice_start: i64,
    pub(super) slice_end: i64,
    pub(super) slice_code: i64,
    pub(super) slice_duration: f64,
    pub(super) toffset: f64,
    pub(super) xyzt_units: i64,
    pub(super) intent_code: i64,
    pub(super) intent_p: [f64; 3],
    pub(super) dim_info: u8,
    pub(super) qform_code: i64,
    pub(super) sform_code: i64,
    pub(super) quatern: [f64; 3],
    pub(super) qoffset: [f64; 3],
    /// Rows of the sform, without the last.
    pub(super) srow: [[f64; 4]; 3],
}

/// The length that the first four bytes declare, in either byte order: 348, 540 or `None`.
pub(super) fn header_length(bytes: &[u8]) -> Option<usize> {
    detect(bytes).map(|(length, _)| length)
}

fn detect(bytes: &[u8]) -> Option<(usize, ByteOrder)> {
    let start: [u8; 4] = *bytes.first_chunk()?;
    let as_length = |n: u32| [SHORTEST, LONGEST].into_iter().find(|l| *l as u64 == u64::from(n));
    let little = as_length(u32::from_le_bytes(start)).map(|l| (l, ByteOrder::Little));
    little.or_else(|| as_length(u32::from_be_bytes(start)).map(|l| (l, ByteOrder::Big)))
}

impl Fields {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, Reject> {
        let not_nifti = |why: &str| Err(Reject::Unsupported(format!("not a NIfTI file: {why}")));
        let Some((length, order)) = detect(bytes) else {
            return not_nifti(
                "it does not begin with a header length of 348 or 540 (DICOM: convert it first, \
                 with dcm2niix for example)",
            );
        };
        if bytes.len() < length {
            return Err(Reject::Corrupt(format!(
                "the file ends inside the header, after {} of {length} bytes",
                bytes.len()
            )));
        }
        let raw = Raw { bytes, order };
        let magic = if length == SHORTEST { &bytes[344..348] } else { &bytes[4..12] };
        let (single, version) = match &magic[..3] {
            b"n+1" if length == SHORTEST => (true, 1),
            b"ni1" if length == SHORTEST => (false, 1),
            b"n+2" if length == LONGEST => (true, 2),
            b"ni2" if length == LONGEST => (false, 2),
            [0, 0, 0] => return not_nifti("no magic, as in ANALYZE 7.5; convert it first"),
            _ => return not_nifti("its magic is none of n+1, ni1, n+2, ni2"),
        };
        if magic[3] != 0 || (version == 2 && &magic[3..] != GUARD) {
            return Err(Reject::Corrupt(
                "the magic is altered, as by a transfer in text mode; copy the file again".into(),
            ));
        }
        Ok(if version == 1 { raw.version_1(single) } else { raw.version_2(single) })
    }
}

/// A header's bytes, at least as many as its version needs.
struct Raw<'a> {
    bytes: &'a [u8],
    order: ByteOrder,
}

impl Raw<'_> {
    /// `N` bytes at an offset, little-endian.
    fn at<const N: usize>(&self, offset: usize) -> [u8; N] {
        let mut item = [0; N];
        item.copy_from_slice(&self.bytes[offset..offset + N]);
        if self.order == ByteOrder::Big {
            item.reverse();
        }
        item
    }

    fn i16(&self, offset: usize) -> i64 {
        i16::from_le_bytes(self.at(offset)).into()
    }

    fn i32(&self, offset: usize) -> i64 {
        i32::from_le_bytes(self.at(offset)).into()
    }

    fn i64(&self, offset: usize) -> i64 {
        i64::from_le_bytes(self.at(offset))
    }

    fn f32s<const N: usize>(&self, offset: usize) -> [f64; N] {
        std::array::from_fn(|i| f32::from_le_bytes(self.at(offset + 4 * i)).into())
    }

    fn f64s<const N: usize>(&self, offset: usize) -> [f64; N] {
        std::array::from_fn(|i| f64::from_le_bytes(self.at(offset + 8 * i)))
    }

    fn version_1(&self, single: bool) -> Fields {
        let [slope, inter] = self.f32s(112);
        let [cal_max, cal_min, slice_duration, toffset] = self.f32s(124);
        let [vox_offset] = self.f32s(108);
        Fields {
            version: 1,
            order: self.order,
            single,
            dim: std::array::from_fn(|i| self.i16(40 + 2 * i)),
            pixdim: self.f32s(76),
            datatype: self.i16(70),
            bitpix: self.i16(72),
            vox_offset,
            scl_slope: slope,
            scl_inter: inter,
            cal_min,
            cal_max,
            slice_start: self.i16(74),
            slice_end: self.i16(120),
            slice_code: self.bytes[122].into(),
            slice_duration,
            toffset,
            xyzt_units: self.bytes[123].into(),
            intent_code: self.i16(68),
            intent_p: self.f32s(56),
            dim_info: self.bytes[39],
            qform_code: self.i16(252),
            sform_code: self.i16(254),
            quatern: self.f32s(256),
            qoffset: self.f32s(268),
            srow: [self.f32s(280), self.f32s(296), self.f32s(312)],
        }
    }

    #[allow(clippy::cast_precision_loss)]
    fn version_2(&self, single: bool) -> Fields {
        let [slope, inter, cal_max, cal_min, slice_duration, toffset] = self.f64s(176);
        Fields {
            version: 2,
            order: self.order,
            single,
            dim: std::array::from_fn(|i| self.i64(16 + 8 * i)),
            pixdim: self.f64s(104),
            datatype: self.i16(12),
            bitpix: self.i16(14),
            vox_offset: self.i64(168) as f64,
            scl_slope: slope,
            scl_inter: inter,
            cal_min,
            cal_max,
            slice_start: self.i64(224),
            slice_end: self.i64(232),
            slice_code: self.i32(496),
            slice_duration,
            toffset,
            xyzt_units: self.i32(500),
            intent_code: self.i32(504),
            intent_p: self.f64s(80),
            dim_info: self.bytes[524],
            qform_code: self.i32(344),
            sform_code: self.i32(348),
            quatern: self.f64s(352),
            qoffset: self.f64s(376),
            srow: [self.f64s(400), self.f64s(432), self.f64s(464)],
        }
    }
}
