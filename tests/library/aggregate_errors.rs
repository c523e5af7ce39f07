//! What cannot be aggregated is refused by name, and a disk that fails leaves nothing half.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::common::faulty::{Fault, faulty, litter};
use crate::common::place::{generation, generations_in};
use crate::common::predict::{predict, source, views};
use ndarray::{Array4, Array5, s};
use voxpatch::aggregate::{
    AggregateOptions, Aggregator, Blend, NonFinite, Output, Overwrite, Plan, Unfinished, Values,
    finalise,
};
use voxpatch::sample::{GridSampler, Overlap};
use voxpatch::{Dataset, Error, Frame, Kind, Pool, Region, Spacing, Volume, VolumeName};

fn sampler() -> GridSampler {
    GridSampler::new([4, 4, 4], Overlap::Voxels([2, 2, 2])).unwrap()
}

fn name() -> VolumeName {
    "a/scores".parse().unwrap()
}

fn output(name: &str, channels: usize, values: Values) -> Output {
    let (chunk, shard) = (Some([3, 4, 5]), Some([3, 8, 10]));
    let name = format!("a/{name}").parse().unwrap();
    Output::new(name, channels, values).chunk(chunk).shard(shard)
}

fn plan_of(volume: &Volume, values: Values) -> Arc<Plan> {
    let outputs = vec![output("scores", 2, values)];
    Arc::new(Plan::new(volume, &sampler(), Blend::Hann, outputs).unwrap())
}

fn add_all(aggregator: &Aggregator) -> voxpatch::Result<()> {
    let numbers: Vec<u64> = aggregator.remaining().collect();
    let plan = aggregator.plan();
    numbers.into_iter().try_for_each(|n| aggregator.add(n, &views(&predict(plan, n))))
}

#[test]
fn plans_that_make_no_sense_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (_dataset, volume) = source(folder.path(), [8, 8, 8]);
    let refused = |outputs: Vec<Output>, expected: &str| {
        let error = Plan::new(&volume, &sampler(), Blend::Crop, outputs).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    let one = || output("a", 1, Values::Float32);
    refused(vec![], "name one at least");
    refused(vec![one(), one()], "given twice");
    refused(vec![one().head(64)], "at most 64");
    refused(vec![one(), output("b", 2, Values::Argmax)], "of head 0 like a/a");
    refused(vec![one(), output("b", 1, Values::Float32).factor([2; 3])], "factor");
    refused(vec![one().channels(0)], "channels");
    refused(vec![one().factor([1, 3, 1])], "must divide the patch, 4x4x4");
    refused(vec![one().factor([1, 0, 1])], "must divide");
    refused(vec![one().values(Values::Argmax)], "two classes");
    refused(vec![one().values(Values::UInt8 { scale: 0.0 })], "positive");
    refused(vec![one().values(Values::Threshold(f32::NAN))], "finite");
    refused(vec![one().chunk(Some([0, 1, 1]))], "every axis");
    let sigma = Blend::Gaussian { sigma_scale: 0.0 };
    assert!(Plan::new(&volume, &sampler(), sigma, vec![one()]).is_err());
    let large = GridSampler::new([9, 4, 4], Overlap::Voxels([0; 3])).unwrap();
    assert!(Plan::new(&volume, &large, Blend::Crop, vec![one()]).is_err());

    let plan = Plan::new(&volume, &sampler(), Blend::Crop, vec![one()]).unwrap();
    for parts in [0, 4, usize::MAX] {
        let error = plan.split(parts).unwrap_err().to_string();
        assert!(error.contains("1 to 3 parts"), "{error}");
    }
}

