//! `verify`: compares every byte with its checksums.

use serde::Serialize;
use voxpatch::Pool;
use voxpatch::{Damage, Error, Place, Remedy, VerifyReport, VolumeCheck};

use crate::args::Verify;
use crate::code::{self, Code};
use crate::interrupt::Interrupt;
use crate::output;

pub fn run(args: &Verify) -> anyhow::Result<Code> {
    let interrupt = Interrupt::listen()?;
    let (place, pool) = (Place::find(&args.store)?, Pool::new(args.threads)?);
    let names = match place.volumes() {
        // A subject may have only volumes without a document left.
        Err(Error::NotFound { .. }) if !place.is_volume() => Vec::new(),
        names => names?,
    };
    // A volume that does not open has no voxels to count; its check gives the reason.
    let total =
        names.iter().filter_map(|name| Some(place.dataset().open_volume(name).ok()?.raw_bytes()));
    let bar = output::progress(total.sum(), "verify", args.json);
    let progress = |bytes| {
        bar.inc(bytes);
        !interrupt.is_set()
    };
    let report = place.verify(&pool, &progress);
    bar.finish_and_clear();
    let report = report?;
    if args.json {
        output::print_json(&Outcome { sound: report.is_sound(), report: &report })?;
    } else {
        output::print(&text(&report))?;
    }
    Ok(code::failed_if(!report.is_sound()))
}

/// The JSON output.
#[derive(Serialize)]
struct Outcome<'a> {
    sound: bool,
    #[serde(flatten)]
    report: &'a VerifyReport,
}

fn text(report: &VerifyReport) -> String {
    let row = |v: &VolumeCheck| {
        let state = match v.damage.len() {
            0 => "sound".to_owned(),
            n => format!("damaged ({n})"),
        };
        vec![v.name.clone(), v.shards.to_string(), output::bytes(v.bytes), state]
    };
    let rows: Vec<_> = report.volumes.iter().map(row).collect();
    let mut lines =
        vec![output::table(&["volume", "files", "size", "state"], &rows), String::new()];
    let damage = report.volumes.iter().flat_map(|v| &v.damage);
    lines.extend(damage.map(|d| format!("{}: {}", d.path.display(), d.reason)));
    lines.push(closing(report));
    lines.join("\n")
}

/// The total damage, and the remedies.
fn closing(report: &VerifyReport) -> String {
    let all = output::count(report.volumes.len(), "volume");
    let with = |remedy: Option<Remedy>| {
        let is_meant = |d: &Damage| remedy.is_none_or(|remedy| d.remedy == remedy);
        report.volumes.iter().filter(|v| v.damage.iter().any(is_meant)).count()
    };
    if report.volumes.is_empty() {
        return "no volumes".to_owned();
    }
    if with(None) == 0 {
        return format!("{all}, every byte as it was written");
    }
    let mut lines = vec![format!("{} of {all} damaged", with(None))];
    for (remedy, what) in [
        (Remedy::Write, "convert again from the scan, or aggregate again, with --overwrite"),
        (Remedy::Index, "build the index for sampling again: voxpatch index"),
        (Remedy::Group, "remove the document: the next conversion writes another"),
    ] {
        match with(Some(remedy)) {
            0 => {}
            n => lines.push(format!("  {n}: {what}")),
        }
    }
    lines.join("\n")
}
