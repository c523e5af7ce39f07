//! The arguments of `read`.

use std::path::PathBuf;

use clap::Args;
use voxpatch::scan::ScanFormat;
use voxpatch::{Dtype, Frame, Frames, Padding};

use super::values;

/// Read one patch of a stored volume to a file.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    voxpatch read scans.zarr/ct/image --start 10,200,200 --shape 32x128x128 --out patch.npy\n  \
    voxpatch read scans.zarr/ct/image --start -8,0,0 --shape 32x512x512 --pad edge --out p.nii.gz\n  \
    voxpatch read scans.zarr/pet/image --start 0,0,0 --shape 32x64x64 --scaled --out suv.npy\n  \
    voxpatch read scans.zarr/mr/image --start 0,0,0 --shape 96x96x96 --frames all --out mr.npy")]
pub struct Read {
    /// The volume: STORE/SUBJECT/IMAGE.
    #[arg(value_name = "VOLUME")]
    pub volume: PathBuf,
    /// First voxel of the patch; negative positions lie before the volume.
    #[arg(long, value_name = "Z,Y,X", value_parser = values::start, allow_hyphen_values = true)]
    pub start: [i64; 3],
    /// Shape of the patch in voxels.
    #[arg(long, value_name = "ZxYxX", value_parser = values::shape)]
    pub shape: [usize; 3],
    /// The file to write: .npy (axes z, y, x; with --frames c, z, y, x), or .nii or .nii.gz with
    /// the affine of the patch.
    #[arg(long, value_name = "FILE", value_parser = patch_file)]
    pub out: PathBuf,
    /// The values outside the volume, as in numpy.pad: constant (0, or the given value), edge,
    /// reflect, symmetric or wrap. By default a patch that leaves the volume is an error.
    #[arg(long, value_name = "MODE[:VALUE]", allow_hyphen_values = true)]
    pub pad: Option<Padding>,
    /// Return real values as float32 (slope x voxel + intercept) instead of stored voxels.
    #[arg(long)]
    pub scaled: bool,
    /// Return voxels in this type, such as int16: fractions are cut off, and values beyond the type
    /// become its least or greatest number. The scaling is not applied.
    #[arg(long, value_name = "TYPE", conflicts_with = "scaled")]
    pub dtype: Option<Dtype>,
    /// Time point and channel, from 0. Volumes of several frames need this or --frames.
    #[arg(long, value_name = "T,C", value_parser = frame, conflicts_with = "frames")]
    pub frame: Option<Frame>,
    /// Read all channels of time point T, from 0, or of all time points, as the channels of one
    /// array (.npy only).
    #[arg(long, value_name = "T|all", value_parser = values::frames)]
    pub frames: Option<Frames>,
    /// Replace an existing file.
    #[arg(long)]
    pub overwrite: bool,
}

fn frame(text: &str) -> Result<Frame, String> {
    let parts = text.split_once(',').and_then(|(t, c)| Some((t.parse().ok()?, c.parse().ok()?)));
    let (time, channel) = parts.ok_or("expected time point and channel from 0, such as 2,0")?;
    Ok(Frame { time, channel })
}

fn patch_file(text: &str) -> Result<PathBuf, String> {
    let endings: Vec<_> = std::iter::once(".npy").chain(ScanFormat::endings()).collect();
    let known = endings.iter().any(|ending| text.ends_with(ending));
    known
        .then(|| PathBuf::from(text))
        .ok_or_else(|| format!("the file must end in one of {}", endings.join(", ")))
}
