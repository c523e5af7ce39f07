//! The codec `packed` by itself, for zarr-python: one chunk to bytes and back.

use numpy::{PyUntypedArray, PyUntypedArrayMethods};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use voxpatch::packed;

use crate::arguments;
use crate::error::{Raise, raised};
use crate::memory::{known_dtype, lend};
use crate::reading;

/// A chunk of any rank as three axes: all before the last two are taken as one.
fn folded(shape: &[usize]) -> [usize; 3] {
    match shape {
        [] => [1; 3],
        [x] => [1, 1, *x],
        [planes @ .., y, x] => [planes.iter().product(), *y, *x],
    }
}

/// Decodes a chunk into a new array of this shape and type.
#[pyfunction]
pub fn _packed_decode<'py>(
    py: Python<'py>,
    encoded: &[u8],
    shape: Vec<usize>,
    dtype: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let of = arguments::dtype(dtype)?;
    let mut memory = reading::memory(&shape, of.size())?;
    let bytes = memory.bytes();
    py.detach(|| packed::decode(encoded, folded(&shape), of, bytes)).raise(py)?;
    let strides = reading::strides(&shape, of.size());
    Ok(memory.into_array(py, of, &shape, &strides)?.into_any())
}

/// Encodes the voxels of an array in C order.
#[pyfunction]
pub fn _packed_encode<'py>(
    py: Python<'py>,
    array: &Bound<'py, PyUntypedArray>,
    key_every: u8,
) -> PyResult<Bound<'py, PyBytes>> {
    let Some(of) = known_dtype(&array.dtype()) else {
        return Err(PyTypeError::new_err(format!("packed stores no {}", array.dtype())));
    };
    if !array.is_c_contiguous() {
        return Err(PyValueError::new_err("the array must be in C order"));
    }
    let shape = folded(array.shape());
    let encoded = lend(array, of, |bytes, _| {
        py.detach(|| packed::encode(bytes, shape, of, key_every)).map_err(|e| raised(py, &e))
    })?;
    Ok(PyBytes::new(py, &encoded))
}
