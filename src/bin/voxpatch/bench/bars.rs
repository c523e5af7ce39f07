//! The content of a drawing: panels of a few bars.

use voxpatch::bench::{Cache, Figures, Inflated, Labels, Row, VolumeReport};

use crate::output;

/// Most bars of a panel, to stay readable; further bars go to another panel.
const MOST_BARS: usize = 8;

/// The bars of one patch shape.
pub struct Panel {
    pub title: String,
    pub bars: Vec<Bar>,
}

/// One way to read the patch.
pub struct Bar {
    pub name: String,
    pub source: Source,
    pub is_cold: bool,
    pub bytes_per_second: f64,
    /// The rate and the time as text.
    pub number: String,
}

/// The source of the patch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    Store,
    /// The uncompressed copy.
    Map,
    Gzip,
}

/// The panels of a volume, in the order of its rows.
pub fn panels(measured: &VolumeReport, labels: &Labels) -> Vec<Panel> {
    let mut shapes: Vec<[usize; 3]> = measured.rows.iter().map(|row| row.case.patch).collect();
    shapes.dedup();
    let mut panels = Vec::new();
    for shape in shapes {
        let rows = measured.rows.iter().filter(|row| row.case.patch == shape);
        let mut bars: Vec<Bar> = rows.clone().flat_map(|row| sides(row, labels)).collect();
        let bytes = rows.map(|row| row.bytes_per_patch).next().unwrap_or(0);
        bars.extend(measured.inflated.as_ref().map(|inflated| gzip(inflated, bytes)));
        let of = bars.len().div_ceil(MOST_BARS).max(1);
        let each = bars.len().div_ceil(of).max(1);
        let mut bars = bars.into_iter();
        for n in 1..=of {
            let part = if of > 1 { format!(" ({n} of {of})") } else { String::new() };
            let title = format!("patches of {}{part}", output::shape(shape));
            panels.push(Panel { title, bars: bars.by_ref().take(each).collect() });
        }
    }
    panels
}

/// The store and, if it was read too, the map.
fn sides(row: &Row, labels: &Labels) -> Vec<Bar> {
    let way = labels.series(&row.case);
    let bar = |source, name: &str, figures: &Figures| Bar {
        name: if way.is_empty() { name.to_owned() } else { format!("{name}, {way}") },
        source,
        is_cold: row.case.cache == Cache::Cold,
        bytes_per_second: figures.bytes_per_second,
        number: number(figures.bytes_per_second, figures.latency.p50),
    };
    let map = row.map.as_ref().map(|figures| bar(Source::Map, "memory map", figures));
    [Some(bar(Source::Store, "voxpatch", &row.store)), map].into_iter().flatten().collect()
}

/// A patch of `bytes` bytes, for which the whole file is inflated.
#[allow(clippy::cast_precision_loss)]
fn gzip(inflated: &Inflated, bytes: usize) -> Bar {
    let bytes_per_second = bytes as f64 / inflated.seconds.max(1e-9);
    Bar {
        name: ".nii.gz".to_owned(),
        source: Source::Gzip,
        is_cold: false,
        bytes_per_second,
        number: number(bytes_per_second, inflated.seconds * 1e6),
    }
}

/// The rate, and the time of the median patch.
fn number(bytes_per_second: f64, microseconds: f64) -> String {
    let time = match microseconds {
        1e6.. => format!("{:.1} s", microseconds / 1e6),
        1e3.. => format!("{:.1} ms", microseconds / 1e3),
        _ => format!("{microseconds:.0} µs"),
    };
    format!("{}/s, {time} a patch", output::bytes_of(bytes_per_second))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_told_in_the_unit_that_suits_them() {
        assert_eq!(number(3.04e9, 412.3), "3.04 GB/s, 412 µs a patch");
        assert_eq!(number(1.2e6, 870_000.0), "1.20 MB/s, 870.0 ms a patch");
        assert_eq!(number(0.0, 2_500_000.0), "0 B/s, 2.5 s a patch");
    }
}
