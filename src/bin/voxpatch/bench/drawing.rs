//! The drawing of one volume: a panel for each patch shape, with a named and numbered bar for each
//! way to read a patch.

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::FontStyle;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::bars::{Bar, Panel, Source};

pub type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
pub type Drawn = Result<(), DrawingAreaErrorKind<std::io::Error>>;

/// Pixels.
pub const WIDTH: i32 = 1120;
const MARGIN: i32 = 24;
const LINE: i32 = 20;
/// A bar and the gap below it.
const BAR: i32 = 16;
const STEP: i32 = 24;
const PANEL_TITLE: i32 = 28;
const PANEL_GAP: i32 = 20;
/// Room for the number after the longest bar.
const NUMBER: i32 = 200;
/// Width of a letter in labels: a generous estimate, because no font is loaded.
const LETTER: i32 = 7;
/// Names up to this width leave room for two panels side by side.
const NARROW: i32 = 220;

const TITLE: f64 = 19.0;
const TEXT: f64 = 13.0;
const INK: RGBColor = RGBColor(34, 34, 34);
const QUIET: RGBColor = RGBColor(110, 110, 110);

/// What is drawn of a volume.
pub struct Drawing {
    title: String,
    about: Vec<String>,
    panels: Vec<Panel>,
    /// The rate of a full bar: one scale for all panels.
    most: f64,
    /// Width of the names of bars.
    names: i32,
}

impl Drawing {
    /// A drawing with a title, lines below the title, and panels.
    pub fn new(title: String, about: Vec<String>, panels: Vec<Panel>) -> Self {
        let bars = || panels.iter().flat_map(|panel| &panel.bars);
        let letters = bars().map(|bar| bar.name.chars().count()).max().unwrap_or(0);
        let most = bars().map(|bar| bar.bytes_per_second).fold(1.0, f64::max);
        let names = pixels(letters) * LETTER + 12;
        Self { title, about, panels, most, names }
    }

    fn columns(&self) -> i32 {
        if self.names <= NARROW && self.panels.len() > 1 { 2 } else { 1 }
    }

    /// Height of a row of panels, which begins at the panel `first`.
    fn row_height(&self, first: usize) -> i32 {
        let columns = self.columns().unsigned_abs() as usize;
        let row = self.panels.iter().skip(first).take(columns);
        let bars = row.map(|panel| panel.bars.len()).max().unwrap_or(0);
        PANEL_TITLE + pixels(bars) * STEP + PANEL_GAP
    }

    fn rows(&self) -> impl Iterator<Item = usize> {
        (0..self.panels.len()).step_by(self.columns().unsigned_abs() as usize)
    }

    pub fn height(&self) -> i32 {
        let head = 2 * MARGIN + pixels(self.about.len()) * LINE + LINE;
        head + self.rows().map(|first| self.row_height(first)).sum::<i32>()
    }

    pub fn draw(&self, area: &Area, top: i32) -> Drawn {
        let mut y = top + MARGIN;
        text(area, &self.title, (MARGIN, y), (TITLE, INK, HPos::Left), FontStyle::Bold)?;
        y += LINE + 8;
        for line in &self.about {
            text(area, line, (MARGIN, y), (TEXT, QUIET, HPos::Left), FontStyle::Normal)?;
            y += LINE;
        }
        y += MARGIN - 8;
        let width = (WIDTH - MARGIN) / self.columns();
        for first in self.rows() {
            let columns = self.columns().unsigned_abs() as usize;
            for (n, panel) in self.panels.iter().skip(first).take(columns).enumerate() {
                self.panel(area, panel, (MARGIN + pixels(n) * width, y), width - MARGIN)?;
            }
            y += self.row_height(first);
        }
        Ok(())
    }

    fn panel(&self, area: &Area, panel: &Panel, (x, y): (i32, i32), width: i32) -> Drawn {
        text(area, &panel.title, (x, y), (TEXT + 2.0, INK, HPos::Left), FontStyle::Bold)?;
        let (left, full) = (x + self.names, (width - self.names - NUMBER).max(BAR));
        for (n, bar) in panel.bars.iter().enumerate() {
            let top = y + PANEL_TITLE + pixels(n) * STEP;
            let length = self.length(bar, full);
            let corners = [(left, top), (left + length, top + BAR)];
            area.draw(&Rectangle::new(corners, colour(bar).filled()))?;
            text(
                area,
                &bar.name,
                (left - 8, top + 1),
                (TEXT, INK, HPos::Right),
                FontStyle::Normal,
            )?;
            let at = (left + length + 8, top + 1);
            text(area, &bar.number, at, (TEXT, INK, HPos::Left), FontStyle::Normal)?;
        }
        Ok(())
    }

    /// At least a pixel, so that a slow bar is visible.
    #[allow(clippy::cast_possible_truncation)]
    fn length(&self, bar: &Bar, full: i32) -> i32 {
        ((f64::from(full) * bar.bytes_per_second / self.most).round() as i32).clamp(1, full)
    }
}

fn text(
    area: &Area,
    text: &str,
    at: (i32, i32),
    (size, colour, side): (f64, RGBColor, HPos),
    weight: FontStyle,
) -> Drawn {
    let font = FontDesc::new(FontFamily::SansSerif, size, weight).color(&colour);
    area.draw(&Text::new(text.to_owned(), at, font.pos(Pos::new(side, VPos::Top))))
}

/// Colours of Okabe and Ito (2008), which colour-blind readers can distinguish; cold reads are
/// paler.
fn colour(bar: &Bar) -> RGBAColor {
    let colour = match bar.source {
        Source::Store => RGBColor(0, 114, 178),
        Source::Map => RGBColor(150, 150, 150),
        Source::Gzip => RGBColor(213, 94, 0),
    };
    colour.mix(if bar.is_cold { 0.55 } else { 1.0 })
}

/// A small number of things.
fn pixels(n: usize) -> i32 {
    i32::try_from(n).unwrap_or(i32::MAX / 1024)
}
