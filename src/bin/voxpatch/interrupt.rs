//! Signals. Ctrl-C: the first asks the command to clean up and end, the second ends it at once.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

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

/// What was interrupted is no failure of its own.
pub fn stopped(next: &str) -> ExitCode {
    crate::complain(&anyhow::anyhow!("interrupted before all was published\nhint: {next}"));
    ExitCode::from(crate::INTERRUPTED)
}

impl Interrupt {
    /// Listens from now on. To be called once in a process.
    pub fn listen() -> anyhow::Result<Self> {
        let interrupt = Self::default();
        let flag = || Arc::clone(&interrupt.0);
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            if is_ignored(signal) {
                continue;
            }
            // In this order: the first signal finds the flag unset, and sets it.
            let code = crate::INTERRUPTED.into();
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

/// Whether this program was started with a signal ignored, by nohup or as a shell's background job:
/// it stays ignored then. Known on Linux alone.
fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    ignored & 1 << (signal - 1) != 0
}
