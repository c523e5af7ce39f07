//! Streams of images of several frames: their patches have channels, and which are meant is said.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::common::cohort::Scattered;
use crate::common::dense::{DenseScan, oracle, store, voxels};
use ndarray::{Array5, Axis, s};
use voxpatch::sample::{Draw, Field, LabelSampler, Regions, Sample, Sampler, UniformSampler};
use voxpatch::stream::{ImageRequest, Patch, PatchStream, StreamOptions};
use voxpatch::{ConvertOptions, Dataset, Error, Frame, Frames, Kind, Padding, Result};

const SUBJECTS: usize = 3;
const SHAPE: [usize; 3] = [8, 9, 11];

/// Subjects with an MR of 2 time points and 3 channels, a mask of one frame, and labels of 2 time
/// points: of the first none but 1, of the second none but 2.
struct Subjects {
    _folder: tempfile::TempDir,
    dataset: Dataset,
    mr: Vec<Array5<i16>>,
    mask: Vec<Array5<u8>>,
}

impl Subjects {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let dataset = Dataset::create(folder.path().join("s.zarr")).unwrap();
        let [z, y, x] = SHAPE;
        let mr: Vec<_> = (0..SUBJECTS as u64).map(|n| voxels([2, 3, z, y, x], n)).collect();
        let mask: Vec<_> = (0..SUBJECTS as u64).map(|n| voxels([1, 1, z, y, x], n + 9)).collect();
        let labels = Array5::from_shape_fn((2, 1, z, y, x), |(t, ..)| [1_u8, 2][t]);
        let plain = ConvertOptions::default();
        let label = plain.clone().kind(Some(Kind::Label));
        for n in 0..SUBJECTS {
            let put = |scan, image: &str, options| {
                store(scan, &dataset, &format!("s{n}/{image}"), options).unwrap();
            };
            put(DenseScan::new(&mr[n]), "mr", &plain);
            put(DenseScan::new(&mask[n]), "mask", &plain);
            put(DenseScan::new(&labels), "labels", &label);
        }
        Self { _folder: folder, dataset, mr, mask }
    }

    fn stream(
        &self,
        sampler: impl Sampler + 'static,
        options: &StreamOptions,
    ) -> Result<PatchStream> {
        PatchStream::new(&self.dataset, self.dataset.subjects()?, Arc::new(sampler), options)
    }

    fn refused(&self, sampler: impl Sampler + 'static, options: &StreamOptions) -> String {
        match self.stream(sampler, options) {
            Err(Error::Subject { source, .. }) => source.to_string(),
            other => panic!("{other:?}"),
        }
    }
}

fn options(images: Vec<ImageRequest>) -> StreamOptions {
    StreamOptions::default()
        .images(images)
        .sample_by(Some("mask".into()))
        .patches_per_visit(4)
        .workers(0)
}

fn mr() -> ImageRequest {
    ImageRequest::new("mr").padded(Padding::Edge).scaled()
}

fn mask() -> ImageRequest {
    ImageRequest::new("mask").padded(Padding::Edge)
}

fn patches(stream: &mut PatchStream) -> Vec<Patch> {
    stream.collect::<Result<_>>().unwrap()
}

#[test]
fn patches_of_several_frames_have_them_as_channels_whatever_the_number_of_workers() {
    let subjects = Subjects::new();
    for (frames, channels) in [
        (Frames::All, &[(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)][..]),
        (Frames::Time(1), &[(1, 0), (1, 1), (1, 2)]),
    ] {
        let asked = options(vec![mr().frames(frames), mask()]);
        let found = patches(&mut subjects.stream(Scattered::default(), &asked).unwrap());
        assert_eq!(found.len(), 4 * SUBJECTS);
        for patch in &found {
            let subject: usize = patch.origin.subject[1..].parse().unwrap();
            let region = patch.origin.region;
            let mr = patch.frames("mr").unwrap();
            assert_eq!(mr.shape(), [channels.len(), 4, 5, 6]);
            let mr = mr.as_array::<f32>().unwrap();
            assert!(mr.is_standard_layout());
            for (n, (t, c)) in channels.iter().enumerate() {
                let dense = subjects.mr[subject].slice(s![*t, *c, .., .., ..]).to_owned();
                let expected = oracle(&dense.mapv(f32::from), region, Padding::Edge);
                assert_eq!(mr.index_axis(Axis(0), n), expected);
            }
            let dense = subjects.mask[subject].slice(s![0, 0, .., .., ..]).to_owned();
            let mask = patch.image("mask").unwrap().as_array::<u8>().unwrap();
            assert_eq!(mask, oracle(&dense, region, Padding::Edge));
            assert!(patch.image("mr").is_none() && patch.frames("mask").is_none());
        }
        for workers in [1, 4] {
            let options = asked.clone().workers(workers).ahead_bytes(5000);
            let mut stream = subjects.stream(Scattered::default(), &options).unwrap();
            assert_eq!(patches(&mut stream), found);
        }
    }
}

