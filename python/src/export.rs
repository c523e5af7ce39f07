//! Volumes become files.

use std::path::PathBuf;

use pyo3::prelude::*;
use voxpatch::ExportOptions;

use crate::error::Raise;
use crate::volume::Volume;
use crate::{arguments, pools, work};

/// Writes a volume to a file; see `voxpatch.export`.
#[pyfunction]
#[pyo3(signature = (volume, path, *, level, overwrite, threads, progress))]
pub fn _export<'py>(
    py: Python<'py>,
    volume: &Bound<'py, Volume>,
    path: PathBuf,
    level: Option<u32>,
    overwrite: bool,
    threads: Option<usize>,
    progress: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let pool = pools::pool(threads).raise(py)?;
    let options =
        ExportOptions::default().level(level.unwrap_or(ExportOptions::LEVEL)).overwrite(overwrite);
    let volume = &volume.get().volume;
    let export =
        |report: work::Report<'_>| voxpatch::export(volume, &path, &options, &pool, report);
    let report = work::run(py, volume.raw_bytes(), progress, export)?;
    arguments::report(py, &report)
}
