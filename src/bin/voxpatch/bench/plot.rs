//! A drawing of the rows: for each volume, throughput by patch shape, and how the times of single
//! reads are spread.

use std::io::Write;
use std::path::Path;

use anyhow::Context;
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::figures::Figures;
use super::labels::Labels;
use super::row::Row;
use super::{Measured, Report};
use crate::output;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Drawn<T = ()> = Result<T, DrawingAreaErrorKind<std::io::Error>>;

/// Widths in pixels: bars, their legend, curves; the legend of these has the rest.
const WIDTHS: [u32; 3] = [440, 230, 440];
const WIDTH: u32 = 1420;
const TITLE: u32 = 40;
const LINE: u32 = 18;
/// Height of the charts of a volume, where the legends need no more.
const CHARTS: u32 = 360;
/// The colours of Okabe and Ito (2008), which the colour-blind tell apart, without the yellow.
const COLOURS: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(230, 159, 0),
    RGBColor(0, 0, 0),
];
/// The memory map has the colour of the store beside it, as faint as this.
const FAINT: f64 = 0.4;

/// Writes the drawing to `file`, which `path` names in messages.
pub fn write(report: &Report, file: &mut impl Write, path: &Path) -> anyhow::Result<()> {
    let mut svg = String::new();
    draw(report, &mut svg).with_context(|| format!("cannot draw {}", path.display()))?;
    file.write_all(svg.as_bytes()).with_context(|| format!("cannot write {}", path.display()))
}

fn draw(report: &Report, svg: &mut String) -> Drawn {
    let heights: Vec<u32> = report.volumes.iter().map(height).collect();
    let whole = SVGBackend::with_string(svg, (WIDTH, heights.iter().sum())).into_drawing_area();
    whole.fill(&WHITE)?;
    let mut rest = whole.clone();
    for (measured, height) in report.volumes.iter().zip(heights) {
        let (own, below) = rest.split_vertically(height);
        volume(measured, &own)?;
        rest = below;
    }
    whole.present()
}

/// Of the part of a volume: two legend lines for each row at most.
fn height(measured: &Measured) -> u32 {
    let lines = u32::try_from(2 * measured.rows.len() + 2).unwrap_or(u32::MAX);
    TITLE + CHARTS.max(lines.saturating_mul(LINE))
}

fn volume(measured: &Measured, area: &Area) -> Drawn {
    let labels = Labels::of(&measured.rows);
    let (title, charts) = area.split_vertically(TITLE);
    let about = format!(
        "{}: {}, {}, {}",
        measured.name,
        output::volume(measured.shape, measured.times, measured.channels),
        output::dtype(measured.dtype, measured.stored_dtype),
        output::layout(&measured.layout)
    );
    title.draw(&Text::new(about, (12, 12), ("sans-serif", 18)))?;
    let (bars, rest) = charts.split_horizontally(WIDTHS[0]);
    let (bars_legend, rest) = rest.split_horizontally(WIDTHS[1]);
    let (curves, curves_legend) = rest.split_horizontally(WIDTHS[2]);
    throughput(&measured.rows, &labels, &bars, &bars_legend)?;
    latencies(&measured.rows, &labels, &curves, &curves_legend)
}

