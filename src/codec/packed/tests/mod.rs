//! The codec against the dense chunk: every kernel, whole chunks and windows, sound and damaged.
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "voxels are bits here"
)]

mod case;
#[cfg(unix)]
mod guarded;
mod hostile;

use proptest::prelude::*;

use self::case::{Case, Content, DTYPES, KEYS, case};
use super::dispatch::Code;
use super::encode::{Planes, ToEncode};
use super::view::View;
use super::*;

/// The voxels of `window`, or why not: the same whether rows are put or written where they go.
fn read(
    isa: Isa,
    encoded: &[u8],
    window: &Window,
    item: usize,
    scratch: &mut Scratch,
) -> Result<Vec<u8>, String> {
    let (rows, row) = (window.shape[0] * window.shape[1], window.shape[2] * item);
    let mut put =
        Put { shape: window.shape, item, out: vec![0; rows * row], given: vec![0; rows * row] };
    let done = decode_window(isa, encoded, window, item, scratch, &mut put);
    let Put { out, given, .. } = put;
    let once = u8::from(done.is_ok());
    assert!(given.iter().all(|n| (once..=1).contains(n)), "a voxel was left out or given twice");
    // What is left as it was differs between the two; what lies between the rows does not change.
    for filling in [0x00, 0xFF] {
        let mut spaced =
            Spaced { shape: window.shape, item, out: vec![filling; rows * (row + GAP)] };
        let again = decode_window(isa, encoded, window, item, scratch, &mut spaced);
        assert_eq!(again, done);
        for (row_of_spaced, row_of_put) in spaced.out.chunks(row + GAP).zip(out.chunks(row)) {
            let (found, gap) = row_of_spaced.split_at(row);
            assert!(gap.iter().all(|byte| *byte == filling), "written beside a row");
            assert!(done.is_err() || found == row_of_put);
        }
    }
    done.map(|()| out)
}

/// Takes pieces alone, and counts how often each byte is given.
struct Put {
    shape: [usize; 3],
    item: usize,
    out: Vec<u8>,
    given: Vec<u8>,
}

impl Sink for Put {
    fn put(&mut self, Piece { at: [z, y, x], bytes, rows, width, stride }: Piece<'_>) {
        assert!(stride > 0 && width > 0 && rows > 0);
        let ([planes, height, columns], item) = (self.shape, self.item);
        assert!(z < planes && y + rows <= height && x * item + width <= columns * item);
        for k in 0..rows {
            let at = ((z * height + y + k) * columns + x) * item;
            self.out[at..at + width].copy_from_slice(&bytes[k * stride..][..width]);
            self.given[at..at + width].iter_mut().for_each(|n| *n += 1);
        }
    }

    fn rows(&mut self, _: [usize; 3]) -> Option<(&mut [u8], usize)> {
        None
    }
}

/// Bytes between the rows of [`Spaced`].
const GAP: usize = 40;

/// A window whose rows lie apart.
struct Spaced {
    shape: [usize; 3],
    item: usize,
    out: Vec<u8>,
}

impl Sink for Spaced {
    fn put(&mut self, Piece { at, bytes, rows, width, stride }: Piece<'_>) {
        let (out, step) = self.rows(at).expect("rows are in memory");
        for k in 0..rows {
            out[k * step..][..width].copy_from_slice(&bytes[k * stride..][..width]);
        }
    }

    fn rows(&mut self, [z, y, x]: [usize; 3]) -> Option<(&mut [u8], usize)> {
        let step = self.shape[2] * self.item + GAP;
        Some((&mut self.out[(z * self.shape[1] + y) * step + x * self.item..], step))
    }
}

fn whole(shape: [usize; 3]) -> Window {
    Window { chunk: shape, start: [0; 3], shape }
}

