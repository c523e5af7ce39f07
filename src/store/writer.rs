//! Writing a volume: staged beside its place, published in one step.

use std::io;
use std::sync::Arc;

use rayon::prelude::*;

use super::disk::Disk;
use super::documents::{self, ArrayShape, Attributes};
use super::layer::{LayerEncoder, LayerScratch};
use super::lock::WriteLock;
use super::manifest::{self, Manifest, ShardFile, ShardRecord};
use super::name::VolumeName;
use super::ome::Image;
use super::sampling::{self, SamplingIndex};
use super::{DOCUMENT, digest, shard};
use crate::layout::ChunkLayout;
use crate::{Error, Frame, Kind, Result};

/// Writes each shard of one volume once, whole, layer of chunks by layer of chunks.
///
/// Everything goes to a hidden folder of the dataset, which no reader opens; [`Self::commit`]
/// moves it into place when all of it is durable. Dropped before that, it removes the folder; if
/// the process is killed, the next writer of the same volume does.
pub(crate) struct VolumeWriter {
    disk: Arc<dyn Disk>,
    name: VolumeName,
    staging: String,
    shape: ArrayShape,
    layout: ChunkLayout,
    encoder: LayerEncoder,
    /// By shard number; `None` until the shard is written.
    records: Vec<Option<ShardRecord>>,
    /// The encoded chunks of each shard of the current row along z; empty between rows.
    row: Vec<Vec<Option<Vec<u8>>>>,
    replace: bool,
    /// Digest of the staged manifest, once it is written.
    seal: String,
    /// The staged folder is not to be removed: it may be the volume that was replaced.
    keep_staged: bool,
    /// Keeps other writers of this volume away; goes last.
    _lock: WriteLock,
}

/// Largest number of files of one volume: more would be a burden to any file system.
const MAX_SHARDS: usize = 1 << 18;

