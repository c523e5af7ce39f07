//! A volume as decoded layers of chunks, for whoever looks at every voxel.

use rayon::prelude::*;

use super::digest::VoxelDigest;
use super::parts::Destination;
use super::sampling::Strip;
use super::volume::Volume;
use crate::{Dtype, Frame, Result};

/// The planes of one layer of chunks, in the type that is on disk or in another: strips of whole chunk rows along
/// y, each of all planes.
pub(crate) struct Strips {
    planes: usize,
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

/// Bytes of a layer in the source's type, which is what progress is told in.
pub(crate) fn layer_bytes(volume: &Volume, layer: usize) -> u64 {
    let [all, rows, columns] = volume.shape();
    (planes(all, volume.layout().chunk[0], layer) * rows * columns * volume.dtype().size()) as u64
}

fn planes(all: usize, depth: usize, layer: usize) -> usize {
    depth.min(all - layer * depth)
}

impl Strips {
    /// Decodes a layer of a frame in the type that is on disk, `layer` counted in chunks along z.
    /// In parallel in the pool that it is called in.
    pub(super) fn read(volume: &Volume, frame: Frame, layer: usize) -> Result<Self> {
        Self::read_as(volume, volume.stored_dtype(), frame, layer)
    }

    /// The same, converted to a type as [`Volume::converted`] does.
    pub(crate) fn read_as(
        volume: &Volume,
        dtype: Dtype,
        frame: Frame,
        layer: usize,
    ) -> Result<Self> {
        let volume = volume.frame(frame)?.as_stored().converted(dtype);
        let [all, rows, columns] = volume.shape();
        let [depth, height, _] = volume.layout().chunk;
        let planes = planes(all, depth, layer);
        let item = dtype.size();
        let row = columns * item;
        let strips = (0..rows.div_ceil(height)).into_par_iter().map(|n| {
            let rows = height.min(rows - n * height);
            let mut strip = vec![0; planes * rows * row];
            let out = Destination::dense(&mut strip, [planes, rows, columns], item);
            volume.read_box([layer * depth, n * height, 0], [planes, rows, columns], out)?;
            Ok(strip)
        });
        Ok(Self { planes, row, voxels: strips.collect::<Result<_>>()? })
    }

    /// A strip by its number along y.
    pub(super) fn strip(&self, n: usize) -> Strip<'_> {
        let voxels = &self.voxels[n];
        Strip { voxels, plane: voxels.len() / self.planes, row: self.row }
    }

    /// Adds the planes to the digest of the frame's voxels.
    pub(super) fn add_to(&self, digest: &mut VoxelDigest, frame: Frame, dtype: Dtype) {
        self.pieces().for_each(|piece| digest.add(frame, piece, dtype));
    }

    /// All voxels in C order, in pieces of whole rows.
    pub(crate) fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        // Strips side by side make the rows of a plane.
        (0..self.planes).flat_map(move |plane| {
            self.voxels.iter().map(move |strip| {
                let bytes = strip.len() / self.planes;
                &strip[plane * bytes..][..bytes]
            })
        })
    }
}
