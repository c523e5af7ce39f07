//! What cannot be streamed is told, with the subject it is about, and never hangs.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::sync::Arc;

use crate::common::cohort::{Cohort, NothingIn, PanicsIn, Planes, Scattered, both};
use crate::common::dense::{DenseScan, store, voxels};
use voxpatch::sample::Sampler;
use voxpatch::stream::{ImageRequest, OnError, Patch, PatchStream, Remainder, StreamOptions};
use voxpatch::{ConvertOptions, Error, Result};

fn options() -> StreamOptions {
    StreamOptions::default().images(both()).patches_per_visit(4).shuffle_window(9)
}

fn refused(result: Result<PatchStream>, words: &[&str]) {
    let text = result.expect_err("it is to be refused").to_string();
    for word in words {
        assert!(text.contains(word), "{word} in: {text}");
    }
}

#[test]
fn options_that_make_no_sense_are_refused() {
    let cohort = Cohort::new(2);
    let refuse = |options: StreamOptions, words: &[&str]| {
        refused(cohort.try_stream(Scattered::default(), &options), words);
    };
    refuse(options().patches_per_visit(0), &["patches per visit", "at least 1"]);
    refuse(options().open_subjects(0), &["open subjects", "at least 1"]);
    refuse(options().images(Vec::new()), &["images", "at least 1"]);
    let twice = vec![ImageRequest::new("image"), ImageRequest::new("image").scaled()];
    refuse(options().images(twice), &["image", "twice"]);
    refuse(options().world(0), &["rank", "world is 0"]);
    refuse(options().rank(3).world(3), &["rank", "world is 3"]);
    refuse(options().workers(1_000_000), &["workers", "1024"]);
    refuse(options().world(9), &["8 patches", "9 ranks"]);
    refuse(options().patches_per_visit(usize::MAX), &["2^63"]);
    let repeat = options().world(9).remainder(Remainder::Repeat);
    assert_eq!(cohort.stream(Scattered::default(), &repeat).count(), 1);
    assert!(cohort.stream(Scattered::default(), &options()).batches(0, false).is_err());
}

#[test]
fn subjects_and_images_that_are_not_there_are_named() {
    let cohort = Cohort::new(2);
    let with = |subjects: &[&str], options: &StreamOptions| {
        let subjects = subjects.iter().map(ToString::to_string).collect();
        PatchStream::new(&cohort.dataset, subjects, Arc::new(Scattered::default()), options)
    };
    for on_error in [OnError::Fail, OnError::Skip] {
        let options = options().on_error(on_error);
        refused(with(&[], &options), &["number of subjects"]);
        refused(with(&["s0", "s1", "s0"], &options), &["s0", "twice"]);
        refused(with(&["s0", "s9"], &options), &["subject not found", "s9"]);
        refused(with(&["../s0"], &options), &["subject", "../s0"]);
        let images = vec![ImageRequest::new("image"), ImageRequest::new("mr")];
        let other = options.clone().images(images);
        refused(with(&["s0"], &other), &["volume not found", "s0/mr"]);
        let other = options.clone().sample_by(Some("lesions".into()));
        refused(with(&["s0"], &other), &["volume not found", "s0/lesions"]);
        let other = options.clone().sample_by(Some("../x".into()));
        refused(with(&["s0"], &other), &["image", "../x"]);
    }
}

/// A cohort of which one image is on another grid than the other of its subject.
fn with_odd_grid(change: impl Fn(&mut DenseScan), shape: [usize; 5]) -> Cohort {
    let cohort = Cohort::new(3);
    let mut scan = DenseScan::new(&voxels::<u8>(shape, 3));
    change(&mut scan);
    let options = ConvertOptions::default().overwrite(true);
    store(scan, &cohort.dataset, "s1/label", &options).unwrap();
    cohort
}

