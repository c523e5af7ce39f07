//! Memory of arrays: numpy arrays over memory that Rust has filled, and the memory of arrays that a
//! caller has given.
//!
//! # Soundness
//!
//! - A new array takes over a [`Memory`], which lives as long as the array or a view of it, and
//!   which nothing else can reach.
//! - The memory of a caller's array is written to while the interpreter is released, as numpy's own
//!   functions do: the array is held for so long, so that its memory stays; another thread that
//!   uses the same array meanwhile is as wrong there as with numpy. Memory that is read-only, and
//!   arrays of objects or of another type, are refused before.
#![allow(unsafe_code)]

use std::ffi::{c_int, c_void};

use numpy::npyffi::{self, NPY_ARRAY_WRITEABLE, NpyTypes, PY_ARRAY_API, npy_intp};
use numpy::{PyArrayDescr, PyArrayDescrMethods, PyUntypedArray, PyUntypedArrayMethods, dtype};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use voxpatch::{Buffer, Dtype, Error, f16};

use crate::error::{invalid, raised};

/// Memory of an array, which the array keeps alive.
#[pyclass(frozen, module = "voxpatch._voxpatch")]
pub struct Memory(Buffer);

impl From<Buffer> for Memory {
    fn from(buffer: Buffer) -> Self {
        Self(buffer)
    }
}

impl Memory {
    pub fn bytes(&mut self) -> &mut [u8] {
        self.0.bytes_mut()
    }

    /// The memory as an array of this type, shape, and strides in bytes, which must not be negative.
    pub fn into_array<'py>(
        mut self,
        py: Python<'py>,
        of: Dtype,
        shape: &[usize],
        strides: &[isize],
    ) -> PyResult<Bound<'py, PyUntypedArray>> {
        let reached: usize = match shape.iter().product::<usize>() {
            0 => 0,
            _ => {
                shape.iter().zip(strides).map(|(n, s)| (n - 1) * s.unsigned_abs()).sum::<usize>()
                    + of.size()
            }
        };
        assert!(
            shape.len() == strides.len()
                && strides.iter().all(|s| *s >= 0)
                && reached <= self.bytes().len(),
            "an array within its memory"
        );
        let data = self.bytes().as_mut_ptr();
        let owner = Bound::new(py, self)?;
        let mut shape: Vec<npy_intp> = shape.iter().map(|n| *n as npy_intp).collect();
        let mut strides: Vec<npy_intp> = strides.iter().map(|n| *n as npy_intp).collect();
        // SAFETY: numpy is imported by then (`descriptor`); every voxel that shape and strides reach
        // lies in the memory (checked above); the memory is owned by `owner`, whose buffer stays
        // where it is on the heap and is not reachable from elsewhere, and which the array holds as
        // its base. The type object and the descriptor are of numpy; `NewFromDescr` takes over the
        // reference to the descriptor, and `SetBaseObject` that to the owner, both also if they
        // fail.
        unsafe {
            let array = PY_ARRAY_API.PyArray_NewFromDescr(
                py,
                npyffi::get_type_object(py, NpyTypes::PyArray_Type),
                descriptor(py, of).into_dtype_ptr(),
                c_int::try_from(shape.len()).expect("few axes"),
                shape.as_mut_ptr(),
                strides.as_mut_ptr(),
                data.cast::<c_void>(),
                NPY_ARRAY_WRITEABLE,
                std::ptr::null_mut(),
            );
            let array = Bound::from_owned_ptr_or_err(py, array)?;
            let done =
                PY_ARRAY_API.PyArray_SetBaseObject(py, array.as_ptr().cast(), owner.into_ptr());
            if done < 0 {
                return Err(PyErr::fetch(py));
            }
            Ok(array.cast_into_unchecked())
        }
    }
}

