//! What a stream gives, and in which order, follows from seed and epoch: not from workers, ranks
//! or where it was resumed.
#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "a test's numbers are small, and it may fail"
)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::common::cohort::{Cohort, PATCH, Planes, Scattered, both, planes};
use voxpatch::sample::{Choice, Sampler};
use voxpatch::stream::{ImageRequest, Patch, PatchStream, Remainder, StreamOptions, StreamState};
use voxpatch::{Padding, Region};

fn options() -> StreamOptions {
    StreamOptions::default()
        .images(both())
        .patches_per_visit(5)
        .shuffle_window(12)
        .seed(7)
        .epoch(3)
        .workers(0)
}

fn patches(stream: &mut PatchStream) -> Vec<Patch> {
    stream.collect::<Result<_, _>>().unwrap()
}

fn positions(patches: &[Patch]) -> Vec<u64> {
    patches.iter().map(|patch| patch.origin.position).collect()
}

#[test]
fn patches_are_those_of_the_dense_volumes_and_tell_where_they_are_from() {
    let cohort = Cohort::new(6);
    let mut padded = 0;
    for patch in cohort.stream(Scattered::default(), &options()) {
        let patch = patch.unwrap();
        cohort.check(&patch);
        let origin = &patch.origin;
        let volume = cohort.dataset.volume(&format!("{}/label", origin.subject)).unwrap();
        assert_eq!((origin.region.shape, origin.choice), (PATCH, Choice::Uniform));
        assert_eq!(origin.affine, volume.affine().shifted(origin.region.start));
        assert_eq!(origin.spacing, volume.spacing());
        let regions = Scattered::default().prepare(Arc::new(volume.clone())).unwrap();
        assert_eq!(regions.draw(origin.draw).unwrap().region, origin.region);
        assert_eq!(origin.draw.epoch, 3);
        let made_up: usize = origin.padding.iter().flatten().sum();
        assert_eq!(made_up == 0, origin.region.is_inside(volume.shape()));
        padded += usize::from(made_up > 0);
    }
    assert!(padded > 0);
}

#[test]
fn order_and_content_do_not_depend_on_workers_nor_on_what_is_kept() {
    let cohort = Cohort::new(7);
    let plain = patches(&mut cohort.stream(Scattered::default(), &options()));
    assert_eq!(plain.len(), 35);
    assert_eq!(positions(&plain), (0..35).collect::<Vec<_>>());
    for workers in [1, 4] {
        for (ahead_bytes, open_subjects) in [(0, 1), (1500, 64), (usize::MAX, 3)] {
            let options =
                options().workers(workers).ahead_bytes(ahead_bytes).open_subjects(open_subjects);
            let mut stream = cohort.stream(Scattered::default(), &options);
            assert_eq!(patches(&mut stream), plain, "{options:?}");
            assert!(stream.next().is_none() && stream.next().is_none());
        }
    }
}

#[test]
fn a_slow_consumer_gets_the_same() {
    let cohort = Cohort::new(3);
    let plain = patches(&mut cohort.stream(Scattered::default(), &options()));
    let options = options().workers(3).ahead_bytes(1);
    let stream = cohort.stream(Scattered::default(), &options);
    let slow = stream.map(|patch| {
        std::thread::sleep(std::time::Duration::from_millis(2));
        patch.unwrap()
    });
    assert_eq!(slow.collect::<Vec<_>>(), plain);
}

#[test]
fn every_subject_is_visited_once_in_each_epoch() {
    let cohort = Cohort::new(7);
    let mut stream = cohort.stream(Scattered::default(), &options());
    for epoch in 3..6 {
        assert_eq!(
            (stream.epoch(), stream.remaining(), stream.patches_per_epoch()),
            (epoch, 35, 35)
        );
        let mut draws = BTreeMap::<_, Vec<_>>::new();
        for patch in patches(&mut stream) {
            assert_eq!(patch.origin.draw.epoch, epoch);
            draws.entry(patch.origin.subject).or_default().push(patch.origin.draw.index);
        }
        assert_eq!(draws.keys().cloned().collect::<Vec<_>>(), cohort.subjects());
        for mut draws in draws.into_values() {
            draws.sort_unstable();
            assert_eq!(draws, [0, 1, 2, 3, 4]);
        }
        stream.next_epoch();
    }
}

#[test]
fn every_place_of_a_grid_is_taken_once_in_each_epoch() {
    let cohort = Cohort::new(5);
    let mut stream = cohort.stream(Planes, &options().workers(2));
    let all: usize = (0..5).map(planes).sum();
    for _ in 0..2 {
        assert_eq!(stream.patches_per_epoch(), all as u64);
        let mut places: Vec<_> = patches(&mut stream)
            .into_iter()
            .map(|patch| {
                cohort.check(&patch);
                assert_eq!(patch.origin.choice, Choice::Grid(patch.origin.draw.index));
                (patch.origin.subject, patch.origin.region.start[0])
            })
            .collect();
        places.sort();
        let plane = |n| (0..planes(n)).map(move |z| (format!("s{n}"), z as i64));
        assert_eq!(places, (0..5).flat_map(plane).collect::<Vec<_>>());
        stream.next_epoch();
    }
}

