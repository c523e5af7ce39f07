//! Header fields as bytes, the inverse of [`Fields::parse`], for a little-endian single file.

use super::fields::Fields;

/// Offsets of the fields that both versions have, and the widths of their numbers.
struct Version {
    /// Bytes before the voxels: header and an empty extension flag.
    length: usize,
    /// The position of the magic, and the magic.
    magic: (usize, &'static [u8]),
    /// 64-bit sizes and numbers and 32-bit codes; otherwise 16 or 8, 32, and 16 bits.
    wide: bool,
    datatype: usize,
    dim: usize,
    dim_info: usize,
    intent_code: usize,
    intent_p: usize,
    pixdim: usize,
    vox_offset: usize,
    scl: usize,
    /// `cal_max`, `cal_min`, `slice_duration`, `toffset`.
    cal: usize,
    slice_start: usize,
    slice_end: usize,
    slice_code: usize,
    units: usize,
    codes: usize,
    quatern: usize,
    srow: usize,
}

const ONE: Version = Version {
    length: 352,
    magic: (344, b"n+1\0"),
    wide: false,
    datatype: 70,
    dim: 40,
    dim_info: 39,
    intent_code: 68,
    intent_p: 56,
    pixdim: 76,
    vox_offset: 108,
    scl: 112,
    cal: 124,
    slice_start: 74,
    slice_end: 120,
    slice_code: 122,
    units: 123,
    codes: 252,
    quatern: 256,
    srow: 280,
};

const TWO: Version = Version {
    length: 544,
    magic: (4, b"n+2\0\r\n\x1a\n"),
    wide: true,
    datatype: 12,
    dim: 16,
    dim_info: 524,
    intent_code: 504,
    intent_p: 80,
    pixdim: 104,
    vox_offset: 168,
    scl: 176,
    cal: 192,
    slice_start: 224,
    slice_end: 232,
    slice_code: 496,
    units: 500,
    codes: 344,
    quatern: 352,
    srow: 400,
};

/// All bytes of a single file up to its first voxel; offset, byte order and halves of the fields
/// are ignored. Values that do not fit the version are cut off or rounded: parse the bytes again to
/// find out.
pub(super) fn bytes(fields: &Fields) -> Vec<u8> {
    let version = if fields.version == 1 { ONE } else { TWO };
    let wide = version.wide;
    let width = |narrow, other| if wide { other } else { narrow };
    let mut out = Out { bytes: vec![0; version.length], wide };
    out.integer(0, width(348, 540), 4);
    out.put(version.magic.0, version.magic.1);
    out.integer(version.datatype, fields.datatype, 2);
    out.integer(version.datatype + 2, fields.bitpix, 2);
    for (axis, size) in fields.dim.into_iter().enumerate() {
        let bytes = if wide { 8 } else { 2 };
        out.integer(version.dim + axis * bytes, size, bytes);
    }
    out.put(version.dim_info, &[fields.dim_info]);
    let code = if wide { 4 } else { 2 };
    out.integer(version.intent_code, fields.intent_code, code);
    out.numbers(version.intent_p, &fields.intent_p);
    out.numbers(version.pixdim, &fields.pixdim);
    if wide {
        out.integer(version.vox_offset, 544, 8);
    } else {
        out.numbers(version.vox_offset, &[352.0]);
    }
    out.numbers(version.scl, &[fields.scl_slope, fields.scl_inter]);
    let cal = [fields.cal_max, fields.cal_min, fields.slice_duration, fields.toffset];
    out.numbers(version.cal, &cal);
    let slice = if wide { 8 } else { 2 };
    out.integer(version.slice_start, fields.slice_start, slice);
    out.integer(version.slice_end, fields.slice_end, slice);
    let small = if wide { 4 } else { 1 };
    out.integer(version.slice_code, fields.slice_code, small);
    out.integer(version.units, fields.xyzt_units, small);
    out.integer(version.codes, fields.qform_code, code);
    out.integer(version.codes + code, fields.sform_code, code);
    out.numbers(version.quatern, &[fields.quatern, fields.qoffset].concat());
    out.numbers(version.srow, &fields.srow.concat());
    out.bytes
}

/// The bytes of a header under construction. All offsets are constants of this file, inside the
/// header.
struct Out {
    bytes: Vec<u8>,
    wide: bool,
}

impl Out {
    fn put(&mut self, at: usize, value: &[u8]) {
        self.bytes[at..at + value.len()].copy_from_slice(value);
    }

    fn integer(&mut self, at: usize, value: i64, width: usize) {
        self.put(at, &value.to_le_bytes()[..width]);
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
