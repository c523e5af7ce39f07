//! The arguments of `finalise`.

use std::path::PathBuf;

use clap::Args;

use super::Replace;

/// Publish the outputs of an aggregation with all its predictions: one that was made in parts, or
/// was stopped at its very end.
///
/// Every voxel of the outputs is read once more. Name the volume of the first output.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  voxpatch finalise scans.zarr/ct/predicted")]
pub struct Finalise {
    /// The first output: STORE/SUBJECT/IMAGE.
    #[arg(value_name = "VOLUME")]
    pub volume: PathBuf,
    #[command(flatten)]
    pub replace: Replace,
    /// Worker threads; 0 means one for each processor.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub threads: usize,
    /// Print a JSON document.
    #[arg(long)]
    pub json: bool,
}
