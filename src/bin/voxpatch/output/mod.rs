//! Output: tables, sizes and rates for people, JSON for programs, progress for terminals.

mod bars;
mod numbers;
mod words;

use std::io::{self, Write};

use comfy_table::{CellAlignment, ContentArrangement, LineStyle, Table, TableStyle};
use serde::Serialize;

pub use bars::{progress, spinner, steps};
pub use numbers::{bytes, bytes_of, number, rate, ratio};
pub use words::{
    DEFAULT_WORKLOAD, count, dtype, index, layout, millimetres, readers, shape, shard, volume,
    workload,
};

/// Writes a line to standard output. A reader that has closed it (`| head`) is not an error.
pub fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        done => done,
    }
}

/// Writes a note to standard error, about something other than a failure.
pub fn note(text: &str) {
    // If standard error is closed, the note is lost.
    let _ = writeln!(io::stderr(), "voxpatch: note: {text}");
}

/// Writes a value as one JSON document.
pub fn print_json(value: &impl Serialize) -> io::Result<()> {
    print(&serde_json::to_string_pretty(value)?)
}

/// One line, between the header and the rows.
const STYLE: TableStyle =
    TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));

/// A table with a header. The first column is text; cells of other columns that begin like numbers
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

/// Lines of `name  value`, with the values aligned.
pub fn facts(facts: &[(&str, String)]) -> String {
    let width = facts.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let lines = facts.iter().map(|(name, value)| format!("{name:width$}  {value}"));
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

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