/// No encoded chunk is larger: a header, and for each plane and each 16 columns of it a length, a
/// seed, a bit and 3 bytes for every 4 rows, and voxels of full width. Rows are filled up to whole
/// groups of 8; differences of 8-bit voxels need 9 bits.
fn most_bytes(shape: [usize; 3], dtype: Dtype) -> usize {
    let [z, y, x] = shape;
    let (planes, rows, columns) = match shape {
        _ if x >= 16 => (z, y, x),
        _ if y * x >= 16 => (z, (y * x).div_ceil(16), 16),
        _ => (1, (z * y * x).div_ceil(16), 16),
    };
    let bits = (8 * dtype.size()).max(9);
    let blocks = rows.div_ceil(4);
    let strip = 4 + 4 + blocks.div_ceil(8) + 3 * blocks;
    3 + planes * (columns.div_ceil(16) * strip + rows * columns.next_multiple_of(8) * bits / 8)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_chunk_comes_back_whole_and_in_windows_from_every_kernel(case in case()) {
        let Case { shape, dtype, key_every, window, voxels, .. } = &case;
        let encoded = encode(voxels, *shape, *dtype, *key_every).expect("a sound chunk");
        prop_assert!(encoded.len() <= most_bytes(*shape, *dtype), "{} bytes", encoded.len());
        for isa in Isa::available() {
            let mut scratch = Scratch::default();
            let found = read(isa, &encoded, &whole(*shape), dtype.size(), &mut scratch);
            prop_assert!(found.as_ref() == Ok(voxels), "{isa:?}: {:?}", found.err());
            let slice = read(isa, &encoded, window, dtype.size(), &mut scratch);
            prop_assert!(slice == Ok(case.slice(window)), "{isa:?}, {window:?}");
        }
        let mut out = vec![0xAA; voxels.len()];
        decode(&encoded, *shape, *dtype, &mut out).expect("a sound chunk");
        prop_assert!(out == *voxels);
    }

    #[test]
    fn what_a_scratch_was_used_for_before_makes_no_difference(
        cases in prop::collection::vec(case(), 2..4),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut encode_scratch = EncodeScratch::default();
        let mut scratches: Vec<_> = Isa::available().into_iter().map(|isa| (isa, Scratch::default())).collect();
        for case in cases {
            let Case { shape, dtype, key_every, window, voxels, .. } = &case;
            let encoder = Encoder { dtype: *dtype, key_every: *key_every };
            let encoded = encoder.encode(voxels, *shape, &mut encode_scratch).expect("sound");
            prop_assert!(encoded == encode(voxels, *shape, *dtype, *key_every).expect("sound"));
            for (isa, scratch) in &mut scratches {
                // First a chunk that fails half way.
                let short = &encoded[..cut.index(encoded.len())];
                let _ = read(*isa, short, window, dtype.size(), scratch);
                let slice = read(*isa, &encoded, window, dtype.size(), scratch);
                prop_assert!(slice == Ok(case.slice(window)), "{isa:?}, {window:?}");
            }
        }
    }

    #[test]
    fn what_is_written_does_not_depend_on_the_processor(case in case()) {
        let Case { shape, dtype, key_every, voxels, .. } = &case;
        let view = View::new(*shape).expect("not empty");
        if dtype.size() == 4 {
            let lanes: Vec<i32> = bytemuck::pod_collect_to_vec(voxels);
            prop_assert!(all_equal(&segments_by_each(&view, *key_every, &lanes)));
        }
        // Whatever voxels the bytes were, they are also some of 16 bits.
        let mut lanes: Vec<i16> = bytemuck::pod_collect_to_vec(voxels);
        lanes.resize(shape.iter().product(), 0);
        prop_assert!(all_equal(&segments_by_each(&view, *key_every, &lanes)));
    }

    #[test]
    fn a_chunk_of_one_value_takes_its_header_and_a_voxel(
        case in case(),
        value in any::<u32>(),
    ) {
        let Case { shape, dtype, key_every, .. } = case;
        let value = &value.to_ne_bytes()[..dtype.size()];
        let voxels = value.repeat(shape.iter().product());
        let encoded = encode(&voxels, shape, dtype, key_every).expect("a sound chunk");
        prop_assert_eq!(encoded.len(), 2 + dtype.size());
        prop_assert!(encoded.ends_with(value));
    }
}

/// The segments of a chunk as each kernel writes them.
fn segments_by_each<L: Code>(view: &View, key_every: u8, lanes: &[L]) -> Vec<Vec<u8>> {
    let encoded = |isa| {
        let mut out = Vec::new();
        let planes = &mut Planes::default();
        L::encode(isa, ToEncode { view, key_every, lanes, planes }, &mut out);
        out
    };
    Isa::available().into_iter().map(encoded).collect()
}

fn all_equal(answers: &[Vec<u8>]) -> bool {
    answers.windows(2).all(|pair| pair[0] == pair[1])
}

/// That the properties above are about every form there is.
#[test]
fn every_form_is_written() {
    let form = |dtype, content: Content| {
        let shape = [16, 40, 48];
        let voxels = content.voxels(dtype, shape, 3);
        encode(&voxels, shape, dtype, 0).expect("a sound chunk")[1]
    };
    let ct = Content::Ct { noise: 5 };
    for dtype in DTYPES {
        assert_eq!(form(dtype, Content::Constant), chunk::CONSTANT, "{dtype}");
        assert_eq!(form(dtype, ct), chunk::LANES_16, "{dtype}");
        assert_eq!(form(dtype, Content::Blobs), chunk::ZSTD, "{dtype}");
    }
    for dtype in [Dtype::Int32, Dtype::UInt32] {
        assert_eq!(form(dtype, Content::Noise { bits: 17 }), chunk::LANES_32);
        assert_eq!(form(dtype, Content::Extremes), chunk::LANES_32);
    }
}

