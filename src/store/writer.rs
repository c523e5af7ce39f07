//! Writing a volume: staged beside its place, published in one step.

use std::collections::BTreeMap;
use std::sync::Arc;

use rayon::prelude::*;

use super::array::ArrayShape;
use super::disk::Disk;
use super::documents::Attributes;
use super::grid::ShardGrid;
use super::layer::{LayerEncoder, LayerScratch};
use super::lock::WriteLock;
use super::manifest::{ShardFile, ShardRecord};
use super::name::VolumeName;
use super::sampling::SamplingIndex;
use super::staging::{self, Staging};
use super::{digest, shard};
use crate::layout::ChunkLayout;
use crate::process::Maker;
use crate::{Error, Frame, Result};

/// Writes each shard of one volume once, whole, layer of chunks by layer of chunks.
///
/// Everything goes to a hidden folder of the dataset, which no reader opens; [`Self::commit`]
/// moves it into place when all of it is durable. Dropped before that, it removes the folder; if
/// the process is killed, the next writer of the same volume does.
pub(crate) struct VolumeWriter {
    staging: Staging,
    shape: ArrayShape,
    layout: ChunkLayout,
    grid: ShardGrid,
    encoder: LayerEncoder,
    /// By shard number; `None` until the shard is written.
    records: Vec<Option<ShardRecord>>,
    /// The rows of shards along z that are begun, by the number of their first shard: one, or one
    /// for each channel where shards span time and channels come in turn.
    rows: BTreeMap<usize, Row>,
    /// The staged folder is not to be removed: it may be the volume that was replaced.
    keep_staged: bool,
    maker: Maker,
    /// Keeps other writers of this volume away; goes last.
    _lock: WriteLock,
}

/// The encoded chunks of a shard, in C order of frame, z, y, x; `None` where every voxel is 0.
type Chunks = Vec<Option<Vec<u8>>>;

/// A row of shards along z.
struct Row {
    shards: Vec<Chunks>,
    /// Layers that are still to come.
    left: usize,
}

impl VolumeWriter {
    /// Begins a volume. Fails at once if the target exists and is not to be replaced.
    pub(super) fn begin(
        disk: Arc<dyn Disk>,
        name: &VolumeName,
        shape: ArrayShape,
        layout: ChunkLayout,
        replace: bool,
    ) -> Result<Self> {
        let taken = staging::is_taken(&*disk, name, replace)?;
        let shards = staging::count_shards(&shape, &layout)?;
        let encoder = LayerEncoder::new(&shape, &layout)?;
        let folder = format!(".staging-{}+{}", name.subject(), name.image());
        let lock = WriteLock::take(&disk, name)?;
        let writer = Self {
            staging: Staging { disk, name: name.clone(), folder, replace },
            grid: ShardGrid::new(&shape, &layout),
            shape,
            layout,
            encoder,
            records: vec![None; shards],
            rows: BTreeMap::new(),
            keep_staged: false,
            maker: Maker::new(),
            _lock: lock,
        };
        // What a killed writer left behind.
        writer.staging.remove()?;
        if taken {
            writer.staging.probe_exchange()?;
        }
        Ok(writer)
    }

    /// Encodes a layer of chunks of a frame, `layer` counted in chunks along z; `planes` holds all
    /// the planes of the volume that it covers, in native byte order. Each layer comes once. Shards
    /// are written with their last layer, and take least memory if layers of a shard follow each
    /// other.
    ///
    /// Runs in parallel in the pool that it is called in; the bytes do not depend on that.
    /// `progress` is called before each chunk, by any thread: a false answer cancels.
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
                path: self.staging.target(),
                source,
            })
        };
        (0..chunks[1] * chunks[2]).into_par_iter().map_init(Default::default, encode).collect()
    }

    /// Writes the shards of one row along z, from the shard `first` on, all of whose chunks are
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

    /// Writes the index for sampling, which is published with the volume.
    pub(crate) fn write_index(&self, index: &SamplingIndex) -> Result<()> {
        self.staging.write_index(index)
    }

    /// Writes the metadata and, last, the manifest; then publishes the volume.
    ///
    /// `voxels` is the digest of the decoded voxels. Every shard must have been written.
    pub(crate) fn commit(mut self, attributes: &Attributes, voxels: String) -> Result<()> {
        let shards = std::mem::take(&mut self.records).into_iter().collect::<Option<Vec<_>>>();
        let shards =
            shards.expect("the converter writes every shard of the grid before it commits");
        let seal = self.staging.seal(&self.shape, attributes, voxels, shards)?;
        self.staging.publish(&seal, &mut self.keep_staged)
    }
}

impl Drop for VolumeWriter {
    /// Best effort: what stays is hidden, and cleared by the next writer of this volume.
    fn drop(&mut self) {
        if self.maker.is_here() && !self.keep_staged {
            let _ = self.staging.remove();
        }
    }
}
