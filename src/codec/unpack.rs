//! Chunks of the codec [`super::packed`].

use super::packed::{self, Isa, Piece, Sink, Window};
use super::refusal::Refusal;
use super::scratch::Scratch;
use super::stretch::put_rows;
use super::target::{Part, Target};

/// Decodes a part straight into the destination.
pub(super) fn decode(
    encoded: &[u8],
    part: &Part,
    target: &mut Target<'_>,
    scratch: &mut Scratch,
) -> Result<(), Refusal> {
    let Part { chunk, start, shape, item } = *part;
    let window = Window { chunk, start, shape };
    let scratch = &mut scratch.packed_codec;
    let mut voxels = Voxels { target, item };
    packed::decode_window(Isa::best(), encoded, &window, item, scratch, &mut voxels)
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
