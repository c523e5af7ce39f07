//! The running program.

use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions};

use crate::process::Maker;
use crate::{Error, Hint, Result};

/// How long anything is waited for before it is asked whether to go on.
pub(super) const BEAT: Duration = Duration::from_millis(50);
/// How long a program that has closed its output may take to end.
const GRACE: Duration = Duration::from_secs(2);

/// A program that predicts patches: a child process that is killed, with what it has started, and
/// waited for when this is dropped. It does not outlive this process either, however that ends.
#[derive(Debug)]
pub struct Model {
    command: String,
    /// Not waited for before this is dropped: until then its number, which is that of its group,
    /// is nobody else's.
    child: Child,
    /// Dropped after the model's group was killed.
    watch: Watch,
}

/// A process that kills the model's group when this process has ended, by whatever signal: a pipe
/// that only this process holds open comes to its end then.
#[derive(Debug)]
struct Watch(Child, Maker);

impl Watch {
    fn over(group: Pid) -> std::io::Result<Self> {
        let script = "read -r _; kill -s KILL -- \"-$0\"";
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(script).arg(group.as_raw_nonzero().to_string());
        shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        // Ctrl-C is not for it.
        shell.process_group(0).spawn().map(|shell| Self(shell, Maker::new()))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if self.1.is_here() {
            // It can only have ended by itself.
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }
}

impl Model {
    /// Starts `sh -c COMMAND`. It shares the standard error of this process, and is in a process
    /// group of its own: Ctrl-C does not reach it, but ends it by ending what drives it.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for an empty command, [`Error::Io`] if there is no shell.
    pub fn start(command: &str) -> Result<Self> {
        if command.trim().is_empty() {
            return Err(Error::invalid("command", command, "name the program that predicts"));
        }
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(command).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = shell.process_group(0).spawn().map_err(Error::io("start", command))?;
        let watch = Watch::over(Pid::from_child(&child)).map_err(|source| {
            kill(&mut child);
            Error::Io { action: "watch", path: command.into(), source }
        })?;
        Ok(Self { command: command.to_owned(), child, watch })
    }

    /// The command, as it was given.
    #[must_use]
    pub fn command(&self) -> &str {
        &self.command
    }

    /// Both pipes, which are there until they were taken.
    pub(super) fn pipes(&mut self) -> Result<(ChildStdin, ChildStdout)> {
        let gone = || Error::Model {
            command: self.command.clone(),
            reason: "it was driven before; start it again".into(),
            hint: None,
        };
        self.child.stdin.take().zip(self.child.stdout.take()).ok_or_else(gone)
    }

    /// Waits until it ends, for as long as `beat` is content.
    pub(super) fn wait(&mut self, beat: &mut dyn FnMut() -> Result<()>) -> Result<ExitStatus> {
        loop {
            if let Some(status) = self.status()? {
                return Ok(status);
            }
            beat()?;
            std::thread::sleep(BEAT);
        }
    }

    /// How it ended, in words. It is given a moment to.
    pub(super) fn end(&mut self) -> String {
        let until = Instant::now() + GRACE;
        loop {
            match self.status() {
                Ok(Some(status)) => return status.to_string(),
                Ok(None) if Instant::now() < until => std::thread::sleep(BEAT / 10),
                Ok(None) => return "still running, with its output closed".to_owned(),
                Err(error) => return error.to_string(),
            }
        }
    }

    /// Whether it has ended with a failure.
    pub(super) fn has_failed(&self) -> bool {
        matches!(self.status(), Ok(Some(status)) if !status.success())
    }

    /// Whether it has ended. What it has started may go on.
    pub(super) fn has_ended(&self) -> Result<bool> {
        self.status().map(|status| status.is_some())
    }

    /// How it has ended, if it has.
    fn status(&self) -> Result<Option<ExitStatus>> {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        let status = rustix::process::waitid(WaitId::Pid(Pid::from_child(&self.child)), options);
        let status = status.map_err(|e| Error::io("wait for", &self.command)(e.into()))?;
        // As wait(2) would give it: the code above the signal.
        Ok(status.map(|status| {
            let code = status.exit_status().map(|code| (code & 0xff) << 8);
            ExitStatus::from_raw(code.or(status.terminating_signal()).unwrap_or(0))
        }))
    }

    /// An error about it, after which predictions can be gone on with.
    pub(super) fn error(&self, reason: impl Into<String>) -> Error {
        let (command, reason) = (self.command.clone(), reason.into());
        Error::Model { command, reason, hint: Some(Hint::Resume) }
    }
}

impl Drop for Model {
    fn drop(&mut self) {
        if self.watch.1.is_here() {
            kill(&mut self.child);
        }
    }
}

/// Ends a child that is its group's first, and all of its group. It was not waited for, so that the
/// group is still its own.
fn kill(child: &mut Child) {
    let _ = rustix::process::kill_process_group(Pid::from_child(child), Signal::KILL);
    let _ = child.wait();
}

/// Waits a beat for one end of a pipe. True if it is ready, or broken.
pub(super) fn is_ready(pipe: BorrowedFd<'_>, flags: PollFlags) -> std::io::Result<bool> {
    let beat = Timespec { tv_sec: 0, tv_nsec: BEAT.subsec_nanos().into() };
    let pipe = pipe.as_fd();
    match rustix::event::poll(&mut [PollFd::new(&pipe, flags)], Some(&beat)) {
        Ok(ready) => Ok(ready > 0),
        Err(rustix::io::Errno::INTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}
