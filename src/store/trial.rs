//! Chunks of a scan that is not stored yet, encoded to learn how small they become.

use rayon::prelude::*;

use super::array::ArrayShape;
use super::layer::{LayerEncoder, LayerScratch};
use crate::layout::ChunkLayout;
use crate::{Error, Result};

/// Bytes of a chunk in the index of its shard.
const INDEX_ENTRY: usize = 16;

/// What some chunks of a volume become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EncodedChunks {
    pub(crate) chunks: usize,
    /// Bytes of their voxels, without what lies beyond the volume.
    pub(crate) raw_bytes: usize,
    /// Bytes as stored, with their checksums and index entries.
    pub(crate) stored_bytes: usize,
}

/// Encodes the chunks at these places (chunk grid, `z, y, x`) of a stack of z-planes, which is cut
/// as a volume of that many planes would be. Each place must be inside. In parallel in the pool
/// that it is called in; the result does not depend on that.
pub(crate) fn encode_chunks(
    shape: &ArrayShape,
    layout: ChunkLayout,
    stack: &[u8],
    places: &[[usize; 3]],
) -> Result<EncodedChunks> {
    let encoder = LayerEncoder::new(shape, &layout)?;
    let [_, rows, columns] = shape.shape;
    let (plane, depth) = (rows * columns * shape.dtype.size(), layout.chunk[0]);
    let encode = |scratch: &mut LayerScratch, [z, y, x]: &[usize; 3]| {
        let planes = stack[z * depth * plane..].chunks(depth * plane).next().unwrap_or(&[]);
        let inside = encoder.bytes_inside([*y, *x], planes.len() / plane);
        let stored = encoder.encode([*y, *x], planes, scratch)?.map_or(0, |chunk| chunk.len());
        Ok((inside, INDEX_ENTRY + stored))
    };
    let encoded = places.par_iter().map_init(Default::default, encode);
    let encoded: Vec<_> = encoded.collect::<Result<_, _>>().map_err(|source| {
        let path = layout.codec.to_string().into();
        Error::Store { action: "encode a chunk to try a codec", path, source }
    })?;
    Ok(EncodedChunks {
        chunks: encoded.len(),
        raw_bytes: encoded.iter().map(|(inside, _)| inside).sum(),
        stored_bytes: encoded.iter().map(|(_, stored)| stored).sum(),
    })
}

#[cfg(test)]
mod tests {
    use crate::Dtype;
    use crate::codec::packed;
    use crate::layout::Codec;

    #[test]
    fn codecs_are_planned_for_what_they_can_store() {
        for dtype in Dtype::ALL {
            let planned = Codec::Packed { key_every: 1 }.check_for(dtype).is_ok();
            assert_eq!(planned, packed::Encoder::takes(dtype), "{dtype}");
        }
    }
}
