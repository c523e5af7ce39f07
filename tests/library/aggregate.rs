//! Aggregated volumes are what a dense computation gives, and the same bytes however they come
//! about.
#![allow(
    clippy::unwrap_used,
    clippy::float_cmp,
    reason = "a test may fail, and its numbers are exact"
)]

use std::sync::Arc;

use crate::common::place::files_as_written;
use crate::common::predict::{blended, predict, source, views};
use ndarray::{Array4, Array5, ArrayView5, Axis, stack};
use proptest::prelude::*;
use voxpatch::aggregate::{
    AggregateOptions, Aggregator, Blend, Output, Overwrite, Plan, Unfinished, Values, finalise,
};
use voxpatch::sample::{GridSampler, Overlap};
use voxpatch::{Dataset, Frame, Pool, Region, Volume, VolumeName};

const GAUSSIAN: Blend = Blend::Gaussian { sigma_scale: Blend::SIGMA_SCALE };

fn name() -> VolumeName {
    "a/scores".parse().unwrap()
}

fn output(name: &str, channels: usize, values: Values, factor: [usize; 3]) -> Output {
    let (chunk, shard) = (Some([3, 4, 5]), Some([3, 8, 10]));
    let name = format!("a/{name}").parse().unwrap();
    Output::new(name, channels, values).factor(factor).chunk(chunk).shard(shard)
}

fn options() -> AggregateOptions {
    AggregateOptions::default().made_by("a test".into())
}

