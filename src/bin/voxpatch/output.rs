//! What is shown: tables, sizes and rates for people, JSON for programs, progress for terminals.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use comfy_table::{CellAlignment, ContentArrangement, LineStyle, Table, TableStyle};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use voxpatch::layout::{Access, ChunkLayout, Codec, PatchShape, WeightedPatch, Workload};
use voxpatch::store::IndexInfo;
use voxpatch::{Dtype, Spacing};

/// Writes a line to standard output. A reader that has gone away (`| head`) is no failure: there
/// is nobody left to tell.
pub fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        done => done,
    }
}

/// Writes a line to standard error, for what is worth knowing but no failure.
pub fn note(text: &str) {
    // With standard error closed there is nobody to tell.
    let _ = writeln!(io::stderr(), "voxpatch: note: {text}");
}

/// Writes a value as one JSON document.
pub fn print_json(value: &impl Serialize) -> io::Result<()> {
    print(&serde_json::to_string_pretty(value)?)
}

/// One line, between the header and the rows.
const STYLE: TableStyle =
    TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));

/// A table with a header. The first column is text; in the others, cells that begin like numbers
/// are aligned right.
pub fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let mut table = Table::new();
    table.load_style(STYLE).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(header).add_rows(rows);
    for (n, column) in table.column_iter_mut().enumerate().skip(1) {
        let numeric = |row: &Vec<String>| {
            row.get(n).is_none_or(|cell| {
                matches!(&cell[..], "" | "-") || cell.starts_with(|c: char| c.is_ascii_digit())
            })
        };
        if rows.iter().all(numeric) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.trim_fmt()
}

/// Lines of `name  value`, the values below each other.
pub fn facts(facts: &[(&str, String)]) -> String {
    let width = facts.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let lines = facts.iter().map(|(name, value)| format!("{name:width$}  {value}"));
    lines.collect::<Vec<_>>().join("\n")
}

/// `ZxYxX`.
pub fn shape(shape: [usize; 3]) -> String {
    shape.map(|n| n.to_string()).join("x")
}

/// The shape of a frame, and how many there are if there are several.
pub fn volume(frame: [usize; 3], times: usize, channels: usize) -> String {
    let axes = [(times, "times"), (channels, "channels")];
    let more = axes.into_iter().filter(|(n, _)| *n > 1).map(|(n, what)| format!(", {n} {what}"));
    std::iter::once(shape(frame)).chain(more).collect()
}

/// The type on disk, and that of the source if it is another.
pub fn dtype(source: Dtype, stored: Dtype) -> String {
    if source == stored {
        return stored.to_string();
    }
    format!("{stored}, narrowed from {source}")
}

/// How many of something: `1 scan`, `2 scans`.
pub fn count(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

/// What to say of patches that were not given.
pub const DEFAULT_WORKLOAD: &str = " (the default; give the shapes you read with --patch)";

/// The patches of a workload and where they start.
pub fn workload(workload: &Workload) -> String {
    let shape = |patch: &WeightedPatch| match patch.shape() {
        PatchShape::Voxels(voxels) => shape(voxels),
        PatchShape::Millimetres(mm) => format!("{} mm", mm.map(number).join("x")),
    };
    let patches = workload.patches();
    let one = |patch: &WeightedPatch| match patches.len() {
        1 => shape(patch),
        _ => format!("{} (weight {})", shape(patch), number(patch.weight())),
    };
    let access = match workload.access() {
        Access::Random => "at random".to_owned(),
        Access::Grid { overlap: [0, 0, 0] } => "on a grid".to_owned(),
        Access::Grid { overlap } => format!("on a grid, overlapping by {}", self::shape(overlap)),
    };
    format!("{}, {access}", patches.iter().map(one).collect::<Vec<_>>().join(", "))
}

/// Millimetres, `z, y, x`.
pub fn millimetres(spacing: Spacing) -> String {
    format!("{} mm", spacing.mm().map(number).join("x"))
}

/// Chunk, shard and codec in one line.
pub fn layout(layout: &ChunkLayout) -> String {
    let chunk = shape(layout.chunk);
    format!("chunks of {chunk} in shards of {}, {}", shard(layout), layout.codec)
}

/// The shape of a shard, `z, y, x`, and how many frames it spans, if more than one.
pub fn shard(layout: &ChunkLayout) -> String {
    let frames: usize = layout.frames.iter().product();
    let of = if frames > 1 { format!("{frames} frames of ") } else { String::new() };
    format!("{of}{}", shape(layout.shard))
}

/// Who reads volumes of this codec.
pub fn readers(codec: Codec) -> &'static str {
    if codec.is_standard() {
        return "every Zarr reader";
    }
    "voxpatch and programs that link it; other Zarr readers need its plug-in"
}

