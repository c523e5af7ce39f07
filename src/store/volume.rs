//! A stored volume: a handle that never holds its voxels.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use arc_swap::ArcSwapOption;

use super::array::ArrayShape;
use super::cache::Memory;
use super::codec::ChunkCodec;
use super::decode::{Part, Scratch, Target};
use super::disk::{Blob, Disk};
use super::documents::{self, ArrayDocument, Attributes, ParsedArray};
use super::grid::ShardGrid;
use super::manifest::{self, Manifest, ShardFile, ShardRecord};
use super::name::VolumeName;
use super::open_shards::{OpenShards, OpenedShard};
use super::parts::{Destination, for_each_part};
use super::seal::{self, Seal};
use super::shard::Shard;
use super::values::Values;
use super::{DOCUMENT, digest};
use crate::layout::ChunkLayout;
use crate::padding::Padding;
use crate::sample::BlockIndex;
use crate::widening::Widening;
use crate::{Affine, Dtype, Error, Frame, Kind, Result, Spacing};

/// A handle to a stored volume, for any number of threads: cheap to clone, and every clone shares
/// the opened shards. It holds metadata and shard indices, never voxels.
///
/// A handle looks at one frame (time point and channel, the first at opening), and decides how
/// voxels are returned: [`Volume::frame`], [`Volume::padded`], [`Volume::flipped`],
/// [`Volume::scaled`], [`Volume::normalised`] and [`Volume::converted`] give a handle that does so
/// differently. [`Volume::read_frames`] reads several frames at once, as channels.
#[derive(Debug, Clone)]
pub struct Volume {
    pub(super) stored: Arc<Stored>,
    pub(super) frame: Frame,
    pub(super) padding: Option<Padding>,
    pub(super) flips: [bool; 3],
    pub(super) values: Values,
    pub(super) memory: Memory,
}

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
    seal: Option<Seal>,
    /// When that was.
    pub(super) opened: Instant,
    /// Opened at first use.
    shards: OpenShards,
    /// For sampling, of each frame; read at first use.
    pub(super) indices: ArcSwapOption<Vec<Arc<BlockIndex>>>,
}

