//! The syntax of values, and its errors.

use std::str::FromStr;
use std::time::Duration;

use voxpatch::aggregate::NonFinite;
use voxpatch::layout::{PatchShape, WeightedPatch};
use voxpatch::sample::Overlap;
use voxpatch::{Frames, Spacing};

/// A shape in voxels.
pub(super) fn shape(text: &str) -> Result<[usize; 3], String> {
    match text.parse() {
        Ok(PatchShape::Voxels(shape)) => Ok(shape),
        _ => Err("expected three whole numbers above 0, such as 32x128x128, or with named axes, \
                  such as z=32,y=128,x=128"
            .into()),
    }
}

/// A patch in millimetres; the unit may be omitted.
pub(super) fn millimetres(text: &str) -> voxpatch::Result<WeightedPatch> {
    let (shape, weight) = text.split_once(':').map_or((text, "1"), |parts| parts);
    format!("{}mm:{weight}", shape.strip_suffix("mm").unwrap_or(shape)).parse()
}

pub(super) fn spacing(text: &str) -> Result<Spacing, String> {
    match millimetres(text).map(|patch| patch.shape()) {
        Ok(PatchShape::Millimetres(mm)) if !text.contains(':') => {
            Spacing::new(mm).map_err(|e| e.to_string())
        }
        _ => Err("expected three millimetres above 0, such as 1.6x0.7x0.7".into()),
    }
}

pub(super) fn start(text: &str) -> Result<[i64; 3], String> {
    axes(text, ',')
        .ok_or_else(|| "expected three whole numbers, such as -8,0,64 or z=-8,y=0,x=64".to_owned())
}

pub(super) fn overlap(text: &str) -> Result<[usize; 3], String> {
    axes(text, 'x').ok_or_else(|| "expected three whole numbers, such as 0x32x32".to_owned())
}

/// Whole numbers that, unlike those of a shape, may be 0: `Z,Y,X` or `z=..,y=..,x=..`.
fn axes<T: FromStr>(text: &str, separator: char) -> Option<[T; 3]> {
    let named = text.contains('=');
    let mut values = [None, None, None];
    for (n, item) in text.split(if named { ',' } else { separator }).enumerate() {
        let (axis, value) = if named {
            let (name, value) = item.split_once('=')?;
            (["z", "y", "x"].iter().position(|axis| *axis == name.trim())?, value)
        } else {
            (n, item)
        };
        if values.get_mut(axis)?.replace(value.trim().parse().ok()?).is_some() {
            return None;
        }
    }
    let [z, y, x] = values;
    Some([z?, y?, x?])
}

pub(super) fn frames(text: &str) -> Result<Frames, String> {
    if text == "all" {
        return Ok(Frames::All);
    }
    let time = text.parse().map(Frames::Time);
    time.map_err(|_| "expected a time point from 0, or all".to_owned())
}

/// An overlap, in voxels or as a fraction.
pub(super) fn shared(text: &str) -> Result<Overlap, String> {
    let separated = text.contains('x');
    if separated && let Some(voxels) = axes(text, 'x') {
        return Ok(Overlap::Voxels(voxels));
    }
    let fractions = match text.parse() {
        Ok(fraction) => Some([fraction; 3]),
        Err(_) => axes(text, 'x'),
    };
    fractions
        .filter(|fractions| fractions.iter().all(|f: &f64| (0.0..1.0).contains(f)))
        .map(Overlap::Fraction)
        .ok_or_else(|| {
            "expected voxels, such as 16x32x32, or a fraction from 0 to below 1, such as 0.5 or \
             0.5x0.25x0.25"
                .to_owned()
        })
}

/// A share of the patch, the most that patches start apart.
pub(super) fn tile_step(text: &str) -> Result<Overlap, String> {
    let shares = text.parse().ok().map(|share| [share; 3]).or_else(|| axes(text, 'x'));
    shares
        .filter(|shares| shares.iter().all(|share: &f64| *share > 0.0 && *share <= 1.0))
        .map(Overlap::TileStep)
        .ok_or_else(|| "expected a share of the patch above 0 and up to 1, such as 0.5".to_owned())
}

/// A time span in seconds, minutes, hours or days.
pub(super) fn age(text: &str) -> Result<Duration, String> {
    let units = [('s', 1), ('m', 60), ('h', 3600), ('d', 86_400)];
    let seconds = units.into_iter().find_map(|(unit, seconds)| {
        text.strip_suffix(unit)?.trim().parse::<u64>().ok()?.checked_mul(seconds)
    });
    seconds
        .map(Duration::from_secs)
        .ok_or_else(|| "expected a number and s, m, h or d, such as 12h or 7d".to_owned())
}

