//! Predictions of patches become volumes.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use numpy::ndarray::{ArrayView5, Axis};
use numpy::{IntoPyArray, PyArray1, PyArray2, PyReadonlyArray5, PyUntypedArrayMethods};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use voxpatch::aggregate::{self, AggregateOptions, NonFinite, Overwrite, Plan, Unfinished};

use crate::arguments::{self, Axes};
use crate::dataset::Dataset;
use crate::error::{Raise, invalid};
use crate::sample::{Sampler, rows};
use crate::volume::Volume;
use crate::{pools, work};

/// A volume to be made of predictions.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
struct Output<'py> {
    name: String,
    channels: usize,
    values: String,
    head: usize,
    factor: Bound<'py, PyAny>,
    codec: Option<String>,
    chunk: Option<Bound<'py, PyAny>>,
    shard: Option<Bound<'py, PyAny>>,
}

impl Output<'_> {
    fn made(&self, py: Python<'_>, axes: Axes) -> PyResult<aggregate::Output> {
        let triple = |given: &Option<Bound<'_, PyAny>>, what| {
            given.as_ref().map(|shape| arguments::shape(shape, what, axes)).transpose()
        };
        let (name, values) =
            (arguments::parsed(py, &self.name)?, arguments::parsed(py, &self.values)?);
        let codec = self.codec.as_deref().map(|codec| arguments::parsed(py, codec)).transpose()?;
        Ok(aggregate::Output::new(name, self.channels, values)
            .head(self.head)
            .factor(arguments::shape(&self.factor, "factor", axes)?)
            .codec(codec)
            .chunk(triple(&self.chunk, "chunk")?)
            .shard(triple(&self.shard, "shard")?))
    }
}

/// The keyword arguments of an aggregation.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
struct Words<'py> {
    blend: String,
    overwrite: Bound<'py, PyAny>,
    unfinished: String,
    non_finite: Bound<'py, PyAny>,
    budget: Option<u64>,
    scratch: Option<PathBuf>,
    checkpoint: Option<f64>,
    made_by: String,
    part: Option<(usize, usize)>,
}

/// What may be replaced: nothing, predictions, or anything.
fn overwriting(object: &Bound<'_, PyAny>) -> PyResult<Overwrite> {
    if let Ok(is_asked) = object.extract::<bool>() {
        return Ok(if is_asked { Overwrite::Predictions } else { Overwrite::Nothing });
    }
    if object.extract::<String>().is_ok_and(|name| name == "anything") {
        return Ok(Overwrite::Anything);
    }
    let reason = "give True for predictions, \"anything\" for every volume, or False";
    Err(invalid(object.py(), "overwrite", object, reason))
}

impl Words<'_> {
    fn options(&self, py: Python<'_>) -> PyResult<AggregateOptions> {
        let unfinished = match &*self.unfinished {
            "refuse" => Unfinished::Refuse,
            "resume" => Unfinished::Resume,
            "restart" => Unfinished::Restart,
            "resume_in_doubt" => Unfinished::ResumeInDoubt,
            other => {
                let reason = "give \"refuse\", \"resume\", \"restart\" or \"resume_in_doubt\"";
                return Err(invalid(py, "unfinished", other, reason));
            }
        };
        let non_finite =
            match (self.non_finite.extract::<f32>(), self.non_finite.extract::<String>()) {
                (Ok(value), _) => NonFinite::Replace(value),
                (_, Ok(name)) if name == "error" => NonFinite::Error,
                (_, Ok(name)) if name == "keep" => NonFinite::Keep,
                _ => {
                    let reason = "give \"error\", \"keep\", or a number";
                    return Err(invalid(py, "non_finite", &self.non_finite, reason));
                }
            };
        let every = self.checkpoint.map(Duration::try_from_secs_f64).transpose();
        let every = every.map_err(|_| invalid(py, "checkpoint", "", "give seconds, or None"))?;
        Ok(AggregateOptions::default()
            .unfinished(unfinished)
            .overwrite(overwriting(&self.overwrite)?)
            .non_finite(non_finite)
            .budget(self.budget)
            .scratch(self.scratch.clone())
            .checkpoint(every)
            .made_by(self.made_by.clone()))
    }
}

