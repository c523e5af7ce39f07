//! What was left out.

use crate::Error;

/// Patches of a subject that were left out: see [`super::OnError::Skip`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Skipped {
    /// The subject.
    pub subject: String,
    /// The first error, in words.
    pub error: String,
    /// Patches left out. 0 if it is not known how many there would be: the draws of a grid cannot
    /// be counted if the subject cannot be opened.
    pub patches: u64,
}

/// Counts patches that an [`Error::Subject`] stands for.
pub(super) fn note(skipped: &mut Vec<Skipped>, error: &Error, patches: u64) {
    let Error::Subject { subject, source } = error else { return };
    if let Some(known) = skipped.iter_mut().find(|skipped| skipped.subject == *subject) {
        known.patches += patches;
    } else {
        let (subject, error) = (subject.clone(), source.to_string());
        skipped.push(Skipped { subject, error, patches });
    }
}
