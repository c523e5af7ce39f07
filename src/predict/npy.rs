//! Headers of `NumPy`'s .npy format, read incrementally.
//!
//! A block is `\x93NUMPY`, two bytes of version, the length of the dictionary (two bytes, or four
//! in version 2.0, little endian), a dictionary in Python's notation that ends with a line feed,
//! and the numbers. Any bytes give a [`Header`] or a reason for refusing them, never a panic.

use half::f16;
use half::slice::HalfFloatSliceExt as _;

use crate::npy::MAGIC;

/// The longest dictionary that is accepted, as in `NumPy`.
const LONGEST: usize = 10_000;

/// The header of a block.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) number: Number,
    /// The shape as written, with any number of axes.
    pub(super) shape: Vec<usize>,
}

/// The accepted types of predictions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Number {
    UInt8,
    Float16,
    Float32,
    Float64,
}

/// Why bytes are not the beginning of a block.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// They are another kind of data, perhaps text.
    NotNpy,
    /// A block of a kind that is not supported.
    Reason(String),
}

/// The length of the header that begins with these bytes; `None` if more bytes are needed to tell.
pub(super) fn header_end(bytes: &[u8]) -> Result<Option<usize>, Refusal> {
    let told = bytes.len().min(MAGIC.len());
    if bytes[..told] != MAGIC[..told] {
        return Err(Refusal::NotNpy);
    }
    let Some(version) = bytes.get(6..8) else { return Ok(None) };
    let (begin, length) = match version {
        [1, 0] => match bytes.get(8..10) {
            Some(&[a, b]) => (10, usize::from(u16::from_le_bytes([a, b]))),
            _ => return Ok(None),
        },
        [2, 0] => match bytes.get(8..12) {
            Some(&[a, b, c, d]) => {
                (12, usize::try_from(u32::from_le_bytes([a, b, c, d])).unwrap_or(usize::MAX))
            }
            _ => return Ok(None),
        },
        other => {
            let reason = format!(
                "it is .npy of version {}.{}; write 1.0 or 2.0, as np.save does for plain arrays",
                other[0], other[1]
            );
            return Err(Refusal::Reason(reason));
        }
    };
    if length > LONGEST {
        let reason =
            format!("its header claims {length} bytes, and at most {LONGEST} are accepted");
        return Err(Refusal::Reason(reason));
    }
    Ok(Some(begin + length))
}

/// Reads a header: all bytes up to [`header_end`].
pub(super) fn parse(header: &[u8]) -> Result<Header, String> {
    let begin = if header.get(6) == Some(&2) { 12 } else { 10 };
    let malformed = || "its header is no dictionary of descr, fortran_order and shape".to_owned();
    let text = header.get(begin..).and_then(|text| std::str::from_utf8(text).ok());
    let text = text.filter(|text| text.is_ascii()).ok_or_else(malformed)?;
    let Entries { descr, fortran, shape } = Entries::read(text.trim()).ok_or_else(malformed)?;
    let number = match descr {
        "<f4" => Number::Float32,
        "<f2" => Number::Float16,
        "<f8" => Number::Float64,
        "|u1" | "<u1" => Number::UInt8,
        other => {
            return Err(format!(
                "its numbers are {other:?}; give float32, float16, float64 (little endian) or \
                 uint8: .astype(\"float32\") makes them so"
            ));
        }
    };
    if fortran {
        return Err("it is in Fortran order; np.ascontiguousarray puts it into C order".into());
    }
    Ok(Header { number, shape })
}

/// The three entries of the dictionary.
struct Entries<'a> {
    descr: &'a str,
    fortran: bool,
    shape: Vec<usize>,
}