/// What a volume is, its shards aside.
type Parts = (Attributes, ArrayShape, Option<&'static Widening>, ChunkCodec);

/// How many volumes were opened.
static OPENED: AtomicU64 = AtomicU64::new(0);

thread_local! {
    pub(super) static SCRATCH: RefCell<Scratch> = RefCell::default();
}

impl Volume {
    pub(super) fn open(disk: &Arc<dyn Disk>, name: &VolumeName) -> Result<Self> {
        Stored::open(disk, name).map(|stored| Self::from_stored(Arc::new(stored)))
    }

    fn from_stored(stored: Arc<Stored>) -> Self {
        Self {
            stored,
            frame: Frame::default(),
            padding: None,
            flips: [false; 3],
            values: Values::Source,
            memory: Memory::default(),
        }
    }

    /// Its place in the dataset.
    #[must_use]
    pub fn name(&self) -> &VolumeName {
        &self.stored.name
    }

    /// Shape of one frame in voxels, `z, y, x`.
    #[must_use]
    pub fn shape(&self) -> [usize; 3] {
        self.stored.shape.shape
    }

    /// Number of time points; 1 without a time axis.
    #[must_use]
    pub fn times(&self) -> usize {
        self.stored.shape.times
    }

    /// Number of channels; 1 without a channel axis.
    #[must_use]
    pub fn channels(&self) -> usize {
        self.stored.shape.channels
    }

    /// Type of the source's voxels, as which they are read.
    #[must_use]
    pub fn dtype(&self) -> Dtype {
        self.stored.widening.map_or(self.stored_dtype(), |widening| widening.to)
    }

    /// Type of the voxels on disk: [`Self::dtype`], or an integer type of fewer bytes if they were
    /// narrowed ([`crate::ConvertOptions::narrow`]).
    #[must_use]
    pub fn stored_dtype(&self) -> Dtype {
        self.stored.shape.dtype
    }

    /// What the voxels mean.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.stored.attributes.kind
    }

    /// Voxel `(x, y, z)` to RAS millimetres.
    #[must_use]
    pub fn affine(&self) -> &Affine {
        &self.stored.attributes.affine
    }

    /// Voxel spacing in millimetres, `z, y, x`.
    #[must_use]
    pub fn spacing(&self) -> Spacing {
        self.stored.attributes.spacing
    }

    /// Chunks, shards and codec as stored.
    #[must_use]
    pub fn layout(&self) -> &ChunkLayout {
        &self.stored.attributes.layout
    }

    /// Everything that is recorded beside the voxels.
    #[must_use]
    pub fn attributes(&self) -> &Attributes {
        &self.stored.attributes
    }

    /// Digest of the decoded voxels, in the type they are stored in: equal for every chunking and
    /// codec of the same volume.
    #[must_use]
    pub fn voxel_digest(&self) -> &str {
        &self.stored.manifest.voxels
    }

    /// Bytes of all shard files together.
    #[must_use]
    pub fn stored_bytes(&self) -> u64 {
        self.stored
            .manifest
            .shards
            .iter()
            .filter_map(|s| s.file.as_ref())
            .fold(0, |sum, file| u64::saturating_add(sum, file.bytes))
    }

    /// Its folder.
    pub(crate) fn place(&self) -> PathBuf {
        self.stored.path()
    }

    /// A handle on another frame.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if there is no such time point or channel.
    pub fn frame(&self, frame: Frame) -> Result<Self> {
        if frame.time < self.times() && frame.channel < self.channels() {
            return Ok(Self { frame, ..self.clone() });
        }
        let value = format!("{},{}", frame.time, frame.channel);
        let (times, channels) = (self.times(), self.channels());
        let reason = format!("the volume has {times} time points and {channels} channels");
        Err(Error::invalid("frame", value, reason))
    }

    /// A handle that fills what lies outside of the volume; without, such reads are errors. A
    /// constant must be one that the returned type holds: [`Volume::converted`] gives another.
    #[must_use]
    pub fn padded(&self, padding: Padding) -> Self {
        Self { padding: Some(padding), ..self.clone() }
    }

    /// A handle that returns real values as `f32`: stored voxel x slope + intercept, where the
    /// source had such a scaling, computed in `f64` and rounded once. Read it as `f32`.
    #[must_use]
    pub fn scaled(&self) -> Self {
        Self { values: Values::Real, ..self.clone() }
    }

    /// A handle that returns voxels in the type that is on disk, and not mirrored.
    pub(crate) fn as_stored(&self) -> Self {
        Self { values: Values::Stored, flips: [false; 3], ..self.clone() }
    }

    pub(crate) fn padding(&self) -> Option<Padding> {
        self.padding
    }

    /// Reads a box that lies inside the volume, start and shape in `z, y, x`.
    pub(crate) fn read_box(
        &self,
        start: [usize; 3],
        shape: [usize; 3],
        out: Destination<'_>,
    ) -> Result<()> {
        let ChunkLayout { chunk, .. } = *self.layout();
        let voxels = (self.rows(), self.stored_dtype().size());
        let cache = self.cache_here();
        self.announce(cache.as_deref(), start, shape)?;
        SCRATCH.with_borrow_mut(|scratch| {
            for_each_part(chunk, start, shape, voxels, out, |at, part, target| {
                self.take_part(cache.as_deref(), at, part, target, scratch)
            })?;
            scratch.trim();
            Ok(())
        })
    }

    /// Bytes of the chunk at `at` (chunk grid, `z, y, x`) as stored; `None` if it is not stored
    /// because every voxel of it is 0.
    pub(crate) fn stored_chunk_bytes(&self, at: [usize; 3]) -> Result<Option<usize>> {
        let (shard, n) = self.stored.grid.locate(self.frame, at);
        let shard = self.stored.shard(shard)?;
        Ok(shard.and_then(|shard| shard.raw_chunk(n).map(<[u8]>::len)))
    }

    /// A volume whose shards, and nothing else, lie in `folder`.
    pub(super) fn staged(
        disk: &Arc<dyn Disk>,
        name: &VolumeName,
        folder: String,
        (shape, attributes): (&ArrayShape, &Attributes),
        shards: Vec<ShardRecord>,
    ) -> Result<Self> {
        let codec = super::codec::for_array(shape, &attributes.layout)?;
        let manifest = Manifest {
            volume: None,
            indexed: false,
            voxels: String::new(),
            group: String::new(),
            array: String::new(),
            shards,
        };
        let (attributes, shape) = (attributes.clone(), shape.clone());
        let parts = (attributes, shape, None, codec);
        let stored = Stored::new(Arc::clone(disk), name, folder, parts, manifest, None);
        Ok(Self::from_stored(Arc::new(stored)))
    }

    /// A handle that shares no shard with this one, on the first frame, with the voxels of the
    /// source.
    pub(crate) fn reopened(&self) -> Result<Self> {
        let volume = Self::open(&self.stored.disk, &self.stored.name)?;
        if volume.stored.seal == self.stored.seal {
            return Ok(volume);
        }
        Err(Error::Replaced { path: self.place() })
    }

    /// Refuses to go on if another volume has taken the place of this one, or none has: shards that
    /// are open stay those of the old one. Looks at the manifest's file, and reads it where its stamp
    /// has changed.
    ///
    /// # Errors
    /// [`Error::Replaced`]; [`Error::Io`].
    pub(crate) fn check_in_place(&self) -> Result<()> {
        self.stored.check_in_place()
    }

    /// The number of the first shard that a layer of chunks of a frame lies in.
    pub(crate) fn row_of_shards(&self, frame: Frame, layer: usize) -> usize {
        self.stored.grid.locate(frame, [layer, 0, 0]).0
    }

    /// Closes all shards, which are opened again when they are wanted: a mapped file counts as
    /// memory.
    pub(crate) fn close_shards(&self) {
        self.stored.shards.close();
    }

    /// The same volume read through zarrs alone.
    #[cfg(test)]
    pub(super) fn by_zarrs(disk: &Arc<dyn Disk>, name: &VolumeName) -> Result<Self> {
        let mut stored = Stored::open(disk, name)?;
        stored.codec = stored.codec.without_decoder();
        Ok(Self::from_stored(Arc::new(stored)))
    }
}

impl Stored {
    fn open(disk: &Arc<dyn Disk>, name: &VolumeName) -> Result<Self> {
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

    fn new(
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
