//! The scan of a demo, and the same voxels as an uncompressed file to compare with.

use std::path::{Path, PathBuf};

use voxpatch::phantom::ChestPhantom;
use voxpatch::scan::nifti::{MappedNifti, NiftiWriter, WriteHeader};
use voxpatch::scan::{self, ScanHeader};
use voxpatch::{Affine, Dtype, Error, Pool};

use crate::args::Demo;
use crate::interrupt::Interrupt;
use crate::output;

pub struct Source {
    /// What is converted.
    pub path: PathBuf,
    /// Its first frame, uncompressed.
    pub mapped: MappedNifti,
}

impl Source {
    /// The scan given, or a synthetic one; what must be made for it goes into `scratch`.
    pub fn new(
        args: &Demo,
        scratch: &Path,
        pool: &Pool,
        interrupt: &Interrupt,
    ) -> anyhow::Result<Self> {
        let Some(path) = args.scan.clone() else {
            let path = scratch.join("phantom.nii");
            synthesise(args, &path, pool.threads(), interrupt)?;
            return Ok(Self { mapped: MappedNifti::open(&path)?, path });
        };
        let mapped = match MappedNifti::open(&path) {
            // Compressed, or of the other byte order.
            Err(Error::UnsupportedScan { .. }) => {
                let unpacked = scratch.join("unpacked.nii");
                unpack(&path, &unpacked, args.json, interrupt)?;
                MappedNifti::open(&unpacked)?
            }
            mapped => mapped?,
        };
        Ok(Self { path, mapped })
    }
}

/// Writes the synthetic chest CT, several planes at a time.
fn synthesise(
    args: &Demo,
    path: &Path,
    threads: usize,
    interrupt: &Interrupt,
) -> anyhow::Result<()> {
    let phantom = ChestPhantom::new(args.shape, args.spacing)?;
    let header = WriteHeader {
        dtype: Dtype::Int16,
        shape: args.shape,
        times: 1,
        channels: 1,
        affine: Affine::from_spacing(args.spacing),
        xform_code: WriteHeader::SCANNER,
        scaling: None,
        time_step: None,
        is_label: false,
    };
    let mut writer = NiftiWriter::create(path, &header, None)?;
    let voxels = args.shape[1] * args.shape[2];
    let mut planes = vec![0_i16; voxels * threads.min(args.shape[0])];
    let bar = output::progress((args.shape[0] * voxels * 2) as u64, "make scan", args.json);
    for first in (0..args.shape[0]).step_by(threads) {
        interrupt.check()?;
        let planes = &mut planes[..voxels * threads.min(args.shape[0] - first)];
        std::thread::scope(|scope| {
            let work: Vec<_> = planes
                .chunks_exact_mut(voxels)
                .zip(first..)
                .map(|(plane, z)| (z, plane))
                .map(|(z, plane)| {
                    scope.spawn({
                        let phantom = &phantom;
                        move || phantom.plane(z, plane)
                    })
                })
                .collect();
            work.into_iter().try_for_each(|plane| plane.join().expect("a plane does not panic"))
        })?;
        let bytes = bytemuck::cast_slice(planes);
        writer.write_planes(bytes)?;
        bar.inc(bytes.len() as u64);
    }
    bar.finish_and_clear();
    Ok(writer.finish()?)
}

/// Writes the first frame of a scan as an uncompressed file.
fn unpack(path: &Path, to: &Path, quiet: bool, interrupt: &Interrupt) -> anyhow::Result<()> {
    let mut scan = scan::open(path)?;
    let ScanHeader { dtype, shape, affine, .. } = *scan.header();
    let header = WriteHeader {
        dtype,
        shape,
        times: 1,
        channels: 1,
        affine,
        xform_code: WriteHeader::SCANNER,
        scaling: None,
        time_step: None,
        is_label: false,
    };
    let mut plane = vec![0; scan.header().plane_bytes()];
    let mut writer = NiftiWriter::create(to, &header, None)?;
    let bar = output::progress((plane.len() * shape[0]) as u64, "unpack scan", quiet);
    for _ in 0..shape[0] {
        interrupt.check()?;
        scan.read_planes(&mut plane)?;
        writer.write_planes(&plane)?;
        bar.inc(plane.len() as u64);
    }
    bar.finish_and_clear();
    Ok(writer.finish()?)
}