#[test]
fn wrong_predictions_are_named_and_leave_the_rest_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let (dataset, volume) = source(folder.path(), [8, 8, 8]);
    let plan = plan_of(&volume, Values::Float32);
    let options = AggregateOptions::default();
    let pool = Pool::new(2).unwrap();
    let aggregator = Aggregator::begin(&dataset, Arc::clone(&plan), &options).unwrap();
    let good = Array4::<f32>::from_elem([2, 4, 4, 4], 0.5);
    let refused = |location: voxpatch::aggregate::Location, view: &Array4<f32>, expected: &str| {
        let error = aggregator.add(location, &[view.view()]).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    refused(27.into(), &good, "27");
    refused(u64::MAX.into(), &good, "no patch of the plan");
    refused([0, 1, 0].into(), &good, "0,1,0");
    refused([i64::MIN; 3].into(), &good, "no patch of the plan");
    for shape in [[1, 4, 4, 4], [2, 4, 4, 3], [0, 0, 0, 0]] {
        refused(5.into(), &Array4::zeros(shape), "patch 5");
    }
    for (value, shown) in [(f32::NAN, "NaN"), (f32::INFINITY, "inf"), (f32::NEG_INFINITY, "-inf")] {
        let mut wrong = good.clone();
        wrong[[1, 2, 3, 0]] = value;
        refused(5.into(), &wrong, shown);
        refused(5.into(), &wrong, "[1, 2, 3, 0]");
    }
    assert!(aggregator.add(5, &[]).unwrap_err().to_string().contains("1 heads"));
    // A batch is taken as a whole or not at all.
    let batch = Array5::<f32>::from_elem([2, 2, 4, 4, 4], 0.5);
    assert!(aggregator.add_many(&[7_u64, 7], &[batch.view()], &pool).is_err());
    assert!(aggregator.add_many(&[7_u64], &[batch.view()], &pool).is_err());
    assert_eq!(aggregator.remaining().count(), 27);

    aggregator.add(5, &[good.view()]).unwrap();
    refused(5.into(), &good, "added before");
    let error = aggregator.check_complete().unwrap_err();
    let Error::Incomplete { missing: 26, patches, regions } = &error else { panic!("{error}") };
    assert_eq!(patches[..], [0, 1, 2, 3, 4, 6, 7, 8]);
    assert_eq!(regions[1], plan.grid().region(1).unwrap());
    assert!(error.to_string().contains("26 patches") && error.to_string().contains("..."));
    assert!(matches!(aggregator.finish(&pool, &|_| true), Err(Error::Incomplete { .. })));
    assert!(matches!(dataset.volume("a/scores"), Err(Error::NotFound { .. })));
}

#[test]
fn a_view_of_any_strides_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let (dataset, volume) = source(folder.path(), [8, 8, 8]);
    let plan = plan_of(&volume, Values::Float32);
    let aggregator = Aggregator::begin(&dataset, plan, &AggregateOptions::default()).unwrap();
    let plan = aggregator.plan();
    for number in plan.order() {
        // The same numbers, behind a step of two.
        let mut wide = Array4::zeros([2, 4, 4, 8]);
        wide.slice_mut(s![.., .., .., ..;2]).assign(&predict(plan, number)[0]);
        aggregator.add(number, &[wide.slice(s![.., .., .., ..;2])]).unwrap();
    }
    let expected = crate::common::predict::blended(plan, 0, false, |_| true);
    aggregator.finish(&Pool::new(1).unwrap(), &|_| true).unwrap();
    let found = dataset.volume("a/scores").unwrap().read::<f32>(Region::whole([8; 3])).unwrap();
    for ((z, y, x), found) in found.indexed_iter() {
        assert!((f64::from(*found) - expected[[0, z, y, x]].unwrap()).abs() < 1e-5);
    }
}

#[test]
fn numbers_that_are_not_finite_are_kept_or_replaced_when_that_is_said() {
    for (policy, expected) in [(NonFinite::Keep, f32::NAN), (NonFinite::Replace(0.5), 0.5)] {
        let folder = tempfile::tempdir().unwrap();
        let (dataset, volume) = source(folder.path(), [8, 8, 8]);
        let options = AggregateOptions::default().non_finite(policy);
        let plan = plan_of(&volume, Values::Float32);
        let aggregator = Aggregator::begin(&dataset, plan, &options).unwrap();
        for number in aggregator.plan().order() {
            let mut prediction = Array4::<f32>::from_elem([2, 4, 4, 4], 0.5);
            if number == 0 {
                prediction[[1, 0, 0, 0]] = f32::NAN;
            }
            aggregator.add(number, &[prediction.view()]).unwrap();
        }
        aggregator.finish(&Pool::new(1).unwrap(), &|_| true).unwrap();
        let volume = dataset.volume("a/scores").unwrap();
        let channel = volume.view().frame(Frame { time: 0, channel: 1 }).unwrap();
        let found = channel.read::<f32>(Region::whole([8; 3])).unwrap();
        assert_eq!(found[[0, 0, 0]].to_bits(), expected.to_bits());
        assert!(found.iter().skip(1).all(|value| (value - 0.5).abs() < 1e-6));
    }
}

#[test]
fn integers_cannot_keep_what_is_not_finite() {
    let folder = tempfile::tempdir().unwrap();
    let (dataset, volume) = source(folder.path(), [8, 8, 8]);
    let options = AggregateOptions::default().non_finite(NonFinite::Keep);
    for values in [Values::PROBABILITY_8, Values::Argmax, Values::Threshold(0.5)] {
        let begun = Aggregator::begin(&dataset, plan_of(&volume, values), &options);
        let refused = begun.unwrap_err().to_string();
        assert!(refused.contains("neither NaN nor infinity"), "{refused}");
        assert!(litter(&dataset.path()).is_empty());
    }
}

