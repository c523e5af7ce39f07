//! Reading into a buffer allocates nothing once the handle and the thread are warm.
#![allow(unsafe_code, reason = "a global allocator can only be written so; it only counts")]
#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "a test's numbers are small, and it may fail"
)]

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use common::dense::{DenseScan, store, voxels};
use voxpatch::layout::PlanOptions;
use voxpatch::sample::Field;
use voxpatch::{ChunkCache, ConvertOptions, Dataset, Dtype, Frames, Kind, Region};

/// Counts the allocations of each thread and leaves the work to the system's allocator.
struct Counting;

thread_local! {
    static COUNT: Cell<usize> = const { Cell::new(0) };
}

fn count() {
    COUNT.set(COUNT.get() + 1);
}

// SAFETY: every call is passed on unchanged to the system's allocator. Counting neither allocates
// nor unwinds: the counter is a constant-initialised thread local without a destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are passed on.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn a_warm_sampler_reads_labels_and_weights_without_allocating() {
    let dense = voxels::<u8>([1, 1, 40, 50, 60], 1);
    let folder = tempfile::tempdir().unwrap();
    let dataset = Dataset::create(folder.path()).unwrap();
    let plan = PlanOptions::default().chunk(Some([8, 16, 16]));
    for (name, kind) in [("a/labels", Kind::Label), ("a/weights", Kind::Weights)] {
        let options = ConvertOptions::default().plan(plan).kind(Some(kind));
        store(DenseScan::new(&dense), &dataset, name, &options).unwrap();
    }
    let (labels, weights) =
        (dataset.volume("a/labels").unwrap(), dataset.volume("a/weights").unwrap());
    let (mut of_labels, mut of_weights) = (Vec::new(), Vec::new());
    let mut read_all = || {
        for (start, shape) in [([0; 3], [8, 16, 16]), ([39, 48, 48], [1, 2, 12])] {
            let region = Region::new(start, shape);
            labels.index().unwrap();
            labels.labels(region, &mut of_labels).unwrap();
            weights.weights(region, &mut of_weights).unwrap();
        }
    };
    read_all();
    let before = COUNT.get();
    read_all();
    assert_eq!(COUNT.get() - before, 0);
}

#[test]
fn a_warm_read_into_allocates_nothing() {
    let dense = voxels::<i16>([1, 1, 40, 50, 60], 1);
    let float = dense.mapv(f32::from);
    for codec in ["blosc", "blosc-zstd:1", "zstd:1", "gzip:1", "packed", "none"] {
        let folder = tempfile::tempdir().unwrap();
        let dataset = Dataset::create(folder.path()).unwrap();
        let codec = codec.parse().unwrap();
        let plan =
            PlanOptions::default().codec(codec).chunk(Some([8, 16, 16])).shard(Some([16, 32, 64]));
        let options = ConvertOptions::default().plan(plan);
        store(DenseScan::new(&dense), &dataset, "a/b", &options).unwrap();
        let volume = dataset.volume("a/b").unwrap();
        let options = options.narrow(true);
        store(DenseScan::new(&float), &dataset, "a/narrow", &options).unwrap();
        let narrowed = dataset.volume("a/narrow").unwrap();
        assert_ne!(narrowed.stored_dtype(), narrowed.dtype());
        let shape = [20, 21, 33];
        let mut patch = vec![0_i16; shape.iter().product()];
        let mut real = vec![0_f32; shape.iter().product()];
        let scaled = volume.view().scaled();
        let normalised =
            volume.view().normalised(volume.clipped_z_score(0.5, 99.5).unwrap()).unwrap();
        let mirrored = volume.view().flipped([true; 3]);
        let mut wide = vec![0_i64; shape.iter().product()];
        let converted = mirrored.converted(Dtype::Int64);
        let cached = volume.view().cached(&ChunkCache::new(1 << 20));
        let view = volume.view();
        let mut bytes = vec![0_u8; 2 * shape.iter().product::<usize>()];
        let [z, y, x] = shape.map(|n| n as isize);
        let backwards = [-2 * y * x, 2 * x, -2];
        let first_axis_fastest = [2, 2 * z, 2 * z * y];
        let mut read_all = || {
            for start in [[0, 0, 0], [20, 29, 27], [7, 11, 13], [1, 20, 2]] {
                let region = Region::new(start, shape);
                volume.read_into(region, &mut patch).unwrap();
                cached.read_into(region, &mut patch).unwrap();
                scaled.read_into(region, &mut real).unwrap();
                narrowed.read_into(region, &mut real).unwrap();
                normalised.read_into(region, &mut real).unwrap();
                mirrored.read_into(region, &mut patch).unwrap();
                converted.read_into(region, &mut wide).unwrap();
                view.read_bytes(region, &mut bytes, &backwards).unwrap();
                view.read_bytes(region, &mut bytes, &first_axis_fastest).unwrap();
                volume.prefetch(region).unwrap();
            }
        };
        read_all();
        let before = COUNT.get();
        read_all();
        assert_eq!(COUNT.get() - before, 0, "{codec}");
    }
}

#[test]
fn a_warm_read_of_several_frames_into_a_buffer_allocates_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = Dataset::create(folder.path()).unwrap();
    let plan = PlanOptions::default().chunk(Some([8, 16, 16]));
    let options = ConvertOptions::default().plan(plan);
    let dense = voxels::<i16>([2, 3, 20, 25, 30], 1);
    store(DenseScan::new(&dense), &dataset, "a/b", &options).unwrap();
    let volume = dataset.volume("a/b").unwrap();
    let view = volume.view().frames(Frames::All).unwrap();
    let mut patches = vec![0_i16; 6 * 9 * 17 * 18];
    let mut read_all = || {
        for start in [[0, 0, 0], [11, 8, 12]] {
            let region = Region::new(start, [9, 17, 18]);
            view.read_into(region, &mut patches).unwrap();
        }
    };
    read_all();
    let before = COUNT.get();
    read_all();
    assert_eq!(COUNT.get() - before, 0);
}
