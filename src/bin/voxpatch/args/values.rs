//! The values of flags of `aggregate`, and what is told of one that is not understood.

use voxpatch::aggregate::NonFinite;

use voxpatch::sample::Overlap;

pub(super) fn overlap(text: &str) -> Result<Overlap, String> {
    let separated = text.contains('x');
    if separated && let Some(voxels) = super::axes(text, 'x') {
        return Ok(Overlap::Voxels(voxels));
    }
    let fractions = match text.parse() {
        Ok(fraction) => Some([fraction; 3]),
        Err(_) => super::axes(text, 'x'),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlaps_are_voxels_or_fractions() {
        assert_eq!(overlap("16x0x8"), Ok(Overlap::Voxels([16, 0, 8])));
        assert_eq!(overlap("0.5"), Ok(Overlap::Fraction([0.5; 3])));
        assert_eq!(overlap("0"), Ok(Overlap::Fraction([0.0; 3])));
        assert_eq!(overlap("0.5x0.25x0"), Ok(Overlap::Fraction([0.5, 0.25, 0.0])));
        for wrong in ["", "16", "1", "1.5x0x0", "-0.5", "nan", "1x2", "0.5x0.5", "1x2x3x4"] {
            assert!(overlap(wrong).is_err(), "{wrong}");
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
