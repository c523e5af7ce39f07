//! How fast patches are read here.

use std::path::PathBuf;

use pyo3::prelude::*;
use voxpatch::Place;
use voxpatch::bench::{self, Options, Starts};
use voxpatch::layout::PatchShape;

use crate::arguments::{self, Axes};
use crate::error::{Raise, invalid};
use crate::work;

/// Measures the volumes at a path; see `voxpatch.bench`.
#[pyfunction]
#[pyo3(signature = (path, *, patches, starts, overlap, threads, count, seconds, seed, cold, baseline, scratch))]
#[allow(clippy::too_many_arguments, reason = "keywords")]
pub fn _bench<'py>(
    py: Python<'py>,
    path: PathBuf,
    patches: Vec<Bound<'py, PyAny>>,
    starts: &str,
    overlap: Option<&Bound<'py, PyAny>>,
    threads: Vec<usize>,
    count: Option<usize>,
    seconds: f64,
    seed: u64,
    cold: bool,
    baseline: bool,
    scratch: Option<PathBuf>,
) -> PyResult<Bound<'py, PyAny>> {
    let shape = |patch: &Bound<'py, PyAny>| arguments::shape(patch, "patch", Axes::Zyx);
    let patches = patches.iter().map(|patch| shape(patch).map(PatchShape::Voxels));
    let starts = match starts {
        "as_converted" => Starts::AsConverted,
        "random" => Starts::Random,
        "grid" => Starts::Grid,
        "both" => Starts::Both,
        other => {
            let reason = "give \"as_converted\", \"random\", \"grid\" or \"both\"";
            return Err(invalid(py, "starts", other, reason));
        }
    };
    let overlap =
        overlap.map(|overlap| arguments::shape(overlap, "overlap", Axes::Zyx)).transpose()?;
    let options = Options::default()
        .patches(patches.collect::<PyResult<_>>()?)
        .starts(starts)
        .overlap(overlap)
        .threads(threads)
        .count(count)
        .seconds(seconds)
        .seed(seed)
        .cold(cold)
        .baseline(baseline)
        .scratch(scratch);
    options.check().raise(py)?;
    let place = py.detach(|| Place::find(&path)).raise(py)?;
    let measure = |report: work::Report<'_>| bench::measure(&place, &options, &|_| report(0));
    let report = work::run(py, 0, None, measure)?;
    arguments::report(py, &report)
}