#[test]
fn images_of_a_subject_must_be_of_one_grid() {
    let shape = [1, 1, crate::common::cohort::planes(1), 9, 11];
    let shift = |mm: f64| with_odd_grid(move |scan| scan.header_mut().affine.0[1][3] += mm, shape);
    let larger = with_odd_grid(|_| (), [1, 1, 8, 9, 11]);
    for (cohort, words) in [(larger, ["8x9x11", "7x9x11"]), (shift(0.5), ["0.500 mm", "affine["])] {
        let all = ["s1", "s1/image", "s1/label", words[0], words[1]];
        // In the midst of an epoch with a sampler of draws without end, at once with a grid.
        let mut stream = cohort.stream(Scattered::default(), &options());
        let error = stream.find_map(Result::err).unwrap().to_string();
        assert!(all.iter().all(|word| error.contains(word)), "{error}");
        refused(cohort.try_stream(Planes, &options()), &all);
        let sampled = options().images(vec![both().remove(0)]).sample_by(Some("label".into()));
        let mut stream = cohort.stream(Scattered::default(), &sampled);
        assert!(stream.any(|patch| patch.is_err()));
    }
    // What comes of rounding to f32 on the way.
    assert_eq!(shift(1e-4).stream(Scattered::default(), &options()).flatten().count(), 12);
}

/// Patches up to the first error, which must be about `subject`; nothing comes after it.
fn until_error(stream: &mut PatchStream, subject: &str) -> (Vec<Patch>, Error) {
    let mut patches = Vec::new();
    let error = loop {
        match stream.next().expect("an error comes") {
            Ok(patch) => patches.push(patch),
            Err(Error::Subject { subject: found, source }) => {
                assert_eq!(found, subject);
                break *source;
            }
            Err(other) => panic!("{other}"),
        }
    };
    assert!(stream.next().is_none() && stream.next().is_none());
    assert_eq!(stream.remaining(), 0);
    (patches, error)
}

#[test]
fn a_damaged_subject_ends_the_stream_at_its_first_position() {
    let cohort = Cohort::new(5);
    let whole: Vec<_> =
        cohort.stream(Scattered::default(), &options()).map(Result::unwrap).collect();
    cohort.damage("s3/label");
    let first = whole.iter().position(|patch| patch.origin.subject == "s3").unwrap();
    for workers in [0, 1, 4] {
        let options = options().workers(workers);
        let mut stream = cohort.stream(Scattered::default(), &options);
        let (patches, error) = until_error(&mut stream, "s3");
        assert!(matches!(error, Error::CorruptStore { .. }), "{error}");
        assert_eq!(patches, whole[..first]);
        // The state stands before the patch that failed.
        assert_eq!(stream.state().consumed, first as u64);
        let state = stream.state();
        stream.resume(&state).unwrap();
        let (none, _) = until_error(&mut stream, "s3");
        assert!(none.is_empty());
        // A batch that fails is not consumed at all.
        stream.set_epoch(0);
        let mut batches = stream.batches(3, false).unwrap();
        let good = batches.by_ref().take_while(Result::is_ok).count();
        assert_eq!(good, first / 3);
        assert!(batches.next().is_none());
        assert_eq!(stream.state().consumed, good as u64 * 3);
    }
}

#[test]
fn damaged_subjects_are_skipped_and_counted_if_asked_for() {
    let cohort = Cohort::new(6);
    let whole: Vec<_> =
        cohort.stream(Scattered::default(), &options()).map(Result::unwrap).collect();
    cohort.damage("s2/image");
    cohort.break_document("s4/label");
    let sound = |patch: &&Patch| !["s2", "s4"].contains(&&*patch.origin.subject);
    let rest: Vec<_> = whole.iter().filter(sound).cloned().collect();
    for workers in [0, 1, 4] {
        let options = options().workers(workers).on_error(OnError::Skip);
        let mut stream = cohort.stream(Scattered::default(), &options);
        let found: Vec<_> = stream.by_ref().map(Result::unwrap).collect();
        assert_eq!(found, rest);
        let mut skipped: Vec<_> = stream.skipped().iter().collect();
        skipped.sort_by_key(|skipped| &skipped.subject);
        assert_eq!((&*skipped[0].subject, skipped[0].patches), ("s2", 4));
        assert_eq!((&*skipped[1].subject, skipped[1].patches), ("s4", 4));
        assert!(skipped[0].error.contains("damaged") && skipped.len() == 2, "{skipped:?}");
        assert_eq!(stream.state().consumed, 24);
        for taken in 0..rest.len() {
            stream.set_epoch(0);
            stream.by_ref().take(taken).for_each(drop);
            let state = stream.state();
            stream.resume(&state).unwrap();
            assert!(stream.by_ref().map(Result::unwrap).eq(rest[taken..].iter().cloned()));
        }
    }
}

