//! A layer of z-planes, as deep as a chunk, cut into chunks and encoded.

use super::array::ArrayShape;
use crate::Result;
use crate::codec::{ChunkEncoder, EncodeScratch};
use crate::layout::ChunkLayout;

/// Cuts and encodes the layers of one volume.
#[derive(Debug)]
pub(super) struct LayerEncoder {
    pub(super) codec: ChunkEncoder,
    chunk: [usize; 3],
    /// Rows and columns of a plane.
    plane: [usize; 2],
    /// Bytes of a voxel.
    item: usize,
}

/// Buffers that a thread uses again for every chunk: the voxels of a chunk, and those of the codec.
pub(super) type LayerScratch = (Vec<u8>, EncodeScratch);

impl LayerEncoder {
    pub(super) fn new(shape: &ArrayShape, layout: &ChunkLayout) -> Result<Self> {
        let codec = ChunkEncoder::new(layout, shape.dtype)?;
        let [_, rows, columns] = shape.shape;
        Ok(Self { codec, chunk: layout.chunk, plane: [rows, columns], item: shape.dtype.size() })
    }

    /// The encoded chunk at `y, x` (chunk grid) of a layer, with its checksum; `None` if every
    /// voxel is 0. `planes` holds the planes of the volume that the layer covers.
    pub(super) fn encode(
        &self,
        at: [usize; 2],
        planes: &[u8],
        (voxels, scratch): &mut LayerScratch,
    ) -> std::io::Result<Option<Vec<u8>>> {
        self.gather(at, planes, voxels);
        if voxels.iter().all(|b| *b == 0) {
            return Ok(None);
        }
        self.codec.encode(voxels, scratch).map(Some)
    }

    /// Bytes of the chunk at `y, x` inside the volume, if the layer has `depth` planes.
    pub(super) fn bytes_inside(&self, at: [usize; 2], depth: usize) -> usize {
        let [rows, columns] = std::array::from_fn(|a| {
            let chunk = self.chunk[a + 1];
            (self.plane[a] - at[a] * chunk).min(chunk)
        });
        depth.min(self.chunk[0]) * rows * columns * self.item
    }

    /// Copies a chunk out of a layer's planes; voxels beyond the volume become 0.
    fn gather(&self, [y, x]: [usize; 2], planes: &[u8], voxels: &mut Vec<u8>) {
        let (chunk, item) = (self.chunk, self.item);
        let [rows, columns] = self.plane;
        let plane = rows * columns * item;
        let depth = planes.len() / plane;
        let (y0, x0) = (y * chunk[1], x * chunk[2]);
        let present = (columns - x0).min(chunk[2]) * item;
        let whole = depth >= chunk[0] && y0 + chunk[1] <= rows && x0 + chunk[2] <= columns;
        if !whole {
            voxels.clear();
        }
        voxels.resize(chunk.iter().product::<usize>() * item, 0);
        for (row, out) in voxels.chunks_exact_mut(chunk[2] * item).enumerate() {
            let (z, y) = (row / chunk[1], y0 + row % chunk[1]);
            if z < depth && y < rows {
                let from = z * plane + (y * columns + x0) * item;
                out[..present].copy_from_slice(&planes[from..from + present]);
            }
        }
    }
}
