//! `finalise`: parts of a prediction become volumes.

use voxpatch::Place;
use voxpatch::aggregate::finalise;
use voxpatch::{Error, Pool};

use crate::aggregate::volumes;
use crate::args::Finalise;
use crate::code::{self, Code};
use crate::interrupt::{Interrupt, stopped};
use crate::output;

pub fn run(args: &Finalise) -> anyhow::Result<Code> {
    let interrupt = Interrupt::listen()?;
    let (place, pool) = (Place::find(&args.volume)?, Pool::new(args.threads)?);
    let name = place.name()?;
    let bar = output::spinner("check and publish", args.json);
    let progress = |bytes| {
        bar.inc(bytes);
        !interrupt.is_set()
    };
    let report = finalise(place.dataset(), &name, args.replace.overwrite(), &pool, &progress);
    bar.finish_and_clear();
    match report {
        Ok(report) if args.json => output::print_json(&report)?,
        Ok(report) => output::print(&volumes(&report))?,
        Err(Error::Cancelled) => return Ok(stopped("the same command goes on")),
        Err(error) => return Err(error.into()),
    }
    Ok(code::DONE)
}
