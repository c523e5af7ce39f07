//! Streams of patches, read ahead by threads of the library.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use numpy::PyUntypedArray;
use numpy::ndarray::Dimension;
use pyo3::exceptions::{PyKeyboardInterrupt, PyRuntimeError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use voxpatch::stream::{ImageRequest, OnError, Origin, Remainder, StreamOptions};
use voxpatch::{Frame, Frames, Voxels};

use crate::arguments::{self, Axes};
use crate::dataset::Dataset;
use crate::error::{Raise, invalid};
use crate::normalise::Normalise;
use crate::reading;
use crate::sample::{self, Sampler};

/// How an image is looked at: the words of `Volume.read`.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
struct Image<'py> {
    name: String,
    pad: Option<Bound<'py, PyAny>>,
    dtype: Option<Bound<'py, PyAny>>,
    scaled: bool,
    normalise: Option<Bound<'py, PyAny>>,
    time: Option<usize>,
    channel: Option<usize>,
    frames: Option<String>,
}

impl Image<'_> {
    fn request(&self, py: Python<'_>) -> PyResult<ImageRequest> {
        let mut request = ImageRequest::new(&self.name);
        match (self.frames.as_deref(), self.time, self.channel) {
            (Some("all"), None, None) => request = request.frames(Frames::All),
            (Some(_), ..) => {
                let reason = "give \"all\", without time and channel";
                return Err(invalid(py, "frames", &self.name, reason));
            }
            (None, Some(time), None) => request = request.frames(Frames::Time(time)),
            (None, None, None) => {}
            (None, time, Some(channel)) => {
                request = request.frame(Frame { time: time.unwrap_or(0), channel });
            }
        }
        match (self.scaled, &self.dtype, &self.normalise) {
            (false, None, None) => {}
            (true, None, None) => request = request.scaled(),
            (false, Some(dtype), None) => {
                let dtype = arguments::dtype(dtype)?;
                request = request.view(format!("as {dtype}"), move |v| Ok(v.converted(dtype)));
            }
            (false, None, Some(by)) => {
                request = if let Ok(given) = by.cast::<Normalise>() {
                    let given = given.get().0;
                    request.view(format!("{given:?}"), move |v| v.normalised(given))
                } else if by.extract::<String>().is_ok_and(|name| name == "z_score") {
                    request.view("z_score", |v| v.normalised(v.volume().z_score()?))
                } else {
                    let reason = "give \"z_score\", or a Normalise";
                    return Err(invalid(py, "normalise", by, reason));
                };
            }
            _ => return Err(PyTypeError::new_err("give one of scaled, dtype and normalise")),
        }
        match &self.pad {
            Some(pad) => Ok(request.padded(arguments::padding(pad)?)),
            None => Ok(request),
        }
    }
}

/// The numbers of a stream's options.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
struct Numbers {
    patches_per_visit: usize,
    shuffle_window: usize,
    seed: u64,
    epoch: u64,
    rank: u32,
    world: u32,
    remainder: String,
    workers: usize,
    ahead_bytes: usize,
    open_subjects: usize,
    on_error: String,
}

/// A stream of patches; `voxpatch.PatchStream` puts Python's iterators on top.
#[pyclass(frozen, module = "voxpatch._voxpatch", name = "PatchStream")]
pub struct PatchStream {
    /// `None` when it is closed.
    stream: Mutex<Option<voxpatch::stream::PatchStream>>,
    /// Set by a `KeyboardInterrupt` of a sampler.
    interrupted: Arc<AtomicBool>,
    /// What a signal's handler has raised while the stream was waited for.
    raised: Arc<Mutex<Option<PyErr>>>,
    axes: Axes,
}

impl PatchStream {
    /// The stream, unless another thread is reading from it. Never waits: a forked process would
    /// wait for ever.
    fn with<T>(
        &self,
        work: impl FnOnce(&mut voxpatch::stream::PatchStream) -> PyResult<T>,
    ) -> PyResult<T> {
        let mut stream = self.stream.try_lock().map_err(|_| {
            PyRuntimeError::new_err("another thread is reading from this stream: give each its own")
        })?;
        match stream.as_mut() {
            Some(stream) => work(stream),
            None => Err(PyRuntimeError::new_err("the stream is closed")),
        }
    }

