//! The `voxpatch` command: reads arguments, makes one library call, shows the result.
//!
//! This file is the root of the program and, in `python/command`, of a library: Python starts the
//! same command by [`run`].

mod aggregate;
mod args;
mod bench;
mod code;
mod convert;
mod demo;
mod export;
mod finalise;
mod hint;
mod index;
mod info;
mod interrupt;
mod label_names;
mod output;
mod plan;
mod read;
mod remove;
mod sweep;
mod verify;

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use args::{Cli, Command};
use clap::error::ErrorKind;
use clap::{CommandFactory, FromArgMatches};
use code::Code;
use voxpatch::Error;

/// The command `voxpatch` of the shell. Public, or the library would have it as dead code.
#[must_use]
pub fn main() -> ExitCode {
    run(std::env::args_os()).into()
}

/// Runs one command line, of which argument 0 is the program's name, and returns its exit code.
/// Call it once in a process: it listens to signals, and reports to standard output and error.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    interrupt::report_full_files();
    let cli = match parse(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and the version are such errors, too. If the stream is closed, only the exit
            // code remains.
            let _ = error.print();
            return error.exit_code().try_into().unwrap_or(code::FAILED);
        }
    };
    dispatch(&cli.command).unwrap_or_else(|error| {
        complain(&error);
        match error.downcast_ref() {
            Some(Error::Cancelled) => code::INTERRUPTED,
            Some(Error::Busy { .. }) => code::TRY_AGAIN,
            _ => code::FAILED,
        }
    })
}

fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Cli, clap::Error> {
    let matches = Cli::command().try_get_matches_from(arguments)?;
    let cli = Cli::from_arg_matches(&matches)?;
    match cli.command.conflict() {
        Some(reason) => Err(refusal(matches.subcommand_name().unwrap_or_default(), reason)),
        None => Ok(cli),
    }
}

/// An error as of the parser, with the usage of the command.
fn refusal(name: &str, reason: String) -> clap::Error {
    let mut root = Cli::command();
    root.build();
    let command = root.find_subcommand_mut(name).map(|command| command.clone());
    command.unwrap_or(root).error(ErrorKind::ArgumentConflict, reason)
}

fn dispatch(command: &Command) -> anyhow::Result<Code> {
    match command {
        Command::Convert(args) => convert::run(args),
        Command::Read(args) => read::run(args),
        Command::Export(args) => export::run(args),
        Command::Info(args) => info::run(args),
        Command::Verify(args) => verify::run(args),
        Command::Index(args) => index::run(args),
        Command::Remove(args) => remove::run(args),
        Command::Sweep(args) => sweep::run(args),
        Command::Plan(args) => plan::run(args),
        Command::Aggregate(args) => aggregate::run(args),
        Command::Finalise(args) => finalise::run(args),
        Command::Bench(args) => bench::run(args),
        Command::Demo(args) => demo::run(args),
    }
}

/// Writes an error to standard error.
fn complain(error: &anyhow::Error) {
    // If standard error is closed, only the exit code remains.
    let _ = writeln!(std::io::stderr(), "voxpatch: error: {}", message(error));
}

/// Writes an error of the library.
fn tell(error: &Error) {
    let hint = error.hint().map_or("", hint::flags);
    let _ = writeln!(std::io::stderr(), "voxpatch: error: {}", with_hint(error.to_string(), hint));
}

fn with_hint(message: String, hint: &str) -> String {
    if hint.is_empty() { message } else { format!("{message}\nhint: {hint}") }
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
    let hint = error.downcast_ref().and_then(Error::hint).map_or("", hint::flags);
    with_hint(message, hint)
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
        assert!(message(&error.into()).contains("--overwrite replaces it"));
        let reason = "begun".into();
        let error = Error::Unfinished { path: "s/a/b".into(), reason };
        assert!(message(&error.into()).contains("--resume"));
        let source = std::io::ErrorKind::StorageFull.into();
        let error = Error::Io { action: "write", path: "s/a/b".into(), source };
        assert!(message(&error.into()).contains("hint: make room"));
    }
}
