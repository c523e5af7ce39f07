//! Decoders against slicing the dense array, and against damaged bytes.

mod case;
mod chains;
mod zarrs_chain;

use proptest::prelude::*;

use self::case::{Case, To, Written, case, conversions, same, scaled, voxels_like};
use super::{Part, Scratch, gzip};
use crate::Dtype;
use crate::widening::Widening;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_decoded_part_is_a_slice_of_the_array_and_nothing_else_is_written(case in case()) {
        let encoded = case.encode();
        let mut scratch = Scratch::default();
        let bytes = case.decode(&encoded, To::Copy, &mut scratch);
        prop_assert!(bytes == Ok(case.oracle(&case.dense, To::Copy)));
    }

    #[test]
    fn converted_rows_are_the_converted_slice_of_the_array(
        mut case in case(),
        to in conversions(),
    ) {
        let out = to.dtype(case.dtype);
        case.gaps = case.gaps.map(|gap| gap / out.size() * out.size());
        let encoded = case.encode();
        let bytes = case.decode(&encoded, to, &mut Scratch::default()).expect("sound bytes");
        prop_assert!(same(&bytes, &case.oracle(&case.dense, to), out));
    }

    #[test]
    fn widened_rows_are_the_slice_of_the_array_in_the_wider_type(
        case in case(),
        wide in prop::sample::select(Dtype::ALL.to_vec()),
    ) {
        let Some(widening) = Widening::between(case.dtype, wide) else { return Ok(()) };
        let encoded = case.encode();
        let bytes = case.decode(&encoded, To::Widen(widening), &mut Scratch::default());
        prop_assert!(bytes == Ok(case.oracle(&case.dense, To::Widen(widening))));
        prop_assert!(bytes == Ok(case.oracle(&case.dense, To::Cast(wide))));
    }

    #[test]
    fn zeros_are_filled_in_as_an_empty_chunk_would_decode(case in case(), to in conversions()) {
        let wider = Dtype::ALL.into_iter().filter_map(|to| Widening::between(case.dtype, to));
        for to in wider.map(To::Widen).chain([to]) {
            let bytes = case.fill(to, |target| {
                target.fill_zero(&case.part);
                Ok(())
            });
            prop_assert!(bytes == Ok(case.oracle(&vec![0; case.dense.len()], to)));
        }
    }

    #[test]
    fn damaged_chunks_give_an_error_or_voxels(
        case in case(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut encoded = case.encode();
        for (at, byte) in damage {
            let length = encoded.len();
            // Half of the damage goes where the container's own numbers are.
            let at = if byte % 2 == 0 { at.index(length.min(64)) } else { at.index(length) };
            encoded[at] = byte;
        }
        if let Some(cut) = cut {
            encoded.truncate(cut.index(encoded.len()));
        }
        let mut scratch = Scratch::default();
        let _ = case.decode(&encoded, To::Copy, &mut scratch);
        let _ = case.decode(&encoded, scaled(), &mut scratch);
        prop_assert!(scratch.packed.len() <= case.dense.len());
        prop_assert!(scratch.chunk.len() <= case.dense.len());
        // The scratch is still good for a sound chunk.
        let sound = case.encode();
        let bytes = case.decode(&sound, To::Copy, &mut scratch);
        prop_assert!(bytes == Ok(case.oracle(&case.dense, To::Copy)));
    }
}

fn small_cases() -> Vec<Case> {
    let blosc = |cname, shuffle, typesize, block| {
        let level = 5;
        Written::Blosc { cname, level, shuffle, typesize, block }
    };
    let all = [
        blosc("lz4", true, 2, 0),
        blosc("lz4", true, 2, 200),
        blosc("lz4", false, 2, 0),
        blosc("lz4hc", true, 3, 0),
        blosc("lz4hc", true, 2, 128),
        blosc("zstd", true, 2, 256),
        blosc("zstd", false, 1, 129),
        Written::Zstd(3),
        Written::Gzip(6),
        Written::Packed(0),
        Written::Packed(2),
        Written::Plain,
    ];
    let part = Part { chunk: [5, 6, 20], start: [1, 1, 2], shape: [4, 4, 17], item: 2 };
    all.map(|written| Case {
        dense: voxels_like(1, 2, 600, 7),
        part,
        dtype: Dtype::Int16,
        gaps: [3, 0, 5],
        flips: [false; 3],
        written,
    })
    .to_vec()
}

#[test]
fn no_single_changed_byte_makes_a_decoder_panic() {
    let mut scratch = Scratch::default();
    for case in small_cases() {
        let sound = case.encode();
        for at in 0..sound.len() {
            for flip in [1, 2, 4, 8, 16, 32, 64, 128, 255] {
                let mut encoded = sound.clone();
                encoded[at] ^= flip;
                let _ = case.decode(&encoded, To::Copy, &mut scratch);
            }
        }
    }
}

#[test]
fn a_chunk_cut_at_any_length_is_refused() {
    let mut scratch = Scratch::default();
    for case in small_cases() {
        let sound = case.encode();
        for length in 0..sound.len() {
            let cut = case.decode(&sound[..length], To::Copy, &mut scratch);
            assert!(cut.is_err(), "{:?} cut to {length} bytes", case.written);
        }
    }
}

#[test]
fn a_container_that_claims_another_size_is_refused_without_buffers_for_it() {
    for mut case in small_cases() {
        let encoded = case.encode();
        case.part.chunk[0] += 1;
        let mut scratch = Scratch::default();
        assert!(case.decode(&encoded, To::Copy, &mut scratch).is_err(), "{:?}", case.written);
        assert!(scratch.packed.len() + scratch.chunk.len() <= 6 * 6 * 20 * 2);
    }
}

#[test]
fn a_warm_scratch_does_not_grow() {
    let mut scratch = Scratch::default();
    let cases: Vec<_> = small_cases().into_iter().map(|case| (case.encode(), case)).collect();
    let mut sizes = Vec::new();
    for _ in 0..3 {
        for (encoded, case) in &cases {
            case.decode(encoded, scaled(), &mut scratch).expect("sound bytes");
        }
        let Scratch { packed, chunk, row, .. } = &scratch;
        sizes.push([packed, chunk, row].map(|buffer| (buffer.as_ptr(), buffer.capacity())));
    }
    assert!(sizes.windows(2).all(|pair| pair[0] == pair[1]));
}

#[test]
fn gzip_members_with_every_optional_field_are_read() {
    let dense = voxels_like(1, 2, 600, 7);
    let mut header = flate2::GzBuilder::new().filename("name").comment("comment");
    header = header.extra(vec![1, 0, 0]).mtime(5);
    let mut encoder = header.write(Vec::new(), flate2::Compression::default());
    std::io::Write::write_all(&mut encoder, &dense).expect("memory");
    let mut encoded = encoder.finish().expect("memory");
    let mut out = vec![0; dense.len()];
    gzip::decode_exact(&mut None, &encoded, &mut out).expect("sound bytes");
    assert_eq!(out, dense);
    // The trailer is the checksum and the length.
    for at in 1..=8 {
        let byte = encoded.len() - at;
        encoded[byte] ^= 1;
        assert!(gzip::decode_exact(&mut None, &encoded, &mut out).is_err());
        encoded[byte] ^= 1;
    }
}
