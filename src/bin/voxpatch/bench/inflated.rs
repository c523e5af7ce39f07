//! The same scan as a `.nii.gz`, which is inflated for every patch of it.

use std::path::Path;
use std::time::Instant;

use serde::Serialize;
use voxpatch::{ExportOptions, Pool, Volume, scan};

use crate::interrupt::Interrupt;

/// The fastest to write; how long it takes to inflate hardly depends on it.
const LEVEL: u32 = 1;
/// Planes are inflated in pieces of about so many bytes.
const PIECE_BYTES: usize = 4 << 20;

/// What a patch costs that is taken from a `.nii.gz`: the voxels of the whole file are inflated, as
/// most readers do, by one thread.
#[derive(Serialize)]
pub struct Inflated {
    /// Of the file, written for the time.
    pub file_bytes: u64,
    /// To inflate it, its bytes in memory already.
    pub seconds: f64,
}

/// Writes the file to `folder` and inflates it; `None` for volumes of several frames, of which a
/// patch needs a part of the file only, and of types that NIfTI does not have.
pub fn measure(
    volume: &Volume,
    folder: &Path,
    interrupt: &Interrupt,
) -> anyhow::Result<Option<Inflated>> {
    if volume.times() * volume.channels() > 1 {
        return Ok(None);
    }
    let path = folder.join("copy.nii.gz");
    let options = ExportOptions { level: LEVEL, ..ExportOptions::default() };
    let going_on = |_| !interrupt.is_set();
    let report = voxpatch::export(volume, &path, &options, &Pool::new(0)?, &going_on)?;
    let began = Instant::now();
    let mut file = scan::open(&path)?;
    let (plane, planes) = (file.header().plane_bytes(), file.header().shape[0]);
    let depth = (PIECE_BYTES / plane.max(1)).clamp(1, planes);
    let mut piece = vec![0; depth * plane];
    for first in (0..planes).step_by(depth) {
        interrupt.check()?;
        file.read_planes(&mut piece[..plane * depth.min(planes - first)])?;
    }
    let seconds = began.elapsed().as_secs_f64();
    std::fs::remove_file(&path)?;
    Ok(Some(Inflated { file_bytes: report.file_bytes, seconds }))
}
