//! Errors become exceptions of `voxpatch.errors`: a class for each thing that a caller can do.

use std::path::Path;

use pyo3::prelude::*;
use voxpatch::{Error, Hint};

use crate::sampler_of_caller::Raised;

/// The class of the exception.
fn class(error: &Error) -> &'static str {
    match error {
        Error::NotFound { .. } => "NotFoundError",
        Error::AlreadyExists { .. } => "AlreadyExistsError",
        Error::NotPredicted { .. } => "NotPredictedError",
        Error::OutOfBounds { .. } => "OutOfBoundsError",
        Error::DtypeMismatch { .. } => "DtypeMismatchError",
        Error::InvalidArgument { .. } => "InvalidArgumentError",
        Error::InvalidLayout { .. } => "InvalidLayoutError",
        Error::UnsupportedScan { .. } => "UnsupportedScanError",
        Error::CorruptScan { .. } => "CorruptScanError",
        Error::CorruptStore { .. } => "CorruptStoreError",
        Error::Replaced { .. } => "ReplacedError",
        Error::Conflict { .. } => "ConflictError",
        Error::Busy { .. } => "BusyError",
        Error::NotVoxpatch { .. } => "NotVoxpatchError",
        Error::VersionTooNew { .. } => "VersionTooNewError",
        Error::Unfinished { .. } => "UnfinishedError",
        Error::InDoubt { .. } => "InDoubtError",
        Error::Incomplete { .. } => "IncompleteError",
        Error::Model { .. } => "ModelError",
        Error::Cancelled => "CancelledError",
        Error::Subject { .. } => "SubjectError",
        Error::Panicked { .. } => "PanickedError",
        Error::Io { .. } => "IOError",
        _ => "VoxpatchError",
    }
}

/// The path that an error is about.
fn path_of(error: &Error) -> Option<&Path> {
    match error {
        Error::NotFound { path, .. }
        | Error::AlreadyExists { path }
        | Error::NotPredicted { path }
        | Error::UnsupportedScan { path, .. }
        | Error::CorruptScan { path, .. }
        | Error::CorruptStore { path, .. }
        | Error::Replaced { path }
        | Error::Conflict { path }
        | Error::Busy { path, .. }
        | Error::NotVoxpatch { path, .. }
        | Error::VersionTooNew { path, .. }
        | Error::Unfinished { path, .. }
        | Error::InDoubt { path, .. }
        | Error::Io { path, .. }
        | Error::Store { path, .. } => Some(path),
        Error::Subject { source, .. } => path_of(source),
        _ => None,
    }
}

/// The argument that helps.
fn argument(hint: Hint) -> Option<&'static str> {
    Some(match hint {
        Hint::Overwrite => "pass overwrite=True",
        Hint::OverwriteSource => "choose another name, or pass overwrite=\"anything\"",
        Hint::Pad => {
            "pass pad=, such as pad=0 or pad=\"edge\"; of volumes smaller than a patch, also \
             pad_small_volumes=True to the sampler"
        }
        Hint::ReturnedType => "pass dtype=, such as dtype=\"float32\"",
        Hint::Resume => "pass unfinished=\"resume\"",
        Hint::ResumeOrRestart => "pass unfinished=\"resume\" or unfinished=\"restart\"",
        Hint::Restart => "pass unfinished=\"restart\"",
        Hint::RestartOrTrust => "pass unfinished=\"restart\", or \"resume_in_doubt\" to trust it",
        Hint::OnePart => "pass one of the parts that were begun as part=",
        Hint::SameShards => "give all outputs the same shard=",
        Hint::NonFinite => "pass non_finite=\"keep\", or a number that replaces them",
        Hint::TimePoints => "pass time=, or frames=\"all\" to take time points as channels",
        Hint::FourthAxisAsFound => "leave out fourth_axis=",
        Hint::AsIntensities => "pass kind=\"intensity\"",
        Hint::MakeRoom => "make room on the disk, and do it again",
        Hint::Narrow => "pass narrow=True",
        Hint::SmallerPatch => "pass a patch that fits the volume",
        Hint::NoBaseline => "pass baseline=False, or another folder as scratch=",
        _ => return None,
    })
}

/// The exception for an error of the library.
pub fn raised(py: Python<'_>, error: &Error) -> PyErr {
    make(py, error).unwrap_or_else(|instead| instead)
}

/// The exception that code of the caller raised, a sampler for example.
fn of_caller(error: &Error) -> Option<&PyErr> {
    match error {
        Error::Io { source, .. } => Some(&source.get_ref()?.downcast_ref::<Raised>()?.exception),
        Error::Subject { source, .. } => of_caller(source),
        _ => None,
    }
}

fn make(py: Python<'_>, error: &Error) -> PyResult<PyErr> {
    let cause = of_caller(error).map(|exception| exception.clone_ref(py));
    if let (Some(exception), Error::Io { .. }) = (&cause, error) {
        return Ok(exception.clone_ref(py));
    }
    let class = py.import("voxpatch.errors")?.getattr(class(error))?;
    let hint = error.hint().and_then(argument);
    let message = match hint {
        Some(hint) => format!("{error}\nhint: {hint}"),
        None => error.to_string(),
    };
    let exception = match error {
        // Two arguments: the first is errno.
        Error::Io { source, .. } if source.raw_os_error().is_some() => {
            class.call1((source.raw_os_error(), message))?
        }
        _ => class.call1((message,))?,
    };
    exception.setattr("hint", hint)?;
    exception.setattr("path", path_of(error).map(|path| path.display().to_string()))?;
    if let Error::Subject { subject, .. } = error {
        exception.setattr("subject", subject)?;
    }
    let exception = PyErr::from_value(exception);
    if cause.is_some() {
        exception.set_cause(py, cause);
    }
    Ok(exception)
}

/// Turns errors of the library into exceptions.
pub trait Raise<T> {
    /// The value, or the exception.
    fn raise(self, py: Python<'_>) -> PyResult<T>;
}

impl<T> Raise<T> for voxpatch::Result<T> {
    fn raise(self, py: Python<'_>) -> PyResult<T> {
        self.map_err(|error| raised(py, &error))
    }
}

/// An exception about an argument, as the library's own.
pub fn invalid(
    py: Python<'_>,
    what: &'static str,
    value: impl ToString,
    reason: impl Into<String>,
) -> PyErr {
    let (value, reason) = (value.to_string(), reason.into());
    raised(py, &Error::InvalidArgument { what, value, reason, hint: None })
}
