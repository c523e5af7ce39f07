//! Many small numbers as a string: each number in as few bytes as possible (LEB128), then base64.

use base64::Engine;
use base64::prelude::BASE64_STANDARD_NO_PAD as BASE64;

use super::{Bin, LabelCount};

/// Writes numbers one after the other.
#[derive(Default)]
struct Writer(Vec<u8>);

impl Writer {
    #[allow(clippy::cast_possible_truncation)]
    fn put(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
    }
}

/// Reads the numbers again; `None` for bytes that no writer writes.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take(&mut self) -> Option<u64> {
        let mut number = 0_u64;
        for place in 0..10 {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            let bits = u64::from(byte & 0x7f);
            // The tenth byte has room for one more bit only.
            if place == 9 && bits > 1 {
                return None;
            }
            number |= bits << (7 * place);
            if *byte < 0x80 {
                return Some(number);
            }
        }
        None
    }
}

/// The place of both zeros.
const ZERO: u64 = 1 << 63;

/// The place of a number among all `f64`: greater numbers have greater places, neighbouring numbers
/// have neighbouring places, and the fewer bits a number needs, the more trailing zeros its place
/// has.
fn place(value: f64) -> u64 {
    let magnitude = value.abs().to_bits();
    if value < 0.0 { ZERO - magnitude } else { ZERO + magnitude }
}

/// The number at a place, if it is finite.
fn value(place: u64) -> Option<f64> {
    let magnitude = f64::from_bits(place.abs_diff(ZERO));
    Some(if place < ZERO { -magnitude } else { magnitude }).filter(|value| value.is_finite())
}

/// Ascending and disjoint bins as a string; `None` for other bins.
///
/// For each bin: how many places it lies above the bin before, how many places it spans, and its
/// number of voxels less one. Places are divided by the greatest power of two that divides them
/// all, which comes first: the whole numbers of a CT then need two bytes instead of eight.
pub(super) fn bins(bins: &[Bin]) -> Option<String> {
    Some(BASE64.encode(bin_bytes(bins)?))
}

/// The bytes of the string before base64.
pub(super) fn bin_bytes(bins: &[Bin]) -> Option<Vec<u8>> {
    let places = || bins.iter().flat_map(|bin| [place(bin.low), place(bin.high)]);
    let shift = places().map(u64::trailing_zeros).min().unwrap_or(0).min(63);
    let mut out = Writer::default();
    out.put(u64::from(shift));
    let mut next = 0;
    for bin in bins {
        if !(bin.low.is_finite() && bin.high.is_finite()) {
            return None;
        }
        let (low, high) = (place(bin.low) >> shift, place(bin.high) >> shift);
        out.put(low.checked_sub(next)?);
        out.put(high.checked_sub(low)?);
        out.put(bin.count.checked_sub(1)?);
        next = high.checked_add(1)?;
    }
    Some(out.0)
}

/// Bins from their string; `None` for a string that encodes no bins.
pub(super) fn read_bins(text: &str) -> Option<Vec<Bin>> {
    let bytes = BASE64.decode(text).ok()?;
    let mut numbers = Reader(&bytes);
    let shift = u32::try_from(numbers.take()?).ok().filter(|shift| *shift < u64::BITS)?;
    let at = |place: u64| value(place.checked_mul(1 << shift)?);
    let (mut bins, mut next) = (Vec::new(), 0_u64);
    while !numbers.0.is_empty() {
        let low = next.checked_add(numbers.take()?)?;
        let high = low.checked_add(numbers.take()?)?;
        let count = numbers.take()?.checked_add(1)?;
        bins.push(Bin { low: at(low)?, high: at(high)?, count });
        next = high.checked_add(1)?;
    }
    Some(bins)
}

/// Ascending labels as a string; `None` for other labels. First, whether the labels begin below 0,
/// and the first label's distance from 0; then, for each label, how many integers lie between it
/// and the label before, and its number of voxels less one.
pub(super) fn labels(labels: &[LabelCount]) -> Option<String> {
    let first = labels.first().map_or(0, |label| label.label);
    let mut out = Writer::default();
    out.put(u64::from(first < 0));
    out.put(u64::try_from(first.unsigned_abs()).ok()?);
    let mut next = first;
    for &LabelCount { label, voxels } in labels {
        out.put(u64::try_from(label.checked_sub(next)?).ok()?);
        out.put(voxels.checked_sub(1)?);
        next = label + 1;
    }
    Some(BASE64.encode(out.0))
}