#[test]
fn a_grid_leaves_out_what_cannot_be_opened() {
    let cohort = Cohort::new(3);
    cohort.break_document("s0/image");
    refused(cohort.try_stream(Planes, &options()), &["s0"]);
    let skip = options().on_error(OnError::Skip);
    let mut stream = cohort.stream(Planes, &skip);
    let planes = [1, 2].map(crate::common::cohort::planes).iter().sum::<usize>();
    assert_eq!(stream.by_ref().map(Result::unwrap).count(), planes);
    assert_eq!((&*stream.skipped()[0].subject, stream.skipped()[0].patches), ("s0", 0));
    let state = stream.state();
    // Once it can be opened, there is more to take, so the positions are others.
    let repaired = Cohort::new(3);
    let error = repaired.stream(Planes, &skip).resume(&state).unwrap_err().to_string();
    assert!(error.contains("patches per subject"), "{error}");
}

#[test]
fn without_any_sound_subject_there_is_an_error_whatever_is_asked_for() {
    let cohort = Cohort::new(2);
    cohort.break_document("s0/image");
    cohort.break_document("s1/image");
    for on_error in [OnError::Fail, OnError::Skip] {
        let options = options().on_error(on_error);
        refused(cohort.try_stream(Scattered::default(), &options), &["subject s0"]);
        refused(cohort.try_stream(Planes, &options), &["subject s0"]);
    }
    // Opened but not readable: an epoch of nothing.
    let cohort = Cohort::new(2);
    cohort.damage("s0/image");
    cohort.damage("s1/image");
    let options = options().on_error(OnError::Skip).workers(2);
    let mut stream = cohort.stream(Scattered::default(), &options);
    assert!(stream.next().is_none());
    assert_eq!(stream.skipped().iter().map(|skipped| skipped.patches).sum::<u64>(), 8);
}

#[test]
fn what_a_sampler_refuses_names_the_subject() {
    let cohort = Cohort::new(4);
    for workers in [0, 2] {
        let options = options().workers(workers);
        // Only s2 has so many planes.
        let mut stream = cohort.stream(NothingIn(crate::common::cohort::planes(2)), &options);
        let (_, error) = until_error(&mut stream, "s2");
        assert!(error.to_string().contains("every weight is 0"));
        let skip = options.on_error(OnError::Skip);
        let mut stream = cohort.stream(NothingIn(crate::common::cohort::planes(2)), &skip);
        assert_eq!(stream.by_ref().map(Result::unwrap).count(), 12);
        assert_eq!(stream.skipped()[0].patches, 4);
    }
}

#[test]
fn a_panic_becomes_an_error_and_ends_the_stream() {
    let cohort = Cohort::new(4);
    let planes = crate::common::cohort::planes(2);
    for workers in [0, 1, 4] {
        for on_error in [OnError::Fail, OnError::Skip] {
            let options = options().workers(workers).on_error(on_error);
            for at_a_draw in [false, true] {
                let mut stream = cohort.stream(PanicsIn { planes, at_a_draw }, &options);
                let (_, error) = until_error(&mut stream, "s2");
                assert!(matches!(error, Error::Panicked { .. }), "{error}");
                assert!(error.to_string().contains("of the test panics"), "{error}");
            }
            let images = vec![ImageRequest::new("image").view("panics", |v| {
                assert!(v.volume().name().subject() != "s1", "a view of the test panics");
                Ok(v.padded(voxpatch::Padding::Edge))
            })];
            let options = options.images(images);
            let mut stream = cohort.stream(Scattered::default(), &options);
            until_error(&mut stream, "s1");
        }
    }
    // At once, where it is found at once.
    refused(
        cohort.try_stream(PanicsIn { planes: 6, at_a_draw: false }, &options()),
        &["s0", "panicked"],
    );
}