#[test]
fn what_no_voxel_is_made_of_may_be_anything_and_the_rest_may_not() {
    let folder = tempfile::tempdir().unwrap();
    let (dataset, volume) = source(folder.path(), [12, 16, 16]);
    let sampler = GridSampler::new([8, 8, 8], Overlap::Voxels([4, 4, 4])).unwrap();
    // A patch has its middle alone, but for the faces where the volume ends.
    let plan = |blend, sampler: &GridSampler| {
        let output = output("scores", 1, Values::Float32);
        Arc::new(Plan::new(&volume, sampler, blend, vec![output]).unwrap())
    };
    let pool = Pool::new(1).unwrap();
    for (blend, padded) in [(Blend::Crop, false), (Blend::Crop, true), (Blend::Average, true)] {
        let plan = plan(blend, &sampler.clone().pad_borders(padded));
        let options = AggregateOptions::default().overwrite(Overwrite::Predictions);
        let aggregator = Aggregator::begin(&dataset, Arc::clone(&plan), &options).unwrap();
        for number in plan.order() {
            let start = plan.grid().region(number).unwrap().start;
            // Of each axis: what the patch owns, or in a mean what lies in the volume.
            let counts = |a: usize, at: usize| {
                let voxel = start[a] + i64::try_from(at).unwrap();
                let end = i64::try_from(volume.shape()[a]).unwrap();
                let (first, last) = (start[a] <= 0 && !padded, start[a] + 8 >= end && !padded);
                match blend {
                    Blend::Crop => {
                        (first || at >= 2) && (last || at < 6) && (0..end).contains(&voxel)
                    }
                    _ => (0..end).contains(&voxel),
                }
            };
            let prediction = Array4::from_shape_fn([1, 8, 8, 8], |(_, z, y, x)| {
                if counts(0, z) && counts(1, y) && counts(2, x) { 1.0 } else { f32::NAN }
            });
            aggregator.add(number, &[prediction.view()]).unwrap();
            // One that counts is refused before anything is taken.
            let mut wrong = Array4::from_elem([1, 8, 8, 8], 1.0);
            wrong[[0, 4, 4, 4]] = f32::INFINITY;
            if aggregator.remaining().next().is_some()
                && counts(0, 4)
                && counts(1, 4)
                && counts(2, 4)
            {
                let next = aggregator.remaining().next().unwrap();
                let refused = aggregator.add(next, &[wrong.view()]).unwrap_err().to_string();
                assert!(refused.contains("finite"), "{refused}");
            }
        }
        aggregator.finish(&pool, &|_| true).unwrap();
        let made = dataset.volume("a/scores").unwrap();
        let voxels = made.read::<f32>(Region::whole(made.shape())).unwrap();
        assert!(voxels.iter().all(|voxel| voxel.to_bits() == 1_f32.to_bits()), "{blend} {padded}");
    }
}

