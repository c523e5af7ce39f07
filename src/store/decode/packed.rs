//! Chunks of the codec [`crate::packed`].

use super::stretch::put_rows;
use super::{Decoder, Part, Refusal, Scratch, Target};
use crate::packed::{self, Isa, Piece, Sink, Window};

/// Decodes them straight into the destination.
#[derive(Debug)]
pub(super) struct Packed;

impl Decoder for Packed {
    fn decode(
        &self,
        encoded: &[u8],
        part: &Part,
        target: &mut Target<'_>,
        scratch: &mut Scratch,
    ) -> Result<(), Refusal> {
        let Part { chunk, start, shape, item } = *part;
        let window = Window { chunk, start, shape };
        let scratch = &mut scratch.packed_codec;
        packed::decode_window(
            Isa::best(),
            encoded,
            &window,
            item,
            scratch,
            &mut Voxels { target, item },
        )
    }
}

struct Voxels<'a, 'b> {
    target: &'a mut Target<'b>,
    item: usize,
}

impl Sink for Voxels<'_, '_> {
    fn put(&mut self, Piece { at, bytes, rows, width, stride }: Piece<'_>) {
        put_rows(bytes, [rows, width, stride], at, self.item, self.target);
    }

    #[inline]
    fn rows(&mut self, at: [usize; 3]) -> Option<(&mut [u8], usize)> {
        let step = self.target.straight()?;
        Some((self.target.rest_mut(at), step))
    }
}
