//! What is held between patches outlives the run that held it: a run that is stopped anywhere is
//! gone on with to the same bytes, and is asked for nothing that it had taken.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use crate::common::place::{generation, generations, generations_in};
use crate::common::predict::{predict, source, views};
use voxpatch::aggregate::{
    AggregateOptions, Aggregator, Blend, Output, Overwrite, Plan, Unfinished, Values,
};
use voxpatch::sample::{GridSampler, Overlap};
use voxpatch::{Dataset, Pool, Volume};

const BLENDS: [Blend; 4] =
    [Blend::Crop, Blend::Average, Blend::Hann, Blend::Gaussian { sigma_scale: Blend::SIGMA_SCALE }];
const NAMES: [&str; 3] = ["a/scores", "a/organs", "a/coarse"];

fn output(name: &str, head: usize, values: Values) -> Output {
    let (chunk, shard) = (Some([3, 4, 5]), Some([6, 8, 10]));
    Output::new(name.parse().unwrap(), 2, values).head(head).chunk(chunk).shard(shard)
}

fn plan(volume: &Volume, blend: Blend) -> Arc<Plan> {
    let sampler = GridSampler::new([6, 6, 6], Overlap::Voxels([4, 2, 2])).unwrap();
    let outputs = vec![
        output(NAMES[0], 0, Values::Float32),
        output(NAMES[1], 0, Values::Argmax),
        output(NAMES[2], 1, Values::PROBABILITY_8).factor([1, 2, 1]),
    ];
    Arc::new(Plan::new(volume, &sampler, blend, outputs).unwrap())
}

fn options(budget: Option<u64>) -> AggregateOptions {
    AggregateOptions::default()
        .budget(budget)
        .unfinished(Unfinished::Resume)
        .overwrite(Overwrite::Predictions)
}

fn begin(dataset: &Dataset, plan: &Arc<Plan>, budget: Option<u64>) -> Aggregator {
    Aggregator::begin(dataset, Arc::clone(plan), &options(budget)).unwrap()
}

fn add(aggregator: &Aggregator, numbers: &[u64]) {
    for number in numbers {
        aggregator.add(*number, &views(&predict(aggregator.plan(), *number))).unwrap();
    }
}

/// Ends the aggregation with the patches that are left; what came of it.
fn end(aggregator: Aggregator, dataset: &Dataset) -> Vec<String> {
    let left: Vec<u64> = aggregator.remaining().collect();
    add(&aggregator, &left);
    aggregator.finish(&Pool::new(1).unwrap(), &|_| true).unwrap();
    let digest = |name: &&str| dataset.volume(name).unwrap().voxel_digest().to_owned();
    NAMES.iter().map(digest).collect()
}

/// The patches in the plan's order, or in another that takes more to hold.
fn shuffled(plan: &Plan, seed: u64) -> Vec<u64> {
    let mut numbers: Vec<u64> = plan.order().collect();
    if seed > 0 {
        numbers.sort_by_key(|n| (n + 1).wrapping_mul(seed).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    }
    numbers
}

/// What was kept last of a part.
fn kept_of(dataset: &Dataset, part: usize) -> PathBuf {
    let job = dataset.path().join(".aggregate-a+scores");
    let [work] = &generations_in(&job)[..] else { panic!("the folder of one job") };
    let files = ["a", "b"].map(|place| work.join(format!("open-{part}-{place}.bin")));
    // The number of the run stands after the mark and the digest of the document.
    let run = |file: &PathBuf| fs::read(file).ok().and_then(|bytes| Some(*bytes.get(48)?));
    files.into_iter().max_by_key(|file| (file.exists(), run(file))).unwrap()
}

fn kept(dataset: &Dataset) -> PathBuf {
    kept_of(dataset, 0)
}

#[test]
fn a_run_that_is_stopped_anywhere_is_gone_on_with_to_the_same_bytes_and_asks_for_nothing_twice() {
    let folder = tempfile::tempdir().unwrap();
    let (dataset, volume) = source(folder.path(), [17, 14, 11]);
    for (blend, seed) in BLENDS.into_iter().flat_map(|blend| [(blend, 0), (blend, 5)]) {
        let plan = plan(&volume, blend);
        let whole = end(begin(&dataset, &plan, None), &dataset);
        let numbers = shuffled(&plan, seed);
        for (stop, budgets) in [
            (1, [None, None]),
            (numbers.len() / 3, [Some(0), None]),
            (numbers.len() / 2, [None, Some(0)]),
            (numbers.len() * 4 / 5, [Some(5000), Some(0)]),
            (numbers.len() - 1, [None, None]),
        ] {
            let mut first = begin(&dataset, &plan, budgets[0]);
            // In two steps: the second takes the place of the first.
            add(&first, &numbers[..stop / 2]);
            first.checkpoint().unwrap();
            add(&first, &numbers[stop / 2..stop]);
            assert!(first.checkpoint().unwrap(), "{blend}: {stop}");
            assert!(!first.checkpoint().unwrap(), "{blend}: nothing has come");
            let wanted: Vec<u64> = first.remaining().collect();
            drop(first);
            let second = begin(&dataset, &plan, budgets[1]);
            assert_eq!(second.remaining().collect::<Vec<_>>(), wanted, "{blend}: {stop}");
            assert!(wanted.len() <= numbers.len() - stop);
            assert_eq!(end(second, &dataset), whole, "{blend}: {stop}");
        }
    }
    let litter = crate::common::faulty::litter(&dataset.path());
    assert!(litter.is_empty(), "{litter:?}");
}

#[test]
fn shards_that_were_finished_after_what_is_kept_are_taken_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let (dataset, volume) = source(folder.path(), [17, 14, 11]);
    for blend in BLENDS {
        let plan = plan(&volume, blend);
        let whole = end(begin(&dataset, &plan, None), &dataset);
        let numbers = shuffled(&plan, 0);
        let mut first = begin(&dataset, &plan, None);
        add(&first, &numbers[..5]);
        assert!(first.checkpoint().unwrap());
        let at_checkpoint = first.remaining().count();
        let later = numbers.len() * 3 / 4;
        add(&first, &numbers[5..later]);
        drop(first);
        let second = begin(&dataset, &plan, None);
        let left = second.remaining().count();
        assert!(left < at_checkpoint && left > numbers.len() - later, "{blend}: {left}");
        assert_eq!(end(second, &dataset), whole, "{blend}");
    }
}

