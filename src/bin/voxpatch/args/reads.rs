//! The patches that a layout is chosen for: for `convert` and `plan`.

use clap::{ArgGroup, Args, ValueEnum};
use voxpatch::layout::{Access, WeightedPatch, Workload};

use super::values;

/// The patches that will be read.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("patches").multiple(true))]
pub struct Reads {
    /// A patch shape in voxels; repeat for each shape that is read. A weight gives its relative
    /// frequency (default 1). By default cubes in millimetres, of about 96 voxels along each axis.
    #[arg(long, value_name = "ZxYxX[:WEIGHT]", group = "patches")]
    pub patch: Vec<WeightedPatch>,
    /// A patch shape in millimetres, converted to voxels by the spacing of each scan.
    #[arg(long, value_name = "ZxYxX[:WEIGHT]", value_parser = values::millimetres, group = "patches")]
    pub patch_mm: Vec<WeightedPatch>,
    /// Where patches start: anywhere, or on a grid that covers the volume, as for inference.
    #[arg(long, value_enum, requires = "patches")]
    pub access: Option<Starts>,
    /// Voxels that neighbouring patches of a grid share.
    #[arg(long, value_name = "ZxYxX", value_parser = values::overlap, requires = "access")]
    pub overlap: Option<[usize; 3]>,
}

/// Where patches start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Starts {
    Random,
    Grid,
}

impl Reads {
    /// The workload, if one was given.
    pub fn workload(&self) -> voxpatch::Result<Option<Workload>> {
        let patches = [&self.patch[..], &self.patch_mm].concat();
        let access = match self.access {
            Some(Starts::Grid) => Access::Grid { overlap: self.overlap.unwrap_or_default() },
            _ => Access::Random,
        };
        if patches.is_empty() { Ok(None) } else { Workload::new(patches, access).map(Some) }
    }

    /// The conflict of flags, whatever the scan is.
    pub fn conflict(&self) -> Option<String> {
        if self.overlap.is_some() && self.access == Some(Starts::Random) {
            return Some("--overlap goes with --access grid".to_owned());
        }
        self.workload().err().map(|error| error.to_string())
    }
}
