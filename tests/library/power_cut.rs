//! Whatever moment the power fails at, and whatever of the names that were not synced is there
//! afterwards: volumes are the old ones, the new ones or not there, they are sound, what was said
//! to be done is, and the same command ends the work.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::collections::HashSet;
use std::sync::Arc;

use crate::common::dense::{DenseScan, store, voxels};
use crate::common::power::PowerDisk;
use crate::common::predict::{predict, views};
use ndarray::{Array5, s};
use voxpatch::aggregate::{
    AggregateOptions, Aggregator, Blend, Output, Overwrite, Part, Plan, Unfinished, Values,
    finalise,
};
use voxpatch::disk::{Sink as _, Source as _};
use voxpatch::layout::PlanOptions;
use voxpatch::sample::{GridSampler, Overlap};
use voxpatch::{ConvertOptions, Dataset, Error, Kind, Pool, Result};

/// Cuts the power at every moment from one on, and looks at everything that may be left; once at
/// what is left of several moments. How much that was.
fn every_cut(disk: &PowerDisk, from: usize, check: impl Fn(&Arc<PowerDisk>, &str)) -> usize {
    let mut seen = HashSet::new();
    for at in from..=disk.now() {
        for (n, image) in disk.after_cut(at).into_iter().enumerate() {
            if seen.insert(image.digest()) {
                let moment = format!("cut at {at} of {}, choice {n}", disk.now());
                check(&Arc::new(PowerDisk::of(image)), &moment);
            }
        }
    }
    seen.len()
}

fn on(disk: &Arc<PowerDisk>) -> Result<Dataset> {
    Dataset::open_on(disk.handle())
}

/// All of a dataset, if there is one, is as it was written.
fn assert_sound(disk: &Arc<PowerDisk>, moment: &str) {
    let dataset = match on(disk) {
        Err(Error::NotFound { .. }) => return,
        dataset => dataset.unwrap_or_else(|e| panic!("{moment}: {e}")),
    };
    let mut report = dataset.verify(&Pool::new(1).unwrap(), &|_| true).unwrap();
    // Complete, and not published: the same as a volume that has lost its document.
    report.volumes.retain(|check| {
        let is_lost = check.damage.iter().all(|damage| damage.path.ends_with("zarr.json"));
        !is_lost || dataset.volume(&check.name).is_ok()
    });
    assert!(report.is_sound(), "{moment}: {report:?}");
}

/// The voxels' digest; `None` if there is no such volume.
fn digest(disk: &Arc<PowerDisk>, name: &str, moment: &str) -> Option<String> {
    match on(disk).and_then(|dataset| dataset.volume(name)) {
        Ok(volume) => Some(volume.voxel_digest().to_owned()),
        Err(Error::NotFound { .. }) => None,
        Err(error) => panic!("{moment}: {error}"),
    }
}

fn labels(overwrite: bool) -> ConvertOptions {
    let plan = PlanOptions::default().chunk(Some([2, 4, 8])).shard(Some([4, 8, 8]));
    // Labels, so that there is an index to be lost.
    ConvertOptions::default().plan(plan).overwrite(overwrite).kind(Some(Kind::Label))
}

fn convert_on(disk: &Arc<PowerDisk>, voxels: &Array5<i16>) -> Result<()> {
    let dataset = Dataset::create_on(disk.handle())?;
    store(DenseScan::new(voxels), &dataset, "a/b", &labels(true)).map(drop)
}

/// Converts `new`, over `old` if there is one.
fn converts(old: Option<&Array5<i16>>) -> usize {
    let new = voxels::<i16>([1, 1, 5, 6, 15], 11);
    let disk = Arc::new(PowerDisk::new());
    if let Some(old) = old {
        convert_on(&disk, old).unwrap();
    }
    let before = digest(&disk, "a/b", "before");
    let disk = Arc::new(PowerDisk::of(disk.live()));
    convert_on(&disk, &new).unwrap();
    let after = digest(&disk, "a/b", "after");
    let check = |left: &Arc<PowerDisk>, moment: &str| {
        let found = digest(left, "a/b", moment);
        assert!(found == before || found == after, "{moment}: another volume");
        assert_sound(left, moment);
        convert_on(left, &new).unwrap_or_else(|e| panic!("{moment}: {e}"));
        assert_eq!(digest(left, "a/b", moment), after, "{moment}");
        assert_sound(left, moment);
    };
    let said_to_be_done = |left: &Arc<PowerDisk>, moment: &str| {
        assert_eq!(digest(left, "a/b", moment), after, "{moment}: it was said to be there");
    };
    every_cut(&disk, disk.now(), said_to_be_done);
    every_cut(&disk, 0, check)
}

