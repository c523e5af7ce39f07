//! The arguments of `index`.

use std::path::PathBuf;

use clap::Args;

/// Build the index for sampling of label maps and maps of weights that have none.
///
/// Converting builds the index already; this command is for older volumes, and for damaged indexes.
#[derive(Debug, Args)]
pub struct Index {
    /// STORE, STORE/SUBJECT or STORE/SUBJECT/IMAGE.
    #[arg(value_name = "STORE")]
    pub store: PathBuf,
    /// Build the index even if a valid one exists.
    #[arg(long)]
    pub force: bool,
    /// Worker threads; 0 means one for each processor.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub threads: usize,
    /// Print a JSON document.
    #[arg(long)]
    pub json: bool,
}
