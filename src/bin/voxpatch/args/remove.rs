//! The arguments of `remove`.

use std::path::PathBuf;

use clap::Args;

/// Remove volumes, or an unfinished prediction.
///
/// A volume is removed at once and as a whole: its readers get its voxels, or an error that it was
/// replaced.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    voxpatch remove scans.zarr/case01/image\n  \
    voxpatch remove scans.zarr/case01/organs --unfinished")]
pub struct Remove {
    /// The volumes.
    #[arg(required = true, value_name = "STORE/SUBJECT/IMAGE")]
    pub volumes: Vec<PathBuf>,
    /// Discard the unfinished prediction that makes a volume of this name, with all its
    /// predictions; an existing volume stays.
    #[arg(long)]
    pub unfinished: bool,
    /// Print a JSON document.
    #[arg(long)]
    pub json: bool,
}
