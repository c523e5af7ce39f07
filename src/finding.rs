//! Findings: decisions, guesses and repairs.

use serde::{Deserialize, Serialize};

/// How sure a [`Finding`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Certainty {
    /// The file says so, or the choice between several of its statements is explained.
    Decided,
    /// The file does not say; the usual meaning was assumed.
    Guessed,
    /// The file says something impossible, which was replaced as described.
    Repaired,
}

/// A fact about the making of a volume or a file that its readers should know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// How sure the finding is.
    pub certainty: Certainty,
    /// The observation and the action, without any free text of the file.
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