#[test]
fn what_is_kept_counts_for_nothing_if_it_is_damaged_of_another_run_or_of_shards_that_are_gone() {
    let folder = tempfile::tempdir().unwrap();
    let (dataset, volume) = source(folder.path(), [17, 14, 11]);
    let plan = plan(&volume, Blend::Hann);
    let whole = end(begin(&dataset, &plan, None), &dataset);
    let numbers = shuffled(&plan, 0);
    let stop = numbers.len() / 2;
    let stopped = || {
        let mut first = begin(&dataset, &plan, None);
        add(&first, &numbers[..stop]);
        first.checkpoint().unwrap();
    };
    stopped();
    let bytes = fs::read(kept(&dataset)).unwrap();
    let flipped = |at: usize| {
        let mut bytes = bytes.clone();
        bytes[at] ^= 1;
        bytes
    };
    let damaged =
        [vec![], flipped(3), flipped(20), flipped(bytes.len() / 2), flipped(bytes.len() - 1)];
    for bytes in damaged.into_iter().chain([bytes[..bytes.len() - 7].to_vec()]) {
        fs::write(kept(&dataset), bytes).unwrap();
        let resumed = begin(&dataset, &plan, None);
        assert!(resumed.remaining().count() > numbers.len() - stop);
    }
    fs::write(kept(&dataset), &bytes).unwrap();
    let resumed = begin(&dataset, &plan, None);
    assert_eq!(resumed.remaining().count(), numbers.len() - stop);
    drop(resumed);
    // A shard that was there when it was kept is gone: its patches count as taken in it.
    let mut made = generations(&dataset.path(), NAMES[1]);
    made.retain(|made| *made != generation(&dataset.path(), NAMES[1]));
    fs::remove_file(made[0].join("0/c/0/0/0")).unwrap();
    let resumed = begin(&dataset, &plan, None);
    assert!(resumed.remaining().count() > numbers.len() - stop);
    assert_eq!(end(resumed, &dataset), whole);
    // That of a run with another budget is the same run; of another plan it is none.
    stopped();
    let other = self::plan(&volume, Blend::Average);
    let restart = options(None).unfinished(Unfinished::Restart);
    let restarted = Aggregator::begin(&dataset, Arc::clone(&other), &restart).unwrap();
    assert!(!kept(&dataset).exists());
    add(&restarted, &numbers[..stop]);
    drop(restarted);
    fs::write(kept(&dataset), &bytes).unwrap();
    assert!(begin(&dataset, &other, None).remaining().count() > numbers.len() - stop);
}

