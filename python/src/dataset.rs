//! Datasets: the store as a whole.

use std::path::{Path, PathBuf};
use std::time::Duration;

use pyo3::prelude::*;

use crate::arguments::{self, Axes};
use crate::error::Raise;
use crate::volume::Volume;
use crate::{pools, work};

/// A store of volumes; `voxpatch.Dataset` puts Python's mappings on top.
#[pyclass(frozen, module = "voxpatch._voxpatch", name = "Dataset")]
pub struct Dataset {
    pub dataset: voxpatch::Dataset,
    store: PathBuf,
    axes: Axes,
}

impl Dataset {
    /// The order of the spatial axes.
    pub const fn order(&self) -> Axes {
        self.axes
    }
}

#[pymethods]
impl Dataset {
    /// Opens the store at a path; with `create`, makes one if there is none.
    #[new]
    #[pyo3(signature = (store, axes="zyx", create=false))]
    fn new(py: Python<'_>, store: PathBuf, axes: &str, create: bool) -> PyResult<Self> {
        let axes = Axes::parse(py, axes)?;
        // Another process may have another working directory.
        let store = std::path::absolute(&store).unwrap_or(store);
        let opened = py.detach(|| match create {
            true => voxpatch::Dataset::create(&store),
            false => voxpatch::Dataset::open(&store),
        });
        Ok(Self { dataset: opened.raise(py)?, store, axes })
    }

    #[getter]
    fn store(&self) -> &Path {
        &self.store
    }

    #[getter]
    fn axes(&self) -> &'static str {
        self.axes.name()
    }

    fn subjects(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        py.detach(|| self.dataset.subjects()).raise(py)
    }

    fn images(&self, py: Python<'_>, subject: &str) -> PyResult<Vec<String>> {
        py.detach(|| self.dataset.images(subject)).raise(py)
    }

    fn volume(&self, py: Python<'_>, name: &str) -> PyResult<Volume> {
        let volume = py.detach(|| self.dataset.volume(name)).raise(py)?;
        Ok(Volume { volume, store: self.store.clone(), axes: self.axes })
    }

    fn remove(&self, py: Python<'_>, name: &str) -> PyResult<()> {
        let name = arguments::parsed(py, name)?;
        py.detach(|| self.dataset.remove(&name)).raise(py)
    }

    #[pyo3(signature = (older_than, dry_run))]
    fn sweep<'py>(
        &self,
        py: Python<'py>,
        older_than: f64,
        dry_run: bool,
    ) -> PyResult<Bound<'py, PyAny>> {
        let age = Duration::try_from_secs_f64(older_than).map_err(|_| {
            crate::error::invalid(py, "older_than", older_than, "give seconds, 0 or more")
        })?;
        let report = py.detach(|| self.dataset.sweep(age, dry_run)).raise(py)?;
        arguments::report(py, &report)
    }

    fn unfinished(&self, py: Python<'_>) -> PyResult<Vec<Vec<String>>> {
        let unfinished = py.detach(|| self.dataset.unfinished_aggregations()).raise(py)?;
        Ok(unfinished.into_iter().map(|aggregation| aggregation.outputs).collect())
    }

    fn discard_unfinished(&self, py: Python<'_>, name: &str) -> PyResult<bool> {
        let name = arguments::parsed(py, name)?;
        py.detach(|| self.dataset.discard_aggregation(&name)).raise(py)
    }

    fn build_index<'py>(
        &self,
        py: Python<'py>,
        name: &str,
        threads: Option<usize>,
        progress: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let (pool, name) = (pools::pool(threads).raise(py)?, arguments::parsed(py, name)?);
        let total = py.detach(|| self.dataset.open_volume(&name)).raise(py)?.raw_bytes();
        let build = |report: work::Report<'_>| self.dataset.build_index(&name, &pool, report);
        let built = work::run(py, total, progress, build)?;
        arguments::report(py, &built)
    }

    #[pyo3(signature = (name, threads, progress))]
    fn verify<'py>(
        &self,
        py: Python<'py>,
        name: Option<&str>,
        threads: Option<usize>,
        progress: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let pool = pools::pool(threads).raise(py)?;
        let Some(name) = name else {
            let names = py.detach(|| self.dataset.volumes()).raise(py)?;
            let sizes = names.iter().filter_map(|name| self.dataset.open_volume(name).ok());
            let total = sizes.map(|volume| volume.raw_bytes()).sum();
            let check = |report: work::Report<'_>| self.dataset.verify(&pool, report);
            let found = work::run(py, total, progress, check)?;
            return arguments::report(py, &found);
        };
        let name = arguments::parsed(py, name)?;
        let total = self.dataset.open_volume(&name).map_or(0, |volume| volume.raw_bytes());
        let check = |report: work::Report<'_>| self.dataset.verify_volume(&name, &pool, report);
        let found = work::run(py, total, progress, check)?;
        arguments::report(py, &found)
    }
}
