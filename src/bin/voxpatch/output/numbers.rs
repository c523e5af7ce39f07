//! Numbers with their significant digits.

use std::time::Duration;

/// The ratio of raw bytes to stored bytes.
#[allow(clippy::cast_precision_loss)]
pub fn ratio(raw: u64, stored: u64) -> String {
    if stored == 0 { "-".to_owned() } else { format!("{:.2}x", raw as f64 / stored as f64) }
}

/// At most four decimals, without trailing zeros; small numbers with a power of ten.
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
    // A value that rounds to 1000 gets the next unit.
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    let decimals = if value >= 99.95 { 0 } else { 1 + usize::from(value < 9.995) };
    format!("{value:.decimals$} {}", UNITS[unit])
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
}
