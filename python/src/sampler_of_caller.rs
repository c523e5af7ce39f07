//! A sampler that is written in Python.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::{fmt, io};

use pyo3::exceptions::PyKeyboardInterrupt;
use pyo3::prelude::*;
use voxpatch::sample::{Choice, Draw, Field, Regions, Sample, Sampler};
use voxpatch::{Error, Region, Result};

use crate::arguments::{self, Axes};

/// An exception of the caller's code within an error of the library. Its text is made when it is
/// raised, because errors are shown by threads that do not have the interpreter.
#[derive(Debug)]
pub struct Raised {
    text: String,
    pub exception: PyErr,
}

impl fmt::Display for Raised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Raised {}

/// Draws by calling `draw(shape, index, seed, epoch)` of an object, which gives a start.
pub struct CallersSampler {
    object: Arc<Py<PyAny>>,
    patch: [usize; 3],
    axes: Axes,
    name: String,
    /// Set by a `KeyboardInterrupt`, which a stream that passes over errors must not pass over.
    pub interrupted: Arc<AtomicBool>,
}

impl CallersSampler {
    pub fn new(object: &Bound<'_, PyAny>, patch: [usize; 3], axes: Axes) -> Self {
        // Not its `repr`, which may hold an address: a saved state names the sampler.
        let name = object.get_type().to_string();
        let object = Arc::new(object.clone().unbind());
        Self { object, patch, axes, name, interrupted: Arc::default() }
    }
}

impl fmt::Debug for CallersSampler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallersSampler")
            .field("name", &self.name)
            .field("patch", &self.patch)
            .finish_non_exhaustive()
    }
}

impl Sampler for CallersSampler {
    fn patch(&self) -> [usize; 3] {
        self.patch
    }

    fn follows_voxels(&self) -> bool {
        false
    }

    fn prepare(&self, field: Arc<dyn Field>) -> Result<Arc<dyn Regions>> {
        Ok(Arc::new(CallersRegions {
            object: Arc::clone(&self.object),
            patch: self.patch,
            axes: self.axes,
            shape: field.shape(),
            name: self.name.clone(),
            interrupted: Arc::clone(&self.interrupted),
        }))
    }
}

struct CallersRegions {
    object: Arc<Py<PyAny>>,
    patch: [usize; 3],
    axes: Axes,
    shape: [usize; 3],
    name: String,
    interrupted: Arc<AtomicBool>,
}

impl fmt::Debug for CallersRegions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallersRegions").finish_non_exhaustive()
    }
}

impl Regions for CallersRegions {
    fn count(&self) -> Option<u64> {
        None
    }

    fn draw(&self, Draw { seed, epoch, index }: Draw) -> Result<Sample> {
        let drawn = Python::try_attach(|py| {
            let shape: (usize, usize, usize) = self.axes.flip(self.shape).into();
            let start = self.object.call_method1(py, "draw", (shape, index, seed, epoch));
            let start = start.and_then(|start| arguments::start(start.bind(py), self.axes));
            start.map_err(|exception| {
                if exception.is_instance_of::<PyKeyboardInterrupt>(py) {
                    self.interrupted.store(true, Ordering::Relaxed);
                }
                Raised { text: exception.to_string(), exception }
            })
        });
        // There is no interpreter any more when the process ends.
        let start = drawn.ok_or(Error::Cancelled)?.map_err(|raised| Error::Io {
            action: "draw a patch by",
            path: self.name.clone().into(),
            source: io::Error::other(raised),
        })?;
        Ok(Sample { region: Region { start, shape: self.patch }, choice: Choice::Uniform })
    }
}
