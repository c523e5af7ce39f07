//! What cannot be aggregated is refused by name, and a disk that fails leaves nothing half.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use std::sync::Arc;

use common::faulty::{Fault, FaultyDisk, litter};
use common::predict::{predict, source, views};
use ndarray::{Array4, Array5, s};
use voxpatch::aggregate::{
    AggregateOptions, Aggregator, Blend, NonFinite, Output, Plan, Unfinished, Values, finalise,
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
    Output { chunk, shard, ..Output::new(name, channels, values) }
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
    refused(vec![Output { channels: 0, ..one() }], "channels");
    refused(vec![Output { factor: [1, 3, 1], ..one() }], "must divide the patch, 4x4x4");
    refused(vec![Output { factor: [1, 0, 1], ..one() }], "must divide");
    refused(vec![Output { values: Values::Argmax, ..one() }], "two classes");
    refused(vec![Output { values: Values::UInt8 { scale: 0.0 }, ..one() }], "positive");
    refused(vec![Output { values: Values::Threshold(f32::NAN), ..one() }], "finite");
    refused(vec![Output { chunk: Some([0, 1, 1]), ..one() }], "every axis");
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
    assert!(aggregator.add(5, &[]).unwrap_err().to_string().contains("1 outputs"));
    // A batch is taken as a whole or not at all.
    let batch = Array5::<f32>::from_elem([2, 2, 4, 4, 4], 0.5);
    assert!(aggregator.add_many(&[7_u64, 7], &[batch.view()], &pool).is_err());
    assert!(aggregator.add_many(&[7_u64], &[batch.view()], &pool).is_err());
    assert_eq!(aggregator.remaining().count(), 27);

    aggregator.add(5, &[good.view()]).unwrap();
    refused(5.into(), &good, "given before");
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
    let expected = common::predict::blended(plan, 0, false, |_| true);
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
        let options = AggregateOptions { non_finite: policy, ..AggregateOptions::default() };
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
        let channel = volume.frame(Frame { time: 0, channel: 1 }).unwrap();
        let found = channel.read::<f32>(Region::whole([8; 3])).unwrap();
        assert_eq!(found[[0, 0, 0]].to_bits(), expected.to_bits());
        assert!(found.iter().skip(1).all(|value| (value - 0.5).abs() < 1e-6));
    }
}

#[test]
fn outputs_are_volumes_with_the_geometry_and_the_meaning_of_what_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let (dataset, volume) = source(folder.path(), [8, 9, 10]);
    let coarse = Output { factor: [1, 2, 4], ..output("coarse", 1, Values::Float16) };
    let outputs = vec![
        output("organs", 3, Values::Argmax),
        output("masks", 2, Values::Threshold(0.5)),
        output("bytes", 2, Values::PROBABILITY_8),
        output("words", 1, Values::PROBABILITY_16),
        coarse,
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
        let group = std::fs::read(dataset.path().join("a").join(name).join("zarr.json")).unwrap();
        let group: serde_json::Value = serde_json::from_slice(&group).unwrap();
        let image = group.pointer("/attributes/ome/image-label/source/image");
        assert_eq!(image.is_some(), kind == Kind::Label);
        assert!(image.is_none_or(|image| image == "../../a/image"));
        // Labels can be sampled by at once.
        assert_eq!(made.chunk_index().is_ok(), kind == Kind::Label);
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
    let real = bytes.scaled().read::<f32>(Region::whole(bytes.shape())).unwrap();
    let plan = Plan::new(
        &volume,
        &sampler(),
        Blend::Average,
        vec![
            output("organs", 3, Values::Argmax),
            output("masks", 2, Values::Threshold(0.5)),
            output("bytes", 2, Values::PROBABILITY_8),
        ],
    );
    let plan = plan.unwrap();
    let exact = common::predict::blended(&plan, 2, false, |_| true);
    for ((z, y, x), found) in real.indexed_iter() {
        let expected = exact[[0, z, y, x]].unwrap();
        assert!((f64::from(*found) - expected).abs() < 0.5 / 255.0 + 1e-5);
    }
    let masks = open("masks").read::<u8>(Region::whole(volume.shape())).unwrap();
    let exact = common::predict::blended(&plan, 1, false, |_| true);
    for ((z, y, x), found) in masks.indexed_iter() {
        let expected = exact[[0, z, y, x]].unwrap();
        assert!((expected - 0.5).abs() < 1e-5 || u8::from(expected > 0.5) == *found);
    }
}