#[test]
fn epochs_differ_and_can_be_gone_back_to() {
    let cohort = Cohort::new(6);
    let mut stream = cohort.stream(Scattered::default(), &options().workers(2));
    let third = patches(&mut stream);
    stream.next_epoch();
    // Left in the middle, with workers ahead.
    let fourth: Vec<_> = stream.by_ref().take(9).map(Result::unwrap).collect();
    assert_ne!(fourth[..], third[..9]);
    stream.set_epoch(3);
    assert_eq!(patches(&mut stream), third);
    stream.next_epoch();
    assert_eq!(patches(&mut stream)[..9], fourth);
}

#[test]
fn without_a_window_subjects_come_one_after_the_other() {
    let cohort = Cohort::new(6);
    for shuffle_window in [0, 1] {
        let options = options().shuffle_window(shuffle_window);
        let all = patches(&mut cohort.stream(Scattered::default(), &options));
        for visit in all.chunks(5) {
            assert!(visit.iter().all(|patch| patch.origin.subject == visit[0].origin.subject));
        }
    }
    let options = options().shuffle_window(30);
    let mixed = patches(&mut cohort.stream(Scattered::default(), &options));
    let subjects =
        |visit: &[Patch]| visit.iter().any(|patch| patch.origin.subject != visit[0].origin.subject);
    assert!(mixed.chunks(5).all(subjects));
}

#[test]
fn draws_of_a_subject_are_its_own_whoever_else_is_there() {
    let cohort = Cohort::new(8);
    let regions = |subjects: &[&str]| {
        let subjects = subjects.iter().map(ToString::to_string).collect();
        let sampler = Arc::new(Scattered::default());
        let mut stream = PatchStream::new(&cohort.dataset, subjects, sampler, &options()).unwrap();
        let mut regions = BTreeMap::<String, Vec<_>>::new();
        for Patch { origin, .. } in patches(&mut stream) {
            regions
                .entry(origin.subject)
                .or_default()
                .push((origin.draw.index, origin.region.start));
        }
        for regions in regions.values_mut() {
            regions.sort_unstable();
        }
        regions
    };
    // s0 and s4 are of one shape.
    let (few, more) = (regions(&["s4", "s0"]), regions(&["s7", "s0", "s1", "s4"]));
    assert_eq!((&few["s0"], &few["s4"]), (&more["s0"], &more["s4"]));
    assert_ne!(few["s0"], few["s4"]);
}

#[test]
fn resuming_at_any_position_gives_the_rest() {
    let cohort = Cohort::new(4);
    let whole = patches(&mut cohort.stream(Scattered::default(), &options()));
    for taken in 0..=whole.len() {
        let saved = options().workers(taken % 3);
        let mut stream = cohort.stream(Scattered::default(), &saved);
        stream.by_ref().take(taken).for_each(drop);
        let state = serde_json::to_string(&stream.state()).unwrap();
        let state: StreamState = serde_json::from_str(&state).unwrap();
        assert_eq!((state.epoch, state.consumed), (3, taken as u64));
        let other = options().workers((taken + 1) % 3).epoch(0);
        let mut stream = cohort.stream(Scattered::default(), &other);
        // Whatever the stream has done before.
        stream.by_ref().take(taken % 4).for_each(drop);
        stream.resume(&state).unwrap();
        assert_eq!(stream.remaining(), (whole.len() - taken) as u64);
        assert_eq!(stream.state(), state);
        assert_eq!(patches(&mut stream), whole[taken..]);
        stream.next_epoch();
        assert_eq!(stream.epoch(), 4);
        assert_eq!(stream.remaining(), whole.len() as u64);
    }
}

#[test]
fn ranks_together_give_the_epoch() {
    let cohort = Cohort::new(5);
    let whole = patches(&mut cohort.stream(Scattered::default(), &options()));
    for world in [1, 2, 3, 4, 25] {
        for remainder in [Remainder::Drop, Remainder::Repeat] {
            let rank = |rank| {
                let workers = rank as usize % 2;
                let options =
                    options().rank(rank).world(world).remainder(remainder).workers(workers);
                let mut stream = cohort.stream(Scattered::default(), &options);
                let expected = stream.patches_per_epoch();
                let found = patches(&mut stream);
                assert_eq!(found.len() as u64, expected);
                found
            };
            let ranks: Vec<_> = (0..world).map(rank).collect();
            let each = match remainder {
                Remainder::Drop => whole.len() / world as usize,
                Remainder::Repeat => whole.len().div_ceil(world as usize),
            };
            assert!(ranks.iter().all(|rank| rank.len() == each));
            let together = (0..each).flat_map(|n| ranks.iter().map(move |rank| &rank[n]));
            let expected = whole.iter().cycle().take(each * world as usize);
            assert!(together.eq(expected), "{world} {remainder:?}");
        }
    }
}

