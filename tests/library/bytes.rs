//! Patches in memory of any layout: each voxel is in its place, and no other byte changes.
#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "a test's numbers are small, and it may fail"
)]

use crate::views::{FRAMES, Look, Stored, expected, is_held, looks, regions, stored, view};
use ndarray::{Array4, Axis, s, stack};
use proptest::prelude::*;
use voxpatch::{
    Axes, Dtype, Element, Error, Frames, Padding, PatchBuffer, Pool, Region, Scaling, View, Voxels,
    with_element,
};

/// How an array `c, z, y, x` lies in memory.
#[derive(Debug, Clone)]
struct Layout {
    /// The axes from the fastest to the slowest.
    order: Vec<usize>,
    backwards: [bool; 4],
    /// Bytes between what one step along an axis covers and the next.
    gaps: [usize; 4],
    /// Bytes before the array.
    front: usize,
}

fn layouts() -> impl Strategy<Value = Layout> {
    let gap = || prop_oneof![3 => Just(0_usize), 1 => 1..9_usize];
    let order = prop_oneof![
        1 => Just(vec![3, 2, 1, 0]),
        3 => Just(vec![0, 1, 2, 3]).prop_shuffle()
    ];
    (order, any::<[bool; 4]>(), [gap(), gap(), gap(), gap()], 0..9_usize)
        .prop_map(|(order, backwards, gaps, front)| Layout { order, backwards, gaps, front })
}

/// Memory around an array, and what should become of it.
struct Memory {
    bytes: Vec<u8>,
    wanted: Vec<u8>,
    strides: [isize; 4],
    front: usize,
}

/// Bytes that are told from voxels, and from each other.
fn guards(n: usize) -> Vec<u8> {
    (0..n).map(|i| u8::try_from(i * 37 % 251).unwrap() ^ 0xA5).collect()
}

impl Layout {
    /// Memory for these voxels.
    fn memory<T: Element>(&self, voxels: &Array4<T>) -> Memory {
        let shape = voxels.shape();
        let (mut strides, mut reach, mut first) = ([0; 4], size_of::<T>(), self.front);
        for &a in &self.order {
            let step = reach + self.gaps[a];
            strides[a] = if self.backwards[a] { -(step as isize) } else { step as isize };
            reach += step * (shape[a] - 1);
            first += if self.backwards[a] { step * (shape[a] - 1) } else { 0 };
        }
        let bytes = guards(self.front + reach + 11);
        let mut wanted = bytes.clone();
        for ((c, z, y, x), voxel) in voxels.indexed_iter() {
            let by: isize = [c, z, y, x].iter().zip(strides).map(|(n, s)| *n as isize * s).sum();
            let at = first.checked_add_signed(by).unwrap();
            wanted[at..][..size_of::<T>()].copy_from_slice(bytemuck::bytes_of(voxel));
        }
        Memory { bytes, wanted, strides, front: self.front }
    }
}

/// The patch of a view of one frame, or of all.
fn patch<S: Element, D: Element>(
    stored: &Stored<S>,
    scaling: Scaling,
    look: Look,
    is_of_all: bool,
    region: Region,
) -> Array4<D> {
    let frames = if is_of_all { 0..FRAMES } else { look.frame..look.frame + 1 };
    let patches: Vec<_> = frames
        .map(|frame| {
            let dense = stored.dense.slice(s![frame, 0, .., .., ..]).to_owned();
            expected::<S, D>(&dense, scaling, look, region)
        })
        .collect();
    stack(Axis(0), &patches.iter().map(|patch| patch.view()).collect::<Vec<_>>()).unwrap()
}

