//! The command line, for `python -m voxpatch` and the script `voxpatch`.

use std::ffi::OsString;

use pyo3::prelude::*;

/// Runs one command line, of which argument 0 is the program's name, and returns its exit code.
#[pyfunction]
pub fn run_command(py: Python<'_>, arguments: Vec<OsString>) -> u8 {
    py.detach(|| voxpatch_command::run(arguments))
}
