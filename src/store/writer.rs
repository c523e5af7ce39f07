//! Writing a volume: into a generation of its own, published in one step.

use std::collections::BTreeMap;

use rayon::prelude::*;

use super::array::ArrayShape;
use super::documents::Attributes;
use super::generation::Generation;
use super::grid::ShardGrid;
use super::layer::{LayerEncoder, LayerScratch};
use super::manifest::{ShardFile, ShardRecord};
use super::name::VolumeName;
use super::pointer::Pointer;
use super::sampling::SamplingIndex;
use super::staging::{self, Staging};
use super::{digest, lock, shard};
use crate::disk::{Disk, Held};
use crate::layout::ChunkLayout;
use crate::process::Maker;
use crate::{Error, Frame, Result};

/// Writes each shard of one volume once, as a whole, from layers of chunks.
///
/// All files go to a generation that no pointer names; [`Self::commit`] sets the pointer to the
/// generation when all files are durable. If dropped before that, the writer removes the
/// generation; if the process is killed, [`Dataset::sweep`] does.
pub(crate) struct VolumeWriter {
    staging: Staging,
    shape: ArrayShape,
    layout: ChunkLayout,
    grid: ShardGrid,
    encoder: LayerEncoder,
    /// By shard number; `None` until the shard is written.
    records: Vec<Option<ShardRecord>>,
    /// The begun rows of shards along z, by the number of their first shard: one row, or one for
    /// each channel where shards span time and channels come in turn.
    rows: BTreeMap<usize, Row>,
    /// The volume to replace.
    replaced: Option<Pointer>,
    /// The generation is published, or may be.
    keep: bool,
    maker: Maker,
    /// The mark for other writers of this volume; must be dropped last.
    _held: Held,
}

/// The encoded chunks of a shard, in C order of frame, z, y, x; `None` where every voxel is 0.
type Chunks = Vec<Option<Vec<u8>>>;

/// A row of shards along z.
struct Row {
    shards: Vec<Chunks>,
    /// Layers that have not come yet.
    left: usize,
}

impl VolumeWriter {
    /// Begins a volume. Fails at once if the volume exists and must not be replaced.
    pub(super) fn begin(
        disk: &Disk,
        name: &VolumeName,
        shape: ArrayShape,
        layout: ChunkLayout,
        replace: bool,
    ) -> Result<Self> {
        let replaced = staging::replaced(disk, name, replace)?;
        let shards = staging::count_shards(&shape, &layout)?;
        let encoder = LayerEncoder::new(&shape, &layout)?;
        let held = lock::hold(disk, name)?;
        Ok(Self {
            staging: Staging::new(disk, name, Generation::new(name)),
            grid: ShardGrid::new(&shape, &layout),
            shape,
            layout,
            encoder,
            records: vec![None; shards],
            rows: BTreeMap::new(),
            replaced,
            keep: false,
            maker: Maker::new(),
            _held: held,
        })
    }

    /// Encodes a layer of chunks of a frame, `layer` counted in chunks along z; `planes` holds all
    /// planes of the volume that the layer covers, in native byte order. Each layer comes once.
    /// Shards are written with their last layer, and take the least memory if layers of a shard
    /// follow each other.
    ///
    /// Runs in parallel in the current pool; the bytes do not depend on the number of threads.
    /// `progress` is called before each chunk, by any thread; if it returns false, the call is
    /// cancelled.
    pub(crate) fn write_layer(
        &mut self,
        frame: Frame,
        layer: usize,
        planes: &[u8],
        progress: &(dyn Fn(u64) -> bool + Sync),
    ) -> Result<()> {
        let chunks: [usize; 3] =
            std::array::from_fn(|a| self.shape.shape[a].div_ceil(self.layout.chunk[a]));
        let encoded = self.encode_layer(chunks, planes, progress)?;
        let (first, _) = self.grid.locate(frame, [layer, 0, 0]);
        let grid = &self.grid;
        let row = self.rows.entry(first).or_insert_with(|| Row {
            shards: vec![vec![None; grid.chunks()]; grid.row()],
            left: grid.layers_of_row(frame, layer),
        });
        for (n, chunk) in encoded.into_iter().enumerate() {
            let at = [layer, n / chunks[2], n % chunks[2]];
            let (shard, n) = grid.locate(frame, at);
            row.shards[shard - first][n] = chunk;
        }
        row.left -= 1;
        if row.left > 0 {
            return Ok(());
        }
        match self.rows.remove(&first) {
            Some(row) => self.write_row(first, row.shards),
            None => Ok(()),
        }
    }

