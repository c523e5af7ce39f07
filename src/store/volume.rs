//! A stored volume: a handle that never holds its voxels.

use std::path::PathBuf;
use std::sync::Arc;

use super::array::ArrayShape;
use super::documents::Attributes;
use super::generation::Generation;
use super::manifest::{Manifest, ShardRecord};
use super::name::VolumeName;
use super::stored::Stored;
use crate::codec::{chain_of, decoder_of};
use crate::disk::Disk;
use crate::layout::ChunkLayout;
use crate::{Affine, Dtype, Error, Frame, Kind, Result, Spacing};

/// A handle to a stored volume, for any number of threads: cheap to clone, and every clone shares
/// the opened shards. The handle holds metadata and shard indices, never voxels.
///
/// A volume is what is stored. How its voxels are returned (which frames of it, padded, mirrored,
/// scaled, by way of a cache) is decided by a [`crate::View`], which [`Volume::view`] gives.
/// [`Volume::read`] and its neighbours read by the plain view: the first frame, in the type of the
/// source.
#[derive(Debug, Clone)]
pub struct Volume {
    pub(super) stored: Arc<Stored>,
}

impl Volume {
    pub(super) fn open(disk: &Disk, name: &VolumeName) -> Result<Self> {
        Stored::open(disk, name).map(|stored| Self::from_stored(Arc::new(stored)))
    }

    fn from_stored(stored: Arc<Stored>) -> Self {
        Self { stored }
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

    /// The frame of this number, counted in the order of time, then channel.
    pub(crate) fn frame_of(&self, number: usize) -> Frame {
        let channels = self.channels().max(1);
        Frame { time: number / channels, channel: number % channels }
    }

    /// Refuses a frame that is not there, and gives its number.
    pub(super) fn number_of(&self, frame: Frame) -> Result<usize> {
        let (times, channels) = (self.times(), self.channels());
        if frame.time < times && frame.channel < channels {
            return Ok(frame.time * channels + frame.channel);
        }
        let value = format!("{},{}", frame.time, frame.channel);
        let reason = format!("the volume has {times} time points and {channels} channels");
        Err(Error::invalid("frame", value, reason))
    }

    /// Bytes of the chunk of a frame at `at` (chunk grid, `z, y, x`) as stored; `None` if the chunk
    /// is not stored because all its voxels are 0.
    pub(crate) fn stored_chunk_bytes(&self, frame: Frame, at: [usize; 3]) -> Result<Option<usize>> {
        let (shard, n) = self.stored.grid.locate(frame, at);
        let shard = self.stored.shard(shard)?;
        Ok(shard.and_then(|shard| shard.range(n).map(|range| range.len())))
    }

    /// Where the chunk of a frame at `at` (chunk grid, `z, y, x`) is stored: number of the shard,
    /// and the place in its file. Sorted by this, chunks of any frames are read from each file
    /// forwards; chunks that are not stored come last.
    pub(crate) fn chunk_place(&self, frame: Frame, at: [usize; 3]) -> Result<(usize, u64)> {
        let (shard, n) = self.stored.grid.locate(frame, at);
        Ok((shard, self.stored.shard(shard)?.map_or(u64::MAX, |opened| opened.offset(n))))
    }

    /// Shape of that part of the chunk at `at` which lies inside the volume.
    pub(crate) fn chunk_shape(&self, at: [usize; 3]) -> [usize; 3] {
        let (chunk, shape) = (self.layout().chunk, self.shape());
        std::array::from_fn(|a| chunk[a].min(shape[a] - at[a] * chunk[a]))
    }

    /// Bytes of that part, decoded.
    pub(crate) fn chunk_bytes(&self, at: [usize; 3]) -> usize {
        self.chunk_shape(at).iter().product::<usize>() * self.stored_dtype().size()
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

    /// A handle that shares no shard with this one.
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