/// Lends `work` the memory of an array of the caller, with the array's strides in bytes. The memory
/// begins at the lowest byte that an element of the array has.
///
/// # Errors
/// If the array is read-only or has another type; those of `work`.
pub fn lend<T>(
    array: &Bound<'_, PyUntypedArray>,
    of: Dtype,
    work: impl FnOnce(&mut [u8], &[isize]) -> PyResult<T>,
) -> PyResult<T> {
    let (py, found) = (array.py(), array.dtype());
    match known_dtype(&found) {
        Some(dtype) if dtype == of => {}
        Some(asked) => return Err(raised(py, &Error::DtypeMismatch { stored: of, asked })),
        None => {
            let reason = format!("give {of}, in the byte order of this machine");
            return Err(invalid(py, "dtype of out", found, reason));
        }
    }
    if !array.getattr("flags")?.getattr("writeable")?.extract::<bool>()? {
        return Err(PyValueError::new_err("out is read-only"));
    }
    let (shape, strides) = (array.shape(), array.strides());
    let (mut below, mut above) = (0_usize, 0_usize);
    for (n, stride) in shape.iter().zip(strides) {
        let span = n.saturating_sub(1) * stride.unsigned_abs();
        *(if *stride < 0 { &mut below } else { &mut above }) += span;
    }
    if shape.contains(&0) {
        return work(&mut [], strides);
    }
    // SAFETY: the array's first element and, by its shape and strides, its lowest and highest one
    // lie in its memory, which is writeable and stays while `array` is held. Its bytes are
    // initialised, as of every numpy array of numbers. See the head of this file on others that use
    // them meanwhile.
    let bytes = unsafe {
        let first: *mut u8 = (*array.as_array_ptr()).fields.data.cast();
        std::slice::from_raw_parts_mut(first.sub(below), below + above + of.size())
    };
    work(bytes, strides)
}

/// The memory of an array in C order, to read from for as long as this is held.
pub struct Kept {
    /// Held, so that its memory stays.
    _array: Py<PyUntypedArray>,
    start: *const u8,
    length: usize,
}

// SAFETY: only reads, of memory that the array keeps; see the head of this file on threads that
// write to the array meanwhile.
unsafe impl Send for Kept {}
// SAFETY: as above.
unsafe impl Sync for Kept {}

impl Kept {
    /// # Errors
    /// If the array is not in C order.
    pub fn of(array: &Bound<'_, PyUntypedArray>) -> PyResult<Self> {
        if !array.is_c_contiguous() {
            return Err(PyValueError::new_err("the array must be in C order"));
        }
        // SAFETY: a field of the array's own structure.
        let start = unsafe { (*array.as_array_ptr()).fields.data.cast::<u8>().cast_const() };
        let length = array.len() * array.dtype().itemsize();
        Ok(Self { _array: array.clone().unbind(), start, length })
    }

    pub fn bytes(&self) -> &[u8] {
        if self.length == 0 {
            return &[];
        }
        // SAFETY: an array in C order has its voxels side by side, and is held; its bytes are
        // initialised, as of every numpy array of numbers.
        unsafe { std::slice::from_raw_parts(self.start, self.length) }
    }
}

/// The library's name of a numpy type, if it has one and the bytes are in this machine's order.
pub fn known_dtype(descr: &Bound<'_, PyArrayDescr>) -> Option<Dtype> {
    Dtype::ALL.into_iter().find(|dtype| descriptor(descr.py(), *dtype).is_equiv_to(descr))
}

/// numpy's descriptor of a type, in the order of this machine.
pub fn descriptor(py: Python<'_>, of: Dtype) -> Bound<'_, PyArrayDescr> {
    match of {
        Dtype::UInt8 => dtype::<u8>(py),
        Dtype::Int8 => dtype::<i8>(py),
        Dtype::UInt16 => dtype::<u16>(py),
        Dtype::Int16 => dtype::<i16>(py),
        Dtype::UInt32 => dtype::<u32>(py),
        Dtype::Int32 => dtype::<i32>(py),
        Dtype::UInt64 => dtype::<u64>(py),
        Dtype::Int64 => dtype::<i64>(py),
        Dtype::Float16 => dtype::<f16>(py),
        Dtype::Float32 => dtype::<f32>(py),
        Dtype::Float64 => dtype::<f64>(py),
    }
}
