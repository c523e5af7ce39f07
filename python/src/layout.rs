//! The layout of volumes: the patches it is chosen for, and the plan.

use std::path::PathBuf;

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use voxpatch::layout::{
    Access, Codec, PatchShape, PlanOptions, VolumeSpec, WeightedPatch, Workload,
};
use voxpatch::{Spacing, scan};

use crate::arguments::{self, Axes};
use crate::error::Raise;

/// The keyword arguments that say how patches will be read, and how voxels are to be laid out.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub struct Layout<'py> {
    patch: Option<Bound<'py, PyAny>>,
    patch_mm: Option<Bound<'py, PyAny>>,
    overlap: Option<Bound<'py, PyAny>>,
    codec: Option<String>,
    chunk: Option<Bound<'py, PyAny>>,
    shard: Option<Bound<'py, PyAny>>,
}

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

impl Layout<'_> {
    /// The patches that a layout is chosen for.
    pub fn workload(&self, py: Python<'_>) -> PyResult<Option<Workload>> {
        let (patch, patch_mm) = (self.patch.as_ref(), self.patch_mm.as_ref());
        let overlap = self.overlap.as_ref();
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
            Some(overlap) => {
                Access::Grid { overlap: arguments::shape(overlap, "overlap", Axes::Zyx)? }
            }
            None => Access::Random,
        };
        match (patches.is_empty(), overlap) {
            (true, None) => Ok(None),
            (true, Some(_)) => Err(PyTypeError::new_err("overlap goes with patch or patch_mm")),
            (false, _) => Workload::new(patches, access).raise(py).map(Some),
        }
    }

    /// The options of the planner, and the codecs to try.
    pub fn options(&self, py: Python<'_>) -> PyResult<(PlanOptions, Vec<Codec>)> {
        let triple = |given: &Option<Bound<'_, PyAny>>, what| {
            given.as_ref().map(|shape| arguments::shape(shape, what, Axes::Zyx)).transpose()
        };
        let (codec, tried) = match self.codec.as_deref() {
            None => (Codec::default(), Vec::new()),
            Some("auto") => (Codec::default(), Codec::CANDIDATES.to_vec()),
            Some(codec) => (arguments::parsed(py, codec)?, Vec::new()),
        };
        let options = PlanOptions::default().codec(codec);
        Ok((
            options.chunk(triple(&self.chunk, "chunk")?).shard(triple(&self.shard, "shard")?),
            tried,
        ))
    }
}

/// The layout that a volume would get; see `voxpatch.plan`.
#[pyfunction]
#[allow(clippy::too_many_arguments, reason = "the words of a volume")]
pub fn _plan<'py>(
    py: Python<'py>,
    scan: Option<PathBuf>,
    shape: Option<&Bound<'py, PyAny>>,
    spacing: Option<[f64; 3]>,
    dtype: Option<&Bound<'py, PyAny>>,
    times: usize,
    channels: usize,
    layout: Layout<'py>,
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
    let (options, _) = layout.options(py)?;
    let given = layout.workload(py)?;
    let workload = given.unwrap_or_else(|| Workload::default_for(volume.spacing));
    let plan = py.detach(|| voxpatch::layout::plan(&volume, &workload, &options)).raise(py)?;
    arguments::report(py, &plan)
}
