//! The arguments of `remove`.

use std::path::PathBuf;

use clap::Args;

/// Remove volumes, or a prediction that was begun and not finished.
///
/// A volume is gone at once and as a whole: whoever reads it gets its voxels or is told that it was
/// replaced.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    voxpatch remove scans.zarr/case01/image\n  \
    voxpatch remove scans.zarr/case01/organs --unfinished")]
pub struct Remove {
    /// The volumes.
    #[arg(required = true, value_name = "STORE/SUBJECT/IMAGE")]
    pub volumes: Vec<PathBuf>,
    /// Throw away the unfinished prediction that makes a volume of this name, with all that was
    /// predicted; a volume that is there stays.
    #[arg(long)]
    pub unfinished: bool,
    /// Print a JSON document.
    #[arg(long)]
    pub json: bool,
}
