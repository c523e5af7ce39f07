//! The arguments of `plan`.

use std::path::PathBuf;

use clap::Args;
use voxpatch::{Dtype, Spacing};

use super::{Layout, Reads, values};

/// Show the layout that a scan would get for these patches, and the reasons, without converting it.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    voxpatch plan ct.nii.gz --patch 32x128x128:3 --patch 1x512x512\n  \
    voxpatch plan --shape 1069x512x512 --spacing 0.3x0.66x0.66 --dtype int16 --patch 128x128x128")]
pub struct Plan {
    /// The scan; only its header is read.
    #[arg(value_name = "SCAN", required_unless_present = "shape")]
    pub scan: Option<PathBuf>,
    /// Shape of a volume, instead of a scan.
    #[arg(long, value_name = "ZxYxX", value_parser = values::shape, conflicts_with = "scan")]
    #[arg(requires = "spacing", requires = "dtype")]
    pub shape: Option<[usize; 3]>,
    /// Its voxel spacing in millimetres.
    #[arg(long, value_name = "ZxYxX", value_parser = values::spacing, requires = "shape")]
    pub spacing: Option<Spacing>,
    /// Its voxel type, such as int16.
    #[arg(long, requires = "shape")]
    pub dtype: Option<Dtype>,
    /// Its time points.
    #[arg(long, value_name = "N", requires = "shape")]
    pub times: Option<usize>,
    /// Its channels.
    #[arg(long, value_name = "N", requires = "shape")]
    pub channels: Option<usize>,
    #[command(flatten)]
    pub reads: Reads,
    #[command(flatten)]
    pub layout: Layout,
    /// Print a JSON document.
    #[arg(long)]
    pub json: bool,
}

impl Plan {
    /// The conflict of flags, whatever the scan is.
    pub fn conflict(&self) -> Option<String> {
        if self.layout.is_auto() {
            let told = "--codec auto tries codecs on the voxels, and plan reads no voxels: name a \
                        codec, or let convert try";
            return Some(told.to_owned());
        }
        self.reads.conflict().or_else(|| self.layout.conflict())
    }
}
