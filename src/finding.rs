//! Telling what was decided from what was guessed.

use serde::{Deserialize, Serialize};

/// How sure a [`Finding`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Certainty {
    /// The file says so; a choice between several things it says is explained.
    Decided,
    /// The file does not say; the usual meaning was taken.
    Guessed,
    /// The file says something impossible; it was replaced as told.
    Repaired,
}

/// One thing that a reader of the converted volume should know about its making.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// How sure it is.
    pub certainty: Certainty,
    /// What was found and what was done, without any free text of the file.
    pub message: String,
}

impl Finding {
    pub(crate) fn decided(message: impl Into<String>) -> Self {
        Self { certainty: Certainty::Decided, message: message.into() }
    }

    pub(crate) fn guessed(message: impl Into<String>) -> Self {
        Self { certainty: Certainty::Guessed, message: message.into() }
    }

    pub(crate) fn repaired(message: impl Into<String>) -> Self {
        Self { certainty: Certainty::Repaired, message: message.into() }
    }
}