/// Adds every patch that is wanted, in an order that is shuffled by `seed`; 0 is the plan's.
fn add_all(aggregator: &Aggregator, seed: u64, batch: Option<&Pool>) {
    let plan = aggregator.plan();
    let mut numbers: Vec<u64> = aggregator.remaining().collect();
    if seed > 0 {
        numbers.sort_by_key(|n| (n + 1).wrapping_mul(seed | 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    }
    let Some(pool) = batch else {
        for number in numbers {
            aggregator.add(number, &views(&predict(plan, number))).unwrap();
        }
        return;
    };
    for numbers in numbers.chunks(5) {
        let predictions: Vec<_> = numbers.iter().map(|n| predict(plan, *n)).collect();
        let heads = 0..plan.heads();
        let stacked: Vec<Array5<f32>> = heads
            .map(|n| stack(Axis(0), &predictions.iter().map(|p| p[n].view()).collect::<Vec<_>>()))
            .collect::<Result<_, _>>()
            .unwrap();
        let stacked: Vec<ArrayView5<'_, f32>> = stacked.iter().map(|s| s.view()).collect();
        aggregator.add_many(numbers, &stacked, pool).unwrap();
    }
}

fn read(volume: &Volume) -> Array4<f32> {
    let channel = |channel| {
        let frame = Frame { time: 0, channel };
        volume
            .view()
            .frame(frame)
            .unwrap()
            .scaled()
            .read::<f32>(Region::whole(volume.shape()))
            .unwrap()
    };
    let channels: Vec<_> = (0..volume.channels()).map(channel).collect();
    stack(Axis(0), &channels.iter().map(|c| c.view()).collect::<Vec<_>>()).unwrap()
}

fn nothing_hidden(dataset: &Dataset) {
    let litter = crate::common::faulty::litter(&dataset.path());
    assert!(litter.is_empty(), "{litter:?}");
}

#[derive(Debug, Clone)]
struct Case {
    volume: [usize; 3],
    sampler: GridSampler,
    padded: bool,
    blend: Blend,
    factor: [usize; 3],
    channels: usize,
}

fn cases() -> impl Strategy<Value = Case> {
    let blends = vec![Blend::Crop, Blend::Average, Blend::Hann, GAUSSIAN, Blend::NnUNet];
    let axis = || (3_usize..14, 1_usize..6, 0_usize..6, 1_usize..3);
    let spread = prop::option::weighted(0.3, 0.2..1.0);
    let blend = prop::sample::select(blends);
    (axis(), axis(), axis(), blend, any::<bool>(), 1_usize..4, spread).prop_map(
        |(z, y, x, blend, padded, channels, spread)| {
            let axes = [z, y, x];
            let (volume, factor) = (axes.map(|a| a.0), axes.map(|a| a.3));
            let patch = axes.map(|a| a.1 * a.3);
            let overlap = axes.map(|a| a.2.min(a.1 * a.3 - 1));
            let overlap = match spread {
                Some(share) => Overlap::TileStep([share; 3]),
                None => Overlap::Voxels(overlap),
            };
            let padded = padded && spread.is_none();
            let sampler = GridSampler::new(patch, overlap).unwrap();
            let sampler = sampler.pad_small_volumes(true).pad_borders(padded);
            Case { volume, sampler, padded, blend, factor, channels }
        },
    )
}

fn plan(volume: &Volume, case: &Case) -> Arc<Plan> {
    let Case { channels, factor, .. } = *case;
    let outputs = vec![
        output("scores", channels, Values::Float32, [1; 3]),
        output("coarse", 2, Values::Argmax, factor).head(1),
    ];
    Arc::new(Plan::new(volume, &case.sampler, case.blend, outputs).unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]
    #[test]
    fn an_aggregated_volume_is_the_blend_of_its_patches(case in cases(), seed: u64) {
        let folder = tempfile::tempdir().unwrap();
        let (dataset, volume) = source(folder.path(), case.volume);
        let plan = plan(&volume, &case);
        let pool = Pool::new(2).unwrap();
        let aggregator = Aggregator::begin(&dataset, Arc::clone(&plan), &options()).unwrap();
        add_all(&aggregator, seed, None);
        let report = aggregator.finish(&pool, &|_| true).unwrap();
        prop_assert_eq!(report.patches, plan.grid().len());
        nothing_hidden(&dataset);

        let found = read(&dataset.volume("a/scores").unwrap());
        let expected = blended(&plan, 0, case.padded, |_| true).mapv(Option::unwrap);
        prop_assert_eq!(found.shape(), expected.shape());
        for (found, expected) in found.iter().zip(&expected) {
            prop_assert!((f64::from(*found) - expected).abs() < 1e-5, "{} {}", found, expected);
        }
        let coarse = dataset.volume("a/coarse").unwrap();
        let labels = coarse.read::<u8>(Region::whole(coarse.shape())).unwrap();
        let scores = blended(&plan, 1, case.padded, |_| true).mapv(Option::unwrap);
        for ((z, y, x), label) in labels.indexed_iter() {
            let [zero, one] = [0, 1].map(|c| scores[[c, z, y, x]]);
            // Where the two are this close, rounding decides.
            prop_assert!((zero - one).abs() < 1e-5 || u8::from(one > zero) == *label);
        }
    }

    #[test]
    fn order_threads_budget_and_parts_do_not_change_a_byte(case in cases(), seed: u64) {
        let folder = tempfile::tempdir().unwrap();
        let (dataset, volume) = source(folder.path(), case.volume);
        let plan = plan(&volume, &case);
        let pool = Pool::new(3).unwrap();
        let aggregator = Aggregator::begin(&dataset, Arc::clone(&plan), &options()).unwrap();
        add_all(&aggregator, 0, None);
        // In the plan's order nothing is beyond the plan's memory but encoded chunks.
        let used = aggregator.memory();
        prop_assert_eq!(used.spilled_peak, 0);
        aggregator.finish(&pool, &|_| true).unwrap();
        let path = |image: &str| dataset.path().join("a").join(image);
        let first = ["scores", "coarse"].map(|image| files_as_written(&path(image)));

        let again = options().overwrite(Overwrite::Predictions).budget(Some(seed % 3000));
        let aggregator = Aggregator::begin(&dataset, Arc::clone(&plan), &again).unwrap();
        add_all(&aggregator, seed | 2, Some(&pool));
        prop_assert!(aggregator.memory().peak <= seed % 3000);
        aggregator.finish(&pool, &|_| true).unwrap();
        prop_assert!(first == ["scores", "coarse"].map(|image| files_as_written(&path(image))));

        let most = (1..5).take_while(|n| plan.split(*n).is_ok()).count();
        for part in plan.split(most).unwrap().into_iter().rev() {
            let patches = part.patches;
            let one = Aggregator::begin_part(&dataset, Arc::clone(&plan), part, &again).unwrap();
            prop_assert_eq!(one.remaining().count() as u64, patches);
            add_all(&one, seed, None);
            one.check_complete().unwrap();
        }
        finalise(&dataset, &name(), Overwrite::Predictions, &pool, &|_| true).unwrap();
        prop_assert!(first == ["scores", "coarse"].map(|image| files_as_written(&path(image))));
        nothing_hidden(&dataset);
    }

    #[test]
    fn missing_patches_are_named_and_filled_when_asked_to(case in cases(), seed: u64) {
        let folder = tempfile::tempdir().unwrap();
        let (dataset, volume) = source(folder.path(), case.volume);
        let plan = plan(&volume, &case);
        let pool = Pool::new(2).unwrap();
        let mut aggregator = Aggregator::begin(&dataset, Arc::clone(&plan), &options()).unwrap();
        let arrives = |n: u64| (n ^ seed).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 62 != 0;
        for number in plan.order().filter(|n| arrives(*n)) {
            aggregator.add(number, &views(&predict(&plan, number))).unwrap();
        }
        let missing: Vec<u64> = plan.order().filter(|n| !arrives(*n)).collect();
        // In mode crop the owner of no voxel is not waited for.
        let needed: Vec<u64> = aggregator.remaining().collect();
        prop_assert!(needed.iter().all(|n| missing.contains(n)));
        if case.blend != Blend::Crop {
            prop_assert_eq!(&needed, &missing);
        }
        match aggregator.check_complete() {
            Err(voxpatch::Error::Incomplete { missing, patches, .. }) => {
                prop_assert_eq!(missing, needed.len() as u64);
                prop_assert!(needed.starts_with(&patches));
            }
            complete => prop_assert!(complete.is_ok() && needed.is_empty()),
        }
        prop_assert_eq!(aggregator.fill_missing(-7.0, &pool, &|| true).unwrap(), needed.len() as u64);
        aggregator.finish(&pool, &|_| true).unwrap();
        let found = read(&dataset.volume("a/scores").unwrap());
        let expected = blended(&plan, 0, case.padded, arrives).mapv(|v| v.unwrap_or(-7.0));
        for (found, expected) in found.iter().zip(&expected) {
            prop_assert!((f64::from(*found) - expected).abs() < 1e-5, "{} {}", found, expected);
        }
    }
}

/// The grids that `TorchIO` 1 publishes with its tests: 4 x 4, patches of 3 x 3 that share 2,
/// which are 0, 2, 4 and 6 throughout.
#[test]
fn the_published_grids_of_torchio_come_out() {
    let expected: [(Blend, [f32; 16]); 3] = [
        (Blend::Crop, [0., 0., 2., 2., 0., 0., 2., 2., 4., 4., 6., 6., 4., 4., 6., 6.]),
        (Blend::Average, [0., 1., 1., 2., 2., 3., 3., 4., 2., 3., 3., 4., 4., 5., 5., 6.]),
        (
            Blend::Hann,
            [0., 2., 4., 6., 4., 6., 8., 10., 8., 10., 12., 14., 12., 14., 16., 18.]
                .map(|n| n / 3.),
        ),
    ];
    let folder = tempfile::tempdir().unwrap();
    let (dataset, volume) = source(folder.path(), [1, 4, 4]);
    let sampler = GridSampler::new([1, 3, 3], Overlap::Voxels([0, 2, 2])).unwrap();
    let pool = Pool::new(1).unwrap();
    for (blend, expected) in expected {
        let name = format!("a/{blend}").parse().unwrap();
        let output = Output::new(name, 1, Values::Float32);
        let plan = Plan::new(&volume, &sampler, blend, vec![output]).unwrap();
        let aggregator = Aggregator::begin(&dataset, plan, &options()).unwrap();
        for (number, value) in [(0, 0.0), (1, 2.0), (2, 4.0), (3, 6.0)] {
            let start = aggregator.plan().grid().region(number).unwrap().start;
            let prediction = Array4::from_elem([1, 1, 3, 3], value);
            aggregator.add(start, &[prediction.view()]).unwrap();
        }
        aggregator.finish(&pool, &|_| true).unwrap();
        let found = read(&dataset.volume(&format!("a/{blend}")).unwrap());
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-6, "{blend}: {found} {expected}");
        }
    }
}

