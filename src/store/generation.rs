//! Generations: the folders of a volume's files.

use std::fmt;

use super::name::VolumeName;
use crate::unique;

/// A folder that holds the files of one volume as written once. No other writer uses the name of
/// this folder, and its files do not change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Generation {
    /// Key of the folder.
    folder: String,
    /// Its name in the folder of the volume; `None` if it is that folder itself, as in stores of
    /// format versions 1 and 2.
    id: Option<String>,
}

/// Prefix of the names of generations.
const PREFIX: &str = "g-";

impl Generation {
    /// A new generation with a unique name.
    pub(crate) fn new(name: &VolumeName) -> Self {
        Self::of(name, format!("{PREFIX}{}", unique::id())).expect("made to be a name")
    }

    /// The generation with this name; `None` if the name is invalid, because it becomes part of a
    /// path.
    pub(crate) fn of(name: &VolumeName, id: String) -> Option<Self> {
        is_id(&id).then(|| Self { folder: format!("{name}/{id}"), id: Some(id) })
    }

    /// The generation of files that lie in the folder of the volume itself.
    pub(super) fn in_place(name: &VolumeName) -> Self {
        Self { folder: name.to_string(), id: None }
    }

    /// The name, if there is one.
    pub(crate) fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// Key of the folder.
    pub(crate) fn folder(&self) -> &str {
        &self.folder
    }

    /// Key of a file in the generation.
    pub(crate) fn key(&self, inside: impl fmt::Display) -> String {
        format!("{}/{inside}", self.folder)
    }
}

/// Whether a name in the folder of a volume is that of a generation.
pub(super) fn is_id(name: &str) -> bool {
    let digits = name.strip_prefix(PREFIX).unwrap_or_default();
    digits.len() == 16 && digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_new_makes_is_a_name() {
        let name: VolumeName = "a/b".parse().unwrap();
        let made = Generation::new(&name);
        let id = made.id().unwrap().to_owned();
        assert_eq!(made.key("0/zarr.json"), format!("a/b/{id}/0/zarr.json"));
        assert_eq!(Generation::of(&name, id), Some(made));
        let foreign =
            ["", "0", "g-", "..", "g-../../x/0000000", "g-0123456789ABCDEF", "g-012345678"];
        for id in foreign.into_iter().chain(["g-0123456789abcdef/", "G-0123456789abcdef"]) {
            assert_eq!(Generation::of(&name, id.into()), None, "{id}");
        }
    }
}
