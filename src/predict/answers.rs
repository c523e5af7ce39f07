//! Reading the model's answers, which are blocks of numbers.

use std::io::{ErrorKind, Read as _};
use std::os::fd::AsFd as _;
use std::process::ChildStdout;
use std::time::{Duration, Instant};

use rustix::event::PollFlags;

use super::model::{Model, is_ready};
use super::npy::{self, Header, Number, Refusal};
use crate::{Error, Result};

/// Bytes that are read at a time: a block may claim any size, so memory is taken only as bytes
/// arrive.
const PIECE: usize = 1 << 20;
/// Bytes of unexpected output that a message quotes.
const QUOTED: usize = 80;

/// The model's standard output.
#[derive(Debug)]
pub(super) struct Answers {
    stdout: ChildStdout,
    buffer: Vec<u8>,
    /// The bytes of the buffer that were read and not consumed: from here to `to`.
    from: usize,
    to: usize,
    /// Consumed bytes of the current block.
    taken: usize,
    /// Time spent waiting for bytes.
    pub(super) waited: Duration,
}

/// Called every [`super::model::BEAT`] while no bytes arrive; an error ends the wait.
pub(super) type Beat<'a> = &'a mut dyn FnMut() -> Result<()>;

impl Answers {
    pub(super) fn new(stdout: ChildStdout) -> Self {
        Self { stdout, buffer: vec![0; PIECE], from: 0, to: 0, taken: 0, waited: Duration::ZERO }
    }

    /// The header of the next block; `what` names the block in messages.
    pub(super) fn header(
        &mut self,
        model: &mut Model,
        what: &dyn Fn() -> String,
        beat: Beat<'_>,
    ) -> Result<Header> {
        self.taken = 0;
        loop {
            let there = &self.buffer[self.from..self.to];
            match npy::header_end(there) {
                Ok(Some(end)) if there.len() >= end => {
                    let header = npy::parse(&there[..end]);
                    self.from += end;
                    self.taken += end;
                    return header.map_err(|reason| answered(model, what, &reason));
                }
                Ok(_) => {}
                Err(Refusal::Reason(reason)) => return Err(answered(model, what, &reason)),
                Err(Refusal::NotNpy) => return Err(self.not_npy(model, what, beat)),
            }
            if !self.more(model, beat)? {
                return Err(self.too_little(model, what));
            }
        }
    }

    /// The numbers of a block, appended as they arrive, so that no memory is taken for numbers that
    /// never arrive.
    pub(super) fn numbers(
        &mut self,
        (number, count): (Number, usize),
        out: &mut Vec<f32>,
        model: &mut Model,
        what: &dyn Fn() -> String,
        beat: Beat<'_>,
    ) -> Result<()> {
        let mut left = count;
        while left > 0 {
            let there = &self.buffer[self.from..self.to];
            let whole = left.min(there.len() / number.size());
            if whole == 0 {
                if !self.more(model, beat)? {
                    return Err(self.too_little(model, what));
                }
                continue;
            }
            out.try_reserve(whole).map_err(|_| {
                let reason = format!(
                    "{count} numbers are more than memory holds; use smaller patches, or fewer in \
                                      a batch"
                );
                answered(model, what, &reason)
            })?;
            let bytes = whole * number.size();
            number.decode(&there[..bytes], out);
            self.from += bytes;
            self.taken += bytes;
            left -= whole;
        }
        Ok(())
    }

    /// Waits for the end of the output.
    pub(super) fn end(&mut self, model: &mut Model, beat: Beat<'_>) -> Result<()> {
        if self.from == self.to && !self.more(model, beat)? {
            return Ok(());
        }
        Err(model.error(format!(
            "it has answered every patch, but its output goes on with {}; write one block for each \
             head of each batch, and nothing else",
            self.quote()
        )))
    }

    /// Reads the bytes that are available, and waits if there are none; false at the end of the
    /// output.
    fn more(&mut self, model: &mut Model, beat: Beat<'_>) -> Result<bool> {
        self.buffer.copy_within(self.from..self.to, 0);
        (self.from, self.to) = (0, self.to - self.from);
        let command = model.command().to_owned();
        let failed = || Error::io("read from", &command);
        let began = Instant::now();
        loop {
            // Asked before the pipe: everything that a model wrote before its end is then read.
            let has_ended = model.has_ended()?;
            if is_ready(self.stdout.as_fd(), PollFlags::IN).map_err(failed())? {
                self.waited += began.elapsed();
                match self.stdout.read(&mut self.buffer[self.to..]) {
                    Ok(n) => {
                        self.to += n;
                        return Ok(n > 0);
                    }
                    Err(e) if e.kind() == ErrorKind::Interrupted => {}
                    Err(e) => return Err(failed()(e)),
                }
            }
            if has_ended {
                // A program that the model has started may hold the output open indefinitely.
                return Ok(false);
            }
            beat()?;
        }
    }

    /// The output has ended too early.
    fn too_little(&self, model: &mut Model, what: &dyn Fn() -> String) -> Error {
        let end = model.end();
        let begun = match self.taken + self.to - self.from {
            0 => String::new(),
            n => format!(", after {n} bytes of it"),
        };
        model.error(format!("it ended ({end}) before it had answered {}{begun}", what()))
    }

    /// The error for output that is not a block.
    fn not_npy(&mut self, model: &mut Model, what: &dyn Fn() -> String, beat: Beat<'_>) -> Error {
        // More bytes may arrive soon and make the quote clearer; the message does not depend on
        // them.
        let until = Instant::now() + Duration::from_millis(100);
        while self.to - self.from < QUOTED && Instant::now() < until {
            match self.more(model, &mut || Err(Error::Cancelled)) {
                Ok(true) => {}
                Ok(false) | Err(_) => break,
            }
        }
        if let Err(error) = beat() {
            return error;
        }
        model.error(format!(
            "its answer to {} should begin here in the .npy format, but its standard output has \
             {}; nothing else may be printed there: in Python, use print(..., file=sys.stderr)",
            what(),
            self.quote()
        ))
    }

    fn quote(&self) -> String {
        let there = &self.buffer[self.from..self.to];
        let quoted = &there[..there.len().min(QUOTED)];
        let more = if quoted.len() < there.len() { "..." } else { "" };
        format!("\"{}\"{more}", quoted.escape_ascii())
    }
}

/// The error for a block that differs from the expected one.
fn answered(model: &Model, what: &dyn Fn() -> String, reason: &str) -> Error {
    model.error(format!("its answer to {}: {reason}", what()))
}
