//! Decoding between pages that must not be touched: a byte read or written outside of what a
//! kernel was given ends the process.
#![allow(unsafe_code)]

use std::ptr::NonNull;

use proptest::prelude::*;
use rustix::mm::{MapFlags, MprotectFlags, ProtFlags, mmap_anonymous, mprotect, munmap};

use super::case::{Case, Content, case};
use super::hostile::damage;
use super::whole;
use crate::Dtype;
use crate::codec::packed::chunk::LANES_16;
use crate::codec::packed::dispatch::Code;
use crate::codec::packed::segment::{Out, SLACK, Segment};
use crate::codec::packed::view::{STRIP, View, is_key};
use crate::codec::packed::{Dense, Isa, Scratch, decode_window, encode};

/// A multiple of every size of page.
const PAGE: usize = 64 << 10;

/// Memory with a page before it and one behind it that can be neither read nor written.
struct Guarded {
    first: NonNull<u8>,
    length: usize,
}

impl Guarded {
    /// At least `bytes` between the pages.
    fn new(bytes: usize) -> Self {
        let length = bytes.next_multiple_of(PAGE).max(PAGE);
        let flags = MapFlags::PRIVATE;
        // SAFETY: the system chooses a place that nothing else uses, two pages longer than the
        // middle that becomes accessible and is all that is ever handed out.
        let first = unsafe {
            let all =
                mmap_anonymous(std::ptr::null_mut(), length + 2 * PAGE, ProtFlags::empty(), flags)
                    .expect("address space");
            let first = all.byte_add(PAGE);
            mprotect(first, length, MprotectFlags::READ | MprotectFlags::WRITE).expect("memory");
            first
        };
        Self { first: NonNull::new(first.cast()).expect("not at address 0"), length }
    }

    /// `bytes` that touch the page behind them, or the one before.
    fn take(&mut self, bytes: usize, side: Side) -> &mut [u8] {
        // SAFETY: `length` bytes from `first` on are mapped, readable, writable and, as the system
        // clears them, initialised; they live as long as `self`, which is borrowed for the slice.
        let all = unsafe { std::slice::from_raw_parts_mut(self.first.as_ptr(), self.length) };
        match side {
            Side::Before => &mut all[..bytes],
            Side::Behind => &mut all[self.length - bytes..],
        }
    }

    fn copy(&mut self, bytes: &[u8], side: Side) -> &[u8] {
        let copy = self.take(bytes.len(), side);
        copy.copy_from_slice(bytes);
        copy
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        // SAFETY: the map that `new` made, whole; no slice of it can outlive `self`.
        unsafe {
            let all = self.first.as_ptr().byte_sub(PAGE);
            munmap(all.cast(), self.length + 2 * PAGE).expect("mapped by new");
        }
    }
}

/// Where the page is that a stretch touches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Before,
    Behind,
}

const SIDES: [Side; 2] = [Side::Before, Side::Behind];

