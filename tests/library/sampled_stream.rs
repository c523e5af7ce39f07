//! What convert counts, what samplers draw by it and what a stream then reads belong together.
#![allow(
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "small numbers, and it may fail"
)]

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::common::dense::{DenseScan, store};
use ndarray::{Array3, Array5, Axis, s};
use voxpatch::layout::PlanOptions;
use voxpatch::sample::{
    Border, Choice, Draw, Field, ForegroundSampler, LabelSampler, Sample, Sampler, UniformSampler,
    WeightedSampler,
};
use voxpatch::stream::{ImageRequest, Patch, PatchStream, StreamOptions};
use voxpatch::{ConvertOptions, Dataset, Kind, Padding};

const SHAPE: [usize; 3] = [24, 20, 28];
const PATCH: [usize; 3] = [5, 6, 4];
const SUBJECTS: usize = 3;

/// A cube of class 1, a voxel of class 2 in the last corner, and a few of class 7 in all subjects
/// but the first.
fn labels(subject: usize) -> Array3<u8> {
    let mut labels = Array3::zeros(SHAPE);
    labels.slice_mut(s![4..10, 5..11, 6 + subject..12 + subject]).fill(1);
    labels[[23, 19, 27]] = 2;
    if subject > 0 {
        labels.slice_mut(s![0, 0, 0..3]).fill(7);
    }
    labels
}

fn dataset(folder: &tempfile::TempDir) -> Dataset {
    let dataset = Dataset::create(folder.path().join("s.zarr")).unwrap();
    for subject in 0..SUBJECTS {
        let labels = labels(subject);
        let weights = labels.mapv(|label| if label == 1 { 0.25_f32 } else { 0.0 });
        add(&dataset, &format!("s{subject}/label"), Kind::Label, &labels.mapv(i16::from));
        add(&dataset, &format!("s{subject}/chance"), Kind::Weights, &weights);
    }
    dataset
}

fn add<T: voxpatch::Element>(dataset: &Dataset, name: &str, kind: Kind, voxels: &Array3<T>) {
    add_in(dataset, name, kind, voxels, [8; 3]);
}

/// In chunks of a shape, in place of what is there.
fn add_in<T: voxpatch::Element>(
    dataset: &Dataset,
    name: &str,
    kind: Kind,
    voxels: &Array3<T>,
    chunk: [usize; 3],
) {
    let shard = Some(chunk.map(|n| 2 * n));
    let plan = PlanOptions::default().chunk(Some(chunk)).shard(shard);
    let options = ConvertOptions::default().kind(Some(kind)).plan(plan).overwrite(true);
    let voxels: Array5<T> = voxels.clone().insert_axis(Axis(0)).insert_axis(Axis(0));
    store(DenseScan::new(&voxels), dataset, name, &options).unwrap();
}

fn patches(dataset: &Dataset, sampler: impl Sampler + 'static, by: &str, n: usize) -> Vec<Patch> {
    let options = StreamOptions::default()
        .images(vec![ImageRequest::new("label").padded(Padding::Constant(0.0))])
        .sample_by(Some(by.into()))
        .patches_per_visit(n)
        .seed(11)
        .workers(2);
    let subjects = dataset.subjects().unwrap();
    let stream = PatchStream::new(dataset, subjects, Arc::new(sampler), &options).unwrap();
    stream.collect::<Result<_, _>>().unwrap()
}

fn holds(patch: &Patch, class: i64) -> bool {
    let labels = patch.image("label").unwrap().as_array::<i16>().unwrap();
    labels.iter().any(|label| i64::from(*label) == class)
}

#[test]
fn a_patch_holds_the_class_it_was_drawn_for_and_classes_are_balanced() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = dataset(&folder);
    let n = 600;
    let sampler = LabelSampler::per_class(PATCH, None).unwrap().border(Border::Clamp);
    let mut counts = BTreeMap::<_, usize>::new();
    for patch in patches(&dataset, sampler, "label", n) {
        let Choice::Class(class) = patch.origin.choice else { panic!("{:?}", patch.origin) };
        assert!(holds(&patch, class), "{:?}", patch.origin);
        *counts.entry((patch.origin.subject.clone(), class)).or_default() += 1;
    }
    // Class 7 is absent from s0, where the others share what it would have had.
    assert_eq!(counts.len(), 2 + 3 + 3);
    for ((subject, class), count) in &counts {
        let classes = if subject == "s0" { 2.0 } else { 3.0 };
        let (expected, p) = (n as f64 / classes, 1.0 / classes);
        let six_deviations = 6.0 * (expected * (1.0 - p)).sqrt();
        assert!((*count as f64 - expected).abs() < six_deviations, "{subject} {class}: {count}");
    }
}

#[test]
fn every_voxel_of_a_class_is_drawn_sooner_or_later() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = dataset(&folder);
    let sampler = LabelSampler::per_class([1, 1, 1], Some(&[(1, 1.0)])).unwrap();
    let mut starts: Vec<_> = patches(&dataset, sampler, "label", 4000)
        .iter()
        .map(|patch| (patch.origin.subject.clone(), patch.origin.region.start))
        .collect();
    starts.sort_unstable();
    starts.dedup();
    assert_eq!(starts.len(), SUBJECTS * 6 * 6 * 6);
}

