//! A stream follows volumes that are replaced while it runs.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::sync::{Arc, Mutex};

use crate::common::cohort::{Cohort, PATCH, Planes, Scattered, both, planes};
use crate::common::dense::{DenseScan, oracle, store, voxels};
use crate::common::watched::watched;
use ndarray::Array3;
use voxpatch::sample::{Draw, Field, Regions, Sample, Sampler};
use voxpatch::stream::{ImageRequest, OnError, Patch, PatchStream, StreamOptions};
use voxpatch::{ConvertOptions, Dataset, Padding, Result};

fn options() -> StreamOptions {
    StreamOptions::default()
        .images(both())
        .patches_per_visit(12)
        .shuffle_window(48)
        .workers(0)
        .ahead_bytes(0)
}

/// Whether a patch holds these voxels in both images.
fn is_of(patch: &Patch, (image, label): &(Array3<i16>, Array3<u8>)) -> bool {
    let region = patch.origin.region;
    let [found, labels] = ["image", "label"].map(|name| patch.image(name).unwrap());
    found.as_array::<i16>().unwrap() == oracle(image, region, Padding::Edge)
        && labels.as_array::<u8>().unwrap() == oracle(label, region, Padding::Edge)
}

#[test]
fn a_stream_looks_whether_volumes_are_in_place_without_reading_their_documents() {
    let cohort = Cohort::new(2);
    let disk = watched(cohort.dataset.path());
    let dataset = Dataset::open_on(disk.handle()).unwrap();
    let sampler = Arc::new(Scattered::default());
    let stream =
        PatchStream::new(&dataset, cohort.subjects(), Arc::clone(&sampler) as _, &options())
            .unwrap();
    let mut reads = Vec::new();
    for patch in stream {
        cohort.check(&patch.unwrap());
        reads.push(disk.reads_of("image/zarr.json") + disk.reads_of("label/zarr.json"));
    }
    let (opened, all) = (reads[reads.len() / 2], *reads.last().unwrap());
    assert_eq!(opened, all, "once all subjects are open, no document is read");

    // A document that was copied back is read once more, to see that it is the same.
    let stream = PatchStream::new(&dataset, vec!["s0".into()], sampler, &options()).unwrap();
    let document = cohort.dataset.path().join("s0/image/zarr.json");
    let before = disk.reads_of("s0/image/zarr.json");
    for (n, patch) in stream.enumerate() {
        cohort.check(&patch.unwrap());
        if n == 2 {
            let copy = document.with_extension("copy");
            std::fs::copy(&document, &copy).unwrap();
            std::fs::rename(&copy, &document).unwrap();
        }
    }
    let reads = disk.reads_of("s0/image/zarr.json") - before;
    assert_eq!(reads, 1);
}

#[test]
fn patches_after_a_replacement_hold_the_new_voxels_and_none_is_left_out() {
    for (workers, on_error) in [(0, OnError::Fail), (0, OnError::Skip), (3, OnError::Fail)] {
        let mut cohort = Cohort::new(4);
        let options = options().workers(workers).on_error(on_error);
        let mut stream = cohort.stream(Scattered::default(), &options);
        let before: Vec<Patch> = stream.by_ref().take(16).map(Result::unwrap).collect();
        for patch in &before {
            cohort.check(patch);
        }
        assert!(before.iter().any(|patch| patch.origin.subject == "s1"));
        let old = cohort.dense["s1"].clone();
        cohort.add("s1", [planes(1), 9, 11], 77);
        let (mut of_s1, mut of_old) = (0, 0);
        for (n, patch) in stream.by_ref().enumerate() {
            let patch = patch.unwrap();
            if n < workers && patch.origin.subject == "s1" && is_of(&patch, &old) {
                // It was read ahead.
                of_old += 1;
            } else {
                cohort.check(&patch);
                of_s1 += usize::from(patch.origin.subject == "s1");
            }
        }
        assert!(of_s1 > 3, "{of_s1} of the new, {of_old} of the old");
        assert!(stream.skipped().is_empty());
        stream.next_epoch();
        let later = stream.map(|patch| cohort.check(&patch.unwrap())).count();
        assert_eq!(later, 48);
    }
}

#[test]
fn images_that_are_replaced_while_a_subject_is_opened_are_not_mixed() {
    let cohort = Arc::new(Mutex::new(Cohort::new(1)));
    let shape = [planes(0), 9, 11];
    let dataset = cohort.lock().unwrap().dataset.clone();
    let later = Arc::clone(&cohort);
    let mut opened = 0;
    let opened = Mutex::new(move || {
        opened += 1;
        opened
    });
    // The image was opened before.
    let label = ImageRequest::new("label").padded(Padding::Edge).view("replaced", move |label| {
        if opened.lock().unwrap()() == 1 {
            later.lock().unwrap().add("s0", shape, 5);
        }
        Ok(label)
    });
    let options = options().images(vec![both().remove(0), label]);
    let stream =
        PatchStream::new(&dataset, vec!["s0".into()], Arc::new(Scattered::default()), &options);
    let cohort = cohort.lock().unwrap();
    assert_eq!(stream.unwrap().map(|patch| cohort.check(&patch.unwrap())).count(), 12);
}

type Work = Box<dyn FnOnce() + Send>;

