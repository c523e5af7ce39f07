//! Names of labels, given to a conversion; never taken from a scan.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// Longest name, in characters.
const LONGEST: usize = 64;
/// Allowed characters of names besides ASCII letters and digits: none with a special meaning in a
/// terminal or a document.
const OTHERS: &[char] = &[' ', '_', '-', '.', ',', '+', '/', '(', ')'];
/// Most names of one volume.
const MOST: usize = 1 << 16;

/// The name of one label, and the colour to draw it in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Unchecked")]
pub struct LabelName {
    value: i64,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    colour: Option<[u8; 3]>,
}

/// The fields in a document.
#[derive(Deserialize)]
struct Unchecked {
    value: i64,
    name: String,
    colour: Option<[u8; 3]>,
}

impl TryFrom<Unchecked> for LabelName {
    type Error = Error;

    fn try_from(Unchecked { value, name, colour }: Unchecked) -> Result<Self> {
        Self::new(value, name, colour)
    }
}

impl LabelName {
    /// A name of 1 to 64 characters: letters and digits of ASCII, spaces and `_-.,+/()`.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] with the allowed characters.
    pub fn new(value: i64, name: impl Into<String>, colour: Option<[u8; 3]>) -> Result<Self> {
        let name = name.into();
        let is_allowed = |c: char| c.is_ascii_alphanumeric() || OTHERS.contains(&c);
        let is_sound = (1..=LONGEST).contains(&name.len()) && name.chars().all(is_allowed);
        if is_sound {
            return Ok(Self { value, name, colour });
        }
        let reason = format!(
            "use 1 to {LONGEST} letters and digits (A-Z a-z 0-9), spaces and {}",
            OTHERS[1..].iter().collect::<String>()
        );
        Err(Error::invalid("label name", name, reason))
    }

    /// The label.
    #[must_use]
    pub const fn value(&self) -> i64 {
        self.value
    }

    /// The name of the label.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Red, green and blue.
    #[must_use]
    pub const fn colour(&self) -> Option<[u8; 3]> {
        self.colour
    }

    /// Refuses two names of one label, and too many names.
    pub(crate) fn check_all(names: &[Self]) -> Result<()> {
        if names.len() > MOST {
            let reason = format!("a volume keeps up to {MOST}; leave the names out");
            return Err(Error::invalid("number of label names", names.len(), reason));
        }
        let mut seen = BTreeSet::new();
        match names.iter().find(|name| !seen.insert(name.value)) {
            None => Ok(()),
            Some(again) => {
                let reason = format!("label {} has another name already", again.value);
                Err(Error::invalid("label name", &again.name, reason))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_and_of_plain_characters_also_when_they_are_read() {
        for (name, is_sound) in [
            ("left lung (upper), lobe/2", true),
            (&"a".repeat(64), true),
            (&"a".repeat(65), false),
            ("", false),
            ("\u{1b}[31mred", false),
            ("Müller", false),
            ("a\nb", false),
            ("$(rm)", false),
        ] {
            assert_eq!(LabelName::new(-3, name, None).is_ok(), is_sound, "{name:?}");
            let document = serde_json::json!({"value": -3, "name": name, "colour": [255, 0, 1]});
            let read = serde_json::from_value::<LabelName>(document.clone());
            assert_eq!(read.is_ok(), is_sound, "{name:?}");
            if let Ok(read) = read {
                assert_eq!(serde_json::to_value(read).expect("serialises"), document);
            }
        }
    }

    #[test]
    fn a_label_has_one_name() {
        let name = |value, name: &str| LabelName::new(value, name, None).expect("sound");
        assert!(LabelName::check_all(&[name(0, "a"), name(1, "a")]).is_ok());
        let error = LabelName::check_all(&[name(7, "a"), name(7, "b")]).expect_err("twice");
        assert!(error.to_string().contains("label 7"), "{error}");
    }
}
