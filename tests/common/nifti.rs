//! NIfTI files built byte by byte, sharing nothing with the crate's reader and writer.
#![allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap, clippy::cast_precision_loss)]

use std::io::Write;
use std::path::Path;

use voxpatch::scan::{self, ScanHeader};
use voxpatch::{Dtype, Finding, Frame, Result};

/// A NIfTI file under construction: every number of its header can be set, valid or not.
#[derive(Debug, Clone)]
pub struct Nifti {
    pub version: u8,
    pub big: bool,
    pub single: bool,
    pub datatype: i16,
    pub bitpix: i16,
    pub dim: [i64; 8],
    pub pixdim: [f64; 8],
    pub vox_offset: f64,
    pub scl: [f64; 2],
    pub units: u8,
    pub intent: i16,
    pub qform_code: i16,
    pub sform_code: i16,
    pub quatern: [f64; 3],
    pub qoffset: [f64; 3],
    pub srow: [[f64; 4]; 3],
    /// The real position of the voxels, from the start of their file.
    pub voxels_at: usize,
    /// In the order and byte order of the file.
    pub voxels: Vec<u8>,
}

/// Every type of NIfTI.
pub fn types() -> impl Iterator<Item = Dtype> {
    Dtype::ALL.into_iter().filter(|dtype| *dtype != Dtype::Float16)
}

pub fn code(dtype: Dtype) -> i16 {
    match dtype {
        Dtype::UInt8 => 2,
        Dtype::Int16 => 4,
        Dtype::Int32 => 8,
        Dtype::Float32 => 16,
        Dtype::Float64 => 64,
        Dtype::Int8 => 256,
        Dtype::UInt16 => 512,
        Dtype::UInt32 => 768,
        Dtype::Int64 => 1024,
        Dtype::UInt64 => 1280,
        Dtype::Float16 => panic!("no type of NIfTI"),
    }
}

/// The bits of the voxel at `(channel, time, z, y, x)`: different for each, all bytes in use.
pub fn voxel(at: [usize; 5]) -> u64 {
    let mixed = at.into_iter().fold(0x9e37_79b9_7f4a_7c15_u64, |h, i| {
        (h ^ (i as u64 + 1)).wrapping_mul(0xff51_afd7_ed55_8ccd).rotate_left(29)
    });
    mixed ^ mixed >> 32
}

impl Nifti {
    /// A valid file of these sizes, `x, y, z, time, channel`, one for each axis, filled with
    /// [`voxel`].
    pub fn new(version: u8, big: bool, single: bool, dtype: Dtype, sizes: &[usize]) -> Self {
        let mut dim = [1; 8];
        dim[0] = sizes.len() as i64;
        let mut full = [1; 5];
        for (axis, size) in sizes.iter().enumerate() {
            dim[axis + 1] = *size as i64;
            full[axis] = *size;
        }
        let mut voxels = Vec::new();
        for channel in 0..full[4] {
            for time in 0..full[3] {
                for z in 0..full[2] {
                    for y in 0..full[1] {
                        for x in 0..full[0] {
                            let bits = voxel([channel, time, z, y, x]).to_le_bytes();
                            let item = &bits[..dtype.size()];
                            if big {
                                voxels.extend(item.iter().rev());
                            } else {
                                voxels.extend(item);
                            }
                        }
                    }
                }
            }
        }
        let offset = match (single, version) {
            (false, _) => 0,
            (true, 1) => 352,
            (true, _) => 544,
        };
        Self {
            version,
            big,
            single,
            datatype: code(dtype),
            bitpix: 8 * dtype.size() as i16,
            dim,
            pixdim: [1.0, 2.0, 3.0, 4.0, 1.5, 1.0, 1.0, 1.0],
            vox_offset: offset as f64,
            scl: [1.0, 0.0],
            units: 2 | 8,
            intent: 0,
            qform_code: 0,
            sform_code: 2,
            quatern: [0.0; 3],
            qoffset: [-10.0, -20.0, 30.0],
            srow: [[2.0, 0.0, 0.0, -10.0], [0.0, 3.0, 0.0, -20.0], [0.0, 0.0, 4.0, 30.0]],
            voxels_at: offset,
            voxels,
        }
    }

    /// A small valid single file of `int16`, 5 x 4 x 3 (x, y, z).
    pub fn small() -> Self {
        Self::new(1, false, true, Dtype::Int16, &[5, 4, 3])
    }

    /// The header alone, with a canary in every text field.
    pub fn header(&self) -> Vec<u8> {
        let two = self.version == 2;
        let mut out =
            Header { big: self.big, wide: two, bytes: vec![0; if two { 540 } else { 348 }] };
        let at = |one: usize, other: usize| if two { other } else { one };
        out.i32(0, if two { 540 } else { 348 });
        let half = if self.single { "n+" } else { "ni" };
        out.text(at(344, 4), &format!("{half}{}", self.version));
        if two {
            out.text(8, "\r\n\x1a\n");
        }
        for (offset, length) in [(at(148, 240), 80), (at(228, 320), 24), (at(328, 508), 16)] {
            out.text(offset, &"CANARY".repeat(14)[..length]);
        }
        out.i16(at(70, 12), self.datatype);
        out.i16(at(72, 14), self.bitpix);
        for (i, size) in self.dim.into_iter().enumerate() {
            if two { out.i64(16 + 8 * i, size) } else { out.i16(40 + 2 * i, size as i16) }
        }
        out.floats(at(76, 104), &self.pixdim);
        if two {
            out.i64(168, self.vox_offset as i64);
        } else {
            out.floats(108, &[self.vox_offset]);
        }
        out.floats(at(112, 176), &self.scl);
        out.code(at(252, 344), self.qform_code);
        out.code(at(254, 348), self.sform_code);
        out.floats(at(256, 352), &self.quatern);
        out.floats(at(268, 376), &self.qoffset);
        out.floats(at(280, 400), &self.srow.concat());
        out.code(at(68, 504), self.intent);
        if two {
            out.i32(500, self.units.into());
        } else {
            out.bytes[123] = self.units;
        }
        out.bytes
    }

