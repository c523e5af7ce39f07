//! What is stored of a volume, as all its handles share it: documents, manifest and open shards.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use arc_swap::ArcSwapOption;

use super::array::ArrayShape;
use super::codec::ChunkCodec;
use super::decode::{Part, Scratch, Target};
use super::disk::{Blob, Disk};
use super::documents::{self, ArrayDocument, Attributes, ParsedArray};
use super::grid::ShardGrid;
use super::manifest::{self, Manifest, ShardFile, ShardRecord};
use super::name::VolumeName;
use super::open_shards::{OpenShards, OpenedShard};
use super::seal::{self, Seal};
use super::shard::Shard;
use super::{DOCUMENT, digest};
use crate::layout::ChunkLayout;
use crate::sample::BlockIndex;
use crate::widening::Widening;
use crate::{Error, Frame, Result};

/// What all clones share.
#[derive(Debug)]
pub(super) struct Stored {
    /// A number that no other opened volume of this process has.
    pub(super) serial: u64,
    pub(super) disk: Arc<dyn Disk>,
    pub(super) name: VolumeName,
    /// The key of its folder: its name, unless it is not published yet.
    pub(super) folder: String,
    pub(super) attributes: Attributes,
    pub(super) shape: ArrayShape,
    /// From the stored type to the source's, where they differ.
    pub(super) widening: Option<&'static Widening>,
    pub(super) grid: ShardGrid,
    pub(super) codec: ChunkCodec,
    pub(super) manifest: Manifest,
    /// `None` if it is not published yet.
    pub(super) seal: Option<Seal>,
    /// When that was.
    pub(super) opened: Instant,
    /// Opened at first use.
    pub(super) shards: OpenShards,
    /// For sampling, of each frame; read at first use.
    pub(super) indices: ArcSwapOption<Vec<Arc<BlockIndex>>>,
}

