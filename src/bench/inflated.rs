//! The same scan as a `.nii.gz`, which is inflated for every patch.

use std::time::Instant;

use serde::Serialize;

use super::copy::ScratchFolder;
use super::watch::{Progress, Step, tell};
use crate::{Error, Result, scan};

/// Approximate bytes of planes that are inflated at a time.
const PIECE_BYTES: usize = 4 << 20;

/// The cost of a patch from a `.nii.gz`: the voxels of the whole file are inflated by one thread,
/// as most readers do.
#[derive(Debug, Clone, Copy, Serialize)]
#[non_exhaustive]
pub struct Inflated {
    /// Bytes of the temporary file.
    pub file_bytes: u64,
    /// Seconds to inflate it, with its bytes already in memory.
    pub seconds: f64,
}

/// Inflates the file of the folder and removes it; `None` if there is none.
pub(super) fn measure(scratch: &ScratchFolder, progress: Progress<'_>) -> Result<Option<Inflated>> {
    let Some(path) = scratch.gzip() else { return Ok(None) };
    let file_bytes = std::fs::metadata(&path).map_err(Error::io("open", &path))?.len();
    let began = Instant::now();
    let mut file = scan::open(&path)?;
    let (plane, planes) = (file.header().plane_bytes(), file.header().shape[0]);
    let depth = (PIECE_BYTES / plane.max(1)).clamp(1, planes.max(1));
    let mut piece = vec![0; depth * plane];
    for first in (0..planes).step_by(depth) {
        tell(progress, Step::Going)?;
        file.read_planes(&mut piece[..plane * depth.min(planes - first)])?;
    }
    let seconds = began.elapsed().as_secs_f64();
    std::fs::remove_file(&path).map_err(Error::io("remove", &path))?;
    Ok(Some(Inflated { file_bytes, seconds }))
}
