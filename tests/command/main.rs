//! Everything that the command promises, in one program: linking one for each file takes minutes.
#![cfg(feature = "cli")]

#[path = "../common/mod.rs"]
mod common;

mod cli;
mod cli_again;
mod cli_aggregate;
mod cli_bench;
mod cli_frames;
mod cli_messages;
mod float16;
