//! `remove`: volumes, or unfinished predictions, from their store.

use serde_json::json;
use voxpatch::{Error, Place, Result, VolumeName};

use crate::args::Remove;
use crate::code::{self, Code};
use crate::output;

pub fn run(args: &Remove) -> anyhow::Result<Code> {
    // All names are checked before the first volume is removed.
    let places = args.volumes.iter().map(|volume| {
        let place = Place::find(volume)?;
        Ok((place.name()?, place))
    });
    let places: Vec<(VolumeName, Place)> = places.collect::<Result<_>>()?;
    let (mut removed, mut failed) = (Vec::new(), false);
    for (name, place) in &places {
        match remove(name, place, args.unfinished) {
            Ok(()) => {
                if !args.json {
                    let what = if args.unfinished { "unfinished prediction " } else { "" };
                    output::print(&format!("removed: {what}{name}"))?;
                }
                removed.push(name.to_string());
            }
            Err(error) => {
                // Of several volumes, the others are still removed.
                failed = true;
                crate::tell(&error);
            }
        }
    }
    if args.json {
        output::print_json(&json!({ "removed": removed }))?;
    }
    Ok(code::failed_if(failed))
}

fn remove(name: &VolumeName, place: &Place, unfinished: bool) -> Result<()> {
    let dataset = place.dataset();
    if !unfinished {
        return dataset.remove(name);
    }
    if dataset.discard_aggregation(name)? {
        return Ok(());
    }
    let path = dataset.path().join(name.to_string());
    Err(Error::NotFound { what: "unfinished prediction", path })
}
