//! What there is to draw from, found out before the first patch.

use std::collections::HashSet;

use super::options::StreamOptions;
use super::patch::Patch;
use super::reader::Reader;
use super::request::ImageRequest;
use super::skipped::{Skipped, note};
use crate::store::{Dataset, VolumeName};
use crate::{Error, Result};

/// Refuses subjects given twice, and names of which there is nothing.
pub(super) fn check_names(
    dataset: &Dataset,
    subjects: &[String],
    options: &StreamOptions,
) -> Result<()> {
    if subjects.is_empty() {
        let reason = "there is nothing to draw from; convert scans into the dataset first";
        return Err(Error::invalid("number of subjects", 0, reason));
    }
    let mut seen = HashSet::new();
    if let Some(twice) = subjects.iter().find(|subject| !seen.insert(*subject)) {
        let reason = "it is given twice; to draw more from it, raise the patches per visit";
        return Err(Error::invalid("subject", twice, reason));
    }
    let sampled = options.sampled();
    for subject in subjects {
        let there = dataset.images(subject)?;
        for image in options.images.iter().map(ImageRequest::name).chain([sampled]) {
            let name = VolumeName::new(subject, image)?;
            if !there.iter().any(|there| there == image) {
                let path = dataset.path().join(name.subject()).join(name.image());
                return Err(Error::NotFound { what: "volume", path });
            }
        }
    }
    Ok(())
}

/// What there is to draw.
#[derive(Debug)]
pub(super) struct Census {
    /// Draws of each subject in an epoch.
    pub(super) counts: Vec<u64>,
    /// Bytes that a patch is expected to take.
    pub(super) expected: usize,
    /// Subjects whose draws could not be counted.
    pub(super) skipped: Vec<Skipped>,
}

/// Counts the draws of each subject. One that can be opened is enough to learn that they are
/// without end.
pub(super) fn census(reader: &Reader, options: &StreamOptions) -> Result<Census> {
    let mut census = Census { counts: Vec::new(), expected: 0, skipped: Vec::new() };
    let mut first = None;
    for n in 0..reader.subjects.len() {
        match reader.subject(n) {
            Ok(open) => {
                let bytes = open.patch_bytes(reader.sampler.patch());
                census.expected = census.expected.max(bytes.saturating_add(size_of::<Patch>()));
                let Some(count) = open.regions.count() else {
                    census.counts = vec![options.patches_per_visit as u64; reader.subjects.len()];
                    census.skipped.clear();
                    return Ok(census);
                };
                census.counts.push(count);
            }
            Err(error) if options.on_error.skips(&error) => {
                census.counts.push(0);
                note(&mut census.skipped, &error, 0);
                first.get_or_insert(error);
            }
            Err(error) => return Err(error),
        }
    }
    match first {
        Some(error) if census.expected == 0 => Err(error),
        _ => Ok(census),
    }
}
