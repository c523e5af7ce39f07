//! Bytes that no encoder wrote: an error or voxels, the same from every kernel.
//!
//! Nothing is allocated by a length that was read. The rows that are kept and the voxels of a
//! frame are as many as the shape says, which the caller vouches for; the copy of a last segment
//! is no longer than the bytes there are; and a frame's own buffers are bounded by its window,
//! which must not be larger than the chunk.

use proptest::prelude::*;

use super::case::{Case, Content, case};
use super::{read, whole};
use crate::Dtype;
use crate::codec::packed::chunk::{CONSTANT, LANES_16, LANES_32, VERSION, ZSTD};
use crate::codec::packed::{Isa, Scratch, Window, encode};

/// What all kernels say, with one answer.
fn agreed(encoded: &[u8], window: &Window, item: usize) -> Result<Vec<u8>, String> {
    let read_by = |isa| read(isa, encoded, window, item, &mut Scratch::default());
    let mut answers = Isa::available().into_iter().map(|isa| (isa, read_by(isa)));
    let (_, first) = answers.next().expect("there is a portable kernel");
    for (isa, other) in answers {
        assert!(first == other, "{isa:?}: {:?}, not {:?}", other.err(), first.err());
    }
    first
}

#[derive(Debug, Clone)]
pub(super) enum Damage {
    /// A byte anywhere, or among the first, where the lengths are.
    Byte(prop::sample::Index, u8, bool),
    Bit(prop::sample::Index, u8),
    Cut(prop::sample::Index),
    Append(Vec<u8>),
    /// Bytes taken out of the middle, so that all behind them move.
    Remove(prop::sample::Index, usize),
}

impl Damage {
    pub(super) fn apply(&self, encoded: &mut Vec<u8>) {
        let length = encoded.len();
        if length == 0 {
            return;
        }
        match self {
            Self::Byte(at, byte, false) => encoded[at.index(length)] = *byte,
            Self::Byte(at, byte, true) => encoded[at.index(length.min(24))] = *byte,
            Self::Bit(at, bit) => encoded[at.index(length)] ^= 1 << (bit % 8),
            Self::Cut(at) => encoded.truncate(at.index(length)),
            Self::Append(bytes) => encoded.extend(bytes),
            Self::Remove(at, count) => {
                let at = at.index(length);
                encoded.drain(at..length.min(at + count));
            }
        }
    }
}

pub(super) fn damage() -> impl Strategy<Value = Damage> {
    let at = any::<prop::sample::Index>;
    prop_oneof![
        4 => (at(), any::<u8>(), any::<bool>()).prop_map(|(at, b, first)| Damage::Byte(at, b, first)),
        4 => (at(), any::<u8>()).prop_map(|(at, bit)| Damage::Bit(at, bit)),
        1 => at().prop_map(Damage::Cut),
        1 => prop::collection::vec(any::<u8>(), 1..200).prop_map(Damage::Append),
        1 => (at(), 1..9_usize).prop_map(|(at, count)| Damage::Remove(at, count)),
    ]
}