    /// Raises what a signal's handler has raised meanwhile: `KeyboardInterrupt`, also in a sampler.
    fn check_signals(&self, py: Python<'_>) -> PyResult<()> {
        let raised = self.raised.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(raised) = raised {
            return Err(raised);
        }
        if self.interrupted.swap(false, Ordering::Relaxed) {
            return Err(PyKeyboardInterrupt::new_err(()));
        }
        py.check_signals()
    }

    /// Puts voxels into a dictionary, as arrays.
    fn insert<D: Dimension>(
        &self,
        images: &Bound<'_, PyDict>,
        named: Vec<(Arc<str>, Voxels<D>)>,
    ) -> PyResult<()> {
        for (name, voxels) in named {
            images.set_item(&*name, array(images.py(), voxels, self.axes)?)?;
        }
        Ok(())
    }
}

impl Drop for PatchStream {
    /// Waits for the threads with the interpreter released: one of them may be calling a sampler in
    /// Python.
    fn drop(&mut self) {
        let stream = self.stream.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        Python::try_attach(|py| py.detach(|| drop(stream)));
    }
}

#[pymethods]
impl PatchStream {
    #[new]
    fn new<'py>(
        py: Python<'py>,
        dataset: &Bound<'py, Dataset>,
        subjects: Vec<String>,
        sampler: &Bound<'py, Sampler>,
        images: Vec<Bound<'py, PyAny>>,
        sample_by: Option<String>,
        numbers: &Bound<'py, PyAny>,
    ) -> PyResult<Self> {
        let numbers: Numbers = numbers.extract()?;
        let images = images.iter().map(|image| image.extract::<Image<'_>>()?.request(py));
        let remainder = match &*numbers.remainder {
            "drop" => Remainder::Drop,
            "repeat" => Remainder::Repeat,
            other => return Err(invalid(py, "remainder", other, "give \"drop\" or \"repeat\"")),
        };
        let on_error = match &*numbers.on_error {
            "raise" => OnError::Fail,
            "skip" => OnError::Skip,
            other => return Err(invalid(py, "on_error", other, "give \"raise\" or \"skip\"")),
        };
        let options = StreamOptions::default()
            .images(images.collect::<PyResult<_>>()?)
            .sample_by(sample_by)
            .patches_per_visit(numbers.patches_per_visit)
            .shuffle_window(numbers.shuffle_window)
            .seed(numbers.seed)
            .epoch(numbers.epoch)
            .rank(numbers.rank)
            .world(numbers.world)
            .remainder(remainder)
            .workers(numbers.workers)
            .ahead_bytes(numbers.ahead_bytes)
            .open_subjects(numbers.open_subjects)
            .on_error(on_error);
        let interrupted = Arc::clone(&sampler.get().interrupted);
        let (dataset, sampler) = (dataset.get(), Arc::clone(&sampler.get().sampler));
        let made = py.detach(|| {
            voxpatch::stream::PatchStream::new(&dataset.dataset, subjects, sampler, &options)
        });
        let mut stream = made.raise(py)?;
        let raised = Arc::new(Mutex::new(None));
        let kept = Arc::clone(&raised);
        stream.stop_when(move || {
            let raised = Python::try_attach(|py| py.check_signals().err()).flatten();
            let is_raised = raised.is_some();
            if is_raised {
                *kept.lock().unwrap_or_else(PoisonError::into_inner) = raised;
            }
            is_raised
        });
        let stream = Mutex::new(Some(stream));
        Ok(Self { stream, interrupted, raised, axes: dataset.order() })
    }

    #[getter]
    fn epoch(&self) -> PyResult<u64> {
        self.with(|stream| Ok(stream.epoch()))
    }

    #[getter]
    fn patches_per_epoch(&self) -> PyResult<u64> {
        self.with(|stream| Ok(stream.patches_per_epoch()))
    }

    #[getter]
    fn remaining(&self) -> PyResult<u64> {
        self.with(|stream| Ok(stream.remaining()))
    }

    /// Ends the threads, which may be calling a sampler in Python, while there is an interpreter.
    fn close(&self, py: Python<'_>) {
        let stream = self.stream.try_lock().ok().and_then(|mut held| held.take());
        py.detach(|| drop(stream));
    }

    fn set_epoch(&self, py: Python<'_>, epoch: u64) -> PyResult<()> {
        self.with(|stream| {
            py.detach(|| stream.set_epoch(epoch));
            Ok(())
        })
    }

    /// What was left out: subject, the first error, and the number of patches.
    fn skipped(&self) -> PyResult<Vec<(String, String, u64)>> {
        self.with(|stream| {
            let skipped = stream.skipped().iter();
            Ok(skipped.map(|s| (s.subject.clone(), s.error.clone(), s.patches)).collect())
        })
    }

    fn state<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.with(|stream| arguments::report(py, &py.detach(|| stream.state())))
    }

    fn resume(&self, py: Python<'_>, state: &str) -> PyResult<()> {
        let state = serde_json::from_str(state)
            .map_err(|error| invalid(py, "state", error, "give one that state_dict() made"))?;
        self.with(|stream| py.detach(|| stream.resume(&state)).raise(py))
    }

    /// The next patch: a dictionary of arrays, and the origin. None at the end of the epoch.
    fn next<'py>(
        &self,
        py: Python<'py>,
    ) -> PyResult<Option<(Bound<'py, PyDict>, Bound<'py, PyDict>)>> {
        // Before a patch is taken: an exception raised behind one would lose it.
        self.check_signals(py)?;
        let patch = self.with(|stream| Ok(py.detach(|| stream.next())))?;
        let Some(Ok(patch)) = patch else {
            self.check_signals(py)?;
            patch.transpose().raise(py)?;
            return Ok(None);
        };
        let images = PyDict::new(py);
        self.insert(&images, patch.images)?;
        self.insert(&images, patch.frames)?;
        Ok(Some((images, origin(py, &patch.origin, self.axes)?)))
    }

    /// The next batch, the same.
    fn next_batch<'py>(
        &self,
        py: Python<'py>,
        size: usize,
        drop_last: bool,
    ) -> PyResult<Option<(Bound<'py, PyDict>, Bound<'py, PyList>)>> {
        self.check_signals(py)?;
        let batch = self
            .with(|stream| py.detach(|| Ok(stream.batches(size, drop_last)?.next())).raise(py))?;
        let Some(Ok(batch)) = batch else {
            self.check_signals(py)?;
            batch.transpose().raise(py)?;
            return Ok(None);
        };
        let images = PyDict::new(py);
        self.insert(&images, batch.images)?;
        self.insert(&images, batch.frames)?;
        let origins = batch.origins.iter().map(|of| origin(py, of, self.axes));
        Ok(Some((images, PyList::new(py, origins.collect::<PyResult<Vec<_>>>()?)?)))
    }
}

