//! Scans become volumes, volumes become files, and layouts are planned.

use std::path::PathBuf;

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use voxpatch::layout::{
    Access, Codec, PatchShape, PlanOptions, VolumeSpec, WeightedPatch, Workload,
};
use voxpatch::scan::{self, Found};
use voxpatch::{ConvertOptions, ExportOptions, LabelName, Spacing, VolumeName};

use crate::arguments::{self, Axes};
use crate::dataset::Dataset;
use crate::error::{Raise, invalid};
use crate::volume::Volume;
use crate::{pools, work};

/// Patch shapes with their weights: of one shape, of several, or of a dictionary `{shape: weight}`.
fn weighted<'py>(given: &Bound<'py, PyAny>) -> PyResult<Vec<(Bound<'py, PyAny>, f64)>> {
    if let Ok(weights) = given.cast::<PyDict>() {
        return weights
            .iter()
            .map(|(shape, weight)| Ok((shape, weight.extract::<f64>()?)))
            .collect();
    }
    let is_number = |object: &Bound<'_, PyAny>| object.extract::<f64>().is_ok();
    if is_number(given) || given.get_item(0).is_ok_and(|first| is_number(&first)) {
        return Ok(vec![(given.clone(), 1.0)]);
    }
    given.try_iter()?.map(|shape| Ok((shape?, 1.0))).collect()
}

/// The patches that a layout is chosen for.
fn workload(
    py: Python<'_>,
    patch: Option<&Bound<'_, PyAny>>,
    patch_mm: Option<&Bound<'_, PyAny>>,
    overlap: Option<&Bound<'_, PyAny>>,
) -> PyResult<Option<Workload>> {
    let mut patches = Vec::new();
    for (shape, weight) in patch.map_or(Ok(Vec::new()), weighted)? {
        let shape = PatchShape::Voxels(arguments::shape(&shape, "patch", Axes::Zyx)?);
        patches.push(WeightedPatch::new(shape, weight).raise(py)?);
    }
    for (shape, weight) in patch_mm.map_or(Ok(Vec::new()), weighted)? {
        let shape = PatchShape::Millimetres(shape.extract()?);
        patches.push(WeightedPatch::new(shape, weight).raise(py)?);
    }
    let access = match overlap {
        Some(overlap) => Access::Grid { overlap: arguments::shape(overlap, "overlap", Axes::Zyx)? },
        None => Access::Random,
    };
    match (patches.is_empty(), overlap) {
        (true, None) => Ok(None),
        (true, Some(_)) => Err(PyTypeError::new_err("overlap goes with patch or patch_mm")),
        (false, _) => Workload::new(patches, access).raise(py).map(Some),
    }
}

/// The options of the planner, and the codecs to try.
fn layout(
    py: Python<'_>,
    codec: Option<&str>,
    chunk: Option<&Bound<'_, PyAny>>,
    shard: Option<&Bound<'_, PyAny>>,
) -> PyResult<(PlanOptions, Vec<Codec>)> {
    let triple = |given: Option<&Bound<'_, PyAny>>, what| {
        given.map(|shape| arguments::shape(shape, what, Axes::Zyx)).transpose()
    };
    let (codec, tried) = match codec {
        None => (Codec::default(), Vec::new()),
        Some("auto") => (Codec::default(), Codec::CANDIDATES.to_vec()),
        Some(codec) => (arguments::parsed(py, codec)?, Vec::new()),
    };
    let options = PlanOptions::default().codec(codec);
    Ok((options.chunk(triple(chunk, "chunk")?).shard(triple(shard, "shard")?), tried))
}

