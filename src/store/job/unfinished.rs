//! What was begun in a dataset and not finished.

use serde::Serialize;

use super::{PREFIX, document, publish, shards};
use crate::store::Dataset;
use crate::{Error, Result};

/// An aggregation that was begun, and whose volumes are not all published yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UnfinishedAggregation {
    /// The volumes that it makes, `SUBJECT/IMAGE`; it is resumed and finalised by the first.
    pub outputs: Vec<String>,
    /// How many processes may share it.
    pub parts: usize,
    /// Shards of all outputs.
    pub shards: usize,
    /// Those of them that are written.
    pub written: usize,
}

impl Dataset {
    /// Aggregations that were begun in this dataset and not finished, by the names of their first
    /// outputs; some of them may be made right now. Reads their documents and lists their shards.
    ///
    /// # Errors
    /// [`Error::CorruptStore`], [`Error::Io`].
    pub fn unfinished_aggregations(&self) -> Result<Vec<UnfinishedAggregation>> {
        let inside = self.disk.list("").map_err(Error::io("list", self.disk.path("")))?;
        let mut unfinished = Vec::new();
        for folder in inside.iter().filter(|name| name.starts_with(PREFIX)) {
            unfinished.extend(self.unfinished_in(folder)?);
        }
        Ok(unfinished)
    }

    /// `None` if there is nothing but what is left of one that was ended.
    fn unfinished_in(&self, folder: &str) -> Result<Option<UnfinishedAggregation>> {
        let disk = &*self.disk;
        let Some(document) = document::read(disk, folder)? else { return Ok(None) };
        let is_sealed = publish::is_sealed(disk, folder)?;
        let (mut shards, mut written) = (0, 0);
        for (n, output) in document.outputs.iter().enumerate() {
            let there = shards::written(disk, folder, n, output)?;
            shards += there.len();
            // Once all are complete, some volumes may have gone to their places.
            written += there.iter().filter(|there| is_sealed || **there).count();
        }
        let outputs = document.outputs.into_iter().map(|output| output.name).collect();
        Ok(Some(UnfinishedAggregation { outputs, parts: document.parts, shards, written }))
    }
}
