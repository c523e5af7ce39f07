//! The index of an open volume.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use serde::Serialize;

use super::{Counted, KEY, SamplingIndex, Tally, grid};
use crate::sample::{BlockIndex, Contents};
use crate::store::stored::Stored;
use crate::store::{Attributes, View, Volume};
use crate::{Error, Kind, Result};

/// A summary of a volume's index for sampling.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "by", rename_all = "snake_case")]
pub enum IndexInfo {
    /// The index of a label map.
    Labels {
        /// Number of labels that occur in any frame, including 0.
        labels: usize,
        /// Number of blocks of all frames.
        blocks: usize,
    },
    /// The index of a map of weights.
    Weights {
        /// Number of blocks, over all frames, with a positive weight.
        blocks: usize,
    },
    /// No usable index.
    Nothing {
        /// The damage of the file, and the remedy.
        reason: String,
    },
}

impl IndexInfo {
    pub(super) fn of<'a>(
        shape: [usize; 3],
        frames: impl ExactSizeIterator<Item = &'a Contents>,
    ) -> Self {
        let (all, mut named) = (grid(shape).iter().product::<usize>() * frames.len(), 0);
        let mut labels = None;
        for contents in frames {
            match contents {
                Contents::Classes(classes) => labels
                    .get_or_insert_with(BTreeSet::new)
                    .extend(classes.iter().map(|class| class.label)),
                Contents::Weights(blocks) => named += blocks.len(),
            }
        }
        match labels {
            Some(labels) => Self::Labels { labels: labels.len(), blocks: all },
            None => Self::Weights { blocks: named },
        }
    }
}

impl View {
    /// The content of the blocks of this view's frame, for sampling by label or by weight. Read at
    /// first use, and shared by all views of the volume.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if the volume has no index, or one of an earlier version, with
    /// the remedy; [`Error::CorruptStore`] if the index is damaged or was built from other voxels;
    /// [`Error::VersionTooNew`]; [`Error::Replaced`]; [`Error::Io`].
    pub fn block_index(&self) -> Result<Arc<BlockIndex>> {
        let volume = self.volume();
        let stored = &*volume.stored;
        let missing = |reason: String| Error::invalid("volume", stored.path().display(), reason);
        let Some(frames) = stored.indices().map_err(|error| remedied(error, &stored.path()))?
        else {
            stored.counted().map_err(missing)?;
            let remedy = remedy(&stored.path());
            let none =
                format!("it has no index for sampling, or one of an earlier version: {remedy}");
            return Err(missing(none));
        };
        Ok(Arc::clone(&frames[volume.number_of(self.looks_at())?]))
    }
}

impl Volume {
    /// The content of the blocks of the first frame: [`View::block_index`] of [`Volume::view`].
    ///
    /// # Errors
    /// As [`View::block_index`].
    pub fn block_index(&self) -> Result<Arc<BlockIndex>> {
        self.view().block_index()
    }

    /// Refuses a volume whose voxels are not of this kind, or are stored in a type that cannot be
    /// sampled.
    pub(crate) fn check_countable(&self, kind: Kind) -> Result<()> {
        let stored = &*self.stored;
        let refused = |reason| Error::invalid("volume", stored.path().display(), reason);
        match (stored.counted(), kind) {
            (Ok(Counted::Labels), Kind::Label) | (Ok(Counted::Weights(_)), Kind::Weights) => Ok(()),
            (Err(reason), _) => Err(refused(reason)),
            (Ok(_), kind) => {
                let found = self.kind();
                Err(refused(format!("it holds {found} voxels, where {kind} voxels are asked for")))
            }
        }
    }

    /// The summary of the index; `None` if there is none. Reads the index at first use.
    pub(in crate::store) fn index_info(&self) -> Option<IndexInfo> {
        match self.stored.indices() {
            Ok(frames) => frames.map(|frames| {
                IndexInfo::of(self.shape(), frames.iter().map(|frame| &frame.contents))
            }),
            Err(error) => {
                let reason = remedied(error, &self.stored.path()).to_string();
                Some(IndexInfo::Nothing { reason })
            }
        }
    }
}

impl Stored {
    /// How the voxels are counted, or the reason why they are not.
    pub(super) fn counted(&self) -> Result<Counted, String> {
        let Attributes { kind, scaling, .. } = self.attributes;
        Counted::of(kind, self.shape.dtype, scaling)
    }

    /// A tally for the voxels; `None` for intensities.
    pub(in crate::store) fn tally(&self) -> Option<Tally> {
        let Attributes { kind, scaling, .. } = self.attributes;
        Tally::new(kind, &self.shape, scaling)
    }

    /// The index of each frame; `None` if there is no file, if the volume can have no index, or if
    /// the index is of an earlier version, whose draws would give other voxels.
    pub(in crate::store) fn indices(&self) -> Result<Option<Arc<Vec<Arc<BlockIndex>>>>> {
        if let Some(indices) = self.indices.load_full() {
            return Ok(Some(indices));
        }
        let Ok(counted) = self.counted() else { return Ok(None) };
        let key = self.generation.key(KEY);
        let path = self.disk.path(&key);
        let file = self.disk.document(&key)?;
        // The file that was read, or was missing, may belong to a volume that has replaced this
        // one.
        self.check_in_place()?;
        let Some((file, _)) = file else { return Ok(None) };
        let Some(index) = SamplingIndex::from_bytes(&file, &path)? else { return Ok(None) };
        index.check(self, counted).map_err(|reason| Error::corrupt_store(&path, reason))?;
        // Two threads may read the index at once; one result is kept.
        let frames = Arc::new(index.into_frames());
        self.indices.store(Some(Arc::clone(&frames)));
        Ok(Some(frames))
    }
}

/// Adds the remedy to the error of an index.
pub(in crate::store) fn remedied(error: Error, volume: &Path) -> Error {
    match error {
        Error::CorruptStore { path, reason } => {
            Error::CorruptStore { path, reason: format!("{reason}; {}", remedy(volume)) }
        }
        other => other,
    }
}

fn remedy(volume: &Path) -> String {
    format!("build it with: voxpatch index {}", volume.display())
}