/// Converts one scan of one or several files; see `voxpatch.convert`.
#[pyfunction]
#[pyo3(signature = (scan, dataset, name, *, patch, patch_mm, overlap, codec, chunk, shard, kind, fourth_axis, narrow, labels, overwrite, skip_same, threads, progress))]
#[allow(clippy::too_many_arguments, reason = "keywords")]
pub fn _convert<'py>(
    py: Python<'py>,
    scan: Vec<PathBuf>,
    dataset: &Bound<'py, Dataset>,
    name: Option<&str>,
    patch: Option<&Bound<'py, PyAny>>,
    patch_mm: Option<&Bound<'py, PyAny>>,
    overlap: Option<&Bound<'py, PyAny>>,
    codec: Option<&str>,
    chunk: Option<&Bound<'py, PyAny>>,
    shard: Option<&Bound<'py, PyAny>>,
    kind: Option<&str>,
    fourth_axis: Option<&str>,
    narrow: bool,
    labels: Option<Vec<(i64, String)>>,
    overwrite: bool,
    skip_same: bool,
    threads: Option<usize>,
    progress: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let (plan, tried) = layout(py, codec, chunk, shard)?;
    let names = labels
        .unwrap_or_default()
        .into_iter()
        .map(|(value, name)| LabelName::new(value, name, None));
    let options = ConvertOptions::default()
        .workload(workload(py, patch, patch_mm, overlap)?)
        .plan(plan)
        .codecs(tried)
        .kind(kind.map(|kind| arguments::parsed(py, kind)).transpose()?)
        .fourth_axis(fourth_axis.map(|axis| arguments::parsed(py, axis)).transpose()?)
        .narrow(narrow)
        .labels(names.collect::<voxpatch::Result<_>>().raise(py)?)
        .overwrite(overwrite);
    let found = py.detach(|| scan::find(&scan)).raise(py)?;
    let found = match found.len() {
        1 => found.into_iter().next().expect("one"),
        _ if scan.len() > 1 => Found::channels(found).raise(py)?,
        n => {
            let reason = format!("{n} scans are there: give one of them");
            return Err(invalid(py, "scan", scan[0].display(), reason));
        }
    };
    let name: VolumeName = match name {
        Some(name) => arguments::parsed(py, name)?,
        None => VolumeName::for_file(found.files()[0]),
    };
    let pool = pools::pool(threads).raise(py)?;
    let dataset = &dataset.get().dataset;
    let (opened, digest) = py.detach(|| Ok((found.open()?, found.digest()?))).raise(py)?;
    let options = options.source_digest(Some(digest));
    if skip_same && py.detach(|| voxpatch::is_converted(dataset, &name, &options)).raise(py)? {
        return Ok(py.None().into_bound(py));
    }
    let header = opened.header();
    // A survey reads the scan once more, and trying codecs its first frame.
    let passes = 1 + usize::from(options.surveys(header));
    let frames = passes * header.frames() + usize::from(!options.codecs.is_empty());
    let total = (frames * header.plane_bytes() * header.shape[0]) as u64;
    let convert = |report: work::Report<'_>| {
        voxpatch::convert(opened, dataset, &name, &options, &pool, report)
    };
    let report = work::run(py, total, progress, convert)?;
    arguments::report(py, &report)
}

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

/// The layout that a volume would get; see `voxpatch.plan`.
#[pyfunction]
#[pyo3(signature = (scan, *, shape, spacing, dtype, times, channels, patch, patch_mm, overlap, codec, chunk, shard))]
#[allow(clippy::too_many_arguments, reason = "keywords")]
pub fn _plan<'py>(
    py: Python<'py>,
    scan: Option<PathBuf>,
    shape: Option<&Bound<'py, PyAny>>,
    spacing: Option<[f64; 3]>,
    dtype: Option<&Bound<'py, PyAny>>,
    times: usize,
    channels: usize,
    patch: Option<&Bound<'py, PyAny>>,
    patch_mm: Option<&Bound<'py, PyAny>>,
    overlap: Option<&Bound<'py, PyAny>>,
    codec: Option<&str>,
    chunk: Option<&Bound<'py, PyAny>>,
    shard: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let volume = match (scan, shape, spacing, dtype) {
        (Some(path), None, None, None) => {
            let scan = py.detach(|| scan::open(&path)).raise(py)?;
            let header = scan.header();
            VolumeSpec {
                shape: header.shape,
                times: header.times,
                channels: header.channels,
                spacing: header.spacing,
                dtype: header.dtype,
            }
        }
        (None, Some(shape), Some(spacing), Some(dtype)) => VolumeSpec {
            shape: arguments::shape(shape, "shape", Axes::Zyx)?,
            times,
            channels,
            spacing: Spacing::new(spacing).raise(py)?,
            dtype: arguments::dtype(dtype)?,
        },
        _ => return Err(PyTypeError::new_err("give a scan, or shape, spacing and dtype")),
    };
    let (options, _) = layout(py, codec, chunk, shard)?;
    let given = workload(py, patch, patch_mm, overlap)?;
    let workload = given.unwrap_or_else(|| Workload::default_for(volume.spacing));
    let plan = py.detach(|| voxpatch::layout::plan(&volume, &workload, &options)).raise(py)?;
    arguments::report(py, &plan)
}