/// Each width of the differences, from none to all bits, in each combination with the others of a
/// row: all headers that an encoder writes.
#[test]
fn every_width_comes_back() {
    for dtype in DTYPES {
        let bits = 8 * dtype.size();
        for key_every in [0, 1] {
            for width in 0..=bits {
                for less in 0..=4 {
                    let content = Content::Widths { most: width, less };
                    let shape = [2, 8, 40];
                    let voxels = content.voxels(dtype, shape, 7);
                    let encoded = encode(&voxels, shape, dtype, key_every).expect("sound");
                    for isa in Isa::available() {
                        let found = read(
                            isa,
                            &encoded,
                            &whole(shape),
                            dtype.size(),
                            &mut Scratch::default(),
                        );
                        assert!(found.as_ref() == Ok(&voxels), "{isa:?} {dtype} {content:?}");
                    }
                }
            }
        }
    }
}

#[test]
fn what_is_no_chunk_is_refused_with_its_shape_and_type() {
    let mut out = [0; 64];
    for dtype in [Dtype::Float32, Dtype::Float64, Dtype::Int64, Dtype::UInt64] {
        let shape = [1, 1, 64 / dtype.size()];
        let error = encode(&out, shape, dtype, 0).expect_err("not an integer of 32 bits");
        assert!(error.to_string().contains(dtype.name()), "{error}");
        let constant = [&[1, 0], &out[..dtype.size()]].concat();
        assert!(decode(&constant, shape, dtype, &mut out).is_err());
    }
    for shape in
        [[0, 1, 32], [1, 1, 31], [1, 2, 32], [usize::MAX, usize::MAX, 2], [0, usize::MAX, 4]]
    {
        let error = encode(&out, shape, Dtype::Int16, 0).expect_err("not of this shape");
        assert!(error.to_string().contains(&show(&shape)), "{error}");
        assert!(decode(&[1, 0, 0, 0], shape, Dtype::Int16, &mut out).is_err());
    }
    assert!(decode(&[1, 0, 0, 0], [1, 1, 32], Dtype::Int16, &mut out).is_ok());
}

#[test]
fn chunks_of_any_rank_are_seen_as_planes() {
    for (shape, expected) in [
        (&[][..], Some([1, 1, 1])),
        (&[5], Some([1, 1, 5])),
        (&[4, 5], Some([1, 4, 5])),
        (&[3, 4, 5], Some([3, 4, 5])),
        (&[2, 3, 4, 5], Some([6, 4, 5])),
        (&[usize::MAX, 2, 1, 1], None),
        (&[usize::MAX, 2, 1], None),
    ] {
        assert_eq!(fold(shape), expected, "{shape:?}");
    }
}

#[test]
fn seldom_keys_are_read_from_the_key_before() {
    for key_every in KEYS {
        let (shape, dtype) = ([20, 5, 19], Dtype::Int16);
        let voxels = Content::Ct { noise: 4 }.voxels(dtype, shape, 11);
        let encoded = encode(&voxels, shape, dtype, key_every).expect("a sound chunk");
        let plane = voxels.len() / 20;
        for (z, expected) in voxels.chunks(plane).enumerate() {
            let window = Window { chunk: shape, start: [z, 0, 0], shape: [1, 5, 19] };
            for isa in Isa::available() {
                let found = read(isa, &encoded, &window, 2, &mut Scratch::default());
                assert!(found.as_deref() == Ok(expected), "{isa:?}, {key_every}, plane {z}");
            }
        }
    }
}

#[test]
fn the_example_of_the_format_is_what_is_written() {
    let row = std::array::from_fn::<i16, 16, _>(|x| if x == 3 { 12 } else { 10 });
    let voxels = [row; 4].as_flattened().iter().flat_map(|v| v.to_ne_bytes()).collect::<Vec<_>>();
    let encoder = Encoder { dtype: Dtype::Int16, key_every: 0 };
    let encoded = encoder.encode(&voxels, [2, 2, 16], &mut EncodeScratch::default()).unwrap();
    let stated = [
        &[0x01, 0x01, 0x00][..],
        &[0x09, 0x00, 0x00, 0x00],
        &[0x0b, 0x00],
        &[0x01],
        &[0x22, 0xa4, 0x00],
        &[0x7f, 0xff, 0xff],
    ];
    assert_eq!(encoded, stated.concat());
}