#[test]
fn outputs_are_volumes_with_the_geometry_and_the_meaning_of_what_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let (dataset, volume) = source(folder.path(), [8, 9, 10]);
    let of_head = |head, output: Output| output.head(head);
    let coarse = output("coarse", 1, Values::Float16).factor([1, 2, 4]);
    let outputs = vec![
        of_head(0, output("organs", 3, Values::Argmax)),
        of_head(1, output("masks", 2, Values::Threshold(0.5))),
        of_head(1, output("bytes", 2, Values::PROBABILITY_8)),
        of_head(2, output("words", 1, Values::PROBABILITY_16)),
        of_head(3, coarse),
    ];
    let plan = Plan::new(&volume, &sampler(), Blend::Average, outputs).unwrap();
    let aggregator = Aggregator::begin(&dataset, plan, &AggregateOptions::default()).unwrap();
    add_all(&aggregator).unwrap();
    aggregator.finish(&Pool::new(1).unwrap(), &|_| true).unwrap();
    let open = |name: &str| dataset.volume(&format!("a/{name}")).unwrap();
    for (name, channels, kind, dtype) in [
        ("organs", 1, Kind::Label, "uint8"),
        ("masks", 2, Kind::Label, "uint8"),
        ("bytes", 2, Kind::Intensity, "uint8"),
        ("words", 1, Kind::Intensity, "uint16"),
    ] {
        let made = open(name);
        assert_eq!((made.channels(), made.kind(), made.dtype().name()), (channels, kind, dtype));
        assert_eq!((made.shape(), made.spacing()), (volume.shape(), volume.spacing()));
        assert_eq!(made.affine(), volume.affine());
        assert_eq!(made.info().predicted_from.as_deref(), Some("a/image"));
        // A label map says which image it is of, to readers of OME-Zarr.
        let group = fs::read(dataset.path().join("a").join(name).join("zarr.json")).unwrap();
        let group: serde_json::Value = serde_json::from_slice(&group).unwrap();
        let image = group.pointer("/attributes/ome/image-label/source/image");
        assert_eq!(image.is_some(), kind == Kind::Label);
        assert!(image.is_none_or(|image| image == "../../a/image"));
        // Labels can be sampled by at once.
        assert_eq!(made.block_index().is_ok(), kind == Kind::Label);
    }
    let coarse = open("coarse");
    assert_eq!((coarse.shape(), coarse.dtype().name()), ([8, 4, 2], "float16"));
    let [z, y, x] = volume.spacing().mm();
    assert_eq!(coarse.spacing(), Spacing::new([z, 2.0 * y, 4.0 * x]).unwrap());
    // The middle of the first four voxels along x, of two along y.
    let (first, expected) =
        (coarse.affine().world([0.0; 3]), volume.affine().world([0.0, 0.5, 1.5]));
    assert!(first.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-9));

    let bytes = open("bytes");
    let real = bytes.view().scaled().read::<f32>(Region::whole(bytes.shape())).unwrap();
    let plan = Plan::new(
        &volume,
        &sampler(),
        Blend::Average,
        vec![
            of_head(0, output("organs", 3, Values::Argmax)),
            of_head(1, output("masks", 2, Values::Threshold(0.5))),
            of_head(1, output("bytes", 2, Values::PROBABILITY_8)),
        ],
    );
    let plan = plan.unwrap();
    let exact = crate::common::predict::blended(&plan, 2, false, |_| true);
    for ((z, y, x), found) in real.indexed_iter() {
        let expected = exact[[0, z, y, x]].unwrap();
        assert!((f64::from(*found) - expected).abs() < 0.5 / 255.0 + 1e-5);
    }
    let masks = open("masks").read::<u8>(Region::whole(volume.shape())).unwrap();
    let exact = crate::common::predict::blended(&plan, 1, false, |_| true);
    for ((z, y, x), found) in masks.indexed_iter() {
        let expected = exact[[0, z, y, x]].unwrap();
        assert!((expected - 0.5).abs() < 1e-5 || u8::from(expected > 0.5) == *found);
    }
}

const NAMES: [&str; 2] = ["a/scores", "a/organs"];

fn two_outputs() -> Vec<Output> {
    vec![output("scores", 2, Values::Float32), output("organs", 2, Values::Argmax)]
}

/// Digests of what is published, all of which is sound; none if nothing is.
fn published(dataset: &Dataset) -> voxpatch::Result<Vec<String>> {
    let pool = Pool::new(1).unwrap();
    NAMES
        .into_iter()
        .map(|name| {
            let volume = dataset.volume(name)?;
            let check = dataset.verify_volume(&name.parse()?, &pool, &|_| true)?;
            assert!(check.damage.is_empty(), "{:?}", check.damage);
            Ok(volume.voxel_digest().to_owned())
        })
        .collect()
}

fn run(dataset: &Dataset, plan: &Arc<Plan>, options: &AggregateOptions) -> voxpatch::Result<()> {
    let mut aggregator = Aggregator::begin(dataset, Arc::clone(plan), options)?;
    let numbers: Vec<u64> = aggregator.remaining().collect();
    for number in numbers.iter().take(numbers.len() / 2) {
        aggregator.add(*number, &views(&predict(plan, *number)))?;
    }
    aggregator.checkpoint()?;
    add_all(&aggregator)?;
    aggregator.finish(&Pool::new(1).unwrap(), &|_| true).map(drop)
}