#[test]
fn what_was_written_before_is_not_asked_for_again() {
    let folder = tempfile::tempdir().unwrap();
    let (dataset, volume) = source(folder.path(), [20, 9, 9]);
    let sampler = GridSampler::new([4, 4, 4], Overlap::Voxels([2, 2, 2])).unwrap();
    let outputs = vec![output("scores", 2, Values::Float32, [1; 3])];
    let plan = Arc::new(Plan::new(&volume, &sampler, GAUSSIAN, outputs).unwrap());
    let pool = Pool::new(1).unwrap();
    let all = usize::try_from(plan.grid().len()).unwrap();
    let aggregator = Aggregator::begin(&dataset, Arc::clone(&plan), &options()).unwrap();
    for number in plan.order().take(all / 2) {
        aggregator.add(number, &views(&predict(&plan, number))).unwrap();
    }
    drop(aggregator);
    assert!(dataset.volume("a/scores").is_err());

    let refused = Aggregator::begin(&dataset, Arc::clone(&plan), &options()).unwrap_err();
    assert!(matches!(refused, voxpatch::Error::Unfinished { .. }), "{refused}");
    let resume = options().unfinished(Unfinished::Resume);
    let other = resume.clone().made_by("another model".into());
    let refused = Aggregator::begin(&dataset, Arc::clone(&plan), &other).unwrap_err().to_string();
    assert!(
        refused.contains("the maker of the predictions") && refused.contains("another model"),
        "{refused}"
    );

    let aggregator = Aggregator::begin(&dataset, Arc::clone(&plan), &resume).unwrap();
    let left = aggregator.remaining().count();
    // Half of the patches reach plane 12 and finish planes 0 to 5: places from plane 4 on, seven of
    // nine, touch the others.
    assert_eq!(left, all * 7 / 9);
    // Patches of what is there are taken and change nothing.
    let first = plan.order().next().unwrap();
    aggregator.add(first, &views(&predict(&plan, first))).unwrap();
    add_all(&aggregator, 0, None);
    aggregator.finish(&pool, &|_| true).unwrap();
    let resumed = files_as_written(&dataset.path().join("a/scores"));

    let restart = options().overwrite(Overwrite::Predictions);
    let aggregator = Aggregator::begin(&dataset, Arc::clone(&plan), &restart).unwrap();
    add_all(&aggregator, 0, None);
    aggregator.finish(&pool, &|_| true).unwrap();
    assert!(resumed == files_as_written(&dataset.path().join("a/scores")));
    nothing_hidden(&dataset);
}

