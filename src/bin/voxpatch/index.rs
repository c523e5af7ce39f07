//! `index`: builds the index of volumes for sampling by label or by weight.

use serde::Serialize;
use voxpatch::{Dataset, Error, Kind, Pool, VolumeName};
use voxpatch::{IndexInfo, Place};

use crate::args::Index;
use crate::code::{self, Code};
use crate::interrupt::Interrupt;
use crate::output;

/// The JSON output.
#[derive(Default, Serialize)]
struct Outcome {
    volumes: Vec<Indexed>,
    failed: Vec<Failure>,
}

#[derive(Serialize)]
struct Indexed {
    name: String,
    /// False if a valid index existed.
    built: bool,
    index: IndexInfo,
}

#[derive(Serialize)]
struct Failure {
    name: String,
    error: String,
}

pub fn run(args: &Index) -> anyhow::Result<Code> {
    let interrupt = Interrupt::listen()?;
    let (place, pool) = (Place::find(&args.store)?, Pool::new(args.threads)?);
    let mut outcome = Outcome::default();
    for name in place.volumes()? {
        match one(place.dataset(), &name, place.is_volume(), args, &pool, &interrupt) {
            Ok(Some(indexed)) => {
                if !args.json {
                    output::print(&text(&indexed))?;
                }
                outcome.volumes.push(indexed);
            }
            Ok(None) => {}
            Err(Error::Cancelled) => {
                let name = name.to_string();
                return Err(anyhow::Error::new(Error::Cancelled).context(name));
            }
            // Of several volumes, the others are still indexed.
            Err(error) => {
                let reason = error.to_string();
                crate::complain(&error.into());
                outcome.failed.push(Failure { name: name.to_string(), error: reason });
            }
        }
    }
    if args.json {
        output::print_json(&outcome)?;
    } else if outcome.volumes.is_empty() && outcome.failed.is_empty() {
        output::print("no label maps and no maps of weights")?;
    }
    Ok(code::failed_if(!outcome.failed.is_empty()))
}

/// `None` for intensities, unless they were `asked` for by name.
fn one(
    dataset: &Dataset,
    name: &VolumeName,
    asked: bool,
    args: &Index,
    pool: &Pool,
    interrupt: &Interrupt,
) -> voxpatch::Result<Option<Indexed>> {
    let volume = dataset.open_volume(name)?;
    if volume.kind() == Kind::Intensity && !asked {
        return Ok(None);
    }
    let sound = volume.info().index.filter(|index| !matches!(index, IndexInfo::Nothing { .. }));
    let name_shown = name.to_string();
    if let (Some(index), false) = (sound, args.force) {
        return Ok(Some(Indexed { name: name_shown, built: false, index }));
    }
    let bar = output::progress(volume.raw_bytes(), &name_shown, args.json);
    let progress = |bytes| {
        bar.inc(bytes);
        !interrupt.is_set()
    };
    let index = dataset.build_index(name, pool, &progress);
    bar.finish_and_clear();
    Ok(Some(Indexed { name: name_shown, built: true, index: index? }))
}

fn text(indexed: &Indexed) -> String {
    let state = if indexed.built { "built" } else { "up to date" };
    format!("{}: {state}, {}", indexed.name, output::index(&indexed.index))
}
