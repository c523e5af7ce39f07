//! `aggregate`: a program's predictions become volumes.

mod bars;
mod parts;
mod text;

use voxpatch::Place;
use voxpatch::predict::{self, Model};
use voxpatch::{Error, Pool};

use crate::args::Aggregate;
use crate::code::{self, Code};
use crate::interrupt::Interrupt;
use crate::output;
use bars::Bars;

pub use text::volumes;

pub fn run(args: &Aggregate) -> anyhow::Result<Code> {
    let interrupt = Interrupt::listen()?;
    let place = Place::find(&args.volume)?;
    let mut view = place.volume()?.view();
    if let Some(padding) = args.pad {
        view = view.padded(padding);
    }
    if args.scaled {
        view = view.scaled();
    }
    if let Some(dtype) = args.dtype {
        view = view.converted(dtype);
    }
    let options = args.options(view.volume().name().subject())?;
    if let Some(parts) = args.parts {
        return parts::show(&view, &options, parts, args, &interrupt);
    }
    let (pool, model) = (Pool::new(args.threads)?, Model::start(&args.exec)?);
    let bars = Bars::new(args.json, args.resume);
    let progress = |step| {
        bars.show(step);
        !interrupt.is_set()
    };
    let report = predict::predict(&view, place.dataset(), model, &options, &pool, &progress);
    bars.clear();
    match report {
        Ok(report) if args.json => output::print_json(&report)?,
        Ok(report) => output::print(&text::text(&report, &options))?,
        Err(Error::Cancelled) => {
            return Ok(crate::interrupt::stopped("--resume goes on from what was predicted"));
        }
        Err(error) => return Err(error.into()),
    }
    Ok(code::DONE)
}
