//! The state that all handles of a volume share: documents, manifest and open shards.

use std::io::ErrorKind;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use arc_swap::ArcSwapOption;
use serde_json::Value;

use super::array::ArrayShape;
use super::documents::{self, ArrayDocument, Attributes, Extent, ParsedArray};
use super::gather::Gathered;
use super::generation::Generation;
use super::grid::ShardGrid;
use super::manifest::{self, Manifest, ShardFile, ShardRecord};
use super::name::VolumeName;
use super::open_shards::{OpenShards, OpenedShard};
use super::pointer::{self, Meaning, Pointer};
use super::shard::{self, Shard};
use super::{DOCUMENT, digest, label_counts};
use crate::codec::{ChunkDecoder, Part, Scratch, Target, decoder_of};
use crate::disk::{Disk, FetchError, Span, is_absent};
use crate::layout::ChunkLayout;
use crate::sample::BlockIndex;
use crate::widening::Widening;
use crate::{Error, Frame, Result};

/// The state that all clones of a handle share.
#[derive(Debug)]
pub(super) struct Stored {
    /// A unique number of the opened volume in this process.
    pub(super) serial: u64,
    pub(super) disk: Disk,
    pub(super) name: VolumeName,
    pub(super) generation: Generation,
    pub(super) attributes: Attributes,
    pub(super) shape: ArrayShape,
    /// The conversion from the stored type to the source's, if they differ.
    pub(super) widening: Option<&'static Widening>,
    pub(super) grid: ShardGrid,
    pub(super) decoder: ChunkDecoder,
    pub(super) manifest: Manifest,
    /// The pointer by which the volume was opened; `None` if it is not published yet.
    pub(super) pointer: Option<Pointer>,
    /// When the volume was opened.
    pub(super) opened: Instant,
    /// Shards, each opened at first use.
    pub(super) shards: OpenShards,
    /// The index for sampling of each frame; read at first use.
    pub(super) indices: ArcSwapOption<Vec<Arc<BlockIndex>>>,
}

