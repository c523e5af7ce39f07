//! A stored volume: a handle that never holds its voxels.

use std::cell::RefCell;
use std::path::PathBuf;
use std::sync::Arc;

use super::array::ArrayShape;
use super::cache::Memory;
use super::documents::Attributes;
use super::generation::Generation;
use super::manifest::{Manifest, ShardRecord};
use super::name::VolumeName;
use super::parts::{Destination, for_each_part};
use super::stored::Stored;
use super::values::Values;
use crate::codec::{Scratch, chain_of, decoder_of};
use crate::disk::Disk;
use crate::layout::ChunkLayout;
use crate::padding::Padding;
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

thread_local! {
    pub(super) static SCRATCH: RefCell<Scratch> = RefCell::default();
}

impl Volume {
    pub(super) fn open(disk: &Disk, name: &VolumeName) -> Result<Self> {
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

    /// Where it is.
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
        let gathered = self.gather(cache.as_deref(), start, shape)?;
        SCRATCH.with_borrow_mut(|scratch| {
            for_each_part(chunk, start, shape, voxels, out, |at, part, target| {
                self.take_part((cache.as_deref(), &gathered), at, part, target, scratch)
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
        Ok(shard.and_then(|shard| shard.range(n).map(|range| range.len())))
    }

    /// A volume of whose generation nothing but the shards is there.
    pub(super) fn staged(
        disk: &Disk,
        name: &VolumeName,
        generation: Generation,
        (shape, attributes): (&ArrayShape, &Attributes),
        shards: Vec<ShardRecord>,
    ) -> Result<Self> {
        let decoder = decoder_of(&chain_of(&attributes.layout, shape.dtype), shape.dtype)
            .map_err(|reason| Error::InvalidLayout { reason })?;
        let manifest = Manifest {
            volume: None,
            generation: None,
            ome: None,
            indexed: false,
            voxels: String::new(),
            group: String::new(),
            array: String::new(),
            shards,
        };
        let (attributes, shape) = (attributes.clone(), shape.clone());
        let parts = (attributes, shape, None, decoder);
        let stored = Stored::new(disk.clone(), name, generation, parts, manifest, None);
        Ok(Self::from_stored(Arc::new(stored)))
    }

    /// A handle that shares no shard with this one, on the first frame, with the voxels of the
    /// source.
    pub(crate) fn reopened(&self) -> Result<Self> {
        let volume = Self::open(&self.stored.disk, &self.stored.name)?;
        let version = |volume: &Self| volume.stored.pointer.as_ref().map(|p| p.version.clone());
        if version(&volume) == version(self) {
            return Ok(volume);
        }
        Err(Error::Replaced { path: self.place() })
    }

    /// Refuses to go on if another volume has taken the place of this one, or none has: shards that
    /// are open stay those of the old one. Looks at the volume's document, and reads it where its
    /// stamp has changed.
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
}