pub(super) fn part(text: &str) -> Result<(usize, usize), String> {
    let part = text.split_once('/').and_then(|(i, n)| Some((i.parse().ok()?, n.parse().ok()?)));
    match part {
        Some((i, n)) if (1..=n).contains(&i) => Ok((i - 1, n)),
        _ => Err("expected a part and how many there are, such as 1/4 to 4/4".to_owned()),
    }
}

pub(super) fn non_finite(text: &str) -> Result<NonFinite, String> {
    match text {
        "error" => Ok(NonFinite::Error),
        "keep" => Ok(NonFinite::Keep),
        _ => {
            let value = text.parse().ok().filter(|value: &f32| value.is_finite());
            let known = value.map(NonFinite::Replace);
            known.ok_or_else(|| "expected error, keep, or a finite number".to_owned())
        }
    }
}

/// Bytes, with a decimal or binary unit.
pub(super) fn size(text: &str) -> Result<u64, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => Some(1),
        "k" | "kb" => Some(1_000),
        "m" | "mb" => Some(1_000_000),
        "g" | "gb" => Some(1_000_000_000),
        "kib" => Some(1 << 10),
        "mib" => Some(1 << 20),
        "gib" => Some(1 << 30),
        _ => None,
    };
    let whole = |number: &str, unit: u64| number.parse::<u64>().ok()?.checked_mul(unit);
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let broken = |number: &str, unit: u64| {
        let bytes = number.parse::<f64>().ok()? * unit as f64;
        (bytes < 1e18).then_some(bytes as u64)
    };
    unit.and_then(|unit| whole(number, unit).or_else(|| broken(number, unit)))
        .ok_or_else(|| "expected bytes, such as 512MB, 1.5GB or 2GiB".to_owned())
}

/// A count of at least one.
pub(super) fn positive(text: &str) -> Result<usize, String> {
    let most = 1_000_000;
    let known = text.parse().ok().filter(|n| (1..=most).contains(n));
    known.ok_or_else(|| format!("expected 1 to {most}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_three_numbers_above_zero_and_starts_any() {
        assert_eq!(shape("32x64x128"), Ok([32, 64, 128]));
        assert_eq!(shape("x=3,z=1,y=2"), Ok([1, 2, 3]));
        for wrong in ["", "1x2", "1x2x3x4", "0x1x1", "-1x2x3", "1,2,3", "1x2x3mm", "z=1,y=2,y=3"] {
            assert!(shape(wrong).is_err(), "{wrong}");
        }
        assert_eq!(start("-1,0,2"), Ok([-1, 0, 2]));
        assert_eq!(start("x=2,z=-1,y=0"), Ok([-1, 0, 2]));
        assert_eq!(overlap("0x8x16"), Ok([0, 8, 16]));
        for wrong in ["", "1,2", "1,2,3,4", "1.5,2,3", "1x2x3", "z=1,y=2", "z=1,z=2,x=3"] {
            assert!(start(wrong).is_err(), "{wrong}");
        }
        assert!(overlap("-1x0x0").is_err());
    }

    #[test]
    fn millimetres_need_no_unit() {
        for text in ["80x64.5x64:2", "80x64.5x64mm:2", "z=80,y=64.5,x=64:2"] {
            assert_eq!(millimetres(text).unwrap().to_string(), "80x64.5x64mm:2");
        }
        assert_eq!(spacing("1.5x1x1"), Ok(Spacing::new([1.5, 1.0, 1.0]).unwrap()));
        assert!(spacing("1x1x1:2").is_err() && spacing("0x1x1").is_err());
    }

    #[test]
    fn overlaps_are_voxels_or_fractions() {
        assert_eq!(shared("16x0x8"), Ok(Overlap::Voxels([16, 0, 8])));
        assert_eq!(shared("0.5"), Ok(Overlap::Fraction([0.5; 3])));
        assert_eq!(shared("0"), Ok(Overlap::Fraction([0.0; 3])));
        assert_eq!(shared("0.5x0.25x0"), Ok(Overlap::Fraction([0.5, 0.25, 0.0])));
        for wrong in ["", "16", "1", "1.5x0x0", "-0.5", "nan", "1x2", "0.5x0.5", "1x2x3x4"] {
            assert!(shared(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn parts_and_sizes_are_understood_or_refused() {
        assert_eq!(part("2/4"), Ok((1, 4)));
        for wrong in ["0/4", "5/4", "1", "a/b", "1/0"] {
            assert!(part(wrong).is_err(), "{wrong}");
        }
        for (text, bytes) in [("17", 17), ("2GiB", 2 << 30), ("1.5 kB", 1500), ("3m", 3_000_000)] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for wrong in ["", "GB", "1TB2", "1e3", "-1", "99999999999999GB"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
        assert_eq!(non_finite("-1.5"), Ok(NonFinite::Replace(-1.5)));
        assert!(non_finite("nan").is_err());
    }
}