#[test]
fn other_ranks_take_up_what_is_left() {
    let cohort = Cohort::new(5);
    let whole = patches(&mut cohort.stream(Scattered::default(), &options()));
    let two = |rank| {
        let options = options().rank(rank).world(2);
        let mut stream = cohort.stream(Scattered::default(), &options);
        stream.by_ref().take(4).for_each(drop);
        stream.state()
    };
    assert_eq!(two(0), two(1));
    let three = (0..3).map(|rank| {
        let options = options().rank(rank).world(3);
        let mut stream = cohort.stream(Scattered::default(), &options);
        stream.resume(&two(0)).unwrap();
        let rest = patches(&mut stream);
        // The next epoch is a whole one.
        stream.next_epoch();
        assert_eq!(stream.remaining(), 8);
        positions(&rest)
    });
    let three: Vec<_> = three.collect();
    let together: Vec<_> = (0..5).flat_map(|n| three.iter().map(move |rank| rank[n])).collect();
    assert_eq!(together, positions(&whole[8..23]));
}

#[test]
fn batches_are_patches_one_behind_the_other() {
    let cohort = Cohort::new(3);
    let whole = patches(&mut cohort.stream(Scattered::default(), &options()));
    for (size, drop_last) in [(1, false), (4, false), (4, true), (5, true), (99, false), (99, true)]
    {
        let options = options().workers(2);
        let mut stream = cohort.stream(Scattered::default(), &options);
        let mut batches = stream.batches(size, drop_last).unwrap();
        let mut seen = 0;
        while let Some(batch) = batches.next() {
            let batch = batch.unwrap();
            let n = batch.origins.len();
            assert_eq!(batch.image("label").unwrap().shape(), [n, 4, 5, 6]);
            let image = batch.image("image").unwrap().as_array::<i16>().unwrap();
            for (k, expected) in whole[seen..seen + n].iter().enumerate() {
                assert_eq!(batch.origins[k], expected.origin);
                let expected = expected.image("image").unwrap();
                assert_eq!(
                    image.index_axis(ndarray::Axis(0), k),
                    expected.as_array::<i16>().unwrap()
                );
            }
            seen += n;
            assert_eq!(batches.stream().state().consumed, seen as u64);
            assert!(n == size || (!drop_last && seen == whole.len()));
        }
        assert!(batches.next().is_none());
        assert_eq!(seen, if drop_last { whole.len() / size * size } else { whole.len() });
    }
}

#[test]
fn views_decide_what_is_returned_and_any_image_may_be_sampled() {
    let cohort = Cohort::new(3);
    let real = ImageRequest::new("image").padded(Padding::Edge).scaled();
    let same = real.clone().view("as it is", Ok);
    for image in [real, same] {
        let options = options().images(vec![image]).sample_by(Some("label".into()));
        for patch in cohort.stream(Scattered::default(), &options) {
            let patch = patch.unwrap();
            assert_eq!(patch.images.len(), 1);
            let Region { start, shape } = patch.origin.region;
            let found = patch.image("image").unwrap().as_array::<f32>().unwrap();
            let dense = crate::common::dense::oracle(
                &cohort.dense[&patch.origin.subject].0,
                Region::new(start, shape),
                Padding::Edge,
            );
            assert_eq!(found, dense.mapv(f32::from));
        }
    }
}

#[test]
fn subjects_are_opened_once_and_closed_in_time() {
    let cohort = Cohort::new(9);
    let opened = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&opened);
    let images = vec![ImageRequest::new("image").padded(Padding::Edge).view("counted", move |v| {
        count.fetch_add(1, Ordering::SeqCst);
        Ok(v)
    })];
    for (open_subjects, workers) in [(9, 0), (9, 4), (2, 0), (2, 4), (1, 1)] {
        opened.store(0, Ordering::SeqCst);
        let sampler = Scattered::default();
        let live = sampler.live.clone();
        let options =
            options().images(images.clone()).open_subjects(open_subjects).workers(workers);
        let mut stream = cohort.stream(sampler, &options);
        for _ in 0..2 {
            assert_eq!(stream.by_ref().map(Result::unwrap).count(), 45);
            stream.next_epoch();
        }
        let times = opened.load(Ordering::SeqCst);
        if open_subjects == 9 {
            assert_eq!(times, 9);
        } else {
            assert!(times > 18);
        }
        // Those kept, those in use, and for each thread the one that takes another's place.
        assert!(live.most() <= open_subjects + workers.max(1) * 2, "{}", live.most());
    }
}