/// The properties of a volume, apart from its shards.
pub(super) type Parts = (Attributes, ArrayShape, Option<&'static Widening>, ChunkDecoder);

/// Number of volumes that were opened in this process.
static OPENED: AtomicU64 = AtomicU64::new(0);

impl Stored {
    pub(super) fn open(disk: &Disk, name: &VolumeName) -> Result<Self> {
        let mut tries = 0;
        loop {
            let pointer = Pointer::read(disk, name)?.ok_or_else(|| missing(disk, name))?;
            let version = pointer.version.clone();
            let opened = Self::open_at(disk.clone(), name, pointer);
            // The volume was replaced in between, and the files of the old one are gone.
            let moved = || Ok(Pointer::read(disk, name)?.is_none_or(|now| now.version != version));
            if opened.is_ok() || tries == 3 || !moved()? {
                return opened;
            }
            tries += 1;
        }
    }

    fn open_at(disk: Disk, name: &VolumeName, pointer: Pointer) -> Result<Self> {
        let pointer_path = disk.path(&pointer::key(name));
        let Files { generation, group_path, group, attribute, manifest_path, manifest } =
            Files::read(&disk, name, &pointer, &pointer_path)?;
        let (array_path, array) = read_document(&disk, &generation.key(format!("0/{DOCUMENT}")))?;
        if let Some(written) = &manifest.volume
            && *written != name.to_string()
        {
            let reason = format!(
                "it was written as {written}, and lies in the place of {name}: move its folder \
                 back, or convert the scan again"
            );
            return Err(Error::corrupt_store(disk.path(&name.to_string()), reason));
        }
        if manifest.generation.as_deref() != generation.id() {
            let reason = "the manifest is that of another generation of the volume";
            return Err(Error::corrupt_store(manifest_path, reason));
        }
        let not_ours = |path: &Path| {
            let path = path.to_owned();
            move |reason| Error::NotVoxpatch { what: "volume", path, reason }
        };
        for (path, document, named) in
            [(&group_path, &group, &manifest.group), (&array_path, &array, &manifest.array)]
        {
            if digest::of_bytes(document) != *named {
                return Err(Error::corrupt_store(path, "the document does not match the manifest"));
            }
        }
        // From here on the documents are as written: a document that does not fit comes from
        // another writer, not from damage.
        let attributes: Attributes =
            serde_json::from_value(attribute).map_err(|e| not_ours(&group_path)(e.to_string()))?;
        let ParsedArray { shape, frames, shard, chunk, chain } =
            serde_json::from_slice::<ArrayDocument>(&array)
                .map_err(|e| e.to_string())
                .and_then(ArrayDocument::understand)
                .map_err(not_ours(&array_path))?;
        let widening =
            attributes.widening(&shape).map_err(|reason| not_ours(&group_path)(reason))?;
        let layout = ChunkLayout::new(chunk, shard, attributes.layout.codec)
            .and_then(|layout| layout.with_frames(frames))
            .and_then(|layout| {
                layout.check_for(shape.shape, [shape.times, shape.channels]).map(|()| layout)
            })
            .map_err(|e| not_ours(&array_path)(e.to_string()))?;
        let decoder = decoder_of(&chain, shape.dtype).map_err(not_ours(&array_path))?;
        if layout != attributes.layout || !names_every_shard(&manifest, &shape, &layout) {
            let reason = "the layout of its group, its array and its manifest differ".to_owned();
            return Err(not_ours(&array_path)(reason));
        }
        let parts = (attributes, shape, widening, decoder);
        Ok(Self::new(disk, name, generation, parts, manifest, Some(pointer)))
    }

    pub(super) fn new(
        disk: Disk,
        name: &VolumeName,
        generation: Generation,
        (attributes, shape, widening, decoder): Parts,
        manifest: Manifest,
        pointer: Option<Pointer>,
    ) -> Self {
        let shards = OpenShards::new(manifest.shards.len());
        let grid = ShardGrid::new(&shape, &attributes.layout);
        Self {
            serial: OPENED.fetch_add(1, Ordering::Relaxed),
            disk,
            name: name.clone(),
            generation,
            attributes,
            shape,
            widening,
            grid,
            decoder,
            manifest,
            pointer,
            opened: Instant::now(),
            shards,
            indices: ArcSwapOption::empty(),
        }
    }

    /// Copies the part of chunk `at` (of the whole volume, `z, y, x`) of a frame, from the bytes
    /// that were gathered from its shard, or from the shard itself.
    pub(super) fn read_part(
        &self,
        (frame, at): (Frame, [usize; 3]),
        gathered: &Gathered,
        part: &Part,
        target: &mut Target<'_>,
        scratch: &mut Scratch,
    ) -> Result<()> {
        let (shard_n, n) = self.grid.locate(frame, at);
        let damaged = |reason| {
            let [z, y, x] = at;
            let reason = format!("chunk {z},{y},{x} (z, y, x): {reason}");
            Error::corrupt_store(self.shard_path(shard_n), reason)
        };
        let Some((shard, range)) =
            self.shard(shard_n)?.and_then(|shard| shard.range(n).map(|range| (shard, range)))
        else {
            target.fill_zero(part);
            return Ok(());
        };
        let fetched;
        let there = shard.view(&range).or_else(|| gathered.get(shard_n, &range));
        let bytes = if let Some(bytes) = there {
            bytes
        } else {
            fetched = self.fetch_one(shard_n, range)?;
            &fetched
        };
        let encoded = shard.check(n, bytes).map_err(damaged)?;
        self.decoder.decode(encoded, part, target, scratch).map_err(damaged)
    }

    fn fetch_one(&self, shard: usize, range: Range<usize>) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.fetch(&[(shard, range)], &mut |_, fetched| bytes = fetched)?;
        Ok(bytes)
    }

    /// Fetches ranges of shards, given by their numbers: `each` is called with the index of each
    /// range in the list.
    pub(super) fn fetch(
        &self,
        stretches: &[(usize, Range<usize>)],
        each: &mut dyn FnMut(usize, Vec<u8>),
    ) -> Result<()> {
        let keys: Vec<_> = stretches.iter().map(|(shard, _)| self.shard_key(*shard)).collect();
        let spans: Vec<_> = keys
            .iter()
            .zip(stretches)
            .map(|(key, (_, range))| Span { key, range: range.start as u64..range.end as u64 })
            .collect();
        self.disk.fetch(&spans, each).map_err(|FetchError { span, source }| {
            if let Err(error) = self.check_in_place() {
                return error;
            }
            let path = self.disk.path(&keys[span]);
            match source.kind() {
                ErrorKind::NotFound => Error::corrupt_store(path, "the shard is missing"),
                ErrorKind::UnexpectedEof => {
                    Error::corrupt_store(path, "the shard is shorter than the manifest says")
                }
                _ => Error::Io { action: "read", path, source },
            }
        })
    }

    /// A shard by its number, opened at first use; `None` if the manifest lists it as empty.
    pub(super) fn shard(&self, n: usize) -> Result<Option<OpenedShard>> {
        let Some(file) = &self.manifest.shards[n].file else { return Ok(None) };
        if let Some(shard) = self.shards.get(n) {
            return Ok(Some(shard));
        }
        let opened = self.open_shard(n, file);
        // The shard of a replaced volume may be gone. Stores without tags were replaced in place,
        // where a shard of the new volume would pass for intact, with other voxels.
        if opened.is_err() || file.tag.is_none() {
            self.check_in_place()?;
        }
        Ok(Some(self.shards.keep(n, opened?)))
    }

    /// Opens a shard, and checks that it is the one that the manifest lists.
    fn open_shard(&self, n: usize, file: &ShardFile) -> Result<Shard> {
        let path = || self.shard_path(n);
        let damaged = |reason| Error::corrupt_store(path(), reason);
        let view = self.disk.view(&self.shard_key(n)).map_err(|source| match source.kind() {
            ErrorKind::NotFound => damaged("the shard is missing".to_owned()),
            _ => Error::Io { action: "read", path: path(), source },
        })?;
        let chunks = self.grid.chunks();
        let shard = if let Some(view) = view {
            Shard::open(view, chunks, file.bytes)
        } else {
            let end = shard::end_of(file.bytes, chunks).map_err(damaged)?;
            Shard::of_end(&self.fetch_one(n, end.clone())?, end, chunks)
        };
        let shard = shard.map_err(damaged)?;
        match &file.tag {
            Some(tag) if shard.tag() != *tag => {
                Err(damaged("the shard is not the one that the manifest lists".to_owned()))
            }
            _ => Ok(shard),
        }
    }

    /// The digest of a shard's whole file.
    pub(super) fn shard_digest(&self, n: usize) -> Result<String> {
        let digest = digest::of_object(&self.disk, &self.shard_key(n));
        digest.map(|(digest, _)| digest).map_err(Error::io("read", self.shard_path(n)))
    }

    /// The open shards, with their numbers.
    pub(super) fn open_shards(&self) -> Vec<(usize, Arc<Shard>)> {
        self.shards.all()
    }

    /// Fails if the volume was replaced or removed.
    pub(super) fn check_in_place(&self) -> Result<()> {
        match &self.pointer {
            Some(pointer) if !pointer.is_in_place(&self.disk, &self.name)? => {
                Err(Error::Replaced { path: self.path() })
            }
            _ => Ok(()),
        }
    }

    pub(super) fn record(&self, n: usize) -> &ShardRecord {
        &self.manifest.shards[n]
    }

    /// The path of the volume.
    pub(super) fn path(&self) -> PathBuf {
        self.disk.path(&self.name.to_string())
    }

    pub(super) fn shard_key(&self, n: usize) -> String {
        self.generation.key(format!("0/{}", self.record(n).key))
    }

    pub(super) fn shard_path(&self, n: usize) -> PathBuf {
        self.disk.path(&self.shard_key(n))
    }
}

