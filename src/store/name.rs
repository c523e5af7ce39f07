//! Names of subjects and images.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use super::DOCUMENT;
use crate::{Error, Result};

/// `SUBJECT/IMAGE`: the name of a volume in a dataset.
///
/// Each part is 1 to 100 characters of `A-Z a-z 0-9 . _ -`, the first not a dot.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VolumeName {
    subject: String,
    image: String,
}

/// File systems allow 255 bytes, and the name of a job's folder holds both parts and a prefix.
const LONGEST: usize = 100;

impl VolumeName {
    /// A name from its two parts.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] with the part and the allowed characters.
    pub fn new(subject: impl Into<String>, image: impl Into<String>) -> Result<Self> {
        let (subject, image) = (subject.into(), image.into());
        check("subject", &subject)?;
        check("image", &image)?;
        Ok(Self { subject, image })
    }

    /// The default name for a scan: the subject is the file's name without its extensions, with `_`
    /// for every character that is not allowed; the image is `image`.
    #[must_use]
    pub fn for_file(path: &Path) -> Self {
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        let mut stem = &*file;
        for ending in [".gz", ".nii", ".hdr", ".img"] {
            let at = stem.len().saturating_sub(ending.len());
            if at > 0 && stem.get(at..).is_some_and(|end| end.eq_ignore_ascii_case(ending)) {
                stem = &stem[..at];
            }
        }
        let plain = |c: char| if c.is_ascii() && is_valid(&format!("a{c}")) { c } else { '_' };
        let mut subject: String = stem.chars().take(LONGEST).map(plain).collect();
        if subject.is_empty() || subject.starts_with('.') {
            subject.insert(0, '_');
            subject.truncate(LONGEST);
        }
        if subject == DOCUMENT {
            subject = subject.replace('.', "_");
        }
        Self { subject, image: "image".into() }
    }

    /// The subject: one person or visit.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// The image: one volume of that subject.
    #[must_use]
    pub fn image(&self) -> &str {
        &self.image
    }
}

/// Whether a name in a folder is valid for a subject or an image.
pub(super) fn is_valid(name: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    (1..=LONGEST).contains(&name.len()) && name.bytes().all(allowed) && !name.starts_with('.')
}

fn check(what: &'static str, name: &str) -> Result<()> {
    if is_valid(name) && name != DOCUMENT {
        return Ok(());
    }
    Err(Error::invalid(
        what,
        name,
        format!(
            "use 1 to {LONGEST} of the characters A-Z a-z 0-9 . _ - and no dot in front \
             (choose one with --name SUBJECT/IMAGE)"
        ),
    ))
}

impl fmt::Display for VolumeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.subject, self.image)
    }
}

impl FromStr for VolumeName {
    type Err = Error;

    fn from_str(s: &str) -> Result<Self> {
        match s.split_once('/') {
            Some((subject, image)) => Self::new(subject, image),
            None => Err(Error::invalid("volume", s, "write it as SUBJECT/IMAGE")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_has_a_name_that_can_be_stored() {
        for (file, subject) in [
            ("a/ct.nii.gz", "ct"),
            ("CT.NII", "CT"),
            ("pair.hdr", "pair"),
            ("pair.img.gz", "pair"),
            ("case 1 (new).nii", "case_1__new_"),
            ("Müller.nii", "M_ller"),
            (".nii", "_.nii"),
            (".hidden.nii", "_.hidden"),
            ("zarr.json", "zarr_json"),
            ("..", "_"),
        ] {
            let name = VolumeName::for_file(Path::new(file));
            assert_eq!(name.subject(), subject, "{file}");
            assert_eq!(name.to_string().parse::<VolumeName>().unwrap(), name);
        }
        let name = VolumeName::for_file(Path::new(&format!(".{}.nii", "x".repeat(300))));
        assert_eq!(name.to_string().parse::<VolumeName>().unwrap(), name);
    }

    #[test]
    fn only_plain_names_pass() {
        for good in ["case01/image", "a/b", "A-1_x.y/ct.nii"] {
            assert_eq!(good.parse::<VolumeName>().unwrap().to_string(), good);
        }
        let long = format!("{}/a", "x".repeat(LONGEST + 1));
        let bad =
            ["", "a", "/", "a/", "/b", "../b", "a/..", ".a/b", "a/b/c", "a b/c", "ä/b", "a/b\0"];
        for bad in bad.into_iter().chain([long.as_str(), "a/zarr.json", "a\\b/c"]) {
            assert!(bad.parse::<VolumeName>().is_err(), "{bad:?}");
        }
    }
}