/// An aggregation; `voxpatch.Aggregator` puts conversions on top.
#[pyclass(frozen, module = "voxpatch._voxpatch", name = "Aggregator")]
pub struct Aggregator {
    /// `None` when it was finished.
    aggregator: Mutex<Option<aggregate::Aggregator>>,
    plan: std::sync::Arc<Plan>,
    axes: Axes,
}

impl Aggregator {
    fn with<T>(&self, work: impl FnOnce(&mut aggregate::Aggregator) -> PyResult<T>) -> PyResult<T> {
        let mut aggregator = self.aggregator.try_lock().map_err(|_| {
            PyRuntimeError::new_err("another thread is adding: take turns, or give whole batches")
        })?;
        match aggregator.as_mut() {
            Some(aggregator) => work(aggregator),
            None => Err(PyRuntimeError::new_err("the aggregation is finished or closed")),
        }
    }
}

impl Drop for Aggregator {
    /// Waits for what is being written, with the interpreter released.
    fn drop(&mut self) {
        let aggregator = self.aggregator.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        Python::try_attach(|py| py.detach(|| drop(aggregator)));
    }
}

#[pymethods]
impl Aggregator {
    #[new]
    fn new<'py>(
        py: Python<'py>,
        dataset: &Bound<'py, Dataset>,
        source: &Bound<'py, Volume>,
        sampler: &Bound<'py, Sampler>,
        outputs: Vec<Bound<'py, PyAny>>,
        words: &Bound<'py, PyAny>,
    ) -> PyResult<Self> {
        let (source, words) = (source.get(), words.extract::<Words<'_>>()?);
        let options = words.options(py)?;
        let made = outputs.iter().map(|o| o.extract::<Output<'_>>()?.made(py, source.axes));
        let outputs = made.collect::<PyResult<Vec<_>>>()?;
        let grid = sampler.get().grid.as_ref().expect("made of a GridSampler");
        let blend = arguments::parsed(py, &words.blend)?;
        let plan = Plan::new(&source.volume, grid, blend, outputs).raise(py)?;
        let plan = std::sync::Arc::new(plan);
        let dataset = &dataset.get().dataset;
        let begun = match words.part {
            None => py.detach(|| aggregate::Aggregator::begin(dataset, plan.clone(), &options)),
            Some((n, of)) => py.detach(|| {
                let parts = plan.split(of)?;
                let count = parts.len();
                let part = parts.into_iter().nth(n).ok_or_else(|| {
                    let reason = format!("parts are counted from 0, and there are {count}");
                    let what = "part";
                    voxpatch::Error::InvalidArgument {
                        what,
                        value: n.to_string(),
                        reason,
                        hint: None,
                    }
                })?;
                aggregate::Aggregator::begin_part(dataset, plan.clone(), part, &options)
            }),
        };
        Ok(Self { aggregator: Mutex::new(Some(begun.raise(py)?)), plan, axes: source.axes })
    }

    /// Patches of the plan.
    fn patches(&self) -> u64 {
        self.plan.grid().len()
    }

    /// Numbers of the patches whose predictions are still to come, in the order of the plan.
    fn remaining<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyArray1<u64>>> {
        self.with(|aggregator| {
            let numbers: Vec<u64> = py.detach(|| aggregator.remaining().collect());
            Ok(numbers.into_pyarray(py))
        })
    }

    /// The first voxels of patches, `(n, 3)`.
    fn starts<'py>(
        &self,
        py: Python<'py>,
        numbers: Vec<u64>,
    ) -> PyResult<Bound<'py, PyArray2<i64>>> {
        let grid = self.plan.grid();
        let mut starts = Vec::with_capacity(numbers.len());
        for number in numbers {
            let Some(region) = grid.region(number) else {
                let reason = format!("the grid has {} patches, counted from 0", grid.len());
                return Err(invalid(py, "patch", number, reason));
            };
            starts.push(self.axes.flip(region.start));
        }
        Ok(rows(starts.into_iter()).into_pyarray(py))
    }

    /// Adds the predictions of patches: for each head an array `(n, c, *spatial)`.
    fn add(
        &self,
        py: Python<'_>,
        numbers: Vec<u64>,
        predictions: Vec<PyReadonlyArray5<'_, f32>>,
        threads: Option<usize>,
    ) -> PyResult<()> {
        let count = predictions.iter().find(|p| p.shape()[0] != numbers.len());
        if let Some(wrong) = count {
            let reason = format!("{} patches are given", numbers.len());
            return Err(invalid(py, "predictions", wrong.shape()[0], reason));
        }
        let mut views: Vec<ArrayView5<'_, f32>> =
            predictions.iter().map(|p| p.as_array()).collect();
        if self.axes == Axes::Xyz {
            for view in &mut views {
                view.swap_axes(2, 4);
            }
        }
        if let [number] = numbers[..] {
            let views: Vec<_> = views.iter().map(|view| view.index_axis(Axis(0), 0)).collect();
            return self.with(|aggregator| py.detach(|| aggregator.add(number, &views)).raise(py));
        }
        let pool = pools::pool(threads).raise(py)?;
        self.with(|aggregator| py.detach(|| aggregator.add_many(&numbers, &views, &pool)).raise(py))
    }

    fn check_complete(&self, py: Python<'_>) -> PyResult<()> {
        self.with(|aggregator| py.detach(|| aggregator.check_complete()).raise(py))
    }

    fn checkpoint(&self, py: Python<'_>, if_due: bool) -> PyResult<bool> {
        self.with(|aggregator| {
            let written = py.detach(|| match if_due {
                true => aggregator.checkpoint_if_due(),
                false => aggregator.checkpoint(),
            });
            written.raise(py)
        })
    }

    fn fill_missing(&self, py: Python<'_>, fill: f32, threads: Option<usize>) -> PyResult<u64> {
        let pool = pools::pool(threads).raise(py)?;
        self.with(|aggregator| {
            work::run(py, 0, None, |report| aggregator.fill_missing(fill, &pool, &|| report(0)))
        })
    }

    fn memory<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.with(|aggregator| arguments::report(py, &aggregator.memory()))
    }

    /// Lets go of an aggregation that is not finished: another may resume it.
    fn close(&self, py: Python<'_>) {
        let aggregator = self.aggregator.try_lock().ok().and_then(|mut held| held.take());
        py.detach(|| drop(aggregator));
    }

    /// Publishes the outputs.
    fn finish<'py>(
        &self,
        py: Python<'py>,
        threads: Option<usize>,
        progress: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let pool = pools::pool(threads).raise(py)?;
        // Asked before, because finishing takes the aggregator away.
        self.check_complete(py)?;
        let aggregator = self.aggregator.try_lock().ok().and_then(|mut held| held.take());
        let Some(aggregator) = aggregator else {
            return Err(PyRuntimeError::new_err("the aggregation is finished or closed"));
        };
        let finish = |report: work::Report<'_>| aggregator.finish(&pool, report);
        let report = work::run(py, 0, progress, finish)?;
        arguments::report(py, &report)
    }
}

/// Publishes the outputs of an aggregation that was made in parts; see `voxpatch.finalise`.
#[pyfunction]
pub fn _finalise<'py>(
    py: Python<'py>,
    dataset: &Bound<'py, Dataset>,
    name: &str,
    overwrite: &Bound<'py, PyAny>,
    threads: Option<usize>,
    progress: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let (pool, overwrite) = (pools::pool(threads).raise(py)?, overwriting(overwrite)?);
    let (dataset, name) = (&dataset.get().dataset, arguments::parsed(py, name)?);
    let finalise =
        |report: work::Report<'_>| aggregate::finalise(dataset, &name, overwrite, &pool, report);
    let report = work::run(py, 0, progress, finalise)?;
    arguments::report(py, &report)
}
