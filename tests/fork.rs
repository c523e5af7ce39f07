//! Loaders of training data fork: what a process has opened and used works in its children too,
//! whatever its threads were doing at the fork.
#![allow(clippy::unwrap_used, reason = "a test may fail")]
#![allow(unsafe_code, reason = "processes are forked for real")]

mod common;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use common::cohort::{Cohort, Scattered, both};
use common::dense::{DenseScan, oracle, store, voxels};
use common::predict::{predict, source, views};
use ndarray::{Array3, Array4, Axis, s, stack};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use voxpatch::aggregate::{AggregateOptions, Aggregator, Blend, Output, Plan, Values};
use voxpatch::layout::PlanOptions;
use voxpatch::predict::{Model, PredictOptions};
use voxpatch::sample::{GridSampler, Overlap};
use voxpatch::stream::{Patch, PatchStream, StreamOptions};
use voxpatch::{
    CacheCounts, ChunkCache, ConvertOptions, Dataset, Padding, Pool, Region, Result, View,
};

const SHAPE: [usize; 3] = [21, 24, 37];
const CHILDREN: usize = 200;
/// A child takes some milliseconds, unless it hangs.
const PATIENCE: Duration = Duration::from_secs(10);

/// Whether `work` is true in a forked child, which must come to an end.
fn in_a_child(work: impl FnOnce() -> bool) -> bool {
    // SAFETY: the child runs on a copy of this thread alone. The allocator of the C library can be
    // used there; that nothing else is waited for is what is tested, and bounded below.
    let forked = unsafe { libc::fork() };
    assert!(forked >= 0, "no process to be had");
    if forked == 0 {
        let done = catch_unwind(AssertUnwindSafe(work)).unwrap_or(false);
        // SAFETY: it ends this process, and nothing of the parent's is run before.
        unsafe { libc::_exit(i32::from(!done)) };
    }
    let child = Pid::from_raw(forked).unwrap();
    let deadline = Instant::now() + PATIENCE;
    loop {
        match waitpid(Some(child), WaitOptions::NOHANG).unwrap() {
            Some((_, status)) => return status.exit_status() == Some(0),
            None if Instant::now() > deadline => {
                kill_process(child, Signal::KILL).unwrap();
                waitpid(Some(child), WaitOptions::empty()).unwrap();
                panic!("the child hangs");
            }
            None => std::thread::sleep(Duration::from_millis(1)),
        }
    }
}

struct Stored {
    _folder: tempfile::TempDir,
    view: View,
    dense: Array3<i16>,
}

fn stored() -> Stored {
    let folder = tempfile::tempdir().unwrap();
    let dataset = Dataset::create(folder.path()).unwrap();
    let [z, y, x] = SHAPE;
    let dense = voxels([1, 1, z, y, x], 5).mapv(|v: i16| v + 1);
    let (chunk, shard) = (Some([4, 8, 16]), Some([8, 16, 48]));
    let plan = PlanOptions::default().chunk(chunk).shard(shard);
    let options = ConvertOptions::default().plan(plan);
    store(DenseScan::new(&dense), &dataset, "a/b", &options).unwrap();
    let view = dataset.volume("a/b").unwrap().view().padded(Padding::Reflect);
    Stored { _folder: folder, view, dense: dense.slice(s![0, 0, .., .., ..]).to_owned() }
}

fn regions() -> Vec<Region> {
    (-4..12).map(|n| Region::new([n, 2 * n, 3 * n], [9, 10, 20])).collect()
}

fn expected(dense: &Array3<i16>) -> Array4<i16> {
    let patches: Vec<_> =
        regions().iter().map(|region| oracle(dense, *region, Padding::Reflect)).collect();
    let views: Vec<_> = patches.iter().map(|patch| patch.view()).collect();
    stack(Axis(0), &views).unwrap()
}

fn batch(view: &View, pool: &Pool) -> Array4<i16> {
    view.read_many(&regions(), pool).unwrap()
}

#[test]
fn a_child_reads_batches_after_its_parent_has() {
    let Stored { view, dense, _folder } = stored();
    let (pool, expected) = (Pool::new(2).unwrap(), expected(&dense));
    assert_eq!(batch(&view, &pool), expected);
    for n in 0..CHILDREN {
        assert!(in_a_child(|| batch(&view, &pool) == expected), "child {n}");
    }
    assert_eq!(batch(&view, &pool), expected);
}

