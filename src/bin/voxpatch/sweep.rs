//! `sweep`: removes files that no volume of a store needs.

use voxpatch::{Place, SweepReport, Swept};

use crate::args::Sweep;
use crate::code::{self, Code};
use crate::output;

pub fn run(args: &Sweep) -> anyhow::Result<Code> {
    let place = Place::find(&args.store)?;
    anyhow::ensure!(place.is_store(), "{}: name the store, not a part of it", args.store.display());
    let report = place.dataset().sweep(args.older_than, args.dry_run)?;
    if args.json {
        output::print_json(&report)?;
    } else {
        output::print(&text(&report, args.dry_run))?;
    }
    Ok(code::DONE)
}

fn text(report: &SweepReport, dry_run: bool) -> String {
    let line = |word: &str, swept: &Swept| {
        let (size, path) = (output::bytes(swept.bytes), swept.path.display());
        format!("{word}: {path}, {size}, last written {} ago", age(swept.age))
    };
    let word = if dry_run { "would remove" } else { "removed" };
    let mut lines: Vec<String> = report.removed.iter().map(|swept| line(word, swept)).collect();
    lines.extend(report.kept.iter().map(|swept| line("too young", swept)));
    let all = output::count(report.removed.len(), "leftover");
    lines.push(match report.removed.len() {
        0 => "nothing to remove".to_owned(),
        _ => format!("{word} {all}, {}", output::bytes(report.bytes())),
    });
    lines.join("\n")
}

fn age(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}