#[test]
fn a_part_that_is_made_again_and_a_part_that_is_complete_keep_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (dataset, volume) = source(folder.path(), [17, 14, 11]);
    let plan = plan(&volume, Blend::Hann);
    let parts = plan.split(2).unwrap();
    let begin = |part: usize, unfinished| {
        let options = options(None).unfinished(unfinished);
        Aggregator::begin_part(&dataset, Arc::clone(&plan), parts[part].clone(), &options).unwrap()
    };
    let file = |part| kept_of(&dataset, part);
    for part in 0..2 {
        let mut making = begin(part, Unfinished::Refuse);
        let numbers: Vec<u64> = making.remaining().collect();
        add(&making, &numbers[..numbers.len() / 2]);
        making.checkpoint().unwrap();
        assert!(file(part).exists());
    }
    let again = begin(0, Unfinished::Restart);
    assert!(!file(0).exists() && file(1).exists());
    assert_eq!(again.remaining().count() as u64, parts[0].patches);
    let other = begin(1, Unfinished::Refuse);
    assert!(other.remaining().count() as u64 <= parts[1].patches.div_ceil(2));
    for part in [again, other] {
        let left: Vec<u64> = part.remaining().collect();
        add(&part, &left);
        part.check_complete().unwrap();
    }
    assert!(!file(0).exists() && !file(1).exists());
}

#[test]
fn sums_in_the_scratch_file_are_kept_chunk_by_chunk() {
    let folder = tempfile::tempdir().unwrap();
    let (dataset, volume) = source(folder.path(), [17, 14, 11]);
    let plan = plan(&volume, Blend::Hann);
    let mut aggregator = begin(&dataset, &plan, Some(0));
    add(&aggregator, &shuffled(&plan, 3)[..20]);
    let used = aggregator.memory();
    assert!(used.held == 0 && used.spilled_peak > 0, "{used:?}");
    assert!(aggregator.checkpoint().unwrap());
    assert_eq!(aggregator.memory().held, 0);
    // Nothing is kept that is not in the file.
    assert!(fs::metadata(kept(&dataset)).unwrap().len() > used.spilled_peak / 2);
}

#[test]
fn a_checkpoint_that_cannot_be_written_leaves_the_one_before() {
    let folder = tempfile::tempdir().unwrap();
    let (dataset, volume) = source(folder.path(), [17, 14, 11]);
    let plan = plan(&volume, Blend::Hann);
    let numbers = shuffled(&plan, 0);
    let mut first = begin(&dataset, &plan, None);
    add(&first, &numbers[..10]);
    first.checkpoint().unwrap();
    let before = fs::read(kept(&dataset)).unwrap();
    add(&first, &numbers[10..20]);
    // Nothing can take its place.
    let (file, apart) = (kept(&dataset), folder.path().join("apart"));
    fs::rename(&file, &apart).unwrap();
    fs::create_dir_all(file.join("in/the/way")).unwrap();
    assert!(first.checkpoint().is_err());
    fs::remove_dir_all(&file).unwrap();
    fs::rename(&apart, &file).unwrap();
    assert!(before == fs::read(kept(&dataset)).unwrap());
    // It is tried again, and no patch was lost meanwhile.
    assert!(first.checkpoint().unwrap());
    drop(first);
    assert_eq!(begin(&dataset, &plan, None).remaining().count(), numbers.len() - 20);
}

/// With the digests of what it is, whatever it says: never more than another volume.
#[test]
fn what_is_kept_may_be_anything_and_nothing_panics() {
    let folder = tempfile::tempdir().unwrap();
    let (dataset, volume) = source(folder.path(), [17, 14, 11]);
    for blend in [Blend::Crop, Blend::Hann] {
        let plan = plan(&volume, blend);
        let numbers = shuffled(&plan, 5);
        let restart = options(None).unfinished(Unfinished::Restart);
        let mut first = Aggregator::begin(&dataset, Arc::clone(&plan), &restart).unwrap();
        add(&first, &numbers[..numbers.len() / 2]);
        first.checkpoint().unwrap();
        drop(first);
        let bytes = fs::read(kept(&dataset)).unwrap();
        // Between the head, of mark, digest of the document and number of the run, and the digest.
        let (from, to) = (56, bytes.len() - 32);
        let words = (from..to - 8).step_by(8);
        let step = words.len() / 60;
        for at in words.clone().take(30).chain(words.step_by(step)) {
            for number in [0, 1, 3, u64::MAX, 1 << 40] {
                let mut bytes = bytes[..to].to_vec();
                bytes[at..at + 8].copy_from_slice(&number.to_ne_bytes());
                let digest = blake3::hash(&bytes);
                fs::write(kept(&dataset), [&bytes[..], digest.as_bytes()].concat()).unwrap();
                let resumed = begin(&dataset, &plan, None);
                let left: Vec<u64> = resumed.remaining().take(3).collect();
                add(&resumed, &left);
            }
        }
        for end in (from..to).step_by(to / 50) {
            let digest = blake3::hash(&bytes[..end]);
            fs::write(kept(&dataset), [&bytes[..end], digest.as_bytes()].concat()).unwrap();
            let left = begin(&dataset, &plan, None).remaining().count();
            assert!(left > numbers.len() / 2, "{blend}: cut off at {end}");
        }
    }
}