/// What is held follows the patch and the cross-section of the volume.
#[test]
fn twice_the_depth_takes_no_more_memory() {
    let peak = |depth: usize, blend: Blend| {
        let folder = tempfile::tempdir().unwrap();
        let (dataset, volume) = source(folder.path(), [depth, 12, 10]);
        let sampler = GridSampler::new([6, 5, 5], Overlap::Voxels([3, 2, 2])).unwrap();
        let outputs = vec![output("scores", 3, Values::Argmax, [1; 3])];
        let plan = Arc::new(Plan::new(&volume, &sampler, blend, outputs).unwrap());
        let aggregator = Aggregator::begin(&dataset, Arc::clone(&plan), &options()).unwrap();
        add_all(&aggregator, 0, None);
        let used = aggregator.memory();
        assert_eq!(used.spilled_peak, 0);
        // Beside the sums there are encoded chunks of shards that are not finished.
        let most = plan.memory() + 12 * 10 * 3;
        assert!(used.peak <= most, "{blend}: {} of {most}", used.peak);
        // Three patches' depth of the cross-section, in f32, of three classes.
        assert!(used.peak <= 3 * 6 * 12 * 10 * 4 * 3, "{blend}: {}", used.peak);
        aggregator.finish(&Pool::new(1).unwrap(), &|_| true).unwrap();
        (used.peak, plan.memory())
    };
    for blend in [Blend::Crop, Blend::Average, Blend::Hann, GAUSSIAN] {
        let (once, twice) = (peak(30, blend), peak(60, blend));
        assert_eq!(once.1, twice.1, "{blend}");
        assert!(twice.0 <= once.0 + once.0 / 50, "{blend}: {} {}", once.0, twice.0);
    }
}

