//! The arguments of `sweep`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

/// Remove files that no volume needs: of killed conversions, and of replaced volumes.
///
/// Nothing that info shows is removed: neither volumes nor unfinished predictions. A running
/// conversion writes at least every few minutes, so --older-than spares its files.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    voxpatch sweep scans.zarr --dry-run\n  \
    voxpatch sweep scans.zarr --older-than 7d")]
pub struct Sweep {
    /// The store.
    #[arg(value_name = "STORE")]
    pub store: PathBuf,
    /// Keep files that were written to since: a number and s, m, h or d.
    #[arg(long, value_name = "AGE", default_value = "1d", value_parser = super::values::age)]
    pub older_than: Duration,
    /// Only show what would be removed.
    #[arg(long)]
    pub dry_run: bool,
    /// Print a JSON document.
    #[arg(long)]
    pub json: bool,
}