#[test]
fn a_power_cut_while_converting_leaves_nothing_or_the_whole_volume() {
    assert!(converts(None) > 50);
}

#[test]
fn a_power_cut_while_replacing_leaves_the_old_volume_or_the_new_one() {
    assert!(converts(Some(&voxels([1, 1, 3, 4, 5], 13))) > 50);
}

#[test]
fn a_conversion_that_loses_a_race_and_a_power_cut_leave_the_volume_of_the_winner() {
    let disk = Arc::new(PowerDisk::new());
    let (won, lost) = (voxels::<i16>([1, 1, 2, 3, 4], 1), voxels::<i16>([1, 1, 2, 3, 4], 2));
    let dataset = Dataset::create_on(disk.handle()).unwrap();
    let scan = Box::new(DenseScan::new(&lost));
    let (name, pool) = ("a/b".parse().unwrap(), Pool::new(1).unwrap());
    let (meanwhile, since) = (std::sync::Once::new(), std::sync::OnceLock::new());
    let progress = |_| {
        meanwhile.call_once(|| {
            // As another machine would, to which nobody can say that a writer is at work.
            disk.forget_held();
            convert_on(&disk, &won).unwrap();
            since.set(disk.now()).unwrap();
        });
        true
    };
    let refused = voxpatch::convert(scan, &dataset, &name, &labels(false), &pool, &progress);
    assert!(matches!(refused, Err(Error::AlreadyExists { .. })), "{refused:?}");
    let winner = digest(&disk, "a/b", "after");
    every_cut(&disk, *since.get().unwrap(), |left, moment| {
        assert_eq!(digest(left, "a/b", moment), winner, "{moment}");
        assert_sound(left, moment);
    });
}

fn sampling_key(disk: &PowerDisk) -> String {
    let inside = disk.list("a/b").unwrap();
    let generation = inside.iter().find(|name| name.starts_with("g-")).unwrap();
    format!("a/b/{generation}/0/sampling.json")
}

#[test]
fn a_power_cut_while_an_index_is_built_leaves_the_old_one_or_the_new_one() {
    let disk = Arc::new(PowerDisk::new());
    let image = voxels::<i16>([1, 1, 5, 6, 15], 11);
    convert_on(&disk, &image).unwrap();
    let index = |disk: &Arc<PowerDisk>| on(disk)?.volume("a/b")?.block_index();
    let sound = index(&disk).unwrap();
    let key = &sampling_key(&disk);
    disk.put(key, &[b"damaged"]).unwrap();
    let disk = Arc::new(PowerDisk::of(disk.live()));
    let build = |disk: &Arc<PowerDisk>| {
        on(disk)?.build_index(&"a/b".parse()?, &Pool::new(1)?, &|_| true).map(drop)
    };
    build(&disk).unwrap();
    every_cut(&disk, disk.now(), |left, moment| {
        assert_eq!(index(left).unwrap(), sound, "{moment}: it was said to be built");
    });
    every_cut(&disk, 0, |left, moment| {
        let is_old = left.get(key).unwrap().0 == b"damaged";
        assert!(is_old || index(left).unwrap() == sound, "{moment}");
        build(left).unwrap();
        assert_eq!(index(left).unwrap(), sound, "{moment}");
        assert_sound(left, moment);
    });
}

const NAMES: [&str; 2] = ["a/scores", "a/organs"];

/// A stored scan, all of it durable, and a plan for its predictions.
fn scan() -> (PowerDisk, Arc<Plan>) {
    let disk = Arc::new(PowerDisk::new());
    let dataset = Dataset::create_on(disk.handle()).unwrap();
    let image: Array5<i16> = voxels([1, 1, 6, 4, 5], 3);
    store(DenseScan::new(&image), &dataset, "a/image", &ConvertOptions::default()).unwrap();
    let output = |name: &str, values| {
        let (chunk, shard) = (Some([3, 4, 5]), Some([3, 4, 5]));
        Output::new(name.parse().unwrap(), 2, values).chunk(chunk).shard(shard)
    };
    let organs = output(NAMES[1], Values::Argmax).head(1);
    let outputs = vec![output(NAMES[0], Values::Float32), organs];
    let sampler = GridSampler::new([3, 4, 4], Overlap::Voxels([0, 0, 0])).unwrap();
    let plan = Plan::new(&dataset.volume("a/image").unwrap(), &sampler, Blend::Average, outputs);
    (PowerDisk::of(disk.live()), Arc::new(plan.unwrap()))
}

