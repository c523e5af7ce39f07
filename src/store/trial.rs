//! Chunks of a scan that is not stored yet, encoded to learn how small they become and how fast
//! patches of them are read.

use rayon::prelude::*;

use super::decode::{Part, Rows, Scratch, Target, signed};
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
        let strides = [row * chunk[1], row, self.item].map(signed);
        for n in 0..self.len() {
            let mut target = Target { bytes: &mut *out, offset: 0, strides, rows: Rows::Copy };
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
        let out = Destination::dense(out, shape, self.item);
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::layout::Codec;
    use crate::{Dtype, packed};

    /// A volume of equal chunks, but for those cut off at its end.
    fn voxel(at: [usize; 3], chunk: [usize; 3]) -> u16 {
        let [z, y, x] = std::array::from_fn(|a| at[a] % chunk[a]);
        u16::try_from(((z * 7 + y) * 13 + x * x) % 1000).expect("it is below 1000")
    }

    fn boxes(volume: [usize; 3]) -> impl Strategy<Value = ([usize; 3], [usize; 3])> {
        let axis = |n: usize| (0..n).prop_flat_map(move |from| (Just(from), 1..=n - from));
        volume.map(axis).prop_map(|axes| (axes.map(|a| a.0), axes.map(|a| a.1)))
    }

    const VOLUME: [usize; 3] = [13, 22, 31];

    proptest! {
        #[test]
        fn where_all_chunks_are_equal_any_of_them_does_for_all(
            codec in prop::sample::select(Codec::CANDIDATES.to_vec()),
            chunk in [1_usize..5, 1_usize..9, 1_usize..17],
            (start, shape) in boxes(VOLUME),
        ) {
            // Two layers, all of whose chunks but the last of each axis are whole.
            let stack: Vec<u16> = (0..2 * chunk[0] * VOLUME[1] * VOLUME[2])
                .map(|n| [n / VOLUME[2] / VOLUME[1], n / VOLUME[2] % VOLUME[1], n % VOLUME[2]])
                .map(|at| voxel(at, chunk))
                .collect();
            let [_, rows, columns]: [usize; 3] = std::array::from_fn(|a| VOLUME[a] / chunk[a]);
            let places = [[0, 0, 0], [1, rows - 1, 0], [1, 0, columns - 1], [1, rows / 2, 0]];
            let array = ArrayShape { dtype: Dtype::UInt16, times: 1, channels: 1, shape: VOLUME };
            let layout = ChunkLayout::new(chunk, chunk, codec).unwrap();
            let stack: &[u8] = bytemuck::cast_slice(&stack);
            let trial = Trial::encode(&array, layout, stack, &places).unwrap();
            prop_assert_eq!(trial.raw_bytes, 4 * 2 * chunk.iter().product::<usize>());

            let mut scratch = TrialScratch::default();
            let mut found = vec![0_u16; shape.iter().product()];
            trial.read(start, shape, bytemuck::cast_slice_mut(&mut found), &mut scratch).unwrap();
            for (n, found) in found.iter().enumerate() {
                let at = [n / shape[2] / shape[1], n / shape[2] % shape[1], n % shape[2]];
                let at = std::array::from_fn(|a| start[a] + at[a]);
                prop_assert_eq!(*found, voxel(at, chunk), "at {:?}", at);
            }
            let mut whole = vec![0_u16; chunk.iter().product()];
            trial.decode(bytemuck::cast_slice_mut(&mut whole), &mut scratch).unwrap();
            for (n, found) in whole.iter().enumerate() {
                let at = [n / chunk[2] / chunk[1], n / chunk[2] % chunk[1], n % chunk[2]];
                prop_assert_eq!(*found, voxel(at, chunk));
            }
        }
    }

    #[test]
    fn codecs_are_planned_for_what_they_can_store() {
        for dtype in Dtype::ALL {
            let planned = Codec::Packed { key_every: 1 }.check_for(dtype).is_ok();
            assert_eq!(planned, packed::Encoder::takes(dtype), "{dtype}");
        }
    }
}