#[test]
fn dropping_early_stops_and_waits_for_the_workers() {
    let cohort = Cohort::new(4);
    for (taken, ahead_bytes) in [(0, 0), (1, 0), (1, 1 << 20), (7, 1000), (16, 0)] {
        let sampler = Arc::new(Scattered::default());
        let options = options().workers(4).ahead_bytes(ahead_bytes);
        let given: Arc<dyn Sampler> = sampler.clone();
        let mut stream =
            PatchStream::new(&cohort.dataset, cohort.subjects(), given, &options).unwrap();
        stream.by_ref().take(taken).for_each(drop);
        drop(stream);
        assert_eq!(Arc::strong_count(&sampler), 1, "no worker holds on to it");
    }
}

#[test]
fn a_state_of_another_configuration_is_refused_by_what_differs() {
    let cohort = Cohort::new(3);
    let state = cohort.stream(Scattered::default(), &options()).state();
    let refuse =
        |subjects: &[&str], sampler: Arc<dyn Sampler>, options: StreamOptions, word: &str| {
            let subjects = subjects.iter().map(ToString::to_string).collect();
            let mut stream =
                PatchStream::new(&cohort.dataset, subjects, sampler, &options).unwrap();
            let error = stream.resume(&state).expect_err("it differs");
            assert!(error.to_string().contains(word), "{error}");
        };
    let all = ["s0", "s1", "s2"];
    let sampler: Arc<dyn Sampler> = Arc::new(Scattered::default());
    let same = || Arc::clone(&sampler);
    refuse(&all[..2], same(), options(), "subjects");
    refuse(&["s1", "s0", "s2"], same(), options(), "subjects");
    refuse(&all, Arc::new(NothingIn(99)), options(), "sampler");
    refuse(&all, same(), options().seed(8), "seed");
    refuse(&all, same(), options().patches_per_visit(5), "patches per subject");
    refuse(&all, same(), options().shuffle_window(5), "window");
    let sample_by = Some("label".into());
    refuse(&all, same(), options().sample_by(sample_by), "images");
    let images = both().into_iter().map(ImageRequest::scaled).collect();
    refuse(&all, same(), options().images(images), "views");
    // What it may differ in.
    let other = options()
        .workers(0)
        .ahead_bytes(5)
        .open_subjects(1)
        .rank(1)
        .world(2)
        .on_error(OnError::Skip)
        .sample_by(Some("image".into()));
    let mut stream = cohort.stream(Scattered::default(), &other);
    stream.resume(&state).unwrap();
    let mut damaged = state;
    damaged.consumed = 13;
    assert!(stream.resume(&damaged).unwrap_err().to_string().contains("12 positions"));
    assert_eq!(stream.count(), 6, "a refused state changes nothing");
    let json = r#"{"seed": 0, "epoch": 0, "consumed": 0}"#;
    assert!(serde_json::from_str::<voxpatch::stream::StreamState>(json).is_err());
}

#[test]
fn images_of_several_types_are_not_put_into_one_batch() {
    let cohort = Cohort::new(2);
    for image in ["image", "label"] {
        let scan = DenseScan::new(&voxels::<f64>([1, 1, 7, 9, 11], 3));
        let overwrite = ConvertOptions::default().overwrite(true);
        store(scan, &cohort.dataset, &format!("s1/{image}"), &overwrite).unwrap();
    }
    let mut stream = cohort.stream(Scattered::default(), &options());
    assert_eq!(stream.by_ref().flatten().count(), 8);
    stream.set_epoch(0);
    let mut batches = stream.batches(8, false).unwrap();
    let error = batches.next().unwrap().unwrap_err().to_string();
    for word in ["image", "s0", "s1", "int16", "float64", "scaled"] {
        assert!(error.contains(word), "{error}");
    }
    assert!(batches.next().is_none());
    assert_eq!(stream.state().consumed, 0);
    let images = both().into_iter().map(ImageRequest::scaled).collect();
    let mut stream = cohort.stream(Scattered::default(), &options().images(images));
    assert!(stream.batches(8, false).unwrap().next().unwrap().is_ok());
}

#[test]
fn patches_that_leave_a_volume_without_padding_are_errors() {
    let cohort = Cohort::new(2);
    let images = vec![ImageRequest::new("image")];
    let mut stream = cohort.stream(Scattered::default(), &options().images(images));
    let error = stream.find_map(Result::err).unwrap().to_string();
    assert!(error.contains("subject s") && error.contains("padding"), "{error}");
}
