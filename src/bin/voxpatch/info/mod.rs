//! `info`: the content of a store.

mod text;

use serde::Serialize;
use serde_json::json;
use voxpatch::Result;
use voxpatch::{Place, UnfinishedAggregation, VolumeInfo, VolumeName};

use crate::args::Info;
use crate::code::{self, Code};
use crate::output;
use text::{list, one};

pub fn run(args: &Info) -> anyhow::Result<Code> {
    let place = Place::find(&args.store)?;
    let names = place.volumes()?;
    let (mut volumes, mut unreadable) = (Vec::new(), false);
    for name in &names {
        match place.dataset().open_volume(name) {
            Ok(volume) => volumes.push(volume.info()),
            Err(error) => {
                // Of several volumes, the others are still shown.
                unreadable = true;
                crate::complain(&error.into());
            }
        }
    }
    let unfinished = unfinished(&place, &names)?;
    match &volumes[..] {
        [volume] if place.is_volume() && args.json => {
            output::print_json(&One { volume, unfinished: &unfinished })?;
        }
        _ if args.json => {
            output::print_json(&json!({ "volumes": volumes, "unfinished": unfinished }))?;
        }
        [volume] if place.is_volume() => output::print(&one(volume))?,
        [] if names.is_empty() => output::print("no volumes")?,
        [] => {}
        _ => output::print(&list(&volumes))?,
    }
    if !args.json {
        for UnfinishedAggregation { outputs, written, shards, .. } in &unfinished {
            let outputs = outputs.join(", ");
            output::print(&format!(
                "unfinished: the prediction of {outputs}, {written} of {shards} shards are \
                 written; continue with aggregate --resume, or finalise it when all its parts are \
                 complete"
            ))?;
        }
    }
    Ok(code::failed_if(unreadable))
}

/// A volume as JSON, with the unfinished predictions that would replace it.
#[derive(Serialize)]
struct One<'a> {
    #[serde(flatten)]
    volume: &'a VolumeInfo,
    unfinished: &'a [UnfinishedAggregation],
}

/// Unfinished aggregations: all, or those that make the named volume.
fn unfinished(place: &Place, names: &[VolumeName]) -> Result<Vec<UnfinishedAggregation>> {
    let mut all = place.dataset().unfinished_aggregations()?;
    if place.is_volume() {
        all.retain(|begun| begun.outputs.iter().any(|o| names.iter().any(|n| n.to_string() == *o)));
    }
    Ok(all)
}