#[test]
fn children_that_are_forked_while_threads_read_through_a_cache_read_through_it() {
    let Stored { view, dense, _folder } = stored();
    let (pool, expected) = (Pool::new(2).unwrap(), expected(&dense));
    // Chunks come and go.
    let cache = ChunkCache::new(30_000);
    let cached = view.cached(&cache);
    let stopped = AtomicBool::new(false);
    let children = || {
        for n in 0..CHILDREN {
            let reads = || {
                let one = cached.read::<i16>(regions()[3]).unwrap();
                let many = batch(&cached, &pool);
                one == expected.index_axis(Axis(0), 3) && many == expected
            };
            assert!(in_a_child(reads), "child {n}");
        }
    };
    let done = std::thread::scope(|scope| {
        for thread in 0..2 {
            let (cached, pool, stopped) = (&cached, &pool, &stopped);
            scope.spawn(move || {
                while !stopped.load(Ordering::Relaxed) {
                    for region in regions().into_iter().skip(thread) {
                        cached.read::<i16>(region).unwrap();
                    }
                    batch(cached, pool);
                }
            });
        }
        let done = catch_unwind(AssertUnwindSafe(children));
        stopped.store(true, Ordering::Relaxed);
        done
    });
    done.unwrap();
}

#[test]
fn a_childs_cache_begins_empty_and_keeps_to_the_budget() {
    let Stored { view, _folder, .. } = stored();
    let cache = ChunkCache::new(30_000);
    let cached = view.cached(&cache);
    let read = || cached.read::<i16>(Region::whole(SHAPE)).unwrap();
    read();
    let counts = cache.counts();
    assert!(in_a_child(|| {
        let before = cache.counts();
        read();
        before == CacheCounts::default() && cache.counts() == counts && counts.bytes <= 30_000
    }));
    assert_eq!(cache.counts(), counts);
}

#[test]
fn a_child_of_a_child_reads_too() {
    let Stored { view, dense, _folder } = stored();
    let (pool, expected) = (Pool::new(2).unwrap(), expected(&dense));
    let cached = view.cached(&ChunkCache::new(1 << 20));
    let reads = || batch(&cached, &pool) == expected;
    assert!(reads());
    for n in 0..20 {
        // The one that was forked first has used the pool, or has not.
        assert!(in_a_child(|| n % 2 == 0 || reads() && in_a_child(reads) && reads()));
        assert!(in_a_child(|| in_a_child(|| in_a_child(reads))));
    }
}

/// Tells a process that has opened nothing yet where the store is, and how long to wait.
const FRESH: &str = "VOXPATCH_TEST_FORK_FRESH";
const FRESH_PROCESSES: u32 = 60;

/// What a process makes once, when it first needs it, must not be held by a thread that a child
/// does not have.
#[test]
fn children_that_are_forked_while_a_thread_opens_the_first_volume_open_it_too() {
    if let Ok(told) = std::env::var(FRESH) {
        let (wait, store) = told.split_once(' ').unwrap();
        return forks_while_a_thread_opens(Path::new(store), wait.parse().unwrap());
    }
    let Stored { _folder: folder, .. } = stored();
    let name = "children_that_are_forked_while_a_thread_opens_the_first_volume_open_it_too";
    for n in 0..FRESH_PROCESSES {
        let told = format!("{} {}", n * 20, folder.path().to_str().unwrap());
        let mut process = Command::new(std::env::current_exe().unwrap());
        let process = process.args(["--exact", name]).env(FRESH, told).stdin(Stdio::null());
        let output = process.output().unwrap();
        let printed = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && printed.contains("1 passed"), "{n}: {printed}");
    }
}