/// Pieces that come in any order are kept beyond the budget in a scratch file, and nothing is left
/// of it.
#[test]
fn what_comes_before_its_turn_is_spilled_beyond_the_budget() {
    let folder = tempfile::tempdir().unwrap();
    let (dataset, volume) = source(folder.path(), [40, 12, 10]);
    let sampler = GridSampler::new([6, 5, 5], Overlap::Voxels([3, 2, 2])).unwrap();
    let outputs = vec![output("scores", 2, Values::Float32, [1; 3])];
    let plan = Arc::new(Plan::new(&volume, &sampler, Blend::Hann, outputs).unwrap());
    let budget = 20_000;
    let bounded = options().budget(Some(budget));
    let aggregator = Aggregator::begin(&dataset, Arc::clone(&plan), &bounded).unwrap();
    add_all(&aggregator, 5, None);
    let used = aggregator.memory();
    assert!(used.peak <= budget && used.spilled_peak > budget, "{used:?}");
    let report = aggregator.finish(&Pool::new(1).unwrap(), &|_| true).unwrap();
    assert_eq!(report.memory, Some(used));
    let found = read(&dataset.volume("a/scores").unwrap());
    let expected = blended(&plan, 0, false, |_| true).mapv(Option::unwrap);
    for (found, expected) in found.iter().zip(&expected) {
        assert!((f64::from(*found) - expected).abs() < 1e-5, "{found} {expected}");
    }
    nothing_hidden(&dataset);
}

#[test]
fn several_threads_that_add_at_once_give_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let (dataset, volume) = source(folder.path(), [13, 14, 11]);
    let sampler = GridSampler::new([6, 5, 5], Overlap::Voxels([3, 2, 3])).unwrap();
    let pool = Pool::new(2).unwrap();
    for blend in [Blend::Crop, Blend::Average, GAUSSIAN] {
        let outputs = vec![
            output("scores", 2, Values::Float32, [1; 3]),
            output("coarse", 2, Values::Argmax, [1; 3]),
        ];
        let plan = Arc::new(Plan::new(&volume, &sampler, blend, outputs).unwrap());
        let mut first = None;
        for (threads, budget) in [(1, None), (4, None), (4, Some(10_000)), (7, Some(0))] {
            let options = options().overwrite(Overwrite::Predictions).budget(budget);
            let aggregator = Aggregator::begin(&dataset, Arc::clone(&plan), &options).unwrap();
            let next = std::sync::Mutex::new(plan.order());
            std::thread::scope(|scope| {
                for _ in 0..threads {
                    scope.spawn(|| {
                        while let Some(number) = { next.lock().unwrap().next() } {
                            aggregator.add(number, &views(&predict(&plan, number))).unwrap();
                        }
                    });
                }
            });
            aggregator.finish(&pool, &|_| true).unwrap();
            let made = ["scores", "coarse"]
                .map(|name| files_as_written(&dataset.path().join("a").join(name)));
            assert!(*first.get_or_insert_with(|| made.clone()) == made, "{blend}, {threads}");
        }
    }
}

