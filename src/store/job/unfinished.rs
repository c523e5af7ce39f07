//! Unfinished aggregations of a dataset.

use std::collections::HashSet;

use serde::Serialize;

use super::state::Begun;
use super::{PREFIX, shards};
use crate::store::{Dataset, VolumeName};
use crate::{Error, Result};

/// An aggregation that was begun, and whose volumes are not all published yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct UnfinishedAggregation {
    /// The volumes that it makes, `SUBJECT/IMAGE`; the first name identifies it.
    pub outputs: Vec<String>,
    /// The number of parts, each for one process.
    pub parts: usize,
    /// Number of shards of all outputs.
    pub shards: usize,
    /// Number of shards that are written.
    pub written: usize,
}

impl Dataset {
    /// Aggregations of this dataset that were begun and not finished, sorted by the names of their
    /// first outputs; processes may be working on some. Reads their documents and lists their
    /// shards.
    ///
    /// # Errors
    /// [`Error::CorruptStore`], [`Error::Io`].
    pub fn unfinished_aggregations(&self) -> Result<Vec<UnfinishedAggregation>> {
        let jobs = self.begun()?;
        jobs.iter().map(|job| self.unfinished(job)).collect()
    }

    /// Every existing job.
    pub(super) fn begun(&self) -> Result<Vec<Begun>> {
        let inside = self.disk.list("").map_err(Error::io("list", self.disk.path("")))?;
        let folders = inside.into_iter().filter(|name| name.starts_with(PREFIX));
        let jobs = folders.map(|folder| Begun::find_in(&self.disk, folder));
        jobs.filter_map(Result::transpose).collect()
    }

    /// Keys of the folders that unfinished aggregations need: their generations and their own
    /// folders.
    pub(in crate::store) fn folders_of_jobs(&self) -> Result<HashSet<String>> {
        let mut folders = HashSet::new();
        for job in self.begun()? {
            let generations = job.generations()?;
            folders.extend(generations.iter().map(|generation| generation.folder().to_owned()));
            folders.insert(job.work());
        }
        Ok(folders)
    }

    /// Discards an unfinished aggregation, given by the name of any of its outputs, with all its
    /// predictions. False if there is none.
    ///
    /// # Errors
    /// [`Error::Busy`] if a process is working on it; [`Error::Io`].
    pub fn discard_aggregation(&self, name: &VolumeName) -> Result<bool> {
        // By its own name first, whether its document can be read or not.
        if !matches!(Begun::find(&self.disk, name), Ok(None)) {
            return self.discard_job(name).map(|()| true);
        }
        let name = name.to_string();
        let makes = |job: &&Begun| job.document.outputs.iter().any(|output| output.name == name);
        let jobs = self.begun()?;
        let Some(job) = jobs.iter().find(makes) else { return Ok(false) };
        self.discard_job(&job.document.name()?).map(|()| true)
    }

    fn unfinished(&self, job: &Begun) -> Result<UnfinishedAggregation> {
        let is_complete = job.completed(&self.disk)?.is_some();
        let (mut shards, mut written) = (0, 0);
        for output in &job.document.outputs {
            let there = shards::written(&self.disk, &output.generation()?, output)?;
            shards += there.len();
            // Once the job is complete, the files of shards of zeros are removed.
            written += there.iter().filter(|there| is_complete || **there).count();
        }
        let outputs = job.document.outputs.iter().map(|output| output.name.clone()).collect();
        Ok(UnfinishedAggregation { outputs, parts: job.document.parts, shards, written })
    }
}