/// The segments of a chunk of 16-bit lanes that is not cut short, by planes and then strips.
fn segments<'a>(encoded: &'a [u8], view: &View) -> Vec<&'a [u8]> {
    let (count, length_bytes) = (view.planes * view.strips(), view.length_bytes(2));
    let (directory, mut rest) = encoded[3..].split_at(count * length_bytes);
    let segment = |entry: &[u8]| {
        let length = entry.iter().rev().fold(0, |n, byte| n << 8 | usize::from(*byte));
        let (segment, behind) = rest.split_at(length);
        rest = behind;
        segment
    };
    directory.chunks(length_bytes).map(segment).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn nothing_outside_of_a_chunk_is_read(
        case in case(),
        damage in prop::collection::vec(damage(), 0..3),
    ) {
        let Case { shape, dtype, key_every, window, voxels, .. } = &case;
        let mut encoded = encode(voxels, *shape, *dtype, *key_every).expect("a sound chunk");
        for damage in &damage {
            damage.apply(&mut encoded);
        }
        let mut input = Guarded::new(encoded.len());
        let mut output = Guarded::new(voxels.len());
        for window in [whole(*shape), *window] {
            let length = window.shape.iter().product::<usize>() * dtype.size();
            for side in SIDES {
                let bytes = input.copy(&encoded, side);
                for isa in Isa::available() {
                    let out = output.take(length, side);
                    let (scratch, item) = (&mut Scratch::default(), dtype.size());
                    let dense = &mut Dense { shape: window.shape, item, out };
                    let done = decode_window(isa, bytes, &window, item, scratch, dense);
                    prop_assert!(done.is_ok() || !damage.is_empty(), "{isa:?}: {done:?}");
                    prop_assert!(!damage.is_empty() || *dense.out == case.slice(&window));
                }
            }
        }
    }

    #[test]
    fn nothing_outside_of_a_segment_and_its_rows_is_touched(
        case in case(),
        damage in prop::option::of(damage()),
        rows in any::<prop::sample::Index>(),
        skipped in any::<prop::sample::Index>(),
    ) {
        let Case { shape, dtype, key_every, voxels, .. } = &case;
        let encoded = encode(voxels, *shape, *dtype, *key_every).expect("a sound chunk");
        let view = View::new(*shape).expect("not empty");
        prop_assume!(encoded[1] == LANES_16);
        let segments = segments(&encoded, &view);
        // Whole blocks of the rows.
        let rows = ((rows.index(view.rows) + 1).next_multiple_of(4)).min(view.rows);
        let row_bytes = STRIP * size_of::<i16>();
        let skipped = skipped.index(rows);
        // The damage adds less than a page.
        let mut input = Guarded::new(encoded.len() + SLACK + PAGE);
        let mut kept = Guarded::new(rows * row_bytes);
        let mut output = Guarded::new(rows * row_bytes);
        for strip in 0..view.strips() {
            // Each kernel's rows of every plane, up to the first that is refused.
            let mut by_kernel = Vec::new();
            for (isa, side) in Isa::available().into_iter().flat_map(|isa| SIDES.map(|s| (isa, s))) {
                let mut planes = Vec::new();
                for plane in 0..view.planes {
                    let mut bytes = segments[plane * view.strips() + strip].to_vec();
                    if let Some(damage) = &damage {
                        damage.apply(&mut bytes);
                    }
                    let length = bytes.len();
                    bytes.resize(length + SLACK, 0xFF);
                    let segment = Segment {
                        bytes: input.copy(&bytes, side),
                        length,
                        blocks: view.blocks(),
                        groups: view.groups(strip),
                        key: is_key(plane, *key_every),
                    };
                    let lanes = kept.take(rows * row_bytes, side);
                    let lanes: &mut [[i16; STRIP]] = bytemuck::cast_slice_mut(lanes);
                    let bytes = output.take((rows - skipped) * row_bytes, side);
                    let out = Out { bytes, stride: row_bytes, skipped, rows: rows - skipped };
                    if i16::decode(isa, segment, lanes, Some(out)).is_err() {
                        prop_assert!(damage.is_some(), "{isa:?}, plane {plane}, strip {strip}");
                        break;
                    }
                    let wanted: &[u8] = bytemuck::cast_slice(&lanes[skipped..]);
                    prop_assert!(*output.take(wanted.len(), side) == *wanted);
                    planes.push(lanes.to_vec());
                }
                by_kernel.push(planes);
            }
            prop_assert!(by_kernel.windows(2).all(|pair| pair[0] == pair[1]), "strip {strip}");
        }
    }
}

/// A kernel is promised room behind a segment; given less it must still not read over the end.
#[test]
fn bytes_that_end_anywhere_are_not_read_over() {
    for (bits, shape) in [3, 8, 9, 12, 16].into_iter().flat_map(|b| SHAPES.map(|s| (b, s))) {
        let voxels = Content::Noise { bits }.voxels(Dtype::Int16, shape, 1);
        let encoded = encode(&voxels, shape, Dtype::Int16, 0).expect("a sound chunk");
        let view = View::new(shape).expect("not empty");
        let mut input = Guarded::new(encoded.len() + SLACK);
        for (n, segment) in segments(&encoded, &view).into_iter().enumerate() {
            let bytes = [segment, &[0xFF; SLACK]].concat();
            for end in 0..=bytes.len() {
                let segment = Segment {
                    bytes: input.copy(&bytes[..end], Side::Behind),
                    length: segment.len().min(end),
                    blocks: view.blocks(),
                    groups: view.groups(n % view.strips()),
                    key: n < view.strips(),
                };
                let decode = |isa| {
                    let mut rows = vec![[0_i16; STRIP]; view.rows];
                    i16::decode(isa, segment, &mut rows, None).map(|()| rows)
                };
                let answers: Vec<_> = Isa::available().into_iter().map(decode).collect();
                assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "{bits}, {shape:?}");
                assert!(end < bytes.len() || answers[0].is_ok());
            }
        }
    }
}

/// With blocks of four rows and of fewer, and strips of two groups and of one.
const SHAPES: [[usize; 3]; 2] = [[2, 8, 16], [2, 5, 24]];