#[test]
fn the_share_of_foreground_is_kept_and_weights_are_followed() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = dataset(&folder);
    let sampler = ForegroundSampler::oversample(PATCH, 0.25).unwrap();
    let (mut forced, all) = (0, patches(&dataset, sampler, "label", 40));
    for patch in &all {
        if let Choice::Class(class) = patch.origin.choice {
            assert!(holds(patch, class), "{:?}", patch.origin);
            forced += 1;
        }
    }
    assert_eq!((forced, all.len()), (30, 120));
    for patch in patches(&dataset, WeightedSampler::new([1, 1, 1]).unwrap(), "chance", 50) {
        assert_eq!(patch.origin.choice, Choice::Weight);
        assert!(holds(&patch, 1), "{:?}", patch.origin);
    }
}

#[test]
fn a_volume_without_an_index_says_how_to_get_one() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = dataset(&folder);
    add(&dataset, "s9/image", Kind::Intensity, &Array3::<i16>::ones(SHAPE));
    let error = dataset.volume("s9/image").unwrap().index().unwrap_err().to_string();
    assert!(error.contains("s9/image") && error.contains("--kind"), "{error}");
}

/// Regions of many draws, by label and by weight, from volumes stored in chunks of a shape.
fn drawn(chunk: [usize; 3]) -> Vec<Sample> {
    let folder = tempfile::tempdir().unwrap();
    let dataset = Dataset::create(folder.path().join("s.zarr")).unwrap();
    let shape = [70, 40, 45];
    let labels = Array3::from_shape_fn(shape, |(z, y, x)| (z / 9 + y / 7 * 2 + x / 11) as u8 % 4);
    // Sums that differ in their last digits with the order in which they are taken.
    let chance =
        Array3::from_shape_fn(shape, |(z, y, x)| ((z * 31 + y * 17 + x) % 23) as f64 * 0.1);
    add_in(&dataset, "s/label", Kind::Label, &labels, chunk);
    add_in(&dataset, "s/chance", Kind::Weights, &chance, chunk);
    let mut found = Vec::new();
    for border in [Border::Mask, Border::Clamp] {
        let patch = [21, 6, 9];
        let samplers: [(&str, Box<dyn Sampler>); 5] = [
            ("label", Box::new(LabelSampler::per_class(patch, None).unwrap().border(border))),
            ("label", Box::new(LabelSampler::per_voxel(patch, None).unwrap().border(border))),
            (
                "label",
                Box::new(ForegroundSampler::pos_neg(patch, 1.0, 1.0).unwrap().border(border)),
            ),
            ("label", Box::new(ForegroundSampler::oversample(patch, 0.4).unwrap().border(border))),
            ("chance", Box::new(WeightedSampler::new(patch).unwrap().border(border))),
        ];
        for (image, sampler) in samplers {
            let volume = dataset.volume(&format!("s/{image}")).unwrap();
            let regions = sampler.prepare(Arc::new(volume)).unwrap();
            let draw = |index| regions.draw(Draw { seed: 5, epoch: 2, index }).unwrap();
            found.extend((0..60).map(draw));
        }
    }
    found
}

#[test]
fn the_same_seed_draws_the_same_patches_whatever_the_chunks() {
    let first = drawn([8, 8, 8]);
    // Thin and thick, of the blocks' shape, larger than the volume, and dividing nothing evenly.
    for chunk in [[1, 20, 45], [5, 7, 16], [32, 32, 32], [33, 31, 12], [96, 64, 64]] {
        assert_eq!(first, drawn(chunk), "chunks of {chunk:?}");
    }
}

#[test]
fn a_stream_goes_on_over_the_same_labels_in_other_chunks_and_refuses_other_labels() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = dataset(&folder);
    let stream = |sampler: Arc<dyn Sampler>| {
        let options = StreamOptions::default()
            .images(vec![ImageRequest::new("chance").padded(Padding::Constant(0.0))])
            .sample_by(Some("label".into()));
        PatchStream::new(&dataset, dataset.subjects().unwrap(), sampler, &options).unwrap()
    };
    let by_label = || stream(Arc::new(LabelSampler::per_class(PATCH, None).unwrap()));
    let anywhere = || stream(Arc::new(UniformSampler::new(PATCH).unwrap()));
    let rest = |stream: PatchStream| -> Vec<_> {
        stream.map(|patch| patch.map(|patch| patch.origin).unwrap()).collect()
    };
    let (mut saved, uniform) = (by_label(), anywhere().state());
    saved.by_ref().take(5).for_each(drop);
    let (state, expected) = (saved.state(), rest(saved));

    add_in(&dataset, "s1/label", Kind::Label, &labels(1).mapv(i16::from), [5, 9, 14]);
    let mut resumed = by_label();
    resumed.resume(&state).unwrap();
    assert_eq!(rest(resumed), expected);

    let mut other = labels(1).mapv(i16::from);
    other[[12, 10, 14]] = 1;
    add(&dataset, "s1/label", Kind::Label, &other);
    let error = by_label().resume(&state).unwrap_err().to_string();
    assert!(error.contains("the sampled voxels"), "{error}");
    anywhere().resume(&uniform).unwrap();

    // A state of draws that followed from chunks says nothing of what was drawn from.
    let mut old = serde_json::to_value(&uniform).unwrap();
    old["configuration"].as_object_mut().unwrap().remove("draws").unwrap();
    let error = anywhere().resume(&serde_json::from_value(old).unwrap()).unwrap_err();
    assert!(error.to_string().contains("how draws follow"), "{error}");
}
