//! The arguments of `read`.

use std::path::PathBuf;

use clap::Args;
use voxpatch::{Dtype, Frame, Frames, Padding};

/// Read one patch of a stored volume to a file.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    voxpatch read scans.zarr/ct/image --start 10,200,200 --shape 32x128x128 --out patch.npy\n  \
    voxpatch read scans.zarr/ct/image --start -8,0,0 --shape 32x512x512 --pad edge --out p.nii.gz\n  \
    voxpatch read scans.zarr/pet/image --start 0,0,0 --shape 32x64x64 --scaled --out suv.npy\n  \
    voxpatch read scans.zarr/mr/image --start 0,0,0 --shape 96x96x96 --frame all --out mr.npy")]
pub struct Read {
    /// The volume: STORE/SUBJECT/IMAGE.
    #[arg(value_name = "VOLUME")]
    pub volume: PathBuf,
    /// First voxel of the patch; negative is before the volume.
    #[arg(long, value_name = "Z,Y,X", value_parser = super::start, allow_hyphen_values = true)]
    pub start: [i64; 3],
    /// Shape of the patch in voxels.
    #[arg(long, value_name = "ZxYxX", value_parser = super::shape)]
    pub shape: [usize; 3],
    /// The file to write: .npy (axes z, y, x; of several frames c, z, y, x), or .nii or .nii.gz with the affine of the patch.
    #[arg(long, value_name = "FILE", value_parser = patch_file)]
    pub out: PathBuf,
    /// What lies outside the volume, as in numpy.pad: constant (0, or the value given), edge,
    /// reflect, symmetric or wrap. Without it, a patch that leaves the volume is an error.
    #[arg(long, value_name = "MODE[:VALUE]", allow_hyphen_values = true)]
    pub pad: Option<Padding>,
    /// Real values as float32 (slope x voxel + intercept) instead of voxels as stored.
    #[arg(long)]
    pub scaled: bool,
    /// Voxels as this type, such as int16, as astype of NumPy makes them; what does not fit becomes
    /// the least or the greatest that does.
    #[arg(long, value_name = "TYPE", conflicts_with = "scaled")]
    pub dtype: Option<Dtype>,
    /// Time point and channel, from 0. Needed for volumes of several. T,all is every channel of a
    /// time point, and all every channel of every time point, as the channels of one array (.npy
    /// alone).
    #[arg(long, value_name = "T,C|T,all|all", value_parser = chosen)]
    pub frame: Option<Chosen>,
    /// Replace a file that is there.
    #[arg(long)]
    pub overwrite: bool,
}

/// What of a volume is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chosen {
    Frame(Frame),
    Frames(Frames),
}

fn chosen(text: &str) -> Result<Chosen, String> {
    let one = |(time, channel): (&str, &str)| {
        let time = time.parse().ok()?;
        match channel {
            "all" => Some(Chosen::Frames(Frames::Time(time))),
            _ => Some(Chosen::Frame(Frame { time, channel: channel.parse().ok()? })),
        }
    };
    let chosen = match text {
        "all" => Some(Chosen::Frames(Frames::All)),
        _ => text.split_once(',').and_then(one),
    };
    chosen.ok_or_else(|| {
        "expected time point and channel from 0, such as 2,0; 2,all for all channels of one; or all"
            .to_owned()
    })
}

fn patch_file(text: &str) -> Result<PathBuf, String> {
    let known = [".npy", ".nii", ".nii.gz"].iter().any(|ending| text.ends_with(ending));
    known
        .then(|| PathBuf::from(text))
        .ok_or_else(|| "the file must end in .npy, .nii or .nii.gz".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_frame_is_two_numbers_and_several_are_all_of_a_time_point_or_of_the_volume() {
        assert_eq!(chosen("2,0"), Ok(Chosen::Frame(Frame { time: 2, channel: 0 })));
        assert_eq!(chosen("2,all"), Ok(Chosen::Frames(Frames::Time(2))));
        assert_eq!(chosen("all"), Ok(Chosen::Frames(Frames::All)));
        for wrong in ["", "2", "all,2", "all,all", "-1,0", "0,1,2", "0,-1", "x,all"] {
            assert!(chosen(wrong).is_err(), "{wrong}");
        }
    }
}
