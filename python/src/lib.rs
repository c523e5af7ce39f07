//! The Python extension `voxpatch._voxpatch`: the library under numpy's words. What users import is
//! curated in `python/voxpatch/__init__.py`.

mod command;
mod error;
mod memory;

use pyo3::prelude::*;

#[pymodule]
mod _voxpatch {
    #[pymodule_export]
    use super::command::run_command;
    #[pymodule_export]
    use super::memory::Memory;
}
