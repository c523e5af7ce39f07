//! `verify`: every byte against its checksums.

use std::process::ExitCode;

use serde::Serialize;
use voxpatch::Pool;
use voxpatch::store::{Place, VerifyReport, VolumeCheck};

use crate::args::Verify;
use crate::interrupt::Interrupt;
use crate::output;

pub fn run(args: &Verify) -> anyhow::Result<ExitCode> {
    let interrupt = Interrupt::listen()?;
    let (place, pool) = (Place::find(&args.store)?, Pool::new(args.threads)?);
    let (dataset, names) = (place.dataset(), place.volumes()?);
    // One that does not open has no voxels to count; its check says why.
    let total = names.iter().filter_map(|name| Some(dataset.open_volume(name).ok()?.raw_bytes()));
    let bar = output::progress(total.sum(), "verify", args.json);
    let progress = |bytes| {
        bar.inc(bytes);
        !interrupt.is_set()
    };
    let checks = names.iter().map(|name| dataset.verify_volume(name, &pool, &progress));
    let volumes = checks.collect::<voxpatch::Result<_>>();
    bar.finish_and_clear();
    let report = VerifyReport { volumes: volumes? };
    if args.json {
        output::print_json(&Outcome { sound: report.is_sound(), report: &report })?;
    } else {
        output::print(&text(&report))?;
    }
    Ok(ExitCode::from(u8::from(!report.is_sound())))
}

/// What is printed as JSON.
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
    let bad = report.volumes.iter().filter(|v| !v.damage.is_empty()).count();
    lines.push(match (bad, report.volumes.len()) {
        (_, 0) => "no volumes".to_owned(),
        (0, n) => format!("{}, every byte as it was written", output::count(n, "volume")),
        (bad, n) => format!(
            "{bad} of {} damaged: convert again from the scans, with --overwrite",
            output::count(n, "volume")
        ),
    });
    lines.join("\n")
}