/// Voxels as an array over their memory, `(..., z, y, x)` turned to the order of axes.
fn array<D: Dimension>(
    py: Python<'_>,
    voxels: Voxels<D>,
    axes: Axes,
) -> PyResult<Bound<'_, PyUntypedArray>> {
    let (of, shape) = (voxels.dtype(), voxels.shape().to_vec());
    reading::array(py, voxels.into_buffer().into(), of, &shape, axes)
}

fn origin<'py>(py: Python<'py>, origin: &Origin, axes: Axes) -> PyResult<Bound<'py, PyDict>> {
    let of = PyDict::new(py);
    let start: (i64, i64, i64) = axes.flip(origin.region.start).into();
    let shape: (usize, usize, usize) = axes.flip(origin.region.shape).into();
    let [z, y, x] = axes.flip(origin.padding).map(|[before, after]| (before, after));
    let spacing: (f64, f64, f64) = axes.flip(origin.spacing.mm()).into();
    of.set_item("subject", &origin.subject)?;
    of.set_item("start", start)?;
    of.set_item("shape", shape)?;
    of.set_item("padding", (z, y, x))?;
    of.set_item("spacing", spacing)?;
    of.set_item("affine", arguments::matrix(py, origin.affine.0))?;
    of.set_item("choice", sample::choice(py, origin.choice)?)?;
    of.set_item("position", origin.position)?;
    Ok(of)
}
