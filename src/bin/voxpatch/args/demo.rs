//! The arguments of `demo`.

use std::path::PathBuf;

use clap::Args;
use voxpatch::Spacing;

use super::values;

/// Demonstrate everything with one scan: store it, read patches, predict it, and export it again.
///
/// Random patches are compared with an uncompressed memory map and timed beside it, then read by a
/// stream as in training. A simple model predicts the volume from overlapping patches. The volume
/// is exported, its voxels are compared with the scan's, and every byte is verified.
///
/// Without a scan, a synthetic chest CT is made. Everything temporary is removed at the end.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    voxpatch demo\n  \
    voxpatch demo ct.nii.gz --patch 64x128x128\n  \
    voxpatch demo --shape 1069x512x512 --spacing 0.3x0.66x0.66 --out scans.zarr")]
pub struct Demo {
    /// A scan of your own instead of the synthetic one.
    #[arg(value_name = "SCAN")]
    pub scan: Option<PathBuf>,
    /// Shape of the synthetic scan.
    #[arg(long, value_name = "ZxYxX", value_parser = values::shape, default_value = "192x512x512")]
    #[arg(conflicts_with = "scan")]
    pub shape: [usize; 3],
    /// Its voxel spacing in millimetres.
    #[arg(long, value_name = "ZxYxX", value_parser = values::spacing, default_value = "1.6x0.7x0.7")]
    #[arg(conflicts_with = "scan")]
    pub spacing: Spacing,
    /// Shape of the patches, clipped to a smaller scan.
    #[arg(long, value_name = "ZxYxX", value_parser = values::shape, default_value = "32x128x128")]
    pub patch: [usize; 3],
    /// Keep the volume in this store; by default it is temporary.
    #[arg(long, value_name = "STORE")]
    pub out: Option<PathBuf>,
    /// Worker threads; 0 means one for each processor. Random patches are read by one.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub threads: usize,
    /// Print a JSON document.
    #[arg(long)]
    pub json: bool,
}

/// Most voxels of a synthetic scan: 8.6 GB.
const MOST_VOXELS: u64 = 1 << 32;

impl Demo {
    /// The conflict of flags.
    pub fn conflict(&self) -> Option<String> {
        let voxels = self.shape.iter().fold(1_u64, |voxels, n| voxels.saturating_mul(*n as u64));
        (voxels > MOST_VOXELS).then(|| {
            format!("--shape gives {voxels} voxels; the demo makes scans of up to {MOST_VOXELS}")
        })
    }
}