/// Reads each region by itself and all of them together, by one thread and by four.
fn check<D: Axes, T: Element>(
    view: &View<D>,
    is_held: bool,
    reads: &[(Region, Layout)],
    patch: impl Fn(Region) -> Array4<T>,
) {
    let skipped = 4 - D::NDIM.unwrap();
    let memories = || reads.iter().map(|(region, layout)| layout.memory(&patch(*region)));
    for ((region, layout), mut memory) in reads.iter().zip(memories()) {
        let untouched = memory.bytes.clone();
        let bytes = &mut memory.bytes[memory.front..];
        let read = view.read_bytes(*region, bytes, &memory.strides[skipped..]);
        if !is_held {
            assert!(matches!(read, Err(Error::InvalidArgument { what: "padding", .. })));
            assert!(memory.bytes == untouched);
            continue;
        }
        read.unwrap();
        assert!(memory.bytes == memory.wanted, "{region} in {layout:?}");
        let any = view.read_any(*region).unwrap();
        assert_eq!(any.dtype(), view.returned_dtype());
        let voxels = patch(*region);
        assert!(any.as_array::<T>().unwrap().iter().eq(&voxels), "{region}");
    }
    for threads in [1, 4] {
        let mut memories: Vec<_> = memories().collect();
        let mut patches: Vec<_> = memories
            .iter_mut()
            .zip(reads)
            .map(|(memory, (region, _))| PatchBuffer {
                region: *region,
                bytes: &mut memory.bytes[memory.front..],
                strides: &memory.strides[skipped..],
            })
            .collect();
        let read = view.read_many_bytes(&mut patches, &Pool::new(threads).unwrap());
        assert_eq!(read.is_ok(), is_held);
        if is_held {
            assert!(memories.iter().all(|memory| memory.bytes == memory.wanted), "{reads:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_patch_in_memory_of_any_strides_is_the_dense_array_and_no_other_byte_changes(
        dtype in prop::sample::select(Dtype::ALL.to_vec()),
        codec in prop::sample::select(vec!["blosc", "blosc-zstd:1", "zstd:1", "packed", "none"]),
        batches in prop::collection::vec(
            (looks(), any::<bool>(), prop::collection::vec((regions(), layouts()), 1..4)), 4
        ),
    ) {
        let unpacked = matches!(dtype, Dtype::UInt64 | Dtype::Int64 | Dtype::Float16);
        let codec = if unpacked && codec == "packed" { "blosc" } else { codec };
        let scaling = Scaling { slope: 0.5, intercept: -3.25 };
        with_element!(dtype, S => {
            let stored = stored::<S>(codec, scaling);
            for (look, is_of_all, reads) in batches {
                let one = view(&stored.volume, look);
                with_element!(one.returned_dtype(), T => {
                    let held = is_held::<T>(look.padding);
                    let patch = |r| patch::<S, T>(&stored, scaling, look, is_of_all, r);
                    if is_of_all {
                        check(&one.frames(Frames::All).unwrap(), held, &reads, patch);
                    } else {
                        check(&one, held, &reads, patch);
                    }
                });
            }
        });
    }
}

fn usual() -> Stored<i16> {
    stored("zstd:1", Scaling { slope: 1.0, intercept: 0.0 })
}

#[test]
fn strides_by_which_voxels_overlap_or_lie_outside_are_refused_and_nothing_is_written() {
    let Stored { volume, .. } = &usual();
    let (view, pool) = (volume.view(), Pool::new(2).unwrap());
    let region = Region::new([1, 2, 3], [3, 4, 5]);
    let before = guards(120);
    for (strides, length, said) in [
        (&[40, 10, 2][..], 119, "outside"),
        (&[-40, -10, -2], 119, "outside"),
        (&[46, 12, 2], 120, "outside"),
        (&[isize::MAX, 10, 2], 120, "reach"),
        (&[isize::MIN, 10, 2], 120, "reach"),
        (&[40, 10, 1], 120, "overlap"),
        (&[40, 10, 0], 120, "overlap"),
        (&[0, 10, 2], 120, "overlap"),
        (&[40, 8, 2], 120, "overlap"),
        (&[10, 10, 2], 120, "overlap"),
        (&[38, -10, 2], 120, "overlap"),
        (&[10, 2], 120, "z, y, x"),
        (&[0, 40, 10, 2], 120, "z, y, x"),
        (&[], 120, "z, y, x"),
    ] {
        let mut bytes = before.clone();
        let error = view.read_bytes(region, &mut bytes[..length], strides).unwrap_err();
        assert!(matches!(error, Error::InvalidArgument { what: "strides", .. }), "{error}");
        let told = error.to_string();
        assert!(told.contains(said) && told.contains(&format!("{strides:?}")), "{told}");
        let mut sound = before.clone();
        let mut patches = [
            PatchBuffer { region, bytes: &mut sound, strides: &[40, 10, 2] },
            PatchBuffer { region, bytes: &mut bytes[..length], strides },
        ];
        let many = view.read_many_bytes(&mut patches, &pool).unwrap_err();
        assert_eq!(many.to_string(), told);
        assert!(bytes == before && sound == before, "{strides:?}");
    }
    let all = volume.view().frames(Frames::All).unwrap();
    let mut bytes = guards(240);
    assert!(all.read_bytes(region, &mut bytes, &[40, 10, 2]).is_err());
    assert!(all.read_bytes(region, &mut bytes, &[118, 40, 10, 2]).is_err());
    assert!(bytes == guards(240));
    all.read_bytes(region, &mut bytes, &[120, 40, 10, 2]).unwrap();
    // Along an axis of one voxel, no stride makes a difference.
    let mut one = [0; 2];
    view.read_bytes(Region::new([1, 2, 3], [1; 3]), &mut one, &[isize::MIN, 0, -7]).unwrap();
    assert_eq!(one, bytes[..2]);
    let outside = Region::new([9, 0, 0], [3, 4, 5]);
    let error = view.read_bytes(outside, &mut bytes, &[40, 10, 2]);
    assert!(matches!(error, Err(Error::OutOfBounds { .. })));
    view.read_many_bytes(&mut [], &pool).unwrap();
}

#[test]
fn what_is_read_as_any_type_is_of_the_type_that_the_view_returns() {
    let Stored { volume, .. } = &usual();
    let (region, pool) = (Region::new([-2, 3, 4], [5, 6, 7]), Pool::new(2).unwrap());
    let plain = volume.view().padded(Padding::Edge);
    let converted = Dtype::ALL.map(|dtype| plain.converted(dtype));
    let range = voxpatch::Normalise::range(0.0, 9.0).unwrap();
    let others = [plain.clone(), plain.scaled(), plain.normalised(range).unwrap()];
    for view in converted.iter().chain(&others) {
        let dtype = view.returned_dtype();
        let one = view.read_any(region).unwrap();
        assert_eq!((one.dtype(), one.shape()), (dtype, &[5, 6, 7][..]));
        let many = view.read_many_any(&[region; 2], &pool).unwrap();
        assert_eq!((many.dtype(), many.shape()), (dtype, &[2, 5, 6, 7][..]));
        let all = view.frames(Frames::All).unwrap();
        let one = all.read_any(region).unwrap();
        assert_eq!((one.dtype(), one.shape()), (dtype, &[2, 5, 6, 7][..]));
        let many = all.read_many_any(&[region; 3], &pool).unwrap();
        assert_eq!((many.dtype(), many.shape()), (dtype, &[3, 2, 5, 6, 7][..]));
    }
    let inside = Region::new([1, 2, 3], [2, 3, 4]);
    let any: Voxels = volume.read_any(inside).unwrap();
    assert_eq!(any.as_array::<i16>().unwrap(), volume.read::<i16>(inside).unwrap());
}

#[test]
fn the_threads_of_a_pool_share_a_patch_and_a_shared_chunk_is_decoded_once() {
    let Stored { volume, .. } = &usual();
    let cache = voxpatch::ChunkCache::new(1 << 20);
    let view = volume.view().cached(&cache);
    // One tensor `z, y, x, n` of four patches would interlock: one each, of other shapes.
    let regions = [[8, 9, 30], [7, 14, 37], [4, 5, 16], [1, 1, 1]].map(|s| Region::new([0; 3], s));
    let mut memory = regions.map(|region| vec![0_u8; region.voxels().unwrap() * 2]);
    let strides = regions.map(|region| {
        let [z, y, _] = region.shape.map(|n| n as isize);
        [2, 2 * z, 2 * z * y]
    });
    let mut patches: Vec<_> = memory
        .iter_mut()
        .zip(&strides)
        .zip(regions)
        .map(|((bytes, strides), region)| PatchBuffer { region, bytes, strides })
        .collect();
    view.read_many_bytes(&mut patches, &Pool::new(4).unwrap()).unwrap();
    let cost = view.batch_cost(&regions).unwrap();
    assert!(cache.counts().misses <= cost.chunks as u64, "{:?}", cache.counts());
    for (region, bytes) in regions.iter().zip(&memory) {
        let voxels = volume.read::<i16>(*region).unwrap().reversed_axes();
        let bytes = bytes.as_chunks::<2>().0.iter().map(|b| i16::from_ne_bytes(*b));
        assert!(bytes.eq(voxels.iter().copied()), "{region}");
    }
}
