//! What a demo did, in words.

use std::path::Path;
use std::time::Duration;

use super::Outcome;
use crate::output;

#[allow(clippy::cast_precision_loss)]
pub fn text(outcome: &Outcome) -> String {
    let Outcome { convert, plan, race, .. } = outcome;
    let patch = output::shape(outcome.patch);
    let took = Duration::from_secs_f64(convert.seconds);
    let expected = plan.patches.first().map_or(0.0, |p| p.microseconds);
    let measured = race.rows.get(1).map_or(0.0, |row| 1e6 / row.patches_per_second);
    let each = |total: f64| total / race.patches as f64;
    let facts = output::facts(&[
        (
            "scan",
            format!(
                "{}{} at {}, {}, {}",
                if outcome.synthetic { "a synthetic chest CT, " } else { "" },
                output::volume(convert.shape, convert.times, convert.channels),
                output::millimetres(convert.spacing),
                convert.dtype,
                output::bytes(convert.raw_bytes)
            ),
        ),
        ("plan", format!("{}, for random patches of {patch}", output::layout(&plan.layout))),
        (
            "convert",
            format!(
                "{} to {} ({}) in {:.2} s, {}, {} threads",
                output::bytes(convert.raw_bytes),
                output::bytes(convert.stored_bytes),
                output::ratio(convert.raw_bytes, convert.stored_bytes),
                convert.seconds,
                output::rate(convert.raw_bytes, took),
                outcome.threads
            ),
        ),
        (
            "check",
            format!(
                "{} random patches, {}: every voxel equals the source",
                race.patches,
                output::bytes(race.bytes)
            ),
        ),
        (
            "a patch",
            format!(
                "touches {:.1} chunks, {} stored; decodes {:.2} bytes for each it returns; \
                 {measured:.0} µs (the plan expected {expected:.0})",
                each(race.cost.chunks as f64),
                output::bytes_of(each(race.cost.stored_bytes as f64)),
                race.cost.amplification()
            ),
        ),
        ("aggregate", outcome.pass.text()),
    ]);
    format!(
        "{facts}\n\n{}\nOne thread, files in the system's cache, the fastest of {} passes. A \
         memory map has nothing to\ndecode, but needs the scan uncompressed on disk.\n\n{}",
        race.table(),
        race.passes,
        next(outcome, &patch)
    )
}

/// What to type after this, by the name that this program was called by.
fn next(outcome: &Outcome, patch: &str) -> String {
    let commands = match (&outcome.kept, &outcome.scan) {
        (Some(volume), _) => {
            let volume = volume.display();
            vec![
                format!("info {volume}"),
                format!("verify {volume}"),
                format!("read {volume} --start 0,0,0 --shape {patch} --out patch.nii.gz"),
            ]
        }
        (None, Some(scan)) => vec![
            format!("convert {} --out scans.zarr --patch {patch}", scan.display()),
            "info scans.zarr".to_owned(),
        ],
        (None, None) => vec![
            format!("convert SCAN.nii.gz --out scans.zarr --patch {patch}"),
            "info scans.zarr".to_owned(),
            format!("demo SCAN.nii.gz --patch {patch}    # this, with a scan of yours"),
        ],
    };
    let program = std::env::args_os().next().unwrap_or_else(|| "voxpatch".into());
    let lines = commands.iter().map(|c| format!("\n  {} {c}", Path::new(&program).display()));
    format!("Next:{}", lines.collect::<String>())
}
