//! A draw allocates nothing once its thread is warm.
#![allow(unsafe_code, reason = "a global allocator can only be written so; it only counts")]
#![allow(clippy::cast_possible_wrap, clippy::unwrap_used, reason = "a test may fail")]

mod sample_common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use sample_common::{Dense, anatomy, draw, heat, prepare};
use voxpatch::sample::{
    ForegroundSampler, GridSampler, LabelSampler, Overlap, Sampler, UniformSampler, WeightedSampler,
};

/// Counts the allocations of each thread and leaves the work to the system's allocator.
struct Counting;

thread_local! {
    static COUNT: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every call is passed on unchanged to the system's allocator. Counting neither allocates
// nor unwinds: the counter is a constant-initialised thread local without a destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.set(COUNT.get() + 1);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        COUNT.set(COUNT.get() + 1);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn a_warm_draw_allocates_nothing() {
    let (shape, chunk, patch) = ([14, 12, 15], [5; 3], [4, 5, 6]);
    let labels = || Dense::labelled(shape, chunk, anatomy);
    let weights = || Dense::weighted(shape, chunk, heat);
    let cases: [(Box<dyn Sampler>, Dense); 6] = [
        (Box::new(UniformSampler::new(patch).unwrap()), labels()),
        (Box::new(WeightedSampler::new(patch).unwrap()), weights()),
        (Box::new(LabelSampler::per_class(patch, None).unwrap()), labels()),
        (Box::new(ForegroundSampler::pos_neg(patch, 1.0, 1.0).unwrap()), labels()),
        (Box::new(ForegroundSampler::oversample(patch, 0.3).unwrap()), labels()),
        (Box::new(GridSampler::new(patch, Overlap::Voxels([2; 3])).unwrap()), labels()),
    ];
    for (sampler, field) in cases {
        let (regions, field) = prepare(&*sampler, field);
        // The list of reads is this field's own; its room is made beforehand.
        field.reads.lock().unwrap().reserve(200);
        let draw_all = || {
            for index in 0..40 {
                draw(&*regions, 1, index);
            }
        };
        draw_all();
        let before = COUNT.get();
        draw_all();
        assert_eq!(COUNT.get() - before, 0, "{sampler:?}");
    }
}
