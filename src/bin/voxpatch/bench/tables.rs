//! The tables of a volume.

use voxpatch::bench::{Figures, Labels, Row};

use crate::output;

/// The table of rates.
pub fn speed(labels: &Labels, rows: &[Row]) -> String {
    let header = [
        &labels.columns()[..],
        &["from", "patches/s", "voxels read", "of map", "p50 µs", "p90", "p99", "max"],
    ];
    let lines = lines(labels, rows, |row, figures, is_store| {
        let Figures { latency, .. } = figures;
        let ratio = row.ratio.filter(|_| is_store).map(|ratio| format!("{ratio:.2}x"));
        let times = [latency.p50, latency.p90, latency.p99, latency.max];
        let mut cells = vec![
            decimals(figures.patches_per_second),
            format!("{}/s", output::bytes_of(figures.bytes_per_second)),
            ratio.unwrap_or_default(),
        ];
        cells.extend(times.map(decimals));
        cells
    });
    output::table(&header.concat(), &lines)
}

/// The table of costs.
pub fn expense(labels: &Labels, rows: &[Row]) -> String {
    let own = [
        "from",
        "chunks",
        "decoded",
        "stored",
        "syscalls",
        "faults",
        "major",
        "from disk",
        "memory",
    ];
    let lines = lines(labels, rows, |row, figures, is_store| {
        let of_store = |cell: String| if is_store { cell } else { String::new() };
        let or_dash = |cell: Option<String>| cell.unwrap_or_else(|| "-".to_owned());
        vec![
            of_store(format!("{:.1}", row.chunks_per_patch)),
            of_store(format!("{:.2}x", row.amplification)),
            of_store(output::bytes_of(row.stored_bytes_per_patch)),
            or_dash(figures.read_write_calls_per_patch.map(decimals)),
            or_dash(figures.minor_faults_per_patch.map(decimals)),
            or_dash(figures.major_faults_per_patch.map(decimals)),
            or_dash(figures.bytes_from_disk_per_patch.map(output::bytes_of)),
            or_dash(figures.peak_memory.map(output::bytes)),
        ]
    });
    output::table(&[&labels.columns()[..], &own].concat(), &lines)
}

/// Two lines for each row; the second omits what the first says.
fn lines(
    labels: &Labels,
    rows: &[Row],
    cells: impl Fn(&Row, &Figures, bool) -> Vec<String>,
) -> Vec<Vec<String>> {
    let mut lines = Vec::new();
    for row in rows {
        let named = labels.cells(&row.case);
        let unnamed = vec![String::new(); named.len()];
        let store = cells(row, &row.store, true);
        lines.push([named, vec!["voxpatch".to_owned()], store].concat());
        if let Some(map) = &row.map {
            lines.push([unnamed, vec!["memory map".to_owned()], cells(row, map, false)].concat());
        }
    }
    lines
}

/// Three digits, or all digits before the point.
fn decimals(value: f64) -> String {
    let places = match value {
        0.0 | 99.95.. => 0,
        9.995.. => 1,
        _ => 2,
    };
    format!("{value:.places$}")
}
