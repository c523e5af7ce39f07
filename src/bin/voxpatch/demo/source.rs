//! The scan of a demo, and the same voxels as an uncompressed file to compare with.

use std::path::{Path, PathBuf};

use voxpatch::phantom::ChestPhantom;
use voxpatch::scan::nifti::MappedNifti;
use voxpatch::scan::{self, ScanHeader};
use voxpatch::{Affine, Dtype, Error, Pool};

use crate::args::Demo;
use crate::interrupt::Interrupt;
use crate::measure::{plain_header, write_copy};

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
    let phantom = &ChestPhantom::new(args.shape, args.spacing)?;
    let affine = Affine::from_spacing(args.spacing);
    let header = plain_header(Dtype::Int16, args.shape, affine);
    let voxels = args.shape[1] * args.shape[2];
    let told = ("make scan", args.json);
    write_copy(path, &header, threads, told, interrupt, |first, planes| {
        let planes: &mut [i16] = bytemuck::cast_slice_mut(planes);
        std::thread::scope(|scope| {
            let work: Vec<_> = planes
                .chunks_exact_mut(voxels)
                .zip(first..)
                .map(|(plane, z)| scope.spawn(move || phantom.plane(z, plane)))
                .collect();
            work.into_iter().try_for_each(|plane| plane.join().expect("a plane does not panic"))
        })
    })
}

/// Writes the first frame of a scan as an uncompressed file.
fn unpack(path: &Path, to: &Path, quiet: bool, interrupt: &Interrupt) -> anyhow::Result<()> {
    let mut scan = scan::open(path)?;
    let ScanHeader { dtype, shape, affine, .. } = *scan.header();
    let header = plain_header(dtype, shape, affine);
    write_copy(to, &header, 1, ("unpack scan", quiet), interrupt, |_, plane| {
        scan.read_planes(plane)
    })
}