/// The model's weights: predictions of another are other voxels.
type Model = u64;

fn options(unfinished: Unfinished) -> AggregateOptions {
    AggregateOptions::default().overwrite(Overwrite::Predictions).unfinished(unfinished)
}

fn add(aggregator: &Aggregator, numbers: impl IntoIterator<Item = u64>, model: Model) {
    for number in numbers {
        let mut predicted = predict(aggregator.plan(), number + 1000 * model);
        // Empty shards are files until they are published.
        predicted[0].slice_mut(s![1, .., .., ..]).fill(0.0);
        aggregator.add(number, &views(&predicted)).unwrap();
    }
}

/// Adds all patches, and keeps what is held after the first and after the third.
fn add_all(aggregator: &mut Aggregator, model: Model) {
    let order: Vec<u64> = aggregator.plan().order().collect();
    for numbers in [&order[..1], &order[1..3], &order[3..]] {
        add(aggregator, numbers.iter().copied(), model);
        assert_eq!(aggregator.checkpoint().unwrap(), numbers.last() != order.last());
    }
}

fn begin(
    disk: &Arc<PowerDisk>,
    plan: &Arc<Plan>,
    part: &Part,
    unfinished: Unfinished,
) -> Result<Aggregator> {
    Aggregator::begin_part(&on(disk)?, Arc::clone(plan), part.clone(), &options(unfinished))
}

fn whole(plan: &Plan) -> Part {
    plan.split(1).unwrap().swap_remove(0)
}

fn aggregate(
    disk: &Arc<PowerDisk>,
    plan: &Arc<Plan>,
    unfinished: Unfinished,
    model: Model,
) -> Result<()> {
    let aggregator = begin(disk, plan, &whole(plan), unfinished)?;
    let left: Vec<u64> = aggregator.remaining().collect();
    add(&aggregator, left, model);
    aggregator.finish(&Pool::new(1)?, &|_| true).map(drop)
}

fn digests(disk: &Arc<PowerDisk>, moment: &str) -> [Option<String>; 2] {
    NAMES.map(|name| digest(disk, name, moment))
}

/// What a model's predictions come to.
fn expected(plan: &Arc<Plan>, model: Model) -> [Option<String>; 2] {
    let disk = Arc::new(scan().0);
    aggregate(&disk, plan, Unfinished::Refuse, model).unwrap();
    digests(&disk, "expected")
}

/// Each output is one of what it may be; in the end both are the new ones.
fn check_outputs(
    left: &Arc<PowerDisk>,
    plan: &Arc<Plan>,
    old: &[Option<String>; 2],
    new: &[Option<String>; 2],
    moment: &str,
) {
    let found = digests(left, moment);
    for (n, found) in found.iter().enumerate() {
        assert!([&old[n], &new[n]].contains(&found), "{moment}: {} is another", NAMES[n]);
    }
    assert_sound(left, moment);
    let ended = aggregate(left, plan, Unfinished::Resume, 1);
    ended.unwrap_or_else(|e| panic!("{moment}: {e}"));
    assert_eq!(digests(left, moment), *new, "{moment}");
    assert_sound(left, moment);
}

/// Predicts with model 1, over what model 0 has made if that was there.
fn aggregates(replaces: bool) -> usize {
    let (disk, plan) = scan();
    let mut disk = Arc::new(disk);
    if replaces {
        aggregate(&disk, &plan, Unfinished::Refuse, 0).unwrap();
        disk = Arc::new(PowerDisk::of(disk.live()));
    }
    let (old, new) = (digests(&disk, "before"), expected(&plan, 1));
    let mut aggregator = begin(&disk, &plan, &whole(&plan), Unfinished::Refuse).unwrap();
    add_all(&mut aggregator, 1);
    aggregator.check_complete().unwrap();
    let complete = disk.now();
    aggregator.finish(&Pool::new(1).unwrap(), &|_| true).unwrap();
    assert_eq!(digests(&disk, "after"), new);
    every_cut(&disk, disk.now(), |left, moment| {
        assert_eq!(digests(left, moment), new, "{moment}: it was said to be there");
    });
    every_cut(&disk, complete, |left, moment| {
        if digests(left, moment) == old {
            let resumed = begin(left, &plan, &whole(&plan), Unfinished::Resume).unwrap();
            assert_eq!(resumed.remaining().count(), 0, "{moment}: it was said to be complete");
        }
    });
    every_cut(&disk, 0, |left, moment| check_outputs(left, &plan, &old, &new, moment))
}

