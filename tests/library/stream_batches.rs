//! Batches: which patches they hold, in which memory, and how a caller stops waiting for one.
#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    reason = "a test's numbers are small, and it may fail"
)]

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use ndarray::{Array4, Axis};
use voxpatch::sample::{Draw, Field, Regions, Sample, Sampler};
use voxpatch::stream::{Batch, OnError, Patch, PatchStream, StreamOptions};
use voxpatch::{Error, Result};

use crate::common::cohort::{Cohort, PATCH, Scattered, both};

fn options() -> StreamOptions {
    StreamOptions::default().images(both()).patches_per_visit(4).shuffle_window(10).seed(5)
}

fn patches(stream: &mut PatchStream) -> Vec<Patch> {
    stream.map(Result::unwrap).collect()
}

/// A batch holds these patches, one behind the other.
fn check(batch: &Batch, expected: &[Patch]) {
    assert!(batch.origins.iter().eq(expected.iter().map(|patch| &patch.origin)));
    let images = expected.iter().map(|patch| patch.image("image").unwrap());
    let dense: Vec<_> = images.map(|image| image.as_array::<i16>().unwrap()).collect();
    let dense: Array4<i16> = ndarray::stack(Axis(0), &dense).unwrap();
    assert_eq!(batch.image("image").unwrap().as_array::<i16>().unwrap(), dense);
    assert_eq!(batch.image("label").unwrap().shape(), [expected.len(), 4, 5, 6]);
}

#[test]
fn batches_are_filled_up_where_patches_are_left_out() {
    let cohort = Cohort::new(7);
    cohort.damage("s1/image");
    cohort.break_document("s4/label");
    let skip = options().on_error(OnError::Skip);
    let rest = patches(&mut cohort.stream(Scattered::default(), &skip.clone().workers(0)));
    assert_eq!(rest.len(), 20);
    for workers in [0, 1, 3] {
        for size in [1, 2, 3, 7, 20, 99] {
            let mut stream =
                cohort.stream(Scattered::default(), &skip.clone().workers(workers).ahead_bytes(0));
            let found: Vec<_> = stream.batches(size, false).unwrap().map(Result::unwrap).collect();
            assert_eq!(found.len(), rest.len().div_ceil(size));
            found.iter().zip(rest.chunks(size)).for_each(|(batch, some)| check(batch, some));
            let skipped: u64 = stream.skipped().iter().map(|skipped| skipped.patches).sum();
            assert_eq!((skipped, stream.state().consumed), (8, 28), "{workers} workers, {size}");
        }
    }
}

#[test]
fn patches_and_batches_of_any_size_can_be_asked_for_in_turn() {
    let cohort = Cohort::new(6);
    let whole = patches(&mut cohort.stream(Scattered::default(), &options().workers(0)));
    for workers in [0, 2] {
        let mut stream = cohort.stream(Scattered::default(), &options().workers(workers));
        let mut taken = 0;
        for size in [3, 3, 1, 4, 2, 2, 5, 99] {
            let one = stream.next().unwrap().unwrap();
            assert_eq!(one, whole[taken]);
            let batch = stream.batches(size, false).unwrap().next().unwrap().unwrap();
            check(&batch, &whole[taken + 1..whole.len().min(taken + 1 + size)]);
            taken += 1 + batch.origins.len();
            assert_eq!(stream.state().consumed, taken as u64);
            if taken == whole.len() {
                break;
            }
        }
        assert_eq!(taken, whole.len());
        assert!(stream.next().is_none() && stream.batches(2, false).unwrap().next().is_none());
    }
}

#[test]
fn memory_is_aligned_and_used_again_but_never_while_a_batch_is_there() {
    let cohort = Cohort::new(6);
    let whole = patches(&mut cohort.stream(Scattered::default(), &options().workers(0)));
    let at = |batch: &Batch| batch.image("image").unwrap().bytes().as_ptr().addr();
    for workers in [0, 3] {
        let mut stream = cohort.stream(Scattered::default(), &options().workers(workers));
        let held: Vec<_> = stream.batches(5, false).unwrap().map(Result::unwrap).collect();
        held.iter().zip(whole.chunks(5)).for_each(|(batch, some)| check(batch, some));
        assert!(held.iter().all(|batch| at(batch) % 64 == 0));
    }
    let mut stream = cohort.stream(Scattered::default(), &options().workers(0));
    let mut batches = stream.batches(5, false).unwrap().map(|batch| at(&batch.unwrap()));
    assert_eq!(batches.next(), batches.next(), "the memory that was dropped is the next");
}