/// Aggregates answers that are the same for every patch: `channels`, each of one number.
fn constant(
    dataset: &Dataset,
    volume: &Volume,
    (patch, overlap): ([usize; 3], [usize; 3]),
    blend: Blend,
    (channels, values): (&[f32], Values),
) -> voxpatch::Result<Array4<f32>> {
    let sampler = GridSampler::new(patch, Overlap::Voxels(overlap)).unwrap();
    let output = output("constant", channels.len(), values, [1; 3]);
    let plan = Plan::new(volume, &sampler, blend, vec![output]).unwrap();
    let options = options().overwrite(Overwrite::Predictions).unfinished(Unfinished::Restart);
    let aggregator = Aggregator::begin(dataset, plan, &options)?;
    let [z, y, x] = patch;
    let answer = Array4::from_shape_fn((channels.len(), z, y, x), |(c, ..)| channels[c]);
    for number in aggregator.remaining().collect::<Vec<_>>() {
        aggregator.add(number, &[answer.view()])?;
    }
    aggregator.finish(&Pool::new(1).unwrap(), &|_| true)?;
    Ok(read(&dataset.volume("a/constant")?))
}

const BLENDS: [Blend; 4] = [Blend::Crop, Blend::Average, Blend::Hann, GAUSSIAN];
/// Patches and their overlaps, in the volume below.
const GRIDS: [([usize; 3], [usize; 3]); 3] =
    [([6, 8, 8], [2, 4, 4]), ([7, 5, 9], [6, 4, 8]), ([13, 11, 12], [6, 0, 10])];

#[test]
fn a_model_that_always_answers_the_same_number_gives_that_number_bit_for_bit() {
    let folder = tempfile::tempdir().unwrap();
    let (dataset, volume) = source(folder.path(), [13, 11, 12]);
    let numbers = [1.0, 0.1, -3.333_333_3, f32::MIN, f32::MAX, f32::MIN_POSITIVE / 64.0];
    for (grid, blend) in GRIDS.into_iter().flat_map(|g| BLENDS.map(|b| (g, b))) {
        let found = constant(&dataset, &volume, grid, blend, (&numbers, Values::Float32)).unwrap();
        for (channel, number) in found.axis_iter(Axis(0)).zip(numbers) {
            let same = |found: &f32| found.to_bits() == number.to_bits();
            assert!(channel.iter().all(same), "{number} in {grid:?} by {blend}");
        }
        let ones = (&[1.0][..], Values::Threshold(1.0));
        let found = constant(&dataset, &volume, grid, blend, ones).unwrap();
        assert!(found.iter().all(|label| *label == 1.0), "{grid:?} by {blend}");
    }
}

#[test]
fn classes_that_are_masked_by_the_least_number_are_never_chosen() {
    let folder = tempfile::tempdir().unwrap();
    let (dataset, volume) = source(folder.path(), [13, 11, 12]);
    for (grid, blend) in GRIDS.into_iter().flat_map(|g| BLENDS.map(|b| (g, b))) {
        for (scores, best) in [([f32::MIN, -3e38, f32::MIN], 1.0), ([-3e38, f32::MIN, 3e38], 2.0)] {
            let answers = (&scores[..], Values::Argmax);
            let found = constant(&dataset, &volume, grid, blend, answers).unwrap();
            assert!(found.iter().all(|class| *class == best), "{scores:?} in {grid:?} by {blend}");
        }
    }
}

#[test]
fn scores_that_half_precision_cannot_hold_follow_what_is_said_of_numbers_that_are_not_finite() {
    let folder = tempfile::tempdir().unwrap();
    let (dataset, volume) = source(folder.path(), [13, 11, 12]);
    let half = |score: f32| {
        constant(&dataset, &volume, GRIDS[0], Blend::Hann, (&[score], Values::Float16))
    };
    assert!(half(65519.0).unwrap().iter().all(|score| *score == 65504.0));
    for score in [65520.0, -1e9, f32::MIN] {
        let error = half(score).unwrap_err().to_string();
        assert!(error.contains("float16") && error.contains("65504"), "{error}");
    }
}
