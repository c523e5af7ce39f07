//! How the command ends, as told to the shell.

/// An exit code. Not `std::process::ExitCode`, out of which the caller of [`crate::run`] could take
/// no number.
pub type Code = u8;

pub const DONE: Code = 0;

pub const FAILED: Code = 1;

/// `EX_TEMPFAIL` of `sysexits.h`: another process is at work.
pub const TRY_AGAIN: Code = 75;

/// What shells expect after Ctrl-C: 128 + SIGINT.
pub const INTERRUPTED: Code = 130;

/// The code of work that was done to its end, and of which a part may have failed.
pub fn failed_if(failed: bool) -> Code {
    if failed { FAILED } else { DONE }
}