/// Aggregates with the fault at each operation in turn, until one run goes through; over volumes
/// that are there, if it `replaces` some. After each, going on finishes it, and what is published
/// is sound at any time.
fn every_operation(fault: Fault, replaces: bool) -> usize {
    let mut expected = None;
    for at in 1.. {
        let folder = tempfile::tempdir().unwrap();
        let (sound, volume) = source(folder.path(), [5, 6, 7]);
        let plan = Arc::new(Plan::new(&volume, &sampler(), Blend::Hann, two_outputs()).unwrap());
        let options = AggregateOptions::default().overwrite(if replaces {
            Overwrite::Predictions
        } else {
            Overwrite::Nothing
        });
        let old = replaces.then(|| {
            let other = Plan::new(&volume, &sampler(), Blend::Crop, two_outputs()).unwrap();
            run(&sound, &Arc::new(other), &options).unwrap();
            published(&sound).unwrap()
        });
        let disk = faulty(sound.path(), at, fault);
        let dataset = Dataset::open_on(disk.handle());
        let result = dataset.and_then(|dataset| run(&dataset, &plan, &options));
        if let Some(old) = &old {
            // One after the other, each as a whole.
            let now = published(&sound).unwrap();
            let new = expected.get_or_insert_with(|| new_digests(&plan, [5, 6, 7]));
            for (n, digest) in now.iter().enumerate() {
                assert!(*digest == old[n] || *digest == new[n], "operation {at}, {fault:?}");
            }
        }
        if result.is_err() {
            let resume = options.clone().unfinished(Unfinished::Resume);
            let goes_on = run(&sound, &plan, &resume);
            // It may have gone through in spite of its error, all but the tidying.
            if let Err(error) = goes_on {
                assert!(published(&sound).is_ok(), "operation {at}, {fault:?}: {error}");
            }
        }
        let found = published(&sound).unwrap_or_else(|e| panic!("operation {at}, {fault:?}: {e}"));
        assert_eq!(*expected.get_or_insert_with(|| found.clone()), found, "operation {at}");
        // What could not be removed, or was left by a killed process, is swept.
        sound.sweep(Duration::ZERO, false).unwrap();
        let left = litter(&sound.path());
        assert!(left.is_empty(), "operation {at}, {fault:?}: {left:?}");
        for name in NAMES {
            let named = generation(&sound.path(), name);
            assert_eq!(generations_in(&sound.path().join(name)), [named], "operation {at}");
        }
        if !disk.has_faulted() {
            result.unwrap();
            return at;
        }
    }
    unreachable!("some run goes through")
}

/// What a run without a fault gives.
fn new_digests(plan: &Arc<Plan>, shape: [usize; 3]) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let (dataset, _) = source(folder.path(), shape);
    run(&dataset, plan, &AggregateOptions::default()).unwrap();
    published(&dataset).unwrap()
}

#[test]
fn a_run_that_fails_anywhere_is_resumed_to_the_same_voxels() {
    assert!(every_operation(Fault::Fails, false) > 50);
}

#[test]
fn a_run_whose_operation_fails_after_it_was_done_is_resumed_to_the_same_voxels() {
    assert!(every_operation(Fault::DoneButFails, false) > 50);
}

#[test]
fn a_run_that_is_killed_anywhere_is_resumed_to_the_same_voxels() {
    assert!(every_operation(Fault::Stops, false) > 50);
}

#[test]
fn volumes_are_replaced_as_a_whole_whatever_fails() {
    assert!(every_operation(Fault::Fails, true) > 50);
    assert!(every_operation(Fault::Stops, true) > 50);
}

#[test]
fn what_is_finished_survives_a_resumption_that_fails_anywhere() {
    let resume = AggregateOptions::default().unfinished(Unfinished::Resume);
    for at in 1.. {
        let folder = tempfile::tempdir().unwrap();
        let (sound, volume) = source(folder.path(), [16, 6, 7]);
        let plan = Arc::new(Plan::new(&volume, &sampler(), Blend::Hann, two_outputs()).unwrap());
        let begun = Aggregator::begin(&sound, Arc::clone(&plan), &resume).unwrap();
        let half = plan.grid().len() * 3 / 4;
        for number in plan.order().take(usize::try_from(half).unwrap()) {
            begun.add(number, &views(&predict(&plan, number))).unwrap();
        }
        drop(begun);
        let left = |dataset: &Dataset| {
            Aggregator::begin(dataset, Arc::clone(&plan), &resume).unwrap().remaining().count()
        };
        let before = left(&sound);
        assert!((before as u64) < plan.grid().len());
        let disk = faulty(sound.path(), at, Fault::Fails);
        let dataset = Dataset::open_on(disk.handle());
        let result = dataset.and_then(|dataset| run(&dataset, &plan, &resume));
        if result.is_err() && published(&sound).is_err() {
            assert!(left(&sound) <= before, "operation {at}");
            run(&sound, &plan, &resume).unwrap();
        }
        assert_eq!(published(&sound).unwrap().len(), 2);
        if !disk.has_faulted() {
            return assert!(at > 50);
        }
    }
}

