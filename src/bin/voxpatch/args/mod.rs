//! The arguments: commands, flags, and the syntax of their values.
// Documentation comments are shown as help, where backticks would be shown, too.
#![allow(clippy::doc_markdown)]

mod aggregate;
mod bench;
mod convert;
mod demo;
mod export;
mod finalise;
mod index;
mod info;
mod layout;
mod outputs;
mod plan;
mod read;
mod reads;
mod remove;
mod sweep;
mod values;
mod verify;

use clap::{Parser, Subcommand};

pub use aggregate::Aggregate;
pub use bench::Bench;
pub use convert::{Convert, IfExists};
pub use demo::Demo;
pub use export::Export;
pub use finalise::Finalise;
pub use index::Index;
pub use info::Info;
pub use layout::{CodecChoice, Layout};
pub use outputs::{NamedOutput, OutputLayout, Replace};
pub use plan::Plan;
pub use read::Read;
pub use reads::Reads;
pub use remove::Remove;
pub use sweep::Sweep;
pub use verify::Verify;

/// Store 3D scans so that random patches are read fast.
///
/// Shapes are given as ZxYxX (slices x rows x columns) and positions as Z,Y,X. Both may name their
/// axes instead, in any order: z=32,y=128,x=128.
#[derive(Debug, Parser)]
#[command(
    // Else that of the package, which is another where Python has the command.
    name = "voxpatch",
    version,
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "Exit codes: 0 done, 1 failed, 2 not understood, 75 another process is at work (try again), \
        130 interrupted.\n\n\
        See it work, without any data of yours:\n  voxpatch demo\n\n\
        Store a scan, look at it, read a patch:\n  \
        voxpatch convert ct.nii.gz --out scans.zarr --patch 32x128x128\n  \
        voxpatch info scans.zarr\n  \
        voxpatch read scans.zarr/ct/image --start 10,200,200 --shape 32x128x128 --out patch.npy"
)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    Convert(Convert),
    Read(Read),
    Export(Export),
    Info(Info),
    Verify(Verify),
    Index(Index),
    Remove(Remove),
    Sweep(Sweep),
    Plan(Plan),
    Aggregate(Box<Aggregate>),
    Finalise(Finalise),
    Bench(Bench),
    Demo(Demo),
}

impl Command {
    /// The conflict of flags that the parser cannot detect, and that is known without opening a
    /// scan.
    pub fn conflict(&self) -> Option<String> {
        match self {
            Self::Convert(convert) => convert.conflict(),
            Self::Plan(plan) => plan.conflict(),
            Self::Bench(bench) => bench.conflict(),
            Self::Aggregate(aggregate) => aggregate.conflict(),
            Self::Demo(demo) => demo.conflict(),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_commands_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_negative_start_needs_no_equals_sign() {
        let typed = "voxpatch read s/a/b --start -8,0,-1 --shape 1x1x1 --out p.npy";
        let cli = Cli::try_parse_from(typed.split(' ')).expect("valid");
        assert!(matches!(cli.command, Command::Read(Read { start: [-8, 0, -1], .. })));
    }
}
