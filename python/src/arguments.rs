//! Arguments, from Python's objects to the library's types.

use std::str::FromStr;

use numpy::PyArrayDescr;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyString;
use voxpatch::{Dtype, Error, Padding};

use crate::error::{Raise, invalid};
use crate::memory::known_dtype;

/// The order of the three axes in which a caller gives and gets starts, shapes, spacings and arrays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Axes {
    Zyx,
    Xyz,
}

impl Axes {
    pub fn parse(py: Python<'_>, text: &str) -> PyResult<Self> {
        match text {
            "zyx" => Ok(Self::Zyx),
            "xyz" => Ok(Self::Xyz),
            _ => Err(invalid(py, "axes", text, "give \"zyx\" or \"xyz\"")),
        }
    }

    pub const fn name(self) -> &'static str {
        match self {
            Self::Zyx => "zyx",
            Self::Xyz => "xyz",
        }
    }

    /// A triple in the caller's order as `z, y, x`, or the other way round.
    pub fn flip<T>(self, mut triple: [T; 3]) -> [T; 3] {
        if self == Self::Xyz {
            triple.reverse();
        }
        triple
    }
}

/// Three whole numbers, of any sequence or array.
fn numbers(object: &Bound<'_, PyAny>, what: &'static str) -> PyResult<[i64; 3]> {
    let refused = || {
        let kind = object.get_type();
        PyTypeError::new_err(format!("{what} must be three whole numbers, not {object} ({kind})"))
    };
    let mut found = Vec::with_capacity(3);
    for item in object.try_iter().map_err(|_| refused())? {
        found.push(item?.extract().map_err(|_| refused())?);
    }
    found.try_into().map_err(|_| refused())
}

/// The start of a region, in the caller's order: `z, y, x` of it.
pub fn start(object: &Bound<'_, PyAny>, axes: Axes) -> PyResult<[i64; 3]> {
    numbers(object, "start").map(|start| axes.flip(start))
}

/// A shape, in the caller's order: `z, y, x` of it. A single number stands for a cube.
pub fn shape(object: &Bound<'_, PyAny>, what: &'static str, axes: Axes) -> PyResult<[usize; 3]> {
    if let Ok(side) = object.extract::<usize>() {
        return Ok([side; 3]);
    }
    let [a, b, c] = numbers(object, what)?.map(usize::try_from);
    match (a, b, c) {
        (Ok(a), Ok(b), Ok(c)) => Ok(axes.flip([a, b, c])),
        _ => Err(invalid(object.py(), what, object, "no length may be negative")),
    }
}

/// A type of voxels, by any of numpy's names for it.
pub fn dtype(object: &Bound<'_, PyAny>) -> PyResult<Dtype> {
    let py = object.py();
    if let Ok(name) = object.cast::<PyString>()
        && let Ok(dtype) = Dtype::from_str(&name.to_string_lossy())
    {
        return Ok(dtype);
    }
    // torch.float32 is called so.
    let name = object.str()?.to_string_lossy().into_owned();
    if let Some(name) = name.strip_prefix("torch.") {
        return Dtype::from_str(name).raise(py);
    }
    let descr = PyArrayDescr::new(py, object)?;
    known_dtype(&descr).ok_or_else(|| {
        let all = Dtype::ALL.map(Dtype::name).join(", ");
        PyTypeError::new_err(format!("dtype {descr} is none of {all} in the order of this machine"))
    })
}

/// `pad=`: a number, or one of numpy's names of a mode.
pub fn padding(object: &Bound<'_, PyAny>) -> PyResult<Padding> {
    if let Ok(number) = object.extract::<f64>() {
        return Ok(Padding::Constant(number));
    }
    let name = object.extract::<String>().map_err(|_| {
        PyTypeError::new_err(format!("pad must be a number or the name of a mode, not {object}"))
    })?;
    Padding::from_str(&name).raise(object.py())
}

/// What the library parses from text, from the text of an object.
pub fn parsed<T: FromStr<Err = Error>>(py: Python<'_>, text: &str) -> PyResult<T> {
    T::from_str(text).raise(py)
}

/// A report as Python's plain objects, as the command prints it with `--json`.
pub fn report<'py>(py: Python<'py>, report: &impl serde::Serialize) -> PyResult<Bound<'py, PyAny>> {
    let text = serde_json::to_string(report)
        .map_err(|error| pyo3::exceptions::PyRuntimeError::new_err(error.to_string()))?;
    py.import("json")?.call_method1("loads", (text,))
}

/// An array of four rows for an affine.
pub fn matrix(py: Python<'_>, rows: [[f64; 4]; 4]) -> Bound<'_, PyAny> {
    let rows: Vec<Vec<f64>> = rows.iter().map(|row| row.to_vec()).collect();
    numpy::PyArray2::from_vec2(py, &rows).expect("rows of equal length").into_any()
}