#[test]
fn a_part_that_is_made_again_makes_all_of_it_and_never_of_what_is_complete() {
    let folder = tempfile::tempdir().unwrap();
    let (dataset, volume) = source(folder.path(), [12, 8, 8]);
    let plan = plan_of(&volume, Values::Float32);
    let restart = AggregateOptions::default().unfinished(Unfinished::Restart);
    let parts = plan.split(2).unwrap();
    let begin = |dataset: &Dataset, part: usize, options: &AggregateOptions| {
        Aggregator::begin_part(dataset, Arc::clone(&plan), parts[part].clone(), options)
    };
    for part in [0, 1, 1] {
        let again = begin(&dataset, part, &restart).unwrap();
        assert_eq!(again.remaining().count() as u64, parts[part].patches);
        add_all(&again).unwrap();
        again.check_complete().unwrap();
    }
    // A part of another plan is none of this one.
    let apart = GridSampler::new([4, 4, 4], Overlap::Voxels([0, 0, 0])).unwrap();
    let scores = vec![output("scores", 2, Values::Float32)];
    let other = Plan::new(&volume, &apart, Blend::Hann, scores).unwrap();
    let part = other.split(2).unwrap().swap_remove(0);
    assert!(part != parts[0]);
    let error = Aggregator::begin_part(&dataset, Arc::clone(&plan), part, &restart).unwrap_err();
    assert!(error.to_string().contains("Plan::split"), "{error}");
    // Publishing fails where all is complete and nothing in its place.
    let work = generations_in(&dataset.path().join(".aggregate-a+scores"));
    let pool = Pool::new(1).unwrap();
    for at in 1.. {
        let faulty = Dataset::open_on(faulty(dataset.path(), at, Fault::Stops).handle());
        let result = faulty
            .and_then(|faulty| finalise(&faulty, &name(), Overwrite::Nothing, &pool, &|_| true));
        assert!(result.is_err(), "operation {at}");
        if work[0].join("complete.json").exists() {
            break;
        }
    }
    let error = begin(&dataset, 1, &restart).unwrap_err().to_string();
    assert!(error.contains("complete"), "{error}");
    assert_eq!(begin(&dataset, 1, &AggregateOptions::default()).unwrap().remaining().count(), 0);
    finalise(&dataset, &name(), Overwrite::Nothing, &pool, &|_| true).unwrap();
    let check = dataset.verify_volume(&name(), &pool, &|_| true).unwrap();
    assert!(check.damage.is_empty(), "{:?}", check.damage);
}

#[test]
fn after_held_sums_are_lost_nothing_is_taken_for_complete() {
    let folder = tempfile::tempdir().unwrap();
    let (dataset, volume) = source(folder.path(), [8, 8, 8]);
    let plan = plan_of(&volume, Values::Float32);
    // The scratch file has no folder to be in.
    let scratch = Some(folder.path().join("none"));
    let options = AggregateOptions::default().budget(Some(0)).scratch(scratch);
    let mut aggregator = Aggregator::begin(&dataset, Arc::clone(&plan), &options).unwrap();
    let add = |aggregator: &Aggregator, n| aggregator.add(n, &views(&predict(&plan, n)));
    assert!(matches!(add(&aggregator, 0_u64), Err(Error::Io { .. })));
    for error in [
        add(&aggregator, 1_u64).unwrap_err(),
        aggregator.check_complete().unwrap_err(),
        aggregator.fill_missing(0.0, &Pool::new(1).unwrap(), &|| true).map(drop).unwrap_err(),
    ] {
        assert!(error.to_string().contains("resume"), "{error}");
    }
}

#[test]
fn filling_up_can_be_stopped_and_is_resumed_from_the_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let (dataset, volume) = source(folder.path(), [8, 8, 8]);
    let plan = plan_of(&volume, Values::Float32);
    let options = AggregateOptions::default().unfinished(Unfinished::Resume);
    let pool = Pool::new(2).unwrap();
    let mut aggregator = Aggregator::begin(&dataset, Arc::clone(&plan), &options).unwrap();
    add_some(&aggregator);
    assert!(aggregator.checkpoint().unwrap());
    let left = aggregator.remaining().count();
    let asked = AtomicUsize::new(0);
    let go_on = || asked.fetch_add(1, Ordering::SeqCst) < 2;
    let stopped = aggregator.fill_missing(3.0, &pool, &go_on);
    assert!(matches!(stopped, Err(Error::Cancelled)));
    assert!(aggregator.check_complete().unwrap_err().to_string().contains("resume"));
    drop(aggregator);
    let mut aggregator = Aggregator::begin(&dataset, plan, &options).unwrap();
    assert_eq!(aggregator.remaining().count(), left);
    assert_eq!(aggregator.fill_missing(3.0, &pool, &|| true).unwrap(), left as u64);
    aggregator.finish(&pool, &|_| true).unwrap();
}

#[test]
fn an_output_in_the_place_of_its_source_is_refused_and_a_policy_is_not_changed_midway() {
    let folder = tempfile::tempdir().unwrap();
    let (dataset, volume) = source(folder.path(), [8, 8, 8]);
    let itself = vec![output("image", 1, Values::Float32)];
    let plan = Plan::new(&volume, &sampler(), Blend::Hann, itself).unwrap();
    let options = AggregateOptions::default().overwrite(Overwrite::Predictions);
    let error = Aggregator::begin(&dataset, plan, &options).unwrap_err().to_string();
    assert!(error.contains("choose another name"), "{error}");
    let plan = plan_of(&volume, Values::Float32);
    let begun = Aggregator::begin(&dataset, Arc::clone(&plan), &options).unwrap();
    add_some(&begun);
    drop(begun);
    let other =
        AggregateOptions::default().unfinished(Unfinished::Resume).non_finite(NonFinite::Keep);
    let error = Aggregator::begin(&dataset, plan, &other).unwrap_err().to_string();
    assert!(error.contains("not finite was error, and is now keep"), "{error}");
}

