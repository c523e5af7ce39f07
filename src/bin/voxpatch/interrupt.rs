//! Signals. Ctrl-C: the first asks the command to clean up and end, the second ends it at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::code::{self, Code};

/// Whether the user asked to stop (Ctrl-C, or a signal that asks the process to end).
#[derive(Debug, Clone, Default)]
pub struct Interrupt(Arc<AtomicBool>);

/// Makes a write beyond the limit of a file's size (ulimit -f) an error that names the file; by
/// default the system would end the process without a message. Child processes get the default
/// again.
pub fn report_full_files() {
    // If this is refused, the system's default remains.
    let _ = signal_hook::flag::register(signal_hook::consts::SIGXFSZ, Arc::default());
}

/// The exit code of an interrupted command, which is not a failure.
pub fn stopped(next: &str) -> Code {
    crate::complain(&anyhow::anyhow!("interrupted before all was published\nhint: {next}"));
    code::INTERRUPTED
}

impl Interrupt {
    /// Begins to listen. Call it once in a process.
    pub fn listen() -> anyhow::Result<Self> {
        let interrupt = Self::default();
        let flag = || Arc::clone(&interrupt.0);
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            if is_ignored(signal) {
                continue;
            }
            // In this order: the first signal finds the flag unset, and sets it.
            let code = code::INTERRUPTED.into();
            signal_hook::flag::register_conditional_shutdown(signal, code, flag())?;
            signal_hook::flag::register(signal, flag())?;
        }
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

/// Whether this program was started with a signal ignored, by nohup or as a shell's background job;
/// it must stay ignored then. Known on Linux only.
fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    ignored & 1 << (signal - 1) != 0
}