#[test]
fn batches_of_several_frames_are_patches_one_behind_the_other() {
    let subjects = Subjects::new();
    let asked = options(vec![mask(), mr().frames(Frames::All)]);
    let mut stream = subjects.stream(Scattered::default(), &asked).unwrap();
    let found = patches(&mut stream);
    stream.set_epoch(0);
    let batches: Vec<_> = stream.batches(5, false).unwrap().map(Result::unwrap).collect();
    for (batch, patches) in batches.iter().zip(found.chunks(5)) {
        let mr = batch.frames("mr").unwrap();
        assert_eq!(mr.shape(), [patches.len(), 6, 4, 5, 6]);
        assert_eq!(batch.image("mask").unwrap().shape(), [patches.len(), 4, 5, 6]);
        let mr = mr.as_array::<f32>().unwrap();
        assert!(mr.is_standard_layout());
        for (n, patch) in patches.iter().enumerate() {
            assert_eq!(batch.origins[n], patch.origin);
            let patch = patch.frames("mr").unwrap().as_array::<f32>().unwrap();
            assert_eq!(mr.index_axis(Axis(0), n), patch);
        }
    }
}

#[test]
fn a_state_is_for_the_frames_that_it_was_saved_with() {
    let subjects = Subjects::new();
    let stream =
        |image| subjects.stream(Scattered::default(), &options(vec![image, mask()])).unwrap();
    let kinds = [
        mr().frames(Frames::All),
        mr().frames(Frames::Time(0)),
        mr().frames(Frames::Time(1)),
        mr().frame(Frame { time: 1, channel: 0 }),
        mr().frame(Frame { time: 1, channel: 0 }).frames(Frames::Time(1)),
    ];
    for (n, saved) in kinds.iter().enumerate() {
        let state = stream(saved.clone()).state();
        for (m, resumed) in kinds.iter().enumerate() {
            let done = stream(resumed.clone()).resume(&state);
            assert_eq!(done.is_ok(), n == m, "{saved:?}, {resumed:?}: {done:?}");
        }
    }
}

#[test]
fn of_several_frames_none_is_read_unless_it_is_chosen() {
    let subjects = Subjects::new();
    let error = subjects.refused(Scattered::default(), &options(vec![mr(), mask()]));
    for part in ["2 time points and 3 channels", "ImageRequest::frame,", "ImageRequest::frames"] {
        assert!(error.contains(part), "{error}");
    }
    let only = options(vec![mr().frames(Frames::OnlyTime), mask()]);
    assert!(subjects.refused(Scattered::default(), &only).contains("several time points"));
    let beyond = options(vec![mr().frames(Frames::Time(2)), mask()]);
    assert!(subjects.refused(Scattered::default(), &beyond).contains("has 2"));
}

#[test]
fn patches_are_drawn_by_the_frame_that_is_chosen_and_never_by_the_first_unasked() {
    let subjects = Subjects::new();
    let by_labels = |images| options(images).sample_by(Some("labels".into()));
    let sampler = || LabelSampler::per_class([2, 3, 4], None).unwrap();
    let later = Frame { time: 1, channel: 0 };
    let labels = ImageRequest::new("labels");
    for images in [vec![mask()], vec![mask(), labels.clone().frames(Frames::All)]] {
        let error = subjects.refused(sampler(), &by_labels(images));
        for part in
            ["\"labels\"", "drawn by it", "2 time points and 1 channels", "ImageRequest::frame"]
        {
            assert!(error.contains(part), "{error}");
        }
    }
    let chosen = labels.clone().frame(later);
    for images in [vec![mask(), chosen.clone()], vec![mask(), chosen.frames(Frames::All)]] {
        let mut stream = subjects.stream(sampler(), &by_labels(images)).unwrap();
        for patch in patches(&mut stream) {
            assert_eq!(patch.origin.choice, voxpatch::sample::Choice::Class(2));
        }
    }
    // Where patches are drawn by the shape alone, no frame is meant.
    for images in [vec![mask()], vec![labels.frames(Frames::All)]] {
        let uniform = UniformSampler::new([2, 3, 4]).unwrap();
        assert!(subjects.stream(uniform, &by_labels(images)).is_ok());
    }
}

/// Draws as [`Scattered`] does, and counts how often.
#[derive(Debug, Clone, Default)]
struct Counted(Arc<AtomicUsize>);

#[derive(Debug)]
struct CountedRegions(Arc<dyn Regions>, Arc<AtomicUsize>);

impl Sampler for Counted {
    fn patch(&self) -> [usize; 3] {
        Scattered::default().patch()
    }

    fn prepare(&self, field: Arc<dyn Field>) -> Result<Arc<dyn Regions>> {
        let regions = Scattered::default().prepare(field)?;
        Ok(Arc::new(CountedRegions(regions, Arc::clone(&self.0))))
    }
}

impl Regions for CountedRegions {
    fn count(&self) -> Option<u64> {
        None
    }

    fn draw(&self, draw: Draw) -> Result<Sample> {
        self.1.fetch_add(1, Ordering::SeqCst);
        self.0.draw(draw)
    }
}

#[test]
fn every_frame_counts_as_read_ahead() {
    let subjects = Subjects::new();
    // Three patches of six frames of float32, and less than four.
    let ahead_bytes = 7 * (4 * 5 * 6 * 4 * 6) / 2;
    let asked = options(vec![mr().frames(Frames::All)]);
    let options = asked.workers(1).ahead_bytes(ahead_bytes).patches_per_visit(50);
    let sampler = Counted::default();
    let drawn = Arc::clone(&sampler.0);
    let mut stream = subjects.stream(sampler, &options).unwrap();
    stream.next().unwrap().unwrap();
    let mut known = 0;
    while known != drawn.load(Ordering::SeqCst) {
        known = drawn.load(Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(known, 4, "one that was taken, and three ahead");
}
