//! Writing a volume: staged beside its place, published in one step.

use std::sync::Arc;

use rayon::prelude::*;

use super::disk::Disk;
use super::documents::{ArrayShape, Attributes};
use super::layer::{LayerEncoder, LayerScratch};
use super::lock::WriteLock;
use super::manifest::{ShardFile, ShardRecord};
use super::name::VolumeName;
use super::sampling::SamplingIndex;
use super::staging::{self, Staging};
use super::{digest, shard};
use crate::layout::ChunkLayout;
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
    encoder: LayerEncoder,
    /// By shard number; `None` until the shard is written.
    records: Vec<Option<ShardRecord>>,
    /// The encoded chunks of each shard of the current row along z; empty between rows.
    row: Vec<Vec<Option<Vec<u8>>>>,
    /// The staged folder is not to be removed: it may be the volume that was replaced.
    keep_staged: bool,
    /// Keeps other writers of this volume away; goes last.
    _lock: WriteLock,
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
            shape,
            layout,
            encoder,
            records: vec![None; shards],
            row: Vec::new(),
            keep_staged: false,
            _lock: lock,
        };
        // What a killed writer left behind.
        writer.staging.remove()?;
        if taken {
            writer.staging.probe_exchange()?;
        }
        Ok(writer)
    }

    /// Encodes the next layer of chunks of a frame, `layer` counted in chunks along z; `planes`
    /// holds all the planes of the volume that it covers, in native byte order. Layers of a frame
    /// come from 0 up, one frame after the other. Shards are written with their last layer.
    ///
    /// Runs in parallel in the pool that it is called in; the bytes do not depend on that.
    pub(crate) fn write_layer(&mut self, frame: Frame, layer: usize, planes: &[u8]) -> Result<()> {
        let per_shard = self.layout.chunks_per_shard();
        let chunks: [usize; 3] =
            std::array::from_fn(|a| self.shape.shape[a].div_ceil(self.layout.chunk[a]));
        let encoded = self.encode_layer(chunks, planes)?;
        let shards = self.layout.shards(self.shape.shape);
        if self.row.is_empty() {
            let empty = vec![None; per_shard.iter().product()];
            self.row.resize(shards[1] * shards[2], empty);
        }
        for (n, chunk) in encoded.into_iter().enumerate() {
            let (y, x) = (n / chunks[2], n % chunks[2]);
            let shard = (y / per_shard[1]) * shards[2] + x / per_shard[2];
            let (z, y, x) = (layer % per_shard[0], y % per_shard[1], x % per_shard[2]);
            self.row[shard][(z * per_shard[1] + y) * per_shard[2] + x] = chunk;
        }
        if (layer + 1).is_multiple_of(per_shard[0]) || layer + 1 == chunks[0] {
            self.write_row(frame, layer / per_shard[0])?;
        }
        Ok(())
    }

    /// The chunks of a layer in C order, `None` where every voxel is 0.
    fn encode_layer(&self, chunks: [usize; 3], planes: &[u8]) -> Result<Vec<Option<Vec<u8>>>> {
        let encode = |scratch: &mut LayerScratch, n: usize| {
            self.encoder.encode([n / chunks[2], n % chunks[2]], planes, scratch)
        };
        let encoded = (0..chunks[1] * chunks[2]).into_par_iter().map_init(Default::default, encode);
        encoded.collect::<Result<_, _>>().map_err(|source| Error::Store {
            action: "encode a chunk",
            path: self.staging.target(),
            source,
        })
    }

    /// Writes the shards of one row along z, all of whose chunks are encoded.
    fn write_row(&mut self, frame: Frame, z: usize) -> Result<()> {
        let grid = self.layout.shards(self.shape.shape);
        let (per_shard, chunk) = (self.layout.chunks_per_shard(), self.layout.chunk);
        let row = std::mem::take(&mut self.row);
        let write = |(n, chunks): (usize, Vec<Option<Vec<u8>>>)| {
            let at = [z, n / grid[2], n % grid[2]];
            let key = self.shape.shard_key(frame.time, frame.channel, at);
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
        let frame = frame.time * self.shape.channels + frame.channel;
        let first = (frame * grid[0] + z) * grid[1] * grid[2];
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
        if !self.keep_staged {
            let _ = self.staging.remove();
        }
    }
}