/// Labels from their string; `None` for a string that encodes no labels.
pub(super) fn read_labels(text: &str) -> Option<Vec<LabelCount>> {
    let bytes = BASE64.decode(text).ok()?;
    let mut numbers = Reader(&bytes);
    let (is_negative, first) = (numbers.take()?, i128::from(numbers.take()?));
    let mut next = match is_negative {
        0 => first,
        1 => -first,
        _ => return None,
    };
    let mut labels = Vec::new();
    while !numbers.0.is_empty() {
        let label = next + i128::from(numbers.take()?);
        let voxels = numbers.take()?.checked_add(1)?;
        // No type of voxels has labels beyond these.
        if !(i128::from(i64::MIN)..=i128::from(u64::MAX)).contains(&label) {
            return None;
        }
        labels.push(LabelCount { label, voxels });
        next = label + 1;
    }
    Some(labels)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alone(values: &[f64]) -> Vec<Bin> {
        values.iter().map(|v| Bin { low: *v, high: *v, count: 1 }).collect()
    }

    #[test]
    fn every_finite_number_comes_back_bit_for_bit() {
        let ends = [f64::MIN, -1.0, -f64::MIN_POSITIVE / 8.0, 0.0, 1e-9, 0.1, f64::MAX];
        let spans = [
            Bin { low: f64::MIN, high: -2.5, count: u64::MAX },
            Bin { low: 0.0, high: 3.0, count: 1 },
            Bin { low: 4.0, high: f64::MAX, count: 1 << 40 },
        ];
        let whole: Vec<f64> = (-1024..3072).map(f64::from).collect();
        for list in [alone(&[]), alone(&ends), spans.to_vec(), alone(&whole)] {
            let text = bins(&list).expect("they ascend");
            let found = read_bins(&text).expect("own text");
            let bits = |bins: &[Bin]| -> Vec<_> {
                bins.iter().map(|b| (b.low.to_bits(), b.high.to_bits(), b.count)).collect()
            };
            assert_eq!(bits(&found), bits(&list));
        }
        // Three bytes for the most part, of which four letters are made.
        let letters = bins(&alone(&whole)).unwrap().len();
        assert!(letters < 4096 * 5, "{letters}");
        assert_eq!(read_bins(&bins(&alone(&[-0.0])).unwrap()), Some(alone(&[0.0])));
    }

    #[test]
    fn labels_of_both_64_bit_types_come_back() {
        let label = |label| LabelCount { label, voxels: 7 };
        for list in [
            vec![],
            vec![label(0)],
            vec![label(i64::MIN.into()), label(-1), label(0), label(i64::MAX.into())],
            vec![label(5), LabelCount { label: 6, voxels: u64::MAX }, label(u64::MAX.into())],
        ] {
            let text = labels(&list).expect("they ascend");
            assert_eq!(read_labels(&text).expect("own text"), list);
        }
        assert_eq!(labels(&[label(3), label(3)]), None);
    }

    #[test]
    fn what_is_out_of_order_has_no_text() {
        let [one, two] = [1.0, 2.0].map(|v| Bin { low: v, high: v, count: 1 });
        let reversed = Bin { low: 2.0, high: 1.0, count: 1 };
        let empty = Bin { count: 0, ..one };
        let endless = Bin { high: f64::INFINITY, ..one };
        for list in [vec![two, one], vec![one, one], vec![reversed], vec![empty], vec![endless]] {
            assert_eq!(bins(&list), None);
        }
    }

    #[test]
    fn damaged_text_gives_nothing_or_sound_bins_and_no_panic() {
        let text = bins(&alone(&[-3.5, 0.0, 1.0, 1e300])).unwrap();
        let counted = labels(&[LabelCount { label: -4, voxels: 9 }]).unwrap();
        for wrong in ["=", "zz", "////////////////", &text[..text.len() - 1], "QP8B"] {
            drop((read_bins(wrong), read_labels(wrong)));
        }
        for text in [text, counted] {
            for n in 0..text.len() {
                for letter in ["A", "Z", "9", "/", "?"] {
                    let mut damaged = text.clone();
                    damaged.replace_range(n..=n, letter);
                    if let Some(found) = read_bins(&damaged) {
                        assert!(
                            found.windows(2).all(|pair| place(pair[0].high) < place(pair[1].low))
                        );
                    }
                    drop(read_labels(&damaged));
                }
            }
        }
        // Ten bytes of sixty-four ones and more.
        let mut ones = Reader(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]);
        assert_eq!(ones.take(), Some(u64::MAX));
        let mut more = Reader(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02]);
        assert_eq!(more.take(), None);
    }
}
