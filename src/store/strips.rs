//! A volume as decoded layers of chunks, for operations that read every voxel.

use std::ops::Range;
use std::sync::Arc;

use rayon::prelude::*;

use super::array::ArrayShape;
use super::destination::Destination;
use super::digest::VoxelDigest;
use super::shard::Shard;
use super::volume::Volume;
use crate::statistics::StatisticsAccumulator;
use crate::{Dtype, Error, Frame, Kind, Result};

/// The planes of one layer of chunks, in the stored type or in another: strips of whole chunk rows
/// along y, each strip with all planes.
#[derive(Default)]
pub(crate) struct Strips {
    /// Index of the first plane in its frame.
    first: usize,
    planes: usize,
    /// Rows of a strip; the last strip may have fewer.
    height: usize,
    /// Bytes of a row.
    row: usize,
    voxels: Vec<Vec<u8>>,
}

/// Every layer of every frame, in the order of the voxel digest.
pub(super) fn layers(volume: &Volume) -> impl Iterator<Item = (Frame, usize)> + use<> {
    let layers = volume.shape()[0].div_ceil(volume.layout().chunk[0]);
    let (times, channels) = (volume.times(), volume.channels());
    (0..times * channels).flat_map(move |n| {
        let frame = Frame { time: n / channels, channel: n % channels };
        (0..layers).map(move |layer| (frame, layer))
    })
}

/// Bytes of a layer in the source's type, the unit of progress.
pub(crate) fn layer_bytes(volume: &Volume, layer: usize) -> u64 {
    let [all, rows, columns] = volume.shape();
    (planes(all, volume.layout().chunk[0], layer) * rows * columns * volume.dtype().size()) as u64
}

fn planes(all: usize, depth: usize, layer: usize) -> usize {
    depth.min(all - layer * depth)
}

/// Reads every voxel of a volume once, one layer of chunks at a time: calls `each` with every
/// layer, in the order of the voxel digest, which is returned, and `done` with the number of each
/// shard all of whose voxels were read. Such shards are closed. Runs in the current pool.
///
/// # Errors
/// Those of reading and of `each`; [`Error::Cancelled`] if `progress`, which is called with bytes
/// of [`Volume::raw_bytes`], returns false.
pub(super) fn look_through(
    volume: &Volume,
    mut done: impl FnMut(&[(usize, Arc<Shard>)]) -> Result<()>,
    mut each: impl FnMut(Frame, usize, &Strips) -> Result<()> + Send,
    progress: &(dyn Fn(u64) -> bool + Sync),
) -> Result<String> {
    let ArrayShape { dtype, times, channels, shape } = volume.stored.shape;
    let mut digest = VoxelDigest::new(dtype, times, channels, shape);
    let mut strips = Strips::default();
    for (frame, layer) in layers(volume) {
        strips.fill(volume, dtype, frame, layer)?;
        let digested = || strips.add_to(&mut digest, frame, dtype);
        let ((), looked) = rayon::join(digested, || each(frame, layer, &strips));
        looked?;
        if volume.stored.grid.is_done_with(frame, layer) {
            done(&volume.stored.open_shards())?;
            volume.close_shards();
        }
        if !progress(layer_bytes(volume, layer)) {
            return Err(Error::Cancelled);
        }
    }
    Ok(digest.finish())
}

fn no_room(volume: &Volume) -> Error {
    Error::Io {
        action: "hold a layer of chunks in memory of",
        path: volume.place(),
        source: std::io::ErrorKind::OutOfMemory.into(),
    }
}

/// Bytes whose statistics one task gathers.
const STATISTICS_BYTES: usize = 4 << 20;

impl Strips {
    /// Statistics of the layer. They do not depend on the number of threads.
    pub(super) fn statistics(&self, dtype: Dtype, kind: Kind) -> Result<StatisticsAccumulator> {
        let strip = self.voxels.first().map_or(1, Vec::len).max(1);
        let parts = self.voxels.par_chunks(STATISTICS_BYTES.div_ceil(strip)).map(|strips| {
            let mut part = StatisticsAccumulator::new(dtype, kind);
            strips.iter().try_for_each(|strip| part.add(strip)).map(|()| part)
        });
        let parts: Vec<_> = parts.collect::<Result<_>>()?;
        let mut all = StatisticsAccumulator::new(dtype, kind);
        parts.into_iter().try_for_each(|part| all.merge(part))?;
        Ok(all)
    }

    /// Decodes a layer of a frame in the stored type, `layer` counted in chunks along z. Runs in
    /// parallel in the current pool.
    pub(super) fn read(volume: &Volume, frame: Frame, layer: usize) -> Result<Self> {
        Self::read_as(volume, volume.stored_dtype(), frame, layer)
    }

    /// As [`Self::read`], converted to a type as [`super::View::converted`] does.
    pub(crate) fn read_as(
        volume: &Volume,
        dtype: Dtype,
        frame: Frame,
        layer: usize,
    ) -> Result<Self> {
        let mut strips = Self::default();
        strips.fill(volume, dtype, frame, layer).map(|()| strips)
    }

    /// Decodes another layer into the same memory.
    fn fill(&mut self, volume: &Volume, dtype: Dtype, frame: Frame, layer: usize) -> Result<()> {
        let view = volume.view().as_stored().converted(dtype);
        let [all, rows, columns] = volume.shape();
        let [depth, height, _] = volume.layout().chunk;
        let planes = planes(all, depth, layer);
        let item = dtype.size();
        (self.first, self.planes) = (layer * depth, planes);
        (self.height, self.row) = (height, columns * item);
        let strips = rows.div_ceil(height);
        // The shape comes from a document, so memory is reserved with an error instead of an abort.
        let room = Vec::<u8>::new().try_reserve_exact(planes * rows * columns * item);
        let more = strips.saturating_sub(self.voxels.len());
        room.and_then(|()| self.voxels.try_reserve(more)).map_err(|_| no_room(volume))?;
        self.voxels.resize_with(strips, Vec::new);
        self.voxels.par_iter_mut().enumerate().try_for_each(|(n, strip)| {
            let rows = height.min(rows - n * height);
            let bytes = planes * rows * columns * item;
            let more = bytes.saturating_sub(strip.len());
            strip.try_reserve_exact(more).map_err(|_| no_room(volume))?;
            strip.resize(bytes, 0);
            let out = Destination::dense(strip, [planes, rows, columns], item);
            view.look().read_box(
                frame,
                [layer * depth, n * height, 0],
                [planes, rows, columns],
                out,
            )
        })
    }

    /// Indices of the planes in their frame.
    pub(super) fn planes(&self) -> Range<usize> {
        self.first..self.first + self.planes
    }

    /// A row by its plane in the layer and its index in the plane.
    pub(super) fn row(&self, plane: usize, row: usize) -> &[u8] {
        let strip = &self.voxels[row / self.height];
        let start = plane * (strip.len() / self.planes) + row % self.height * self.row;
        &strip[start..start + self.row]
    }

    /// Adds the planes to the digest of the frame's voxels.
    pub(super) fn add_to(&self, digest: &mut VoxelDigest, frame: Frame, dtype: Dtype) {
        self.pieces().for_each(|piece| digest.add(frame, piece, dtype));
    }

    /// All voxels in C order, in slices of whole rows.
    pub(crate) fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        // The rows of a plane are those of all strips.
        (0..self.planes).flat_map(move |plane| {
            self.voxels.iter().map(move |strip| {
                let bytes = strip.len() / self.planes;
                &strip[plane * bytes..][..bytes]
            })
        })
    }
}
