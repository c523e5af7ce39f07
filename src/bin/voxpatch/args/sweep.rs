//! The arguments of `sweep`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

/// Remove what no volume needs: files of conversions that were killed, and of replaced volumes.
///
/// Nothing that info shows is touched: neither volumes nor unfinished predictions. A conversion
/// that is under way writes every few minutes at least, and its files are younger than that.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    voxpatch sweep scans.zarr --dry-run\n  \
    voxpatch sweep scans.zarr --older-than 7d")]
pub struct Sweep {
    /// The store.
    #[arg(value_name = "STORE")]
    pub store: PathBuf,
    /// Leave what was written to since: a number and s, m, h or d.
    #[arg(long, value_name = "AGE", default_value = "1d", value_parser = super::values::age)]
    pub older_than: Duration,
    /// Only tell what would be removed.
    #[arg(long)]
    pub dry_run: bool,
    /// Print a JSON document.
    #[arg(long)]
    pub json: bool,
}