#[test]
fn a_power_cut_while_predicting_leaves_what_can_be_gone_on_with() {
    assert!(aggregates(false) > 100);
}

#[test]
fn a_power_cut_while_predictions_are_replaced_leaves_old_or_new_ones_under_their_own_attributes() {
    assert!(aggregates(true) > 100);
}

#[test]
fn shards_of_a_model_that_was_thrown_away_do_not_come_back_after_a_power_cut() {
    let (disk, plan) = scan();
    let disk = Arc::new(disk);
    let mut begun = begin(&disk, &plan, &whole(&plan), Unfinished::Refuse).unwrap();
    add(&begun, plan.order().take(1), 0);
    assert!(begun.checkpoint().unwrap());
    drop(begun);
    let disk = Arc::new(PowerDisk::of(disk.live()));
    let restarted = begin(&disk, &plan, &whole(&plan), Unfinished::Restart).unwrap();
    let since = disk.now();
    add(&restarted, plan.order().skip(1), 1);
    drop(restarted);
    let (none, new) = ([None, None], expected(&plan, 1));
    every_cut(&disk, since, |left, moment| check_outputs(left, &plan, &none, &new, moment));
}

#[test]
fn shards_of_a_part_that_is_made_again_do_not_come_back_after_a_power_cut() {
    let (disk, plan) = scan();
    let disk = Arc::new(disk);
    let parts = plan.split(2).unwrap();
    for part in &parts {
        let mut aggregator = begin(&disk, &plan, part, Unfinished::Refuse).unwrap();
        let numbers: Vec<u64> = aggregator.remaining().collect();
        let model = 1 - part.index as u64;
        add(&aggregator, numbers.iter().take(1).copied(), model);
        assert!(aggregator.checkpoint().unwrap());
        add(&aggregator, numbers.into_iter().skip(1), model);
    }
    let disk = Arc::new(PowerDisk::of(disk.live()));
    // The second, once more, with the model of the first.
    let restarted = begin(&disk, &plan, &parts[1], Unfinished::Restart).unwrap();
    let since = disk.now();
    let numbers: Vec<u64> = restarted.remaining().collect();
    add(&restarted, numbers, 1);
    restarted.check_complete().unwrap();
    drop(restarted);
    let new = expected(&plan, 1);
    every_cut(&disk, since, |left, moment| {
        let resumed = begin(left, &plan, &parts[1], Unfinished::Resume).unwrap();
        let numbers: Vec<u64> = resumed.remaining().collect();
        add(&resumed, numbers, 1);
        drop(resumed);
        let (name, pool) = (NAMES[0].parse().unwrap(), Pool::new(1).unwrap());
        finalise(&on(left).unwrap(), &name, Overwrite::Predictions, &pool, &|_| true).unwrap();
        assert_eq!(digests(left, moment), new, "{moment}");
    });
}

#[test]
fn an_old_volume_is_never_published_in_place_of_the_new_one_that_replaced_it() {
    let (disk, plan) = scan();
    let disk = Arc::new(disk);
    aggregate(&disk, &plan, Unfinished::Refuse, 0).unwrap();
    let old = digests(&disk, "before");
    let disk = Arc::new(PowerDisk::of(disk.live()));
    aggregate(&disk, &plan, Unfinished::Refuse, 1).unwrap();
    let new = digests(&disk, "after");
    // As no cut leaves them: the word that all is complete is lost while the rest goes on.
    every_cut(&disk, 0, |left, moment| {
        for work in left.list(".aggregate-a+scores").unwrap() {
            left.delete(&format!(".aggregate-a+scores/{work}/complete.json")).unwrap();
        }
        let (name, pool) = (NAMES[0].parse().unwrap(), Pool::new(1).unwrap());
        let before = digests(left, moment);
        let ended = finalise(&on(left).unwrap(), &name, Overwrite::Predictions, &pool, &|_| true);
        let after = digests(left, moment);
        if ended.is_ok() {
            assert_eq!(after, new, "{moment}");
        } else {
            for n in 0..2 {
                let went_back = before[n] == new[n] && after[n] == old[n];
                assert!(!went_back, "{moment}: {} is the old one again", NAMES[n]);
            }
        }
        aggregate(left, &plan, Unfinished::Resume, 1).unwrap();
        assert_eq!(digests(left, moment), new, "{moment}");
        assert_sound(left, moment);
    });
}