/// Adds half of the patches, so that some shards are written.
fn add_some(aggregator: &Aggregator) {
    let numbers: Vec<u64> = aggregator.remaining().collect();
    for number in &numbers[..numbers.len() * 2 / 3] {
        aggregator.add(*number, &views(&predict(aggregator.plan(), *number))).unwrap();
    }
}

#[test]
fn a_part_is_refused_to_others_while_it_is_made_and_patches_elsewhere_are_refused_to_it() {
    let folder = tempfile::tempdir().unwrap();
    let (dataset, volume) = source(folder.path(), [12, 8, 8]);
    let plan = plan_of(&volume, Values::Float32);
    let options = AggregateOptions::default();
    let pool = Pool::new(1).unwrap();
    let parts = plan.split(2).unwrap();
    assert!(parts.iter().all(|part| part.shared > 0 && part.shared < part.patches));
    let begin = |part: usize| {
        Aggregator::begin_part(&dataset, Arc::clone(&plan), parts[part].clone(), &options)
    };
    let first = begin(0).unwrap();
    let error = begin(0).unwrap_err().to_string();
    assert!(error.contains("another process"), "{error}");
    let second = begin(1).unwrap();
    let last = plan.grid().len() - 1;
    let error = first.add(last, &views(&predict(&plan, last))).unwrap_err().to_string();
    assert!(error.contains("part 1 of 2"), "{error}");
    add_all(&first).unwrap();
    let error = first.finish(&pool, &|_| true).unwrap_err().to_string();
    assert!(error.contains("finalise"), "{error}");
    // The second is being made, and then is not complete.
    assert!(finalise(&dataset, &name(), Overwrite::Nothing, &pool, &|_| true).is_err());
    drop(second);
    let error = finalise(&dataset, &name(), Overwrite::Nothing, &pool, &|_| true).unwrap_err();
    assert!(matches!(error, Error::Unfinished { .. }), "{error}");
    add_all(&begin(1).unwrap()).unwrap();
    let cancelled = finalise(&dataset, &name(), Overwrite::Nothing, &pool, &|_| false).unwrap_err();
    assert!(matches!(cancelled, Error::Cancelled));
    finalise(&dataset, &name(), Overwrite::Nothing, &pool, &|_| true).unwrap();
    assert!(dataset.volume("a/scores").is_ok());
    let again = finalise(&dataset, &name(), Overwrite::Nothing, &pool, &|_| true).unwrap_err();
    assert!(matches!(again, Error::NotFound { .. }), "{again}");
}

#[test]
fn a_second_finalise_is_told_that_the_first_is_publishing() {
    let folder = tempfile::tempdir().unwrap();
    let (dataset, volume) = source(folder.path(), [12, 8, 8]);
    let plan = plan_of(&volume, Values::Float32);
    let (options, pool) = (AggregateOptions::default(), Pool::new(1).unwrap());
    let parts = plan.split(2).unwrap();
    let begin = |part: usize| {
        Aggregator::begin_part(&dataset, Arc::clone(&plan), parts[part].clone(), &options)
    };
    (0..2).for_each(|part| add_all(&begin(part).unwrap()).unwrap());
    let told = std::sync::Mutex::new(Vec::new());
    let meanwhile = |_| {
        let again = Pool::new(1).unwrap();
        let second = finalise(&dataset, &name(), Overwrite::Nothing, &again, &|_| true).map(drop);
        let joining = begin(1).map(drop);
        told.lock().unwrap().extend([second, joining]);
        true
    };
    finalise(&dataset, &name(), Overwrite::Nothing, &pool, &meanwhile).unwrap();
    let told = told.into_inner().unwrap();
    assert!(!told.is_empty());
    for refused in told {
        let error = refused.unwrap_err().to_string();
        assert!(error.contains("another process is publishing it"), "{error}");
    }
}

