//! Long work: in a thread of its own, so that Python's main thread can see Ctrl-C and report
//! progress meanwhile.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

use pyo3::prelude::*;
use voxpatch::{Error, Result};

use crate::error::Raise;

/// Between two looks for Ctrl-C and two reports of progress.
const LOOK: Duration = Duration::from_millis(50);

/// What the work reports: bytes that were done since the last report. False asks to stop.
pub type Report<'a> = &'a (dyn Fn(u64) -> bool + Sync);

/// Runs `work` with the interpreter released, and calls `progress(done, total)`, if given, every
/// 50 ms and at the end. An exception of `progress`, or `KeyboardInterrupt`, stops the work and is
/// raised when the work has cleaned up.
pub fn run<T: Send>(
    py: Python<'_>,
    total: u64,
    progress: Option<&Bound<'_, PyAny>>,
    work: impl FnOnce(Report<'_>) -> Result<T> + Send,
) -> PyResult<T> {
    let (done, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    let progress = progress.map(|progress| progress.clone().unbind());
    let tell = |py: Python<'_>| match &progress {
        Some(progress) => progress.call1(py, (done.load(Ordering::Relaxed), total)).map(drop),
        None => Ok(()),
    };
    let (result, stopped) = py.detach(|| {
        std::thread::scope(|scope| {
            let (finished, wait) = sync_channel::<()>(1);
            let (done, stop) = (&done, &stop);
            let thread = std::thread::Builder::new().name("voxpatch-work".into());
            let thread = thread.spawn_scoped(scope, move || {
                // Dropped at the end of the work, also of one that panics: the wait ends.
                let _finished = finished;
                work(&|bytes| {
                    done.fetch_add(bytes, Ordering::Relaxed);
                    !stop.load(Ordering::Relaxed)
                })
            });
            let thread = match thread {
                Ok(thread) => thread,
                Err(source) => {
                    let path = "a thread".into();
                    return (Err(Error::Io { action: "start", path, source }), None);
                }
            };
            let mut stopped = None;
            while wait.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
                if stopped.is_none() {
                    let looked = Python::attach(|py| py.check_signals().and_then(|()| tell(py)));
                    stopped = looked.err();
                    stop.store(stopped.is_some(), Ordering::Relaxed);
                }
            }
            let result = thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            (result, stopped)
        })
    });
    if let Some(exception) = stopped {
        Err(exception)
    } else {
        let result = result.raise(py)?;
        tell(py)?;
        Ok(result)
    }
}
