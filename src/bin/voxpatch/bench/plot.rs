//! A drawing of the report: the volumes one below the other.

use std::io::Write;
use std::path::Path;

use anyhow::Context;
use plotters::prelude::*;
use voxpatch::bench::{Labels, Report, VolumeReport};

use super::bars::panels;
use super::drawing::{Drawing, Drawn, WIDTH};
use crate::output;

/// Writes the drawing to `file`, which `path` names in messages.
pub fn write(report: &Report, file: &mut impl Write, path: &Path) -> anyhow::Result<()> {
    let mut svg = String::new();
    draw(report, &mut svg).with_context(|| format!("cannot draw {}", path.display()))?;
    file.write_all(svg.as_bytes()).with_context(|| format!("cannot write {}", path.display()))
}

fn draw(report: &Report, svg: &mut String) -> Drawn {
    let drawings: Vec<_> = report.volumes.iter().map(|volume| drawing(report, volume)).collect();
    let height: i32 = drawings.iter().map(Drawing::height).sum();
    let size = (WIDTH.unsigned_abs(), height.unsigned_abs());
    let whole = SVGBackend::with_string(svg, size).into_drawing_area();
    whole.fill(&WHITE)?;
    let mut top = 0;
    for drawing in &drawings {
        drawing.draw(&whole, top)?;
        top += drawing.height();
    }
    whole.present()
}

fn drawing(report: &Report, volume: &VolumeReport) -> Drawing {
    let labels = Labels::of(&volume.rows);
    let title = format!("{}: voxels read per second", volume.name);
    Drawing::new(title, about(report, volume, &labels), panels(volume, &labels))
}

/// The machine, the date and the volume.
fn about(report: &Report, measured: &VolumeReport, labels: &Labels) -> Vec<String> {
    let volume = format!(
        "{}, {}, {}, {} from {}",
        output::volume(measured.shape, measured.times, measured.channels),
        output::dtype(measured.dtype, measured.stored_dtype),
        output::layout(&measured.layout),
        output::bytes(measured.stored_bytes),
        output::bytes(measured.raw_bytes)
    );
    let machine = &report.machine;
    let common = measured.rows.first().map(|row| labels.common(&row.case)).unwrap_or_default();
    let here = format!(
        "{}, {}, {}; {}; voxpatch {}, {}",
        machine.cpu,
        output::count(machine.processors, "processor"),
        machine.system,
        if common.is_empty() { "reads as named" } else { &common },
        report.voxpatch,
        report.date
    );
    vec![volume, here]
}