#[test]
fn a_batch_takes_no_more_memory_than_the_patches_that_are_left() {
    let cohort = Cohort::new(3);
    let whole = patches(&mut cohort.stream(Scattered::default(), &options().workers(0)));
    for workers in [0, 2] {
        let mut stream = cohort.stream(Scattered::default(), &options().workers(workers));
        let batch = stream.batches(usize::MAX, false).unwrap().next().unwrap().unwrap();
        check(&batch, &whole);
        assert!(stream.batches(usize::MAX, true).unwrap().next().is_none());
    }
}

/// Draws as [`Scattered`] does, once it may.
#[derive(Clone, Default)]
struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    fn open(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_all();
    }
}

impl std::fmt::Debug for Gate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Gate")
    }
}

impl Sampler for Gate {
    fn patch(&self) -> [usize; 3] {
        PATCH
    }

    fn prepare(&self, field: Arc<dyn Field>) -> Result<Arc<dyn Regions>> {
        Ok(Arc::new(Behind(self.clone(), Scattered::default().prepare(field)?)))
    }
}

#[derive(Debug)]
struct Behind(Gate, Arc<dyn Regions>);

impl Regions for Behind {
    fn count(&self) -> Option<u64> {
        self.1.count()
    }

    fn draw(&self, draw: Draw) -> Result<Sample> {
        let (is_open, opened) = &*self.0.0;
        drop(opened.wait_while(is_open.lock().unwrap(), |is_open| !*is_open).unwrap());
        self.1.draw(draw)
    }
}

#[test]
fn a_caller_that_waits_for_workers_can_stop_and_goes_on_where_it_was() {
    let cohort = Cohort::new(4);
    let whole = patches(&mut cohort.stream(Scattered::default(), &options().workers(0)));
    let gate = Gate::default();
    let mut stream = cohort.stream(gate.clone(), &options().workers(2));
    let stop = Arc::new(AtomicBool::new(true));
    let asked = Arc::clone(&stop);
    stream.stop_when(move || asked.load(Ordering::SeqCst));
    for _ in 0..2 {
        let batch = stream.batches(3, false).unwrap().next();
        assert!(matches!(batch, Some(Err(Error::Cancelled))));
        assert_eq!((stream.state().consumed, stream.remaining()), (0, 16));
    }
    stop.store(false, Ordering::SeqCst);
    gate.open();
    let first = stream.batches(3, false).unwrap().next().unwrap().unwrap();
    check(&first, &whole[..3]);
    assert_eq!(patches(&mut stream), whole[3..]);
}

#[test]
fn a_caller_that_reads_by_itself_is_asked_before_each_patch() {
    let cohort = Cohort::new(4);
    let whole = patches(&mut cohort.stream(Scattered::default(), &options().workers(0)));
    let mut stream = cohort.stream(Scattered::default(), &options().workers(0));
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    stream.stop_when(move || count.fetch_add(1, Ordering::SeqCst) == 6);
    let mut batches = stream.batches(4, false).unwrap();
    check(&batches.next().unwrap().unwrap(), &whole[..4]);
    assert!(matches!(batches.next(), Some(Err(Error::Cancelled))));
    assert_eq!(asked.load(Ordering::SeqCst), 7);
    let rest: Vec<_> = batches.map(Result::unwrap).collect();
    rest.iter().zip(whole[4..].chunks(4)).for_each(|(batch, some)| check(batch, some));
    assert_eq!(rest.len(), 3);
}

#[test]
fn patches_that_are_left_out_are_counted_once_however_often_a_batch_is_begun() {
    let cohort = Cohort::new(5);
    cohort.damage("s2/image");
    let skip = options().on_error(OnError::Skip).workers(0);
    let rest = patches(&mut cohort.stream(Scattered::default(), &skip));
    for stopped in 0..20 {
        let mut stream = cohort.stream(Scattered::default(), &skip);
        let asked = AtomicUsize::new(0);
        stream.stop_when(move || asked.fetch_add(1, Ordering::SeqCst) == stopped);
        let batches = stream.batches(6, false).unwrap();
        let given = batches.filter(|batch| !matches!(batch, Err(Error::Cancelled)));
        let given: Vec<_> = given.map(Result::unwrap).collect();
        given.iter().zip(rest.chunks(6)).for_each(|(batch, some)| check(batch, some));
        assert_eq!(given.len(), rest.len().div_ceil(6));
        let skipped: u64 = stream.skipped().iter().map(|skipped| skipped.patches).sum();
        assert_eq!(skipped, 4, "stopped before patch {stopped}");
    }
}
