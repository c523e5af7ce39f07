//! The arguments of `verify`.

use std::path::PathBuf;

use clap::Args;

/// Read every byte of a store and compare it with its checksums.
#[derive(Debug, Args)]
pub struct Verify {
    /// STORE, STORE/SUBJECT or STORE/SUBJECT/IMAGE.
    #[arg(value_name = "STORE")]
    pub store: PathBuf,
    /// Worker threads; 0 means one for each processor.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub threads: usize,
    /// Print a JSON document.
    #[arg(long)]
    pub json: bool,
}
