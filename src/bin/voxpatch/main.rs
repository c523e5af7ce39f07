//! The `voxpatch` command: reads arguments, makes one library call, shows the result.

mod args;
#[expect(dead_code, reason = "the commands that use it follow")]
mod output;

use std::io::Write;
use std::process::ExitCode;

use args::{Cli, Command};
use clap::{CommandFactory, Parser};
use voxpatch::Error;

/// What a shell expects of a program that Ctrl-C ended: 128 + SIGINT.
const INTERRUPTED: u8 = 130;

fn main() -> ExitCode {
    let cli = Cli::parse();
    if let Command::Convert(convert) = &cli.command
        && convert.name.is_some()
        && convert.scans.len() > 1
    {
        let reason = "--name names one volume, but several scans are given";
        Cli::command().error(clap::error::ErrorKind::ArgumentConflict, reason).exit();
    }
    match run(&cli.command) {
        Ok(code) => code,
        Err(error) => {
            // With standard error closed there is nobody to tell; the exit code remains.
            let _ = writeln!(std::io::stderr(), "voxpatch: error: {}", message(&error));
            let cancelled = matches!(error.downcast_ref(), Some(Error::Cancelled));
            ExitCode::from(if cancelled { INTERRUPTED } else { 1 })
        }
    }
}

fn run(command: &Command) -> anyhow::Result<ExitCode> {
    let name = match command {
        Command::Convert(_) => "convert",
        Command::Read(_) => "read",
        Command::Info(_) => "info",
        Command::Verify(_) => "verify",
        Command::Plan(_) => "plan",
        Command::Demo(_) => "demo",
    };
    anyhow::bail!("`{name}` is not part of this build yet")
}

/// The error and its causes, each once (some already quote their cause), and the flag that helps.
fn message(error: &anyhow::Error) -> String {
    let mut message = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if message.is_empty() {
            message = cause;
        } else if !message.ends_with(&cause) {
            message = format!("{message}: {cause}");
        }
    }
    match error.downcast_ref() {
        Some(Error::AlreadyExists { .. }) => message + "\nhint: --overwrite replaces it",
        Some(Error::OutOfBounds { .. }) => message + "\nhint: --pad edge fills what is outside",
        _ => message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_told_once() {
        let source = std::io::Error::other("disk on fire");
        let error = Error::Io { action: "open", path: "a.nii".into(), source };
        assert_eq!(message(&error.into()), "cannot open a.nii: disk on fire");
        let error = anyhow::anyhow!("inner").context("outer");
        assert_eq!(message(&error), "outer: inner");
    }

    #[test]
    fn errors_name_the_flag_that_helps() {
        let error = Error::AlreadyExists { path: "s/a/b".into() };
        assert!(message(&error.into()).ends_with("--overwrite replaces it"));
    }
}
