//! The arguments of `export`.

use std::path::{Path, PathBuf};

use clap::Args;
use voxpatch::ExportOptions;
use voxpatch::scan::ScanFormat;
use voxpatch::scan::nifti::NiftiVersion;

/// Write a stored volume to a NIfTI file like its source.
///
/// Voxels and their type are those of the source, bit for bit, even if the store narrowed them; so
/// are affine, scaling, time step and label intent: converting the file gives the volume again. The
/// file is NIfTI-1, or NIfTI-2 if a number would have to be rounded (--nifti chooses). The volume
/// is never in memory as a whole.
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
    /// Compression level of a .nii.gz: 1 is the fastest, 9 the smallest, 0 no compression.
    #[arg(long, value_name = "0-9", default_value_t = ExportOptions::LEVEL)]
    #[arg(value_parser = clap::value_parser!(u32).range(0..=9))]
    pub level: u32,
    /// The version of NIfTI: every program reads 1, many viewers do not read 2. By default 1 if it
    /// holds every number of the header exactly, otherwise 2. If 1 is requested, numbers are
    /// rounded to single precision where needed, and the report says so. Voxels are never rounded.
    #[arg(long, value_name = "1|2", value_parser = version)]
    pub nifti: Option<NiftiVersion>,
    /// Worker threads; 0 means one for each processor. The file is the same for any number.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub threads: usize,
    /// Replace an existing file, which stays until the new one is complete.
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
