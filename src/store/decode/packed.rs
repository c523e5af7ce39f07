//! Chunks of the codec [`crate::packed`].

use super::stretch::put_rows;
use super::{Decoder, Part, Refusal, Scratch, Target};
use crate::packed::{self, Isa, Piece, Window};

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
        let Scratch { packed_codec, .. } = scratch;
        packed::decode_window(Isa::best(), encoded, &window, item, packed_codec, |piece| {
            let Piece { at, bytes, rows, width, stride } = piece;
            put_rows(bytes, [rows, width, stride], at, item, target);
        })
    }
}