/// What a volume is, its shards aside.
pub(super) type Parts = (Attributes, ArrayShape, Option<&'static Widening>, ChunkCodec);

/// How many volumes were opened.
static OPENED: AtomicU64 = AtomicU64::new(0);

impl Stored {
    pub(super) fn open(disk: &Arc<dyn Disk>, name: &VolumeName) -> Result<Self> {
        let mut tries = 0;
        loop {
            let before = Seal::read(&**disk, name)?;
            let opened = Self::open_once(Arc::clone(disk), name);
            // Replaced in between, so that documents of two volumes were read.
            if opened.is_ok() || tries == 3 || Seal::read(&**disk, name)? == before {
                return opened;
            }
            tries += 1;
        }
    }

    fn open_once(disk: Arc<dyn Disk>, name: &VolumeName) -> Result<Self> {
        let volume_path = disk.path(&name.to_string());
        if disk.list(&name.to_string()).map_err(Error::io("list", &volume_path))?.is_empty() {
            return Err(Error::NotFound { what: "volume", path: volume_path });
        }
        let not_ours = |path: &Path| {
            let path = path.to_owned();
            move |reason| Error::NotVoxpatch { what: "volume", path, reason }
        };
        let (path, group) = read_document(&*disk, name, DOCUMENT)?;
        let attribute = documents::attribute_of(&group).map_err(not_ours(&path))?;
        check_version(&attribute, &path)?;
        let stamp = seal::stamp(&*disk, name)?;
        let (manifest_path, manifest) = read_document(&*disk, name, manifest::KEY)?;
        let seal = Seal::new(&manifest, stamp);
        let manifest =
            Manifest::from_bytes(&manifest).map_err(|r| Error::corrupt_store(&manifest_path, r))?;
        let (array_path, array) = read_document(&*disk, name, &format!("0/{DOCUMENT}"))?;
        if let Some(written) = &manifest.volume
            && *written != name.to_string()
        {
            let reason = format!(
                "it was written as {written}, and lies in the place of {name}: move its folder \
                 back, or convert the scan again"
            );
            return Err(Error::corrupt_store(volume_path, reason));
        }
        for (path, document, named) in
            [(&path, &group, &manifest.group), (&array_path, &array, &manifest.array)]
        {
            if digest::of_bytes(document) != *named {
                return Err(Error::corrupt_store(path, "it is not the one the manifest names"));
            }
        }
        // From here on the documents are the ones that were written: what does not fit is of
        // another writer, not damaged.
        let attributes: Attributes =
            serde_json::from_value(attribute).map_err(|e| not_ours(&path)(e.to_string()))?;
        let ParsedArray { shape, frames, shard, chunk, chain } =
            serde_json::from_slice::<ArrayDocument>(&array)
                .map_err(|e| e.to_string())
                .and_then(ArrayDocument::understand)
                .map_err(not_ours(&array_path))?;
        let widening = attributes.widening(&shape).map_err(|reason| not_ours(&path)(reason))?;
        let layout = ChunkLayout::new(chunk, shard, attributes.layout.codec)
            .and_then(|layout| layout.with_frames(frames))
            .and_then(|layout| {
                layout.check_for(shape.shape, [shape.times, shape.channels]).map(|()| layout)
            })
            .map_err(|e| not_ours(&array_path)(e.to_string()))?;
        let codec = ChunkCodec::new(&chain, shape.dtype, shape.leading(), layout.chunk)
            .map_err(not_ours(&array_path))?;
        if layout != attributes.layout || !names_every_shard(&manifest, &shape, &layout) {
            let reason = "the layout of its group, its array and its manifest differ".to_owned();
            return Err(not_ours(&array_path)(reason));
        }
        let parts = (attributes, shape, widening, codec);
        Ok(Self::new(disk, name, name.to_string(), parts, manifest, Some(seal)))
    }

    pub(super) fn new(
        disk: Arc<dyn Disk>,
        name: &VolumeName,
        folder: String,
        (attributes, shape, widening, codec): Parts,
        manifest: Manifest,
        seal: Option<Seal>,
    ) -> Self {
        let shards = OpenShards::new(manifest.shards.len());
        let grid = ShardGrid::new(&shape, &attributes.layout);
        Self {
            serial: OPENED.fetch_add(1, Ordering::Relaxed),
            disk,
            name: name.clone(),
            folder,
            attributes,
            shape,
            widening,
            grid,
            codec,
            manifest,
            seal,
            opened: Instant::now(),
            shards,
            indices: ArcSwapOption::empty(),
        }
    }

    /// The part of chunk `at` (of the whole volume, `z, y, x`) of a frame.
    pub(super) fn read_part(
        &self,
        frame: Frame,
        at: [usize; 3],
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
        let Some(shard) = self.shard(shard_n)? else {
            target.fill_zero(part);
            return Ok(());
        };
        let Some(encoded) = shard.chunk(n).map_err(damaged)? else {
            target.fill_zero(part);
            return Ok(());
        };
        self.codec.decode(encoded, part, target, scratch).map_err(damaged)
    }

    /// A shard by its number, opened at first use; `None` if the manifest calls it empty.
    pub(super) fn shard(&self, n: usize) -> Result<Option<OpenedShard>> {
        let Some(file) = &self.manifest.shards[n].file else { return Ok(None) };
        if let Some(shard) = self.shards.get(n) {
            return Ok(Some(shard));
        }
        let opened = self.open_shard(n, file);
        // A shard of the volume that has taken this one's place would do for intact, with other
        // voxels, if there is no tag to tell. The move is one step: a shard of the new one is
        // opened after it, and so is the manifest then.
        if opened.is_err() || file.tag.is_none() {
            self.check_in_place()?;
        }
        Ok(Some(self.shards.keep(n, opened?)))
    }

    /// Opens a shard, which must be the one that the manifest names.
    fn open_shard(&self, n: usize, file: &ShardFile) -> Result<Shard> {
        let path = || self.shard_path(n);
        let damaged = |reason| Error::corrupt_store(path(), reason);
        let blob = self.disk.read(&self.shard_key(n)).map_err(|source| match source.kind() {
            std::io::ErrorKind::NotFound => damaged("the shard is missing".to_owned()),
            _ => Error::Io { action: "read", path: path(), source },
        })?;
        let shard = Shard::open(blob, self.grid.chunks(), file.bytes).map_err(damaged)?;
        match &file.tag {
            Some(tag) if shard.tag() != *tag => {
                Err(damaged("it is not the shard that the manifest names".to_owned()))
            }
            _ => Ok(shard),
        }
    }

    /// The shards that are open, by their numbers.
    pub(super) fn open_shards(&self) -> Vec<(usize, Arc<Shard>)> {
        self.shards.all()
    }

    /// Refuses to go on if another volume has taken the place of this one, or none has.
    pub(super) fn check_in_place(&self) -> Result<()> {
        match &self.seal {
            Some(seal) if !seal.is_in_place(&*self.disk, &self.name)? => {
                Err(Error::Replaced { path: self.path() })
            }
            _ => Ok(()),
        }
    }

    pub(super) fn record(&self, n: usize) -> &ShardRecord {
        &self.manifest.shards[n]
    }

    pub(super) fn path(&self) -> PathBuf {
        self.disk.path(&self.folder)
    }

    fn shard_key(&self, n: usize) -> String {
        format!("{}/0/{}", self.folder, self.record(n).key)
    }

    pub(super) fn shard_path(&self, n: usize) -> PathBuf {
        self.disk.path(&self.shard_key(n))
    }
}

/// A document of a volume, and its path. Missing, the volume is not whole.
fn read_document(disk: &dyn Disk, name: &VolumeName, key: &str) -> Result<(PathBuf, Blob)> {
    let key = format!("{name}/{key}");
    let path = disk.path(&key);
    match disk.read(&key) {
        Ok(document) => Ok((path, document)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            Err(Error::corrupt_store(path, "the document is missing"))
        }
        Err(source) => Err(Error::Io { action: "read", path, source }),
    }
}

/// Whether the manifest's shards are those of the grid, each under its own key.
fn names_every_shard(manifest: &Manifest, shape: &ArrayShape, layout: &ChunkLayout) -> bool {
    let grid = ShardGrid::new(shape, layout);
    manifest.shards.len() == grid.len()
        && manifest.shards.iter().enumerate().all(|(n, record)| record.key == grid.key(n))
}

fn check_version(attribute: &serde_json::Value, path: &Path) -> Result<()> {
    match attribute.get("version").and_then(serde_json::Value::as_u64) {
        Some(found) if found > documents::VERSION => {
            let supported = documents::VERSION;
            Err(Error::VersionTooNew { path: path.into(), found, supported })
        }
        Some(_) => Ok(()),
        None => Err(Error::NotVoxpatch {
            what: "volume",
            path: path.into(),
            reason: "its voxpatch attribute has no version".into(),
        }),
    }
}