#[test]
fn what_is_unfinished_is_listed_until_it_is_published() {
    let folder = tempfile::tempdir().unwrap();
    let (dataset, volume) = source(folder.path(), [12, 8, 8]);
    let plan = plan_of(&volume, Values::Float32);
    let resume = AggregateOptions::default().unfinished(Unfinished::Resume);
    assert_eq!(dataset.unfinished_aggregations().unwrap(), []);
    let begun = Aggregator::begin(&dataset, Arc::clone(&plan), &resume).unwrap();
    add_some(&begun);
    drop(begun);
    let [listed] = &dataset.unfinished_aggregations().unwrap()[..] else { panic!("one") };
    assert_eq!((&listed.outputs[..], listed.parts), (&["a/scores".to_owned()][..], 1));
    assert!((1..listed.shards).contains(&listed.written), "{listed:?}");
    let resumed = Aggregator::begin(&dataset, plan, &resume).unwrap();
    add_all(&resumed).unwrap();
    resumed.check_complete().unwrap();
    let [listed] = &dataset.unfinished_aggregations().unwrap()[..] else { panic!("one") };
    assert_eq!(listed.written, listed.shards);
    resumed.finish(&Pool::new(1).unwrap(), &|_| true).unwrap();
    assert_eq!(dataset.unfinished_aggregations().unwrap(), []);
}

#[test]
fn predictions_take_the_place_of_a_ground_truth_only_where_that_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let (dataset, volume) = source(folder.path(), [8, 8, 8]);
    let plan = plan_of(&volume, Values::Float32);
    // A volume of another origin, under the name of the output.
    fs::rename(dataset.path().join("a/image"), dataset.path().join("a/scores")).unwrap();
    let scores = || fs::read(dataset.path().join("a/scores/zarr.json")).unwrap();
    let truth = scores();
    let with = |overwrite| AggregateOptions::default().overwrite(overwrite);
    for overwrite in [Overwrite::Nothing, Overwrite::Predictions] {
        let error = Aggregator::begin(&dataset, Arc::clone(&plan), &with(overwrite)).unwrap_err();
        assert!(matches!(&error, Error::NotPredicted { path } if path.ends_with("a/scores")));
    }
    // Begun where nothing was in the way, and a scan comes to be there before the end.
    let aside = dataset.path().join("a/aside");
    fs::rename(dataset.path().join("a/scores"), &aside).unwrap();
    let predictions = with(Overwrite::Predictions);
    let aggregator = Aggregator::begin(&dataset, Arc::clone(&plan), &predictions).unwrap();
    for number in plan.order() {
        aggregator.add(number, &views(&predict(&plan, number))).unwrap();
    }
    // Shards may still be waiting to be written.
    fs::create_dir_all(dataset.path().join("a/scores")).unwrap();
    for entry in fs::read_dir(&aside).unwrap() {
        let path = entry.unwrap().path();
        let target = dataset.path().join("a/scores").join(path.file_name().unwrap());
        fs::rename(path, target).unwrap();
    }
    let pool = Pool::new(1).unwrap();
    let error = aggregator.finish(&pool, &|_| true).unwrap_err();
    assert!(matches!(error, Error::NotPredicted { .. }), "{error}");
    assert_eq!(scores(), truth);
    finalise(&dataset, &name(), Overwrite::Anything, &pool, &|_| true).unwrap();
    assert_ne!(scores(), truth);
}

#[test]
fn discarding_what_was_published_in_part_keeps_the_published_volumes() {
    let folder = tempfile::tempdir().unwrap();
    let (dataset, volume) = source(folder.path(), [8, 8, 8]);
    let plan = Plan::new(&volume, &sampler(), Blend::Hann, two_outputs()).unwrap();
    let aggregator = Aggregator::begin(&dataset, plan, &AggregateOptions::default()).unwrap();
    add_all(&aggregator).unwrap();
    aggregator.check_complete().unwrap();
    drop(aggregator);
    let (pool, names) = (Pool::new(1).unwrap(), NAMES.map(|name| name.parse().unwrap()));
    let is_there = || NAMES.map(|name| dataset.volume(name).is_ok());
    let job = dataset.path().join(".aggregate-a+scores");
    let is_complete =
        || generations_in(&job).iter().any(|work| work.join("complete.json").exists());
    // Until all is complete, and from there until the first volume is there.
    for is_done in [&is_complete as &dyn Fn() -> bool, &|| is_there() != [false; 2]] {
        for at in (1..300).take_while(|_| !is_done()) {
            let faulty = Dataset::open_on(faulty(dataset.path(), at, Fault::Stops).handle());
            let ended =
                faulty.and_then(|f| finalise(&f, &names[0], Overwrite::Nothing, &pool, &|_| true));
            assert!(ended.is_err(), "operation {at}");
        }
    }
    let published = is_there();
    assert_ne!(published, [false; 2]);
    assert!(dataset.discard_aggregation(&names[0]).unwrap());
    assert!(!dataset.discard_aggregation(&names[0]).unwrap());
    assert_eq!(is_there(), published);
    dataset.sweep(Duration::ZERO, false).unwrap();
    assert!(dataset.verify(&pool, &|_| true).unwrap().is_sound());
}
