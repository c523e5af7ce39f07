//! Outputs of one head: they share what is held, and each is what it would be by itself.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::fs;
use std::sync::Arc;

use crate::common::place::generations;
use crate::common::predict::{blended, predict, source, views};
use ndarray::Array4;
use voxpatch::aggregate::{
    AggregateOptions, Aggregator, Blend, NonFinite, Output, Plan, Unfinished, Values,
};
use voxpatch::sample::{GridSampler, Overlap};
use voxpatch::{Dataset, Error, Frame, Pool, Region, Volume};

const CHANNELS: usize = 5;
const BLENDS: [Blend; 4] =
    [Blend::Crop, Blend::Average, Blend::Hann, Blend::Gaussian { sigma_scale: Blend::SIGMA_SCALE }];

fn output(name: &str, values: Values) -> Output {
    Output::new(format!("a/{name}").parse().unwrap(), CHANNELS, values)
}

fn three() -> Vec<Output> {
    vec![
        output("organs", Values::Argmax),
        output("scores", Values::Float32),
        output("bytes", Values::PROBABILITY_8),
    ]
}

fn plan(volume: &Volume, blend: Blend, outputs: Vec<Output>) -> Arc<Plan> {
    let sampler = GridSampler::new([12, 16, 16], Overlap::Voxels([6, 8, 8])).unwrap();
    Arc::new(Plan::new(volume, &sampler, blend, outputs).unwrap())
}

fn add(aggregator: &Aggregator, numbers: impl IntoIterator<Item = u64>) {
    for number in numbers {
        aggregator.add(number, &views(&predict(aggregator.plan(), number))).unwrap();
    }
}

fn read(dataset: &Dataset, name: &str) -> Array4<f32> {
    let volume = dataset.volume(name).unwrap();
    let [z, y, x] = volume.shape();
    let mut all = Array4::zeros([volume.channels(), z, y, x]);
    for (channel, mut into) in all.outer_iter_mut().enumerate() {
        let frame = volume.view().frame(Frame { time: 0, channel }).unwrap().scaled();
        into.assign(&frame.read::<f32>(Region::whole([z, y, x])).unwrap());
    }
    all
}

#[test]
fn three_outputs_of_a_head_take_the_memory_of_one_and_each_is_what_it_is_by_itself() {
    for blend in BLENDS {
        let folder = tempfile::tempdir().unwrap();
        let (dataset, volume) = source(folder.path(), [40, 48, 40]);
        let run = |outputs: Vec<Output>| {
            let plan = plan(&volume, blend, outputs);
            let aggregator =
                Aggregator::begin(&dataset, Arc::clone(&plan), &AggregateOptions::default());
            let aggregator = aggregator.unwrap();
            add(&aggregator, plan.order());
            let peak = aggregator.memory().peak;
            aggregator.finish(&Pool::new(1).unwrap(), &|_| true).unwrap();
            (plan, peak)
        };
        let (alone, of_one) = run(vec![output("alone", Values::Float32)]);
        let (shared, of_three) = run(three());
        assert_eq!(shared.memory(), alone.memory(), "{blend}");
        // Beside the sums there are encoded chunks of shards that are not finished.
        let encoded: usize = [(0, 1), (2, CHANNELS)]
            .map(|(n, channels)| {
                shared.layout(n).unwrap().shard.iter().product::<usize>() * channels
            })
            .iter()
            .sum();
        assert!(of_three <= of_one + encoded as u64, "{blend}: {of_three} {of_one}");

        let expected = blended(&shared, 1, false, |_| true).mapv(Option::unwrap);
        let (scores, bytes) = (read(&dataset, "a/scores"), read(&dataset, "a/bytes"));
        assert_eq!(scores, read(&dataset, "a/alone"), "{blend}");
        for ((found, byte), expected) in scores.iter().zip(&bytes).zip(&expected) {
            assert!((f64::from(*found) - expected).abs() < 1e-5, "{blend}");
            assert!((f64::from(*byte) - expected).abs() < 0.5 / 255.0 + 1e-5, "{blend}");
        }
        for ((_, z, y, x), organ) in read(&dataset, "a/organs").indexed_iter() {
            let score = |channel: usize| scores[[channel, z, y, x]];
            let best = (1..CHANNELS).fold(0, |a, b| if score(b) > score(a) { b } else { a });
            assert!((f32::from(u8::try_from(best).unwrap()) - organ).abs() < 0.5, "{blend}");
        }
    }
}