    /// The chunks of a layer in C order, `None` where every voxel is 0.
    fn encode_layer(
        &self,
        chunks: [usize; 3],
        planes: &[u8],
        progress: &(dyn Fn(u64) -> bool + Sync),
    ) -> Result<Chunks> {
        let encode = |scratch: &mut LayerScratch, n: usize| {
            if !progress(0) {
                return Err(Error::Cancelled);
            }
            let encoded = self.encoder.encode([n / chunks[2], n % chunks[2]], planes, scratch);
            encoded.map_err(|source| Error::Store {
                action: "encode a chunk",
                path: self.staging.disk.path(&self.staging.name.to_string()),
                source: source.into(),
            })
        };
        (0..chunks[1] * chunks[2]).into_par_iter().map_init(Default::default, encode).collect()
    }

    /// Writes the shards of one row along z, from the shard `first` on; all their chunks are
    /// encoded.
    fn write_row(&mut self, first: usize, row: Vec<Chunks>) -> Result<()> {
        let (per_shard, chunk) = (self.layout.chunks_per_shard(), self.layout.chunk);
        let write = |(n, chunks): (usize, Chunks)| {
            let key = self.grid.key(first + n);
            if chunks.iter().all(Option::is_none) {
                return Ok(ShardRecord { key, file: None });
            }
            let (mut parts, end) = shard::parts(&key, &chunks, per_shard, chunk);
            parts.push(&end.bytes);
            self.staging.write(&format!("0/{key}"), &parts)?;
            let bytes = parts.iter().map(|p| p.len() as u64).sum();
            let file = ShardFile { bytes, blake3: digest::of_parts(&parts), tag: Some(end.tag) };
            Ok(ShardRecord { key, file: Some(file) })
        };
        let written: Vec<_> = row.into_par_iter().enumerate().map(write).collect::<Result<_>>()?;
        for (n, record) in written.into_iter().enumerate() {
            self.records[first + n] = Some(record);
        }
        Ok(())
    }

    /// Bytes of all shards written so far.
    pub(crate) fn stored_bytes(&self) -> u64 {
        self.records.iter().flatten().filter_map(|r| r.file.as_ref()).map(|f| f.bytes).sum()
    }

    /// Writes the documents, the index for sampling if there is one and, last, the manifest; then
    /// publishes the volume.
    ///
    /// `voxels` is the digest of the decoded voxels. Every shard must have been written.
    pub(crate) fn commit(
        mut self,
        attributes: &Attributes,
        voxels: String,
        index: Option<&SamplingIndex>,
    ) -> Result<()> {
        let shards = std::mem::take(&mut self.records).into_iter().collect::<Option<Vec<_>>>();
        let shards =
            shards.expect("the converter writes every shard of the grid before it commits");
        let staging = &self.staging;
        index.map_or(Ok(()), |index| staging.write_index(index))?;
        let written = shards.clone();
        let complete =
            staging.complete(&self.shape, attributes, voxels, shards, index.is_some())?;
        staging.flush()?;
        staging.check_whole(&written)?;
        let published = staging.publish(&complete, self.replaced.as_ref());
        // Kept, unless it is certain that no pointer names the generation.
        self.keep = published.is_ok() || !staging.is_published().is_ok_and(|published| !published);
        published
    }
}

impl Drop for VolumeWriter {
    /// Errors are ignored, because no reader looks into the generation.
    fn drop(&mut self) {
        if self.maker.is_here() && !self.keep {
            let _ = self.staging.remove();
        }
    }
}