impl VolumeWriter {
    /// Begins a volume. Fails at once if the target exists and is not to be replaced.
    pub(super) fn begin(
        disk: Arc<dyn Disk>,
        name: &VolumeName,
        shape: ArrayShape,
        layout: ChunkLayout,
        replace: bool,
    ) -> Result<Self> {
        let taken = is_taken(&*disk, name, replace)?;
        let shards = layout.shards(shape.shape).into_iter().chain([shape.times, shape.channels]);
        let shards = shards.fold(1, usize::saturating_mul);
        if shards > MAX_SHARDS {
            let reason = format!(
                "{shards} shards, each a file, are more than {MAX_SHARDS}; use larger shards, or \
                 fewer time points and channels in one volume"
            );
            return Err(Error::InvalidLayout { reason });
        }
        let encoder = LayerEncoder::new(&shape, &layout)?;
        let staging = format!(".staging-{}+{}", name.subject(), name.image());
        let lock = WriteLock::take(&disk, name)?;
        let writer = Self {
            disk,
            name: name.clone(),
            staging,
            shape,
            layout,
            encoder,
            records: vec![None; shards],
            row: Vec::new(),
            replace,
            seal: String::new(),
            keep_staged: false,
            _lock: lock,
        };
        // What a killed writer left behind.
        let cleared = writer.disk.remove(&writer.staging);
        cleared.map_err(Error::io("remove", writer.disk.path(&writer.staging)))?;
        if taken {
            writer.probe_exchange()?;
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
            path: self.disk.path(&self.name.to_string()),
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
            let (mut parts, index) = shard::parts(&chunks, per_shard, chunk);
            parts.push(&index);
            self.write(&format!("0/{key}"), &parts)?;
            let bytes = parts.iter().map(|p| p.len() as u64).sum();
            let file = ShardFile { bytes, blake3: digest::of_parts(&parts) };
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
        let path = self.disk.path(&format!("{}/{}", self.staging, sampling::KEY));
        self.write(sampling::KEY, &[&index.to_bytes(&path)?])
    }

    /// Writes the metadata and, last, the manifest; then publishes the volume.
    ///
    /// `voxels` is the digest of the decoded voxels. Every shard must have been written.
    pub(crate) fn commit(mut self, attributes: &Attributes, voxels: String) -> Result<()> {
        let shards = std::mem::take(&mut self.records).into_iter().collect::<Option<Vec<_>>>();
        let shards =
            shards.expect("the converter writes every shard of the grid before it commits");
        let ome = Image {
            name: self.name.image(),
            has_time: self.shape.times > 1,
            has_channel: self.shape.channels > 1,
            affine: &attributes.affine,
            spacing: attributes.spacing,
            time_step: attributes.time_step,
            is_label: attributes.kind == Kind::Label,
        };
        let group = documents::volume_group(attributes, &ome);
        let array = documents::array(&self.shape, &self.layout, &ome.dimension_names());
        self.write(DOCUMENT, &[&group])?;
        self.write(&format!("0/{DOCUMENT}"), &[&array])?;
        let manifest = Manifest {
            voxels,
            group: digest::of_bytes(&group),
            array: digest::of_bytes(&array),
            shards,
        };
        let bytes = manifest.to_bytes().map_err(|e| Error::Store {
            action: "write the manifest",
            path: self.disk.path(&self.staging),
            source: e.into(),
        })?;
        self.write(manifest::KEY, &[&bytes])?;
        self.seal = digest::of_bytes(&bytes);
        let staged = self.disk.path(&self.staging);
        self.disk.sync(&self.staging).map_err(Error::io("sync", staged))?;
        self.publish()
    }

    /// The step from nothing, or the old volume, to the new one.
    fn publish(mut self) -> Result<()> {
        let disk = Arc::clone(&self.disk);
        // Held while groups are made, so that writers of other volumes of a new dataset do not
        // meet each other's half of it.
        let _root = disk.lock("", true).map_err(Error::io("lock", disk.path("")))?;
        let mut made = Vec::new();
        let placed = self.place(&mut made);
        if placed.is_err()
            && disk.list(&self.name.to_string()).is_ok_and(|inside| inside.is_empty())
        {
            // Groups made for this volume alone go with it. Best effort, as an empty group harms
            // nobody.
            for folder in made.iter().rev() {
                let _ = disk.remove(&group_key(folder));
                let _ = disk.remove_empty(folder);
            }
        }
        placed
    }

    /// Makes the groups on the way, noting them in `made`, and moves the volume into its place.
    fn place(&mut self, made: &mut Vec<String>) -> Result<()> {
        let disk = Arc::clone(&self.disk);
        let subject = self.name.subject().to_owned();
        for (folder, role) in [("", "dataset"), (subject.as_str(), "subject")] {
            if !list(&*disk, folder)?.iter().any(|name| name == DOCUMENT) {
                made.push(folder.to_owned());
                let key = group_key(folder);
                disk.write(&key, &[&documents::plain_group(role)])
                    .map_err(Error::io("write", disk.path(&key)))?;
            }
        }
        let target = self.name.to_string();
        let path = disk.path(&target);
        if self.replace && !list(&*disk, &target)?.is_empty() {
            // What is staged from here on is the old volume, or may be. It goes only when the
            // exchange is durable.
            self.keep_staged = true;
            disk.exchange(&self.staging, &target).map_err(|source| {
                let there = disk.read(&format!("{target}/{}", manifest::KEY));
                self.keep_staged = !there.is_ok_and(|m| digest::of_bytes(&m) != self.seal);
                Error::Io { action: "replace", path, source }
            })?;
        } else {
            disk.rename(&self.staging, &target).map_err(|source| match source.kind() {
                io::ErrorKind::AlreadyExists | io::ErrorKind::DirectoryNotEmpty => {
                    Error::AlreadyExists { path }
                }
                _ => Error::Io { action: "publish", path, source },
            })?;
        }
        for folder in [subject.as_str(), ""] {
            disk.sync_names(folder).map_err(Error::io("sync", disk.path(folder)))?;
        }
        self.keep_staged = false;
        Ok(())
    }

    fn write(&self, key: &str, parts: &[&[u8]]) -> Result<()> {
        let key = format!("{}/{key}", self.staging);
        self.disk.write(&key, parts).map_err(Error::io("write", self.disk.path(&key)))
    }

    /// Finds out before the work is done whether the old volume can be replaced in one step.
    fn probe_exchange(&self) -> Result<()> {
        let folders = ["a", "b"].map(|name| format!("{}/probe-{name}", self.staging));
        let tried = folders
            .iter()
            .try_for_each(|folder| self.disk.write(&format!("{folder}/file"), &[]))
            .and_then(|()| self.disk.exchange(&folders[0], &folders[1]))
            .and_then(|()| self.disk.remove(&self.staging));
        tried.map_err(Error::io(
            "replace in one step, which this file system may not offer (remove the old volume first)",
            self.disk.path(&self.name.to_string()),
        ))
    }
}

impl Drop for VolumeWriter {
    /// Best effort: what stays is hidden, and cleared by the next writer of this volume.
    fn drop(&mut self) {
        if !self.keep_staged {
            let _ = self.disk.remove(&self.staging);
        }
    }
}

/// Whether a volume is there. It is an error if it is not to be replaced.
pub(super) fn is_taken(disk: &dyn Disk, name: &VolumeName, replace: bool) -> Result<bool> {
    let target = name.to_string();
    let taken = !list(disk, &target)?.is_empty();
    if taken && !replace {
        return Err(Error::AlreadyExists { path: disk.path(&target) });
    }
    Ok(taken)
}

/// Key of a folder's group document; the dataset itself is the empty key.
fn group_key(folder: &str) -> String {
    if folder.is_empty() { DOCUMENT.to_owned() } else { format!("{folder}/{DOCUMENT}") }
}

fn list(disk: &dyn Disk, key: &str) -> Result<Vec<String>> {
    disk.list(key).map_err(Error::io("list", disk.path(key)))
}