/// Aggregates with the fault at each operation in turn, until one run goes through. After each
/// nothing is published or all of it, and going on finishes it.
fn every_operation(fault: Fault) -> usize {
    let outputs =
        || vec![output("scores", 2, Values::Float32), output("organs", 2, Values::Argmax)];
    let pool = Pool::new(1).unwrap();
    let mut expected = None;
    for at in 1.. {
        let folder = tempfile::tempdir().unwrap();
        let (sound, volume) = source(folder.path(), [5, 6, 7]);
        let plan = Arc::new(Plan::new(&volume, &sampler(), Blend::Hann, outputs()).unwrap());
        let root = sound.path();
        let run = |dataset: &Dataset, unfinished| {
            let options = AggregateOptions { unfinished, ..AggregateOptions::default() };
            let aggregator = Aggregator::begin(dataset, Arc::clone(&plan), &options)?;
            add_all(&aggregator)?;
            aggregator.finish(&pool, &|_| true)
        };
        let disk = Arc::new(FaultyDisk::new(root.clone(), at, fault));
        let dataset = Dataset::open_on(Arc::<FaultyDisk>::clone(&disk));
        let result = dataset.and_then(|dataset| run(&dataset, Unfinished::Refuse));
        let read = |name: &str| {
            let volume = sound.volume(name)?;
            Ok((volume.voxel_digest().to_owned(), volume.stored_bytes()))
        };
        let both = || {
            let both: voxpatch::Result<Vec<_>> =
                ["a/scores", "a/organs"].into_iter().map(read).collect();
            both
        };
        if result.is_err() {
            let goes_on = run(&sound, Unfinished::Resume);
            // It may have gone through in spite of its error, all but the tidying.
            if let Err(error) = goes_on {
                assert!(both().is_ok(), "operation {at}, {fault:?}: {error}");
            }
        }
        let found = both().unwrap_or_else(|error| panic!("operation {at}, {fault:?}: {error}"));
        assert_eq!(*expected.get_or_insert_with(|| found.clone()), found, "operation {at}");
        let mut left = litter(&root);
        // Whoever cannot remove an empty folder leaves it.
        left.retain(|f| !f.file_name().unwrap().to_str().unwrap().starts_with(".lock-"));
        assert!(left.is_empty() || fault == Fault::Stops, "operation {at}, {fault:?}: {left:?}");
        for name in ["a/scores", "a/organs"] {
            let volume = sound.volume(name).unwrap();
            volume.read_many::<u8>(&[], &pool).ok();
            assert!(volume.cost(Region::whole(volume.shape())).is_ok());
        }
        if !disk.has_faulted() {
            result.unwrap();
            return at;
        }
    }
    unreachable!("some run goes through")
}

#[test]
fn a_run_that_fails_anywhere_is_resumed_to_the_same_voxels() {
    assert!(every_operation(Fault::Fails) > 50);
}

#[test]
fn a_run_whose_operation_fails_after_it_was_done_is_resumed_to_the_same_voxels() {
    assert!(every_operation(Fault::DoneButFails) > 50);
}

#[test]
fn a_run_that_is_killed_anywhere_is_resumed_to_the_same_voxels() {
    assert!(every_operation(Fault::Stops) > 50);
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
    assert!(finalise(&dataset, &name(), false, &pool, &|_| true).is_err());
    drop(second);
    let error = finalise(&dataset, &name(), false, &pool, &|_| true).unwrap_err();
    assert!(matches!(error, Error::Unfinished { .. }), "{error}");
    add_all(&begin(1).unwrap()).unwrap();
    let cancelled = finalise(&dataset, &name(), false, &pool, &|_| false).unwrap_err();
    assert!(matches!(cancelled, Error::Cancelled));
    finalise(&dataset, &name(), false, &pool, &|_| true).unwrap();
    assert!(dataset.volume("a/scores").is_ok());
    let again = finalise(&dataset, &name(), false, &pool, &|_| true).unwrap_err();
    assert!(matches!(again, Error::NotFound { .. }), "{again}");
}