/// The documents of a volume, except the array's.
struct Files {
    generation: Generation,
    group_path: PathBuf,
    group: Vec<u8>,
    /// The `voxpatch` attribute of the group.
    attribute: Value,
    manifest_path: PathBuf,
    manifest: Manifest,
}

impl Files {
    /// Reads the documents that a pointer names; `path` is the path of the pointer.
    fn read(disk: &Disk, name: &VolumeName, pointer: &Pointer, path: &Path) -> Result<Self> {
        let (generation, target, group) = match pointer.meaning(path)? {
            Meaning::InPlace(attribute) => {
                let group = (path.to_owned(), pointer.document.clone(), attribute);
                (Generation::in_place(name), None, group)
            }
            Meaning::Generation(target, ome) => {
                let generation = pointer::generation_of(&target, name, path)?;
                let (path, group) = read_document(disk, &generation.key(DOCUMENT))?;
                let mut attribute = documents::attribute_of(&group)
                    .map_err(|reason| Error::corrupt_store(&path, reason))?;
                label_counts::put_back(&mut attribute, || {
                    read_document(disk, &generation.key(label_counts::KEY))
                })?;
                (generation, Some((target.manifest, ome)), (path, group, attribute))
            }
        };
        let (manifest_path, bytes) = read_document(disk, &generation.key(manifest::KEY))?;
        let damaged = |reason: String| Error::corrupt_store(&manifest_path, reason);
        let manifest = Manifest::from_bytes(&bytes).map_err(damaged)?;
        if let Some((extent, ome)) = target {
            if extent != Extent::of(&bytes) {
                return Err(damaged(
                    "the manifest is not the one that the volume's document names".into(),
                ));
            }
            if manifest.ome.as_deref() != Some(&*digest::of_json(&ome)) {
                let reason = "its OME metadata differs from what was written";
                return Err(Error::corrupt_store(path, reason));
            }
        }
        let (group_path, group, attribute) = group;
        Ok(Self { generation, group_path, group, attribute, manifest_path, manifest })
    }
}

/// A document of a generation, and its path; an error if it is missing.
fn read_document(disk: &Disk, key: &str) -> Result<(PathBuf, Vec<u8>)> {
    let path = disk.path(key);
    match disk.document(key)? {
        Some((document, _)) => Ok((path, document)),
        None => Err(Error::corrupt_store(path, "the document is missing")),
    }
}

/// The error for a volume without a pointer.
fn missing(disk: &Disk, name: &VolumeName) -> Error {
    let path = disk.path(&name.to_string());
    match disk.list(&name.to_string()) {
        // A store of format version 1 or 2 has its files beside the document.
        Ok(there) if there.iter().any(|name| name == "0") => {
            Error::corrupt_store(path.join(DOCUMENT), "the document is missing")
        }
        Ok(_) => Error::NotFound { what: "volume", path },
        Err(source) if is_absent(&source) => Error::NotFound { what: "volume", path },
        Err(source) => Error::Io { action: "list", path, source },
    }
}

/// Whether the manifest lists exactly the shards of the grid, each under its key.
fn names_every_shard(manifest: &Manifest, shape: &ArrayShape, layout: &ChunkLayout) -> bool {
    let grid = ShardGrid::new(shape, layout);
    manifest.shards.len() == grid.len()
        && manifest.shards.iter().enumerate().all(|(n, record)| record.key == grid.key(n))
}
