//! The arguments of `info`.

use std::path::PathBuf;

use clap::Args;

/// Show the content of a store, a subject or a volume.
#[derive(Debug, Args)]
pub struct Info {
    /// STORE, STORE/SUBJECT or STORE/SUBJECT/IMAGE.
    #[arg(value_name = "STORE")]
    pub store: PathBuf,
    /// Print a JSON document.
    #[arg(long)]
    pub json: bool,
}
