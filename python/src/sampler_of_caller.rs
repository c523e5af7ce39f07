//! A sampler that is written in Python.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use pyo3::prelude::*;
use voxpatch::sample::{Choice, Draw, Field, Regions, Sample, Sampler};
use voxpatch::{Error, Region, Result};

use crate::arguments::{self, Axes};

/// The last exception of a sampler: it becomes the cause of the library's error.
static RAISED: Mutex<Option<PyErr>> = Mutex::new(None);

/// The exception that a sampler in Python raised last, if any, which is forgotten.
pub fn raised() -> Option<PyErr> {
    RAISED.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// Draws by calling `draw(shape, index, seed, epoch)` of an object, which gives a start.
pub struct CallersSampler {
    object: Arc<Py<PyAny>>,
    patch: [usize; 3],
    axes: Axes,
    name: String,
}

impl CallersSampler {
    pub fn new(object: &Bound<'_, PyAny>, patch: [usize; 3], axes: Axes) -> Self {
        // Not its `repr`, which may hold an address: a saved state names the sampler.
        let name = object.get_type().to_string();
        Self { object: Arc::new(object.clone().unbind()), patch, axes, name }
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

    fn prepare(&self, field: Arc<dyn Field>) -> Result<Arc<dyn Regions>> {
        Ok(Arc::new(CallersRegions {
            object: Arc::clone(&self.object),
            patch: self.patch,
            axes: self.axes,
            shape: field.shape(),
        }))
    }
}

struct CallersRegions {
    object: Arc<Py<PyAny>>,
    patch: [usize; 3],
    axes: Axes,
    shape: [usize; 3],
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
            let start = self.object.call_method1(py, "draw", (shape, index, seed, epoch))?;
            arguments::start(start.bind(py), self.axes)
        });
        let start = drawn.ok_or(Error::Cancelled)?.map_err(|error| {
            let value = error.to_string();
            *RAISED.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
            let reason = "the sampler's draw(shape, index, seed, epoch) raised it".into();
            Error::InvalidArgument { what: "sampler", value, reason, hint: None }
        })?;
        Ok(Sample { region: Region { start, shape: self.patch }, choice: Choice::Uniform })
    }
}
