//! The arguments of `export`.

use std::path::{Path, PathBuf};

use clap::Args;
use voxpatch::ExportOptions;
use voxpatch::scan::ScanFormat;
use voxpatch::scan::nifti::NiftiVersion;

/// Write a stored volume to a NIfTI file, as the file it came from.
///
/// Voxels and their type are those of the source, bit for bit, also where they were narrowed; so
/// are affine, scaling, time step and label intent: converting the file gives the volume again.
/// It is NIfTI-1, or NIfTI-2 where a number would have to be rounded (--nifti chooses). The volume is never in memory
/// as a whole.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    voxpatch export scans.zarr/ct/image --out ct.nii.gz\n  \
    voxpatch export scans.zarr/ct/organs --out organs.nii.gz --level 9\n  \
    voxpatch export scans.zarr/ct/image --out ct.nii --overwrite --json")]
pub struct Export {
    /// The volume: STORE/SUBJECT/IMAGE.
    #[arg(value_name = "VOLUME")]
    pub volume: PathBuf,
    /// The file to write: .nii.gz, or .nii without compression.
    #[arg(long, value_name = "FILE", value_parser = scan_file)]
    pub out: PathBuf,
    /// How hard to compress a .nii.gz: 1 is the fastest, 9 the smallest, 0 none at all.
    #[arg(long, value_name = "0-9", default_value_t = ExportOptions::LEVEL)]
    #[arg(value_parser = clap::value_parser!(u32).range(0..=9))]
    pub level: u32,
    /// The version of NIfTI: 1 is what every program reads, 2 what many viewers do not. By default 1
    /// where that holds every number of the header exactly, else 2; asked for, 1 rounds them to
    /// single precision, and the report says so. Voxels are never rounded.
    #[arg(long, value_name = "1|2", value_parser = version)]
    pub nifti: Option<NiftiVersion>,
    /// Worker threads; 0 means one for each processor. The file is the same for any number.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub threads: usize,
    /// Replace a file that is there; until the new one is complete, the old one stays.
    #[arg(long)]
    pub overwrite: bool,
    /// Print a JSON document.
    #[arg(long)]
    pub json: bool,
}

fn version(text: &str) -> Result<NiftiVersion, String> {
    match text {
        "1" => Ok(NiftiVersion::One),
        "2" => Ok(NiftiVersion::Two),
        _ => Err("expected 1 or 2".to_owned()),
    }
}

fn scan_file(text: &str) -> Result<PathBuf, String> {
    let endings = || ScanFormat::endings().collect::<Vec<_>>().join(" or ");
    ScanFormat::of(Path::new(text))
        .map(|_| text.into())
        .map_err(|_| format!("the file must end in {}", endings()))
}