#[test]
fn an_output_that_lost_a_shard_is_made_again_and_the_others_are_left_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let (dataset, volume) = source(folder.path(), [40, 24, 20]);
    let cut = |output: Output| output.chunk(Some([4, 8, 8])).shard(Some([8, 24, 24]));
    let plan = plan(&volume, Blend::Hann, three().into_iter().map(cut).collect());
    let pool = Pool::new(1).unwrap();
    let resume = AggregateOptions::default().unfinished(Unfinished::Resume);
    let digests = || {
        let digest = |name| dataset.volume(name).map(|v: Volume| v.voxel_digest().to_owned());
        ["a/organs", "a/scores", "a/bytes"].map(|name| digest(name).unwrap())
    };
    let mut whole = None;
    for lost in [&[][..], &["organs/c/1/0/0"], &["scores/c/3/2/0/0", "bytes/c/0/4/0/0"]] {
        let aggregator = Aggregator::begin(&dataset, Arc::clone(&plan), &resume).unwrap();
        add(&aggregator, plan.order());
        aggregator.check_complete().unwrap();
        drop(aggregator);
        for shard in lost {
            let (name, key) = shard.split_once('/').unwrap();
            let [made] = &generations(&dataset.path(), &format!("a/{name}"))[..] else { panic!() };
            fs::remove_file(made.join("0").join(key)).unwrap();
        }
        let resumed = Aggregator::begin(&dataset, Arc::clone(&plan), &resume).unwrap();
        let left: Vec<u64> = resumed.remaining().collect();
        assert!((left.len() as u64) < plan.grid().len() && left.is_empty() == lost.is_empty());
        add(&resumed, left);
        resumed.finish(&pool, &|_| true).unwrap();
        assert_eq!(digests(), *whole.get_or_insert_with(digests), "{lost:?}");
        fs::remove_dir_all(dataset.path().join("a/organs")).unwrap();
        fs::remove_dir_all(dataset.path().join("a/scores")).unwrap();
        fs::remove_dir_all(dataset.path().join("a/bytes")).unwrap();
    }
}

#[test]
fn a_head_that_no_output_is_made_of_may_be_anything() {
    let folder = tempfile::tempdir().unwrap();
    let (dataset, volume) = source(folder.path(), [12, 16, 16]);
    let second = output("scores", Values::Float32).head(1);
    let plan = plan(&volume, Blend::Hann, vec![second]);
    assert_eq!((plan.heads(), plan.prediction(0)), (2, None));
    let aggregator = Aggregator::begin(&dataset, plan, &AggregateOptions::default()).unwrap();
    let other = Array4::from_elem([1, 2, 3, 4], f32::NAN);
    let scores = Array4::from_elem([CHANNELS, 12, 16, 16], 0.5);
    let refused = aggregator.add(0_u64, &[scores.view()]).unwrap_err();
    assert!(matches!(refused, Error::InvalidArgument { .. }), "{refused}");
    aggregator.add(0_u64, &[other.view(), scores.view()]).unwrap();
    aggregator.finish(&Pool::new(1).unwrap(), &|_| true).unwrap();
    assert_eq!(read(&dataset, "a/scores"), scores);
}

#[test]
fn what_one_output_of_a_head_cannot_hold_is_refused_or_replaced_for_all_of_them() {
    let folder = tempfile::tempdir().unwrap();
    let (dataset, volume) = source(folder.path(), [12, 16, 16]);
    let outputs = vec![output("scores", Values::Float32), output("halves", Values::Float16)];
    let plan = plan(&volume, Blend::Hann, outputs);
    let scores = Array4::from_elem([CHANNELS, 12, 16, 16], 7e4);
    let begin = |non_finite, unfinished| {
        let options = AggregateOptions::default().non_finite(non_finite).unfinished(unfinished);
        Aggregator::begin(&dataset, Arc::clone(&plan), &options).unwrap()
    };
    let aggregator = begin(NonFinite::Error, Unfinished::Refuse);
    let error = aggregator.add(0_u64, &[scores.view()]).unwrap_err().to_string();
    assert!(error.contains("65504") && error.contains("a/scores and a/halves"), "{error}");
    drop(aggregator);
    let aggregator = begin(NonFinite::Replace(3.0), Unfinished::Restart);
    aggregator.add(0_u64, &[scores.view()]).unwrap();
    aggregator.finish(&Pool::new(1).unwrap(), &|_| true).unwrap();
    for name in ["a/scores", "a/halves"] {
        assert_eq!(read(&dataset, name), Array4::from_elem([CHANNELS, 12, 16, 16], 3.0));
    }
}
