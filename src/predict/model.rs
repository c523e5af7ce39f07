//! The running model: a child process.

use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions};

use crate::process::Maker;
use crate::{Error, Hint, Result};

/// How long a wait lasts before the caller is asked whether to go on.
pub(super) const BEAT: Duration = Duration::from_millis(50);
/// How long a program that has closed its output may take to end, before it is reported as running.
const GRACE: Duration = Duration::from_secs(2);

/// A program that predicts patches: a child process. When this is dropped, the program and all
/// processes that it has started are killed. They do not outlive this process either, however it
/// ends.
#[derive(Debug)]
pub struct Model {
    command: String,
    /// Not waited for before this is dropped: until then no other process can get its id, which is
    /// also the id of its process group.
    child: Child,
    /// Dropped after the model's group was killed.
    watch: Watch,
}

/// A process that kills the model's group when this process has ended, even by a signal: only this
/// process holds the pipe open, so the pipe ends then.
#[derive(Debug)]
struct Watch(Child, Maker);

impl Watch {
    fn over(group: Pid) -> std::io::Result<Self> {
        let script = "read -r _; kill -s KILL -- \"-$0\"";
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(script).arg(group.as_raw_nonzero().to_string());
        shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        // In a process group of its own, so that Ctrl-C does not reach it.
        shell.process_group(0).spawn().map(|shell| Self(shell, Maker::new()))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if self.1.is_here() {
            // Fails only if the shell has ended already.
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }
}

impl Model {
    /// Starts `sh -c COMMAND`. The program shares the standard error of this process, and is in a
    /// process group of its own: Ctrl-C does not reach the program directly, but ends this process,
    /// which ends the program.
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

    /// The command, as given to [`Self::start`].
    #[must_use]
    pub fn command(&self) -> &str {
        &self.command
    }

    /// The model's input and output; an error if they were taken before.
    pub(super) fn pipes(&mut self) -> Result<(ChildStdin, ChildStdout)> {
        let gone = || Error::Model {
            command: self.command.clone(),
            reason: "it was used before; start another".into(),
            hint: None,
        };
        self.child.stdin.take().zip(self.child.stdout.take()).ok_or_else(gone)
    }

    /// Waits for the program to end; an error of `beat` ends the wait.
    pub(super) fn wait(&mut self, beat: &mut dyn FnMut() -> Result<()>) -> Result<ExitStatus> {
        loop {
            if let Some(status) = self.status()? {
                return Ok(status);
            }
            beat()?;
            std::thread::sleep(BEAT);
        }
    }

    /// How the program ended, in words, after waiting [`GRACE`] for its end.
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

    /// Whether the program has ended with a failure.
    pub(super) fn has_failed(&self) -> bool {
        matches!(self.status(), Ok(Some(status)) if !status.success())
    }

    /// Whether the program has ended. Processes that it has started may go on.
    pub(super) fn has_ended(&self) -> Result<bool> {
        self.status().map(|status| status.is_some())
    }

    /// The exit status, if the program has ended.
    fn status(&self) -> Result<Option<ExitStatus>> {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        let status = rustix::process::waitid(WaitId::Pid(Pid::from_child(&self.child)), options);
        let status = status.map_err(|e| Error::io("wait for", &self.command)(e.into()))?;
        // In the encoding of wait(2), with the exit code in the high byte and the signal in the low
        // byte.
        Ok(status.map(|status| {
            let code = status.exit_status().map(|code| (code & 0xff) << 8);
            ExitStatus::from_raw(code.or(status.terminating_signal()).unwrap_or(0))
        }))
    }

    /// An error of the model, after which the prediction can be resumed.
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

/// Kills a child that leads a process group, and its whole group. The child was not waited for, so
/// the id of the group cannot be another group's.
fn kill(child: &mut Child) {
    let _ = rustix::process::kill_process_group(Pid::from_child(child), Signal::KILL);
    let _ = child.wait();
}

/// Waits a beat for one end of a pipe. True if the pipe is ready or broken.
pub(super) fn is_ready(pipe: BorrowedFd<'_>, flags: PollFlags) -> std::io::Result<bool> {
    let beat = Timespec { tv_sec: 0, tv_nsec: BEAT.subsec_nanos().into() };
    let pipe = pipe.as_fd();
    match rustix::event::poll(&mut [PollFd::new(&pipe, flags)], Some(&beat)) {
        Ok(ready) => Ok(ready > 0),
        Err(rustix::io::Errno::INTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}
