//! Chunks of a scan that is not stored yet, encoded to learn how small they become and how fast
//! patches of them are read.

use rayon::prelude::*;

use super::decode::{Part, Rows, Scratch, Target};
use super::documents::ArrayShape;
use super::layer::{LayerEncoder, LayerScratch};
use super::parts::{Destination, for_each_part};
use crate::layout::ChunkLayout;
use crate::{Error, Result};

/// Bytes of a chunk in the index of its shard.
const INDEX_ENTRY: usize = 16;

/// Some chunks of a volume in memory, encoded as the store would have them.
#[derive(Debug)]
pub(crate) struct Trial {
    encoder: LayerEncoder,
    layout: ChunkLayout,
    item: usize,
    /// Bytes of the voxels of these chunks, without what lies beyond the volume.
    pub(crate) raw_bytes: usize,
    /// `None` where every voxel is 0.
    chunks: Vec<Option<Vec<u8>>>,
}

/// What reading keeps between patches.
#[derive(Default)]
pub(crate) struct TrialScratch(Scratch);

impl Trial {
    /// Encodes the chunks at these places (chunk grid, `z, y, x`) of a stack of z-planes, which is
    /// cut as a volume of that many planes would be. There must be a place, and each must be
    /// inside. In parallel in the pool that it is called in; the bytes do not depend on that.
    pub(crate) fn encode(
        shape: &ArrayShape,
        layout: ChunkLayout,
        stack: &[u8],
        places: &[[usize; 3]],
    ) -> Result<Self> {
        let encoder = LayerEncoder::new(shape, &layout)?;
        let [_, rows, columns] = shape.shape;
        let item = shape.dtype.size();
        let (plane, depth) = (rows * columns * item, layout.chunk[0]);
        let encode = |scratch: &mut LayerScratch, [z, y, x]: &[usize; 3]| {
            let planes = stack[z * depth * plane..].chunks(depth * plane).next().unwrap_or(&[]);
            let inside = encoder.bytes_inside([*y, *x], planes.len() / plane);
            Ok((inside, encoder.encode([*y, *x], planes, scratch)?))
        };
        let encoded = places.par_iter().map_init(Default::default, encode);
        let encoded: Vec<_> = encoded.collect::<Result<_, _>>().map_err(|source| {
            let path = layout.codec.to_string().into();
            Error::Store { action: "encode a chunk to try a codec", path, source }
        })?;
        let raw_bytes = encoded.iter().map(|(inside, _)| inside).sum();
        let chunks = encoded.into_iter().map(|(_, chunk)| chunk).collect();
        Ok(Self { encoder, layout, item, raw_bytes, chunks })
    }

    /// Number of chunks.
    pub(crate) fn len(&self) -> usize {
        self.chunks.len()
    }

    /// Bytes of the chunks as stored, with their checksums and index entries.
    pub(crate) fn stored_bytes(&self) -> usize {
        self.chunks.iter().map(|c| INDEX_ENTRY + c.as_ref().map_or(0, Vec::len)).sum()
    }

    /// Decodes every chunk whole, each over the last into `out`, which has the bytes of one.
    pub(crate) fn decode(&self, out: &mut [u8], scratch: &mut TrialScratch) -> Result<()> {
        let chunk = self.layout.chunk;
        let part = Part { chunk, start: [0; 3], shape: chunk, item: self.item };
        let row = chunk[2] * self.item;
        for n in 0..self.len() {
            let plane = row * chunk[1];
            let mut target = Target { bytes: &mut *out, offset: 0, plane, row, rows: Rows::Copy };
            self.read_part(n, &part, &mut target, scratch)?;
        }
        Ok(())
    }

    /// Reads a box, `start` and `shape` in `z, y, x`, into the beginning of `out`, as from a stored
    /// volume, but that these chunks stand in turn for all those of the volume.
    pub(crate) fn read(
        &self,
        start: [usize; 3],
        shape: [usize; 3],
        out: &mut [u8],
        scratch: &mut TrialScratch,
    ) -> Result<()> {
        let row = shape[2] * self.item;
        let out = Destination { bytes: out, offset: 0, plane: row * shape[1], row };
        let voxels = (Rows::Copy, self.item);
        for_each_part(self.layout.chunk, start, shape, voxels, out, |[z, y, x], part, target| {
            // Neighbours on any axis are different chunks here too.
            self.read_part((5 * z + 3 * y + x) % self.len(), part, target, scratch)
        })
    }

    fn read_part(
        &self,
        n: usize,
        part: &Part,
        target: &mut Target<'_>,
        scratch: &mut TrialScratch,
    ) -> Result<()> {
        let Some(encoded) = &self.chunks[n] else {
            target.fill_zero(part);
            return Ok(());
        };
        let sealed = &encoded[..encoded.len() - size_of::<u32>()];
        self.encoder.codec.decode(sealed, part, target, &mut scratch.0).map_err(|reason| {
            let path = self.layout.codec.to_string().into();
            Error::Store { action: "decode a chunk just encoded", path, source: reason.into() }
        })
    }
}
