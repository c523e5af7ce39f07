//! Signals. Ctrl-C: the first asks the command to clean up and end, the second ends it at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether the user asked to stop (Ctrl-C, or the system's polite signals to end).
#[derive(Debug, Clone, Default)]
pub struct Interrupt(Arc<AtomicBool>);

/// Has a write beyond the limit of a file's size (ulimit -f) fail with an error that names the file,
/// where the system would end the process without a word. Programs that are started have the
/// system's way again.
pub fn report_full_files() {
    // Where it is refused, the system's way remains.
    let _ = signal_hook::flag::register(signal_hook::consts::SIGXFSZ, Arc::default());
}

impl Interrupt {
    /// Listens from now on. To be called once in a process.
    pub fn listen() -> anyhow::Result<Self> {
        let interrupt = Self::default();
        let flag = Arc::clone(&interrupt.0);
        ctrlc::set_handler(move || {
            if flag.swap(true, Ordering::SeqCst) {
                std::process::exit(crate::INTERRUPTED.into());
            }
        })?;
        Ok(interrupt)
    }

    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }

    /// The error of a cancelled command, if the user asked to stop.
    pub fn check(&self) -> voxpatch::Result<()> {
        if self.is_set() { Err(voxpatch::Error::Cancelled) } else { Ok(()) }
    }
}
