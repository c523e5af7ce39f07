//! `bench`: patches of stored volumes, timed beside an uncompressed memory map of the same voxels.

mod bars;
mod drawing;
mod plot;
mod summary;
mod tables;

pub use tables::speed;

use std::sync::{Mutex, PoisonError};

use indicatif::ProgressBar;
use voxpatch::Place;
use voxpatch::bench::{Step, measure};
use voxpatch::{Error, StagedFile};

use crate::args::Bench;
use crate::code::{self, Code};
use crate::interrupt::Interrupt;
use crate::output;

pub fn run(args: &Bench) -> anyhow::Result<Code> {
    let interrupt = Interrupt::listen()?;
    if cfg!(debug_assertions) {
        output::note("built without optimisation (cargo build --release): its times mean nothing");
    }
    let place = Place::find(&args.store)?;
    // Before any work is done, to report errors early.
    let plot = args.plot.as_deref().map(StagedFile::create).transpose()?;
    let shown = Shown::new(args.json);
    let report = measure(&place, &args.options(), &|step| shown.show(step) && !interrupt.is_set());
    let report = match report {
        Err(Error::Cancelled) => return Err(shown.reason()),
        report => report?,
    };
    if let (Some(mut file), Some(path)) = (plot, &args.plot)
        && !report.volumes.is_empty()
    {
        plot::write(&report, &mut file, path)?;
        file.finish()?;
    }
    if args.json {
        output::print_json(&report)?;
    } else if !report.volumes.is_empty() {
        output::print(&summary::notes(&report))?;
    }
    Ok(code::failed_if(!report.failed.is_empty()))
}

/// The output while the benchmark runs: the tables of a volume as soon as it is measured.
struct Shown {
    quiet: bool,
    /// Bytes of the copy, then rows.
    bars: Mutex<[ProgressBar; 2]>,
    /// Why standard output could not be written to.
    failed: Mutex<Option<std::io::Error>>,
}

impl Shown {
    fn new(quiet: bool) -> Self {
        let bars = Mutex::new([ProgressBar::hidden(), ProgressBar::hidden()]);
        Self { quiet, bars, failed: Mutex::default() }
    }

    /// False if standard output is gone.
    fn show(&self, step: Step<'_>) -> bool {
        let mut bars = self.bars.lock().unwrap_or_else(PoisonError::into_inner);
        match step {
            Step::Started { report, volumes, found } => {
                if volumes < found {
                    let told = format!("the first {volumes} of {found} volumes (--limit)");
                    output::note(&told);
                }
                let none = "no volumes".to_owned();
                return self.print(&if found == 0 { none } else { summary::header(report) });
            }
            Step::Volume { name, rows, copied } => {
                let copy = format!("{name}: uncompressed copy");
                let copy = output::progress(copied, &copy, self.quiet || copied == 0);
                *bars = [copy, output::steps(rows, &name.to_string(), self.quiet)];
            }
            Step::Copied(bytes) => bars[0].inc(bytes),
            Step::Row => {
                bars[0].finish_and_clear();
                bars[1].inc(1);
            }
            Step::Measured(volume) => {
                bars.iter().for_each(ProgressBar::finish_and_clear);
                return self.print(&summary::volume(volume));
            }
            Step::Failed { error, .. } => {
                bars.iter().for_each(ProgressBar::finish_and_clear);
                crate::tell(error);
            }
            _ => {}
        }
        true
    }

    fn print(&self, text: &str) -> bool {
        let printed = if self.quiet { Ok(()) } else { output::print(text) };
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        *failed = printed.err();
        failed.is_none()
    }

    /// The reason for ending the benchmark from here.
    fn reason(self) -> anyhow::Error {
        let failed = self.failed.into_inner().unwrap_or_else(PoisonError::into_inner);
        failed.map_or_else(|| Error::Cancelled.into(), anyhow::Error::from)
    }
}