/// Forks `wait` turns of a loop after a thread has begun to open the first volume of this process.
fn forks_while_a_thread_opens(store: &Path, wait: u32) {
    let read = || {
        let volume = Dataset::open(store).unwrap().volume("a/b").unwrap();
        let voxels = volume.read::<i16>(Region::whole(SHAPE)).unwrap();
        voxels.iter().map(|voxel| i64::from(*voxel)).sum::<i64>()
    };
    let begun = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let opener = scope.spawn(|| {
            begun.store(true, Ordering::Release);
            read()
        });
        while !begun.load(Ordering::Acquire) {
            std::hint::spin_loop();
        }
        let turns = AtomicU32::new(0);
        while turns.fetch_add(1, Ordering::Relaxed) < wait * 20 {}
        assert!(in_a_child(|| read() != 0));
        assert_ne!(opener.join().unwrap(), 0);
    });
}

#[test]
fn a_child_goes_on_with_a_stream_where_its_parent_stood() {
    let cohort = Cohort::new(4);
    for workers in [0, 2] {
        let options = StreamOptions::default().images(both()).workers(workers).epoch(3);
        let rest = |stream: &mut PatchStream| stream.collect::<Result<Vec<Patch>>>().unwrap();
        let all = rest(&mut cohort.stream(Scattered::default(), &options));
        let mut stream = cohort.stream(Scattered::default(), &options);
        for (taken, patch) in all.iter().enumerate().take(20) {
            let goes_on = || {
                let is_here = stream.state().consumed == taken as u64;
                let same = rest(&mut stream) == all[taken..];
                stream.next_epoch();
                is_here && same && rest(&mut stream).len() == all.len()
            };
            assert!(in_a_child(goes_on), "after {taken} patches by {workers} workers");
            assert_eq!(stream.next().unwrap().unwrap(), *patch);
        }
        assert_eq!(rest(&mut stream), all[20..]);
    }
}

#[test]
fn a_model_is_left_to_the_process_that_started_it() {
    let folder = tempfile::tempdir().unwrap();
    let (dataset, volume) = source(folder.path(), [9, 8, 8]);
    let mut model = Some(Model::start("cat >/dev/null; exit 3").unwrap());
    assert!(in_a_child(|| {
        drop(model.take());
        true
    }));
    let sampler = GridSampler::new([4, 4, 4], Overlap::Voxels([0; 3])).unwrap();
    let output = Output::new("a/p".parse().unwrap(), 1, Values::Float32);
    let options = PredictOptions::new(sampler, Blend::Crop, vec![output]);
    let pool = Pool::new(1).unwrap();
    let model = model.unwrap();
    let error =
        voxpatch::predict::predict(&volume.view(), &dataset, model, &options, &pool, &|_| true)
            .unwrap_err();
    // It read to the end, and failed in its own way: nobody killed it.
    assert!(error.to_string().contains("exit status: 3"), "{error}");
}

#[test]
fn a_child_is_refused_an_aggregation_of_its_parent_which_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let (dataset, volume) = source(folder.path(), [9, 8, 8]);
    let sampler = GridSampler::new([4, 4, 4], Overlap::Voxels([2, 2, 2])).unwrap();
    let output = Output::new("a/p".parse().unwrap(), 1, Values::Float32);
    let plan = Arc::new(Plan::new(&volume, &sampler, Blend::Hann, vec![output]).unwrap());
    let pool = Pool::new(2).unwrap();
    let mut aggregator =
        Some(Aggregator::begin(&dataset, Arc::clone(&plan), &AggregateOptions::default()).unwrap());
    let patches: Vec<u64> = plan.order().collect();
    for (n, number) in patches.iter().enumerate() {
        let prediction = predict(&plan, *number);
        if n % 9 == 0 {
            assert!(in_a_child(|| {
                let aggregator = aggregator.take().unwrap();
                let refused = aggregator.add(*number, &views(&prediction)).unwrap_err().to_string();
                let many = prediction[0].view().insert_axis(Axis(0));
                let many = aggregator.add_many(&[*number], &[many], &pool).unwrap_err().to_string();
                let finished = aggregator.finish(&pool, &|_| true).unwrap_err().to_string();
                [refused, many, finished].iter().all(|words| words.contains("forked off"))
            }));
        }
        aggregator.as_ref().unwrap().add(*number, &views(&prediction)).unwrap();
    }
    aggregator.unwrap().finish(&pool, &|_| true).unwrap();
    assert_eq!(dataset.volume("a/p").unwrap().shape(), [9, 8, 8]);
}