impl<'a> Entries<'a> {
    /// `None` unless each of the three entries is there once, and no other entry.
    fn read(text: &'a str) -> Option<Self> {
        let mut rest = text.strip_prefix('{')?.trim_start();
        let (mut descr, mut fortran, mut shape) = (None, None, None);
        while !rest.starts_with('}') {
            let (key, after) = quoted(rest)?;
            let value = after.trim_start().strip_prefix(':')?.trim_start();
            let (is_new, after) = match key {
                "descr" => {
                    let (value, after) = quoted(value)?;
                    (descr.replace(value).is_none(), after)
                }
                "fortran_order" => {
                    let (value, after) = boolean(value)?;
                    (fortran.replace(value).is_none(), after)
                }
                "shape" => {
                    let (value, after) = tuple(value)?;
                    (shape.replace(value).is_none(), after)
                }
                _ => return None,
            };
            if !is_new {
                return None;
            }
            rest = after.trim_start();
            match rest.strip_prefix(',') {
                Some(after) => rest = after.trim_start(),
                None if rest.starts_with('}') => {}
                None => return None,
            }
        }
        (rest == "}").then_some(())?;
        Some(Self { descr: descr?, fortran: fortran?, shape: shape? })
    }
}

/// A string without escapes, and the text after it.
fn quoted(text: &str) -> Option<(&str, &str)> {
    let quote = text.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    text[1..].split_once(quote).filter(|(inside, _)| !inside.contains('\\'))
}

fn boolean(text: &str) -> Option<(bool, &str)> {
    let truth = text.strip_prefix("True").map(|rest| (true, rest));
    truth.or_else(|| text.strip_prefix("False").map(|rest| (false, rest)))
}

/// A tuple of whole numbers, and the text after it.
fn tuple(text: &str) -> Option<(Vec<usize>, &str)> {
    let (inside, rest) = text.strip_prefix('(')?.split_once(')')?;
    let inside = inside.trim();
    // A comma may follow the last number.
    let inside = inside.strip_suffix(',').unwrap_or(inside);
    if inside.is_empty() {
        return Some((Vec::new(), rest));
    }
    let digits = |item: &str| item.bytes().all(|b| b.is_ascii_digit());
    let number = |item: &str| Some(item.trim()).filter(|item| digits(item))?.parse().ok();
    Some((inside.split(',').map(number).collect::<Option<_>>()?, rest))
}

impl Number {
    /// Bytes of one number.
    pub(super) const fn size(self) -> usize {
        match self {
            Self::UInt8 => 1,
            Self::Float16 => 2,
            Self::Float32 => 4,
            Self::Float64 => 8,
        }
    }