    /// The voxel file: for a single file, header and voxels.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = if self.single { self.header() } else { Vec::new() };
        bytes.resize(self.voxels_at.max(bytes.len()), 0);
        bytes.extend(&self.voxels);
        bytes
    }

    /// Writes the single file, or both halves of the pair, into `folder`; returns what to open.
    pub fn write(&self, folder: &Path, gzip: bool) -> std::path::PathBuf {
        let end = if gzip { ".gz" } else { "" };
        let put = |name: &str, bytes: &[u8]| {
            let path = folder.join(format!("{name}{end}"));
            let bytes = if gzip { gzipped(bytes) } else { bytes.to_vec() };
            std::fs::write(&path, bytes).expect("write");
            path
        };
        if self.single {
            put("scan.nii", &self.bytes())
        } else {
            put("scan.img", &self.bytes());
            put("scan.hdr", &self.header())
        }
    }
}

struct Header {
    big: bool,
    wide: bool,
    bytes: Vec<u8>,
}

impl Header {
    fn put(&mut self, at: usize, little: &[u8]) {
        let mut item = little.to_vec();
        if self.big {
            item.reverse();
        }
        self.bytes[at..at + item.len()].copy_from_slice(&item);
    }

    fn text(&mut self, at: usize, text: &str) {
        self.bytes[at..at + text.len()].copy_from_slice(text.as_bytes());
    }

    fn i16(&mut self, at: usize, value: i16) {
        self.put(at, &value.to_le_bytes());
    }

    fn i32(&mut self, at: usize, value: i32) {
        self.put(at, &value.to_le_bytes());
    }

    fn i64(&mut self, at: usize, value: i64) {
        self.put(at, &value.to_le_bytes());
    }

    /// A code: 16 bits in NIfTI-1, 32 in NIfTI-2.
    fn code(&mut self, at: usize, value: i16) {
        if self.wide { self.i32(at, value.into()) } else { self.i16(at, value) }
    }

    fn floats(&mut self, at: usize, values: &[f64]) {
        for (i, value) in values.iter().enumerate() {
            if self.wide {
                self.put(at + 8 * i, &value.to_le_bytes());
            } else {
                self.put(at + 4 * i, &(*value as f32).to_le_bytes());
            }
        }
    }
}

/// One gzip member.
pub fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
    encoder.write_all(bytes).expect("to memory");
    encoder.finish().expect("to memory")
}

/// The complete output of a scan.
#[derive(Debug)]
pub struct Whole {
    pub header: ScanHeader,
    /// Each frame's voxels, C-contiguous, native byte order, in the order of delivery.
    pub frames: Vec<(Frame, Vec<u8>)>,
    /// Findings of the header and of the end.
    pub findings: Vec<Finding>,
}

impl Whole {
    pub fn says(&self, certainty: voxpatch::Certainty, words: &str) -> bool {
        self.findings.iter().any(|f| f.certainty == certainty && f.message.contains(words))
    }
}

/// Opens and reads a scan to its end, up to `slab` planes at a time.
pub fn read(path: &Path, slab: usize) -> Result<Whole> {
    let mut scan = scan::open(path)?;
    let header = scan.header().clone();
    let mut frames = Vec::new();
    for n in 0..header.frames() {
        let mut voxels = Vec::new();
        let mut left = header.shape[0];
        while left > 0 {
            let planes = left.min(slab);
            let at = voxels.len();
            voxels.resize(at + planes * header.plane_bytes(), 0);
            scan.read_planes(&mut voxels[at..])?;
            left -= planes;
        }
        frames.push((scan.frame(n), voxels));
    }
    let mut findings = header.findings.clone();
    findings.extend(scan.finish()?);
    Ok(Whole { header, frames, findings })
}

/// The voxels of [`Nifti::new`] in a frame of `shape` (z, y, x), in native byte order.
pub fn expected(dtype: Dtype, frame: Frame, shape: [usize; 3]) -> Vec<u8> {
    let size = dtype.size();
    let mut bytes = vec![0; shape.iter().product::<usize>() * size];
    for z in 0..shape[0] {
        for y in 0..shape[1] {
            for x in 0..shape[2] {
                let at = ((z * shape[1] + y) * shape[2] + x) * size;
                let bits = voxel([frame.channel, frame.time, z, y, x]).to_le_bytes();
                let item = &mut bytes[at..at + size];
                item.copy_from_slice(&bits[..size]);
                if cfg!(target_endian = "big") {
                    item.reverse();
                }
            }
        }
    }
    bytes
}