/// What an index for sampling holds, in words.
pub fn index(index: &IndexInfo) -> String {
    match index {
        IndexInfo::Labels { labels, blocks } => {
            format!("{} in {}", count(*labels, "label"), count(*blocks, "block"))
        }
        IndexInfo::Weights { blocks } => format!("weights in {}", count(*blocks, "block")),
        IndexInfo::Nothing { reason } => format!("cannot be used: {reason}"),
    }
}

/// How many bytes stand in one stored byte.
#[allow(clippy::cast_precision_loss)]
pub fn ratio(raw: u64, stored: u64) -> String {
    if stored == 0 { "-".to_owned() } else { format!("{:.2}x", raw as f64 / stored as f64) }
}

/// At most four decimals, none that are zero; small numbers by their power of ten.
pub fn number(value: f64) -> String {
    if value != 0.0 && value.abs() < 1e-3 || value.abs() >= 1e15 {
        return format!("{value:.4e}");
    }
    let text = format!("{value:.4}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

/// Three digits and a decimal unit: `999 B`, `1.44 MB`, `18.0 GB`.
#[allow(clippy::cast_precision_loss)]
pub fn bytes(count: u64) -> String {
    if count < 1000 {
        return format!("{count} B");
    }
    scaled(count as f64)
}

/// As [`bytes`], for averages.
pub fn bytes_of(count: f64) -> String {
    if count == 0.0 { bytes(0) } else { scaled(count) }
}

/// Bytes per second, in the units of [`bytes`].
#[allow(clippy::cast_precision_loss)]
pub fn rate(bytes: u64, time: Duration) -> String {
    if time.is_zero() {
        return "-".to_owned();
    }
    format!("{}/s", scaled(bytes as f64 / time.as_secs_f64()))
}

fn scaled(mut value: f64) -> String {
    const UNITS: [&str; 7] = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];
    let mut unit = 0;
    // What would be rounded to 1000 belongs to the next unit.
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    let decimals = if value >= 99.95 { 0 } else { 1 + usize::from(value < 9.995) };
    format!("{value:.decimals$} {}", UNITS[unit])
}

/// A bar on standard error that counts bytes, or nothing if that is not a terminal or `quiet`.
pub fn progress(total: u64, what: &str, quiet: bool) -> ProgressBar {
    if quiet || !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template(
        "{msg} {wide_bar} {decimal_bytes}/{decimal_total_bytes} {decimal_bytes_per_sec} {eta}",
    );
    let bar = ProgressBar::new(total).with_message(what.to_owned());
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// A bar on standard error that counts steps, or nothing if that is not a terminal or `quiet`.
pub fn steps(total: usize, what: &str, quiet: bool) -> ProgressBar {
    if quiet || !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} {eta}");
    let bar = ProgressBar::new(total as u64).with_message(what.to_owned());
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// As [`progress`], where nobody knows how many bytes there will be.
pub fn spinner(what: &str, quiet: bool) -> ProgressBar {
    if quiet || !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{msg} {spinner} {decimal_bytes}");
    let bar = ProgressBar::new_spinner().with_message(what.to_owned());
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_three_digits_and_never_1000() {
        for (count, shown) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.00 kB"),
            (9_994, "9.99 kB"),
            (9_996, "10.0 kB"),
            (99_960, "100 kB"),
            (999_499, "999 kB"),
            (999_500, "1.00 MB"),
            (144_179_200, "144 MB"),
            (u64::MAX, "18.4 EB"),
        ] {
            assert_eq!(bytes(count), shown);
        }
        assert_eq!(rate(3_000_000_000, Duration::from_millis(1500)), "2.00 GB/s");
        assert_eq!(rate(7, Duration::ZERO), "-");
        assert_eq!([0.0, 0.25, 1234.5].map(bytes_of), ["0 B", "0.25 B", "1.23 kB"]);
    }

    #[test]
    fn numbers_carry_no_needless_zeros() {
        let shown = [0.0, -0.00, 1.5, 0.7, 100.0, -1024.0, 0.123_456, 1e-5, f64::NAN].map(number);
        assert_eq!(shown, ["0", "0", "1.5", "0.7", "100", "-1024", "0.1235", "1.0000e-5", "NaN"]);
    }

    #[test]
    fn numbers_are_aligned_right_and_text_left() {
        let rows =
            [["ct", "9 MB", "x"], ["pet", "10 MB", "yy"]].map(|r| r.map(str::to_owned).to_vec());
        let table = table(&["name", "size", "note"], &rows);
        let lines: Vec<&str> = table.lines().filter(|l| l.contains("MB")).collect();
        assert_eq!(lines[0].find("MB"), lines[1].find("MB"), "{table}");
        assert_eq!(lines[0].find('x'), lines[1].find("yy"), "{table}");
    }

    #[test]
    fn facts_stand_below_each_other() {
        let shown = facts(&[("a", "1".to_owned()), ("long", "2".to_owned())]);
        assert_eq!(shown, "a     1\nlong  2");
    }
}