    /// The name in `NumPy`.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::UInt8 => "uint8",
            Self::Float16 => "float16",
            Self::Float32 => "float32",
            Self::Float64 => "float64",
        }
    }

    /// Appends numbers from little endian bytes. Doubles are rounded to nearest.
    #[allow(clippy::cast_possible_truncation)]
    pub(super) fn decode(self, bytes: &[u8], out: &mut Vec<f32>) {
        match self {
            Self::UInt8 => out.extend(bytes.iter().map(|byte| f32::from(*byte))),
            Self::Float16 => {
                let (pairs, _) = bytes.as_chunks();
                let halves: Vec<f16> = pairs.iter().map(|pair| f16::from_le_bytes(*pair)).collect();
                let from = out.len();
                out.resize(from + halves.len(), 0.0);
                halves.convert_to_f32_slice(&mut out[from..]);
            }
            Self::Float32 => {
                let (numbers, _) = bytes.as_chunks();
                out.extend(numbers.iter().map(|number| f32::from_le_bytes(*number)));
            }
            Self::Float64 => {
                let (numbers, _) = bytes.as_chunks();
                out.extend(numbers.iter().map(|number| f64::from_le_bytes(*number) as f32));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Dtype;

    fn block(dictionary: &str) -> Vec<u8> {
        let length = u16::try_from(dictionary.len()).unwrap().to_le_bytes();
        [MAGIC, &[1, 0], &length, dictionary.as_bytes()].concat()
    }

    #[test]
    fn a_header_that_is_written_is_read_back() {
        let written = crate::npy::header(Dtype::Float32, &[1, 2, 30, 40, 50]);
        assert_eq!(header_end(&written), Ok(Some(written.len())));
        let read = parse(&written).unwrap();
        assert_eq!(read, Header { number: Number::Float32, shape: vec![1, 2, 30, 40, 50] });
        for n in 0..12 {
            assert_eq!(header_end(&written[..n]), Ok((n >= 10).then_some(written.len())));
        }
    }

    #[test]
    fn other_notations_of_the_same_dictionary_are_read() {
        for text in [
            "{'shape': (3,), 'descr': '<f8', 'fortran_order': False}\n",
            "{ \"descr\" : \"<f8\" , \"fortran_order\" : False , \"shape\" : ( 3 , ) , }   \n",
        ] {
            let header = Header { number: Number::Float64, shape: vec![3] };
            assert_eq!(parse(&block(text)), Ok(header), "{text}");
        }
        let mut second = block("{'shape': (), 'descr': '|u1', 'fortran_order': False}\n");
        second.splice(6..8, [2, 0]);
        second.splice(10..10, [0, 0]);
        assert_eq!(header_end(&second), Ok(Some(second.len())));
        assert_eq!(parse(&second), Ok(Header { number: Number::UInt8, shape: vec![] }));
    }

    #[test]
    fn wrong_headers_are_refused_with_what_helps() {
        let refused = |text: &str| parse(&block(text)).unwrap_err();
        let whole = "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2), }\n";
        for (from, to, told) in [
            ("<f4", ">f4", "astype"),
            ("<f4", "<i8", "astype"),
            ("False", "True", "ascontiguousarray"),
            ("False", "0", "dictionary"),
            ("(1, 2)", "(1, -2)", "dictionary"),
            ("(1, 2)", "(1, 99999999999999999999999)", "dictionary"),
            ("(1, 2)", "(1,, 2)", "dictionary"),
            ("(1, 2)", "(+1, 2)", "dictionary"),
            ("'shape'", "'descr'", "dictionary"),
            ("'shape'", "'form'", "dictionary"),
            (", }", ", } x", "dictionary"),
            ("'descr': '<f4'", "'descr': [('a', '<f4')]", "dictionary"),
        ] {
            let text = whole.replace(from, to);
            assert!(refused(&text).contains(told), "{text}: {}", refused(&text));
        }
        assert_eq!(header_end(b"hello\n"), Err(Refusal::NotNpy));
        assert_eq!(header_end(b""), Ok(None));
        let long = [MAGIC, &[2, 0, 255, 255, 255, 255]].concat();
        assert!(matches!(header_end(&long), Err(Refusal::Reason(r)) if r.contains("4294967295")));
        let third = [MAGIC, &[3, 0, 1, 0, 0, 0]].concat();
        assert!(matches!(header_end(&third), Err(Refusal::Reason(r)) if r.contains("3.0")));
    }

    #[test]
    fn numbers_of_every_type_are_decoded() {
        let mut out = Vec::new();
        Number::UInt8.decode(&[0, 7, 255], &mut out);
        Number::Float16.decode(&f16::from_f32(0.5).to_le_bytes(), &mut out);
        Number::Float32.decode(&1.25_f32.to_le_bytes(), &mut out);
        Number::Float64.decode(&0.1_f64.to_le_bytes(), &mut out);
        assert_eq!(out, [0.0, 7.0, 255.0, 0.5, 1.25, 0.1]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_header_or_refused(
            bytes in prop::collection::vec(any::<u8>(), 0..80),
            text in "[{}'\"(), :a-z0-9<|_TF]{0,80}",
        ) {
            let _ = header_end(&bytes);
            let _ = parse(&[MAGIC, &[1, 0, 0, 0], &bytes[..]].concat());
            let _ = parse(&block(&text));
            let _ = parse(&bytes);
        }
    }
}