/// Bars: a group for each patch shape, in it one for each way to read.
fn throughput(rows: &[Row], labels: &Labels, area: &Area, beside: &Area) -> Drawn {
    let mut shapes: Vec<[usize; 3]> = rows.iter().map(|row| row.case.patch).collect();
    shapes.dedup();
    let mut ways: Vec<String> = Vec::new();
    for row in rows {
        let way = labels.series(&row.case);
        if !ways.contains(&way) {
            ways.push(way);
        }
    }
    let most = rows.iter().flat_map(sides).map(|(_, f, _)| f.bytes_per_second);
    let most = most.fold(0.0, f64::max).max(1.0) * 1.05;
    let groups = count(shapes.len());
    let mut chart = ChartBuilder::on(area)
        .margin(12)
        .x_label_area_size(36)
        .y_label_area_size(80)
        .caption("voxels read per second", ("sans-serif", 15))
        .build_cartesian_2d(0.0..groups, 0.0..most)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(TRANSPARENT)
        .y_labels(6)
        .x_labels(0)
        .y_label_formatter(&|bytes| format!("{}/s", output::bytes_of(*bytes)))
        .x_desc("patch")
        .draw()?;
    let below = ("sans-serif", 12).into_font().into_text_style(area);
    let below = below.pos(Pos::new(HPos::Center, VPos::Top));
    for (n, shape) in shapes.iter().enumerate() {
        let text = Text::new(output::shape(*shape), (0, 6), below.clone());
        let middle = EmptyElement::at((count(n) + 0.5, 0.0));
        chart.plotting_area().draw(&(middle + text))?;
    }
    let width = 0.8 / count(2 * ways.len());
    let mut legend = Vec::new();
    for row in rows {
        let group = shapes.iter().position(|shape| *shape == row.case.patch).unwrap_or(0);
        let way = labels.series(&row.case);
        let place = ways.iter().position(|known| *known == way).unwrap_or(0);
        for (n, (name, figures, opacity)) in sides(row).into_iter().enumerate() {
            let left = count(group) + 0.1 + count(2 * place + n) * width;
            let corners = [(left, 0.0), (left + width * 0.94, figures.bytes_per_second)];
            let colour = colour(place).mix(opacity);
            chart.draw_series([Rectangle::new(corners, colour.filled())])?;
            let told = if way.is_empty() { name.to_owned() } else { format!("{name}, {way}") };
            if !legend.iter().any(|(known, _)| *known == told) {
                legend.push((told, colour));
            }
        }
    }
    draw_legend(&legend, beside)
}

/// Curves: how many of a hundred reads take no longer than a time.
fn latencies(rows: &[Row], labels: &Labels, area: &Area, beside: &Area) -> Drawn {
    let times = || rows.iter().flat_map(sides).flat_map(|(_, figures, _)| &figures.curve);
    // A logarithm is taken of them.
    let least = times().copied().fold(f64::MAX, f64::min).max(0.01);
    let most = times().copied().fold(least, f64::max);
    let mut chart = ChartBuilder::on(area)
        .margin(12)
        .x_label_area_size(36)
        .y_label_area_size(52)
        .caption("time of single reads", ("sans-serif", 15))
        .build_cartesian_2d((least * 0.9..most * 1.1).log_scale(), 0.0..100.0)?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .x_labels(6)
        .y_labels(6)
        .x_label_formatter(&|time| output::number(*time))
        .y_label_formatter(&|percent| format!("{percent:.0} %"))
        .x_desc("µs, at most")
        .y_desc("of the reads")
        .draw()?;
    let mut legend = Vec::new();
    for (n, row) in rows.iter().enumerate() {
        for (name, figures, opacity) in sides(row) {
            let colour = colour(n).mix(opacity);
            let points = figures.curve.iter().enumerate();
            let points = points.map(|(percent, time)| (time.max(least), count(percent)));
            chart.draw_series(LineSeries::new(points, colour.stroke_width(2)))?;
            legend.push((format!("{name}, {}", labels.cells(&row.case).join(", ")), colour));
        }
    }
    draw_legend(&legend, beside)
}

fn draw_legend(entries: &[(String, RGBAColor)], area: &Area) -> Drawn {
    let lines = (0..).map(|n| 40 + n * i32::try_from(LINE).unwrap_or(0));
    for ((text, colour), top) in entries.iter().zip(lines) {
        area.draw(&Rectangle::new([(0, top), (12, top + 11)], colour.filled()))?;
        area.draw(&Text::new(text.clone(), (18, top), ("sans-serif", 13)))?;
    }
    Ok(())
}

/// The store and, if it was read too, the map: name, figures and opacity.
fn sides(row: &Row) -> Vec<(&'static str, &Figures, f64)> {
    let map = row.map.as_ref().map(|figures| ("memory map", figures, FAINT));
    [Some(("voxpatch", &row.store, 1.0)), map].into_iter().flatten().collect()
}

fn colour(n: usize) -> RGBColor {
    COLOURS[n % COLOURS.len()]
}

/// A small number of things.
#[allow(clippy::cast_precision_loss)]
fn count(n: usize) -> f64 {
    n as f64
}