/// Bytes that look like a chunk for as long as possible.
fn forged() -> impl Strategy<Value = Vec<u8>> {
    let form = prop_oneof![
        1 => Just(CONSTANT),
        6 => Just(LANES_16),
        4 => Just(LANES_32),
        1 => Just(ZSTD),
        1 => any::<u8>(),
    ];
    let byte = prop_oneof![Just(0), 0..4_u8, 0..40_u8, any::<u8>()];
    let rest = prop::collection::vec(byte, 0..1500);
    (form, rest).prop_map(|(form, rest)| [&[VERSION, form], &rest[..]].concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn damaged_chunks_are_an_error_or_voxels(
        case in case(),
        damage in prop::collection::vec(damage(), 1..4),
    ) {
        let Case { shape, dtype, key_every, window, voxels, .. } = &case;
        let mut encoded = encode(voxels, *shape, *dtype, *key_every).expect("a sound chunk");
        for damage in &damage {
            damage.apply(&mut encoded);
        }
        let _ = agreed(&encoded, window, dtype.size());
        let all = agreed(&encoded, &whole(*shape), dtype.size());
        // What can be read as a whole can be read in parts, which are slices of it.
        if let Ok(voxels) = all {
            let damaged = Case { voxels, ..case.clone() };
            let slice = agreed(&encoded, window, dtype.size());
            prop_assert!(slice == Ok(damaged.slice(window)));
        }
    }

    #[test]
    fn forged_chunks_are_an_error_or_voxels(case in case(), encoded in forged()) {
        let item = case.dtype.size();
        let _ = agreed(&encoded, &whole(case.shape), item);
        let _ = agreed(&encoded, &case.window, item);
    }

    #[test]
    fn a_chunk_of_another_shape_or_type_is_an_error_or_voxels(case in case(), other in case()) {
        let Case { shape, dtype, key_every, voxels, .. } = &case;
        let encoded = encode(voxels, *shape, *dtype, *key_every).expect("a sound chunk");
        let _ = agreed(&encoded, &other.window, other.dtype.size());
    }

    #[test]
    fn a_whole_chunk_with_less_or_more_bytes_is_refused(
        case in case(),
        cut in any::<prop::sample::Index>(),
        more in prop::collection::vec(any::<u8>(), 1..200),
    ) {
        let Case { shape, dtype, key_every, voxels, .. } = &case;
        let encoded = encode(voxels, *shape, *dtype, *key_every).expect("a sound chunk");
        let short = &encoded[..cut.index(encoded.len())];
        prop_assert!(agreed(short, &whole(*shape), dtype.size()).is_err());
        let long = [&encoded[..], &more].concat();
        prop_assert!(agreed(&long, &whole(*shape), dtype.size()).is_err());
    }
}

/// Small chunks of each form and way of being seen.
fn small() -> Vec<(Vec<u8>, [usize; 3], Dtype)> {
    let ct = Content::Ct { noise: 4 };
    let wide = Content::Noise { bits: 29 };
    [
        (Content::Constant, [2, 3, 4], Dtype::Int16, 0),
        (ct, [2, 5, 24], Dtype::Int16, 0),
        (ct, [3, 4, 17], Dtype::UInt8, 1),
        (Content::Noise { bits: 16 }, [2, 5, 20], Dtype::UInt16, 0),
        (ct, [3, 6, 5], Dtype::Int32, 2),
        (ct, [5, 2, 3], Dtype::Int16, 8),
        (wide, [2, 3, 17], Dtype::UInt32, 0),
        (wide, [7, 1, 3], Dtype::Int32, 0),
        (Content::Blobs, [16, 12, 16], Dtype::UInt8, 0),
    ]
    .map(|(content, shape, dtype, key_every)| {
        let voxels = content.voxels(dtype, shape, 5);
        (encode(&voxels, shape, dtype, key_every).expect("a sound chunk"), shape, dtype)
    })
    .to_vec()
}

#[test]
fn small_chunks_are_of_every_form() {
    let forms: Vec<u8> = small().iter().map(|(encoded, ..)| encoded[1]).collect();
    assert!([CONSTANT, LANES_16, LANES_32, ZSTD].iter().all(|form| forms.contains(form)));
}

#[test]
fn a_chunk_cut_at_any_length_is_refused() {
    for (encoded, shape, dtype) in small() {
        for length in 0..encoded.len() {
            let answer = agreed(&encoded[..length], &whole(shape), dtype.size());
            assert!(answer.is_err(), "{shape:?} {dtype} cut to {length} bytes");
        }
    }
}

#[test]
fn any_changed_byte_is_an_error_or_voxels() {
    for (sound, shape, dtype) in small() {
        let last = Window { chunk: shape, start: shape.map(|n| n - 1), shape: [1; 3] };
        for at in 0..sound.len() {
            for flip in [1, 2, 4, 8, 16, 32, 64, 128, 255] {
                let mut encoded = sound.clone();
                encoded[at] ^= flip;
                let window = if flip % 3 == 1 { whole(shape) } else { last };
                let _ = agreed(&encoded, &window, dtype.size());
            }
        }
    }
}

#[test]
fn a_frame_of_another_number_of_voxels_is_refused() {
    let shape = [2, 4, 8];
    for bytes in [0, 1, 127, 129, 1 << 20] {
        let frame = zstd::bulk::compress(&vec![7; bytes], 1).expect("to memory");
        let encoded = [&[VERSION, ZSTD], &frame[..]].concat();
        assert!(agreed(&encoded, &whole(shape), 2).is_err(), "{bytes}");
    }
    let frame = zstd::bulk::compress(&[7; 128], 1).expect("to memory");
    let encoded = [&[VERSION, ZSTD], &frame[..]].concat();
    assert_eq!(agreed(&encoded, &whole(shape), 2), Ok(vec![7; 128]));
}

#[test]
fn a_frame_that_claims_a_huge_size_is_refused() {
    let claimed = (1_u64 << 60).to_le_bytes();
    // One segment with a size of 8 bytes: the window is the size.
    let single = [&[0x28, 0xB5, 0x2F, 0xFD, 0xE0][..], &claimed].concat();
    // A window of 2^41 bytes, and the size.
    let windowed = [&[0x28, 0xB5, 0x2F, 0xFD, 0xC0, 0xF8][..], &claimed].concat();
    for header in [single, windowed] {
        // A last block that repeats one byte 64 times.
        let frame = [&header[..], &[0x03, 0x02, 0x00, 7]].concat();
        let encoded = [&[VERSION, ZSTD], &frame[..]].concat();
        let first = Window { shape: [1, 2, 8], ..whole([4, 2, 8]) };
        assert!(agreed(&encoded, &first, 2).is_err());
        assert!(agreed(&encoded, &whole([4, 2, 8]), 2).is_err());
    }
}

#[test]
fn a_frame_that_needs_a_larger_window_than_the_chunk_is_refused() {
    let voxels = [7; 2 * 4 * 2 * 8];
    // Its size in four bytes, a window of 2^27, and a last block that repeats one byte.
    let header = [0x28, 0xB5, 0x2F, 0xFD, 0x80, 0x88, 0x80, 0x00, 0x00, 0x00];
    let frame = [&header[..], &[0x03, 0x04, 0x00, 7]].concat();
    assert_eq!(zstd::bulk::decompress(&frame, voxels.len()).expect("a sound frame"), voxels);
    let encoded = [&[VERSION, ZSTD], &frame[..]].concat();
    let windows = [whole([4, 2, 8]), Window { shape: [1, 2, 8], ..whole([4, 2, 8]) }];
    for window in windows {
        let refused = agreed(&encoded, &window, 2).unwrap_err();
        assert!(refused.contains("needs 134217728 bytes"), "{refused}");
    }
}

#[test]
fn a_frame_of_the_first_versions_of_zstandard_is_refused() {
    let encoded = [VERSION, ZSTD, 0x27, 0xB5, 0x2F, 0xFD, 0x40, 0x8F, 0x00, 0x00];
    let refused = agreed(&encoded, &whole([2, 8, 8]), 2).unwrap_err();
    assert!(refused.contains("not a Zstandard frame"), "{refused}");
}
