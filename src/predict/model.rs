//! The running program.

use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::{Pid, Signal};

use crate::{Error, Result};

/// How long anything is waited for before it is asked whether to go on.
pub(super) const BEAT: Duration = Duration::from_millis(50);
/// How long a program that has closed its output may take to end.
const GRACE: Duration = Duration::from_secs(2);

/// A program that predicts patches: a child process that is killed, with what it has started, and
/// waited for when this is dropped.
#[derive(Debug)]
pub struct Model {
    command: String,
    child: Child,
    /// Once it was waited for, its number may be another's.
    ended: Option<ExitStatus>,
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
        let child = shell.process_group(0).spawn().map_err(Error::io("start", command))?;
        Ok(Self { command: command.to_owned(), child, ended: None })
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
    pub(super) fn has_failed(&mut self) -> bool {
        matches!(self.status(), Ok(Some(status)) if !status.success())
    }

    fn status(&mut self) -> Result<Option<ExitStatus>> {
        if self.ended.is_none() {
            let failed = Error::io("wait for", &self.command);
            self.ended = self.child.try_wait().map_err(failed)?;
        }
        Ok(self.ended)
    }

    /// An error about it.
    pub(super) fn error(&self, reason: impl Into<String>) -> Error {
        Error::Model { command: self.command.clone(), reason: reason.into() }
    }
}

impl Drop for Model {
    fn drop(&mut self) {
        if self.ended.is_none() {
            // The shell is its group's first, and not waited for, so that the group is still its.
            let _ = rustix::process::kill_process_group(Pid::from_child(&self.child), Signal::KILL);
            let _ = self.child.wait();
        }
    }
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