/// As [`Scattered`]; the first draw is made while something else is done.
struct Meanwhile(Arc<Mutex<Option<Work>>>);

impl std::fmt::Debug for Meanwhile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Meanwhile")
    }
}

impl Sampler for Meanwhile {
    fn patch(&self) -> [usize; 3] {
        PATCH
    }

    fn prepare(&self, field: Arc<dyn Field>) -> Result<Arc<dyn Regions>> {
        let places = Scattered::default().prepare(field)?;
        Ok(Arc::new(PlacesMeanwhile(places, Self(Arc::clone(&self.0)))))
    }
}

#[derive(Debug)]
struct PlacesMeanwhile(Arc<dyn Regions>, Meanwhile);

impl Regions for PlacesMeanwhile {
    fn count(&self) -> Option<u64> {
        self.0.count()
    }

    fn draw(&self, draw: Draw) -> Result<Sample> {
        if let Some(work) = self.1.0.lock().unwrap().take() {
            work();
        }
        self.0.draw(draw)
    }
}

#[test]
fn a_patch_whose_volume_is_replaced_while_it_is_read_is_read_again() {
    let cohort = Cohort::new(1);
    // One shard only was never opened.
    let dataset = cohort.dataset.clone();
    let cohort = Arc::new(Mutex::new(cohort));
    let later = Arc::clone(&cohort);
    let replace = move || later.lock().unwrap().add("s0", [planes(0), 9, 11], 5);
    let sampler = Meanwhile(Arc::new(Mutex::new(Some(Box::new(replace)))));
    let stream = PatchStream::new(&dataset, vec!["s0".into()], Arc::new(sampler), &options());
    let patches: Vec<Patch> = stream.unwrap().map(Result::unwrap).collect();
    let cohort = cohort.lock().unwrap();
    for patch in &patches {
        cohort.check(patch);
    }
    assert_eq!(patches.len(), 12);
}

fn replace_label(dataset: &Dataset, shape: [usize; 3]) {
    let [z, y, x] = shape;
    let options = ConvertOptions::default().overwrite(true);
    let scan = DenseScan::new(&voxels::<u8>([1, 1, z, y, x], 9));
    store(scan, dataset, "s1/label", &options).unwrap();
}

#[test]
fn a_subject_that_no_longer_fits_is_named_and_can_be_left_out() {
    type Change = fn(&Cohort);
    let gone: Change = |cohort| {
        std::fs::remove_dir_all(cohort.dataset.path().join("s1/label")).unwrap();
    };
    let of_another_shape: Change = |cohort| replace_label(&cohort.dataset, [5, 9, 11]);
    for (change, words) in [(gone, "not found"), (of_another_shape, "5x9x11")] {
        for on_error in [OnError::Fail, OnError::Skip] {
            let cohort = Cohort::new(3);
            let options = options().on_error(on_error);
            let mut stream = cohort.stream(Scattered::default(), &options);
            let first: Vec<Patch> = stream.by_ref().take(18).map(Result::unwrap).collect();
            assert!(first.iter().any(|patch| patch.origin.subject == "s1"));
            change(&cohort);
            let (patches, errors): (Vec<_>, Vec<_>) = stream.by_ref().partition(Result::is_ok);
            if on_error == OnError::Skip {
                assert!(errors.is_empty());
                let [skipped] = stream.skipped() else { panic!("{:?}", stream.skipped()) };
                assert!(skipped.subject == "s1" && skipped.error.contains(words), "{skipped:?}");
                assert_eq!(skipped.patches + patches.len() as u64, 18);
            } else {
                let error = errors[0].as_ref().unwrap_err().to_string();
                assert!(error.contains("subject s1") && error.contains(words), "{error}");
            }
        }
    }
}

#[test]
fn a_grid_of_another_number_of_places_is_an_error_of_its_subject() {
    let mut cohort = Cohort::new(3);
    let mut stream = cohort.stream(Planes, &options().workers(1));
    assert_eq!(stream.by_ref().flatten().count(), 6 + 7 + 8);
    // More places would go unnoticed otherwise.
    for shape in [[9, 9, 11], [4, 9, 11]] {
        cohort.add("s1", shape, 4);
        stream.next_epoch();
        let error = stream.find_map(Result::err).unwrap().to_string();
        let words = ["subject s1", "had 7", "make the stream anew"];
        assert!(words.iter().all(|word| error.contains(word)), "{error}");
    }
    cohort.add("s1", [7, 9, 11], 4);
    stream.next_epoch();
    assert_eq!(stream.flatten().count(), 21);
}

#[test]
fn a_state_is_of_the_voxels_that_are_drawn_from_now() {
    let mut cohort = Cohort::new(2);
    let stream = |cohort: &Cohort| cohort.stream(Scattered::default(), &options());
    let mut running = stream(&cohort);
    assert!(running.by_ref().take(5).all(|patch| patch.is_ok()));
    let old = running.state();
    cohort.add("s0", [planes(1), 9, 11], 4);
    assert!(running.by_ref().take(9).all(|patch| patch.is_ok()));
    let state = running.state();
    assert_eq!(state.consumed, 14);
    let mut resumed = stream(&cohort);
    assert!(resumed.resume(&old).is_err());
    resumed.resume(&state).unwrap();
    assert!(running.map(Result::unwrap).eq(resumed.map(Result::unwrap)));
}
