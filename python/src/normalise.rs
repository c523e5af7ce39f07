//! Parameters of a normalisation.

use pyo3::prelude::*;

use crate::error::Raise;

/// Normalisation of real values to `(clip(v) - mean) / std`, as float32.
///
/// Args:
///     mean: The value that becomes 0.
///     std: The distance from `mean` that becomes 1; greater than 0.
///     clip: Values are first clipped to this pair, if given.
///
/// Volumes make them from their statistics: `Volume.z_score` and the methods beside it.
#[pyclass(frozen, eq, module = "voxpatch")]
#[derive(Clone, Copy, PartialEq)]
pub struct Normalise(pub voxpatch::Normalise);

#[pymethods]
impl Normalise {
    #[new]
    #[pyo3(signature = (mean, std, *, clip=None))]
    fn new(mean: f64, std: f64, clip: Option<(f64, f64)>) -> Self {
        Self(voxpatch::Normalise { clip, mean, std })
    }

    /// Maps `low` to 0 and `high` to 1, and clips values outside: the window of a CT.
    #[staticmethod]
    fn range(py: Python<'_>, low: f64, high: f64) -> PyResult<Self> {
        voxpatch::Normalise::range(low, high).raise(py).map(Self)
    }

    /// The value that becomes 0.
    #[getter]
    fn mean(&self) -> f64 {
        self.0.mean
    }

    /// The distance from `mean` that becomes 1.
    #[getter]
    fn std(&self) -> f64 {
        self.0.std
    }

    /// The pair that values are clipped to, or None.
    #[getter]
    fn clip(&self) -> Option<(f64, f64)> {
        self.0.clip
    }

    fn __repr__(&self) -> String {
        let clip =
            self.0.clip.map_or(String::new(), |(low, high)| format!(", clip=({low}, {high})"));
        format!("Normalise({}, {}{clip})", self.0.mean, self.0.std)
    }

    fn __getnewargs_ex__(&self, py: Python<'_>) -> PyResult<((f64, f64), Py<pyo3::types::PyDict>)> {
        let options = pyo3::types::PyDict::new(py);
        options.set_item("clip", self.0.clip)?;
        Ok(((self.0.mean, self.0.std), options.unbind()))
    }
}
