//! Every sampler draws from exactly the distribution it documents: counts of draws against
//! probabilities worked out voxel by voxel.
#![allow(
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss,
    clippy::unwrap_used,
    reason = "a test's numbers are small, and it may fail"
)]

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::sample_common::{Dense, anatomy, contains, draw, heat, prepare, voxels};
use voxpatch::sample::{
    Absent, Border, Choice, Draw, Field, ForegroundSampler, JitterSampler, LabelSampler, Regions,
    Sample, Sampler, UniformSampler, WeightedSampler,
};
use voxpatch::{Region, Result};

const SHAPE: [usize; 3] = [7, 9, 8];
const CHUNK: [usize; 3] = [3, 4, 5];
const DRAWS: u32 = 5000;

/// Odd and even, a single voxel, whole axes of both, chunks and more.
const PATCHES: [[usize; 3]; 7] =
    [[1, 1, 1], [3, 4, 5], [2, 3, 4], [7, 9, 8], [1, 9, 8], [7, 2, 3], [6, 8, 7]];

/// Start of a patch and a number for why it was chosen.
type Outcome = ([i64; 3], i64);
type Probabilities = BTreeMap<Outcome, f64>;

const UNIFORM: i64 = 1000;
const WEIGHT: i64 = 1001;
const BACKGROUND: i64 = 1002;

fn outcome(sample: Sample, patch: [usize; 3]) -> Outcome {
    assert_eq!(sample.region.shape, patch);
    let choice = match sample.choice {
        Choice::Uniform => UNIFORM,
        Choice::Weight => WEIGHT,
        Choice::Background => BACKGROUND,
        Choice::Class(label) => label,
        other => panic!("{other:?}"),
    };
    (sample.region.start, choice)
}

/// Pearson's statistic of many draws stays within what chance does.
fn fits(regions: &dyn Regions, patch: [usize; 3], expected: &Probabilities, what: &str) {
    let mut counts: BTreeMap<Outcome, u32> = BTreeMap::new();
    for index in 0..u64::from(DRAWS) {
        *counts.entry(outcome(draw(regions, 11, index), patch)).or_default() += 1;
    }
    for found in counts.keys() {
        assert!(expected.get(found).is_some_and(|p| *p > 0.0), "{what}: {found:?}");
    }
    // What is expected less than five times is taken together.
    let (mut chi, mut cells, mut rest) = (0.0, 0.0, (0.0, 0.0));
    for (cell, p) in expected {
        let (wanted, found) =
            (p * f64::from(DRAWS), f64::from(counts.get(cell).copied().unwrap_or(0)));
        if wanted < 5.0 {
            rest = (rest.0 + wanted, rest.1 + found);
        } else {
            chi += (found - wanted).powi(2) / wanted;
            cells += 1.0;
        }
    }
    if rest.0 > 0.0 {
        chi += (rest.1 - rest.0).powi(2) / rest.0.max(5.0);
        cells += 1.0;
    }
    let freedom: f64 = cells - 1.0;
    let limit = freedom + 5.0 * (2.0 * freedom).sqrt() + 5.0;
    assert!(chi <= limit, "{what}: {chi} of {limit} in {cells} cells");
    let total: f64 = expected.values().sum();
    assert!((total - 1.0).abs() < 1e-9, "{what}: the oracle sums to {total}");
}

/// The patch around a voxel, or nothing if it may not be chosen.
fn around(voxel: [usize; 3], patch: [usize; 3], border: Border) -> Option<[i64; 3]> {
    let mut start = [0; 3];
    for axis in 0..3 {
        let (volume, long) = (SHAPE[axis] as i64, patch[axis] as i64);
        let wanted = voxel[axis] as i64 - long / 2;
        start[axis] = if long > volume {
            (volume - long + 1).div_euclid(2)
        } else if border == Border::Clamp {
            wanted.max(0).min(volume - long)
        } else if wanted >= 0 && wanted + long <= volume {
            wanted
        } else {
            return None;
        };
    }
    Some(start)
}

/// What each voxel weighs, over their sum.
fn by_weight(
    patch: [usize; 3],
    border: Border,
    weight: impl Fn([usize; 3]) -> f64,
    choice: impl Fn([usize; 3]) -> i64,
) -> Probabilities {
    let chosen = |voxel| around(voxel, patch, border).map(|start| (voxel, start));
    let all: Vec<_> = voxels(SHAPE).filter_map(chosen).collect();
    let sum: f64 = all.iter().map(|(voxel, _)| weight(*voxel)).sum();
    let mut probabilities = Probabilities::new();
    for (voxel, start) in all {
        let p = weight(voxel) / sum;
        if p > 0.0 {
            *probabilities.entry((start, choice(voxel))).or_default() += p;
        }
    }
    probabilities
}

/// How many voxels of each label may be chosen.
fn numbers(patch: [usize; 3], border: Border) -> BTreeMap<i64, f64> {
    let mut numbers = BTreeMap::new();
    for voxel in voxels(SHAPE).filter(|voxel| around(*voxel, patch, border).is_some()) {
        *numbers.entry(anatomy(voxel)).or_default() += 1.0;
    }
    numbers
}

fn everywhere(patch: [usize; 3]) -> Probabilities {
    // Every start where the patch fits is the mask's start around one voxel.
    by_weight(patch, Border::Mask, |_| 1.0, |_| UNIFORM)
}

fn labelled() -> Dense {
    Dense::labelled(SHAPE, CHUNK, anatomy)
}

fn cases() -> impl Iterator<Item = ([usize; 3], Border, String)> {
    PATCHES.into_iter().flat_map(|patch| {
        [Border::Mask, Border::Clamp].map(|border| (patch, border, format!("{patch:?} {border:?}")))
    })
}

#[test]
fn uniform_places_are_equally_likely() {
    for patch in PATCHES {
        let sampler = UniformSampler::new(patch).unwrap();
        let (regions, field) = prepare(&sampler, labelled());
        fits(&*regions, patch, &everywhere(patch), &format!("{patch:?}"));
        assert!(field.reads.lock().unwrap().is_empty() && regions.count().is_none());
    }
}

#[test]
fn weighted_voxels_are_as_likely_as_they_weigh() {
    for (patch, border, what) in cases() {
        // The whole volume has one centre, which must weigh something.
        let weight = |voxel| heat(voxel) + f64::from(u8::from(voxel == [3, 4, 4]));
        let sampler = WeightedSampler::new(patch).unwrap().border(border);
        let (regions, _) = prepare(&sampler, Dense::weighted(SHAPE, CHUNK, weight));
        fits(&*regions, patch, &by_weight(patch, border, weight, |_| WEIGHT), &what);
    }
}

#[test]
fn classes_are_as_likely_as_their_weights_and_their_voxels_equally() {
    let weights = [(2, 3.0), (0, 1.0), (5, 2.0), (1, 0.5), (77, 4.0), (-1, 0.0)];
    for (patch, border, what) in cases() {
        let sampler = LabelSampler::per_class(patch, Some(&weights)).unwrap().border(border);
        let (regions, _) = prepare(&sampler, labelled());
        let numbers = numbers(patch, border);
        let voxel = |voxel| {
            let label = anatomy(voxel);
            let weight = weights.iter().find(|(l, _)| *l == label).map_or(0.0, |(_, w)| *w);
            weight / numbers.get(&label).unwrap_or(&1.0)
        };
        fits(&*regions, patch, &by_weight(patch, border, voxel, anatomy), &what);
        let gone = |label: &i64| !numbers.contains_key(label);
        let absent: Vec<_> = [0, 1, 2, 5, 77].into_iter().filter(gone).map(Absent::Class).collect();
        assert_eq!(regions.absent(), absent, "{what}");
    }
}

#[test]
fn voxels_are_as_likely_as_the_weight_of_their_label() {
    let weights = [(0, 0.25), (2, 1e300), (1, 2e300), (5, 3e300), (-1, 1e300)];
    for (patch, border, what) in cases() {
        let sampler = LabelSampler::per_voxel(patch, Some(&weights)).unwrap().border(border);
        let (regions, _) = prepare(&sampler, labelled());
        let voxel = |voxel| {
            let label = anatomy(voxel);
            weights.iter().find(|(l, _)| *l == label).map_or(0.0, |(_, w)| *w / 1e300)
        };
        let mut expected = by_weight(patch, border, voxel, anatomy);
        // Next to the others 0 weighs nothing; by itself it is all there is.
        expected.retain(|(_, label), p| *label != 0 || *p > 1e-9);
        fits(&*regions, patch, &expected, &what);
    }
}

#[test]
fn without_weights_every_label_but_0_is_wanted() {
    for (patch, border, what) in cases().filter(|(patch, ..)| *patch != [7, 9, 8]) {
        let sampler = LabelSampler::per_class(patch, None).unwrap().border(border);
        let (regions, _) = prepare(&sampler, labelled());
        let wanted = |voxel| f64::from(u8::from(anatomy(voxel) != 0));
        let numbers = numbers(patch, border);
        let voxel = |voxel| wanted(voxel) / numbers.get(&anatomy(voxel)).unwrap_or(&1.0);
        fits(&*regions, patch, &by_weight(patch, border, voxel, anatomy), &what);

        let sampler = LabelSampler::per_voxel(patch, None).unwrap().border(border);
        let (regions, _) = prepare(&sampler, labelled());
        fits(&*regions, patch, &by_weight(patch, border, wanted, anatomy), &what);
    }
}

#[test]
fn foreground_and_background_come_in_their_ratio() {
    let foreground = |voxel| anatomy(voxel) > 0;
    for (patch, border, what) in cases() {
        for (pos, neg) in [(3.0, 1.0), (1.0, 0.0), (0.0, 2.0)] {
            let sampler = ForegroundSampler::pos_neg(patch, pos, neg).unwrap().border(border);
            let (regions, _) = prepare(&sampler, labelled());
            let may = |voxel: &[usize; 3]| around(*voxel, patch, border).is_some();
            let (positive, negative): (Vec<_>, Vec<_>) =
                voxels(SHAPE).filter(may).partition(|voxel| foreground(*voxel));
            let share = match (positive.len(), negative.len()) {
                (0, _) => 0.0,
                (_, 0) => 1.0,
                _ => pos / (pos + neg),
            };
            let voxel = |voxel| {
                if foreground(voxel) {
                    share / positive.len().max(1) as f64
                } else {
                    (1.0 - share) / negative.len().max(1) as f64
                }
            };
            let choice = |voxel| if foreground(voxel) { anatomy(voxel) } else { BACKGROUND };
            let what = format!("{what} {pos}:{neg}");
            fits(&*regions, patch, &by_weight(patch, border, voxel, choice), &what);
            let absent = [
                (pos > 0.0 && positive.is_empty()).then_some(Absent::Foreground),
                (neg > 0.0 && negative.is_empty()).then_some(Absent::Background),
            ];
            assert_eq!(
                regions.absent(),
                absent.into_iter().flatten().collect::<Vec<_>>(),
                "{what}"
            );
        }
    }
}

#[test]
fn oversampled_draws_hold_foreground_and_the_others_lie_anywhere() {
    let share = 0.4;
    for (patch, border, what) in cases() {
        let sampler = ForegroundSampler::oversample(patch, share).unwrap().border(border);
        let (regions, _) = prepare(&sampler, labelled());
        let numbers = numbers(patch, border);
        let present: Vec<i64> =
            [1, 2, 5].into_iter().filter(|label| numbers.contains_key(label)).collect();
        let forced = if present.is_empty() { 0.0 } else { share };
        let mut expected = everywhere(patch);
        for p in expected.values_mut() {
            *p *= 1.0 - forced;
        }
        let voxel = |voxel| {
            let wanted = present.contains(&anatomy(voxel));
            f64::from(u8::from(wanted)) / numbers.get(&anatomy(voxel)).unwrap_or(&1.0)
        };
        for (cell, p) in by_weight(patch, border, voxel, anatomy) {
            *expected.entry(cell).or_default() += p * forced;
        }
        expected.retain(|_, p| *p > 0.0);
        fits(&*regions, patch, &expected, &what);
        assert_eq!(regions.absent().contains(&Absent::Foreground), present.is_empty(), "{what}");
        for index in (0..100).filter(|_| !present.is_empty()) {
            let floor = |n: u64| n * 2 / 5;
            let sample = draw(&*regions, 3, index);
            let is_class = matches!(sample.choice, Choice::Class(_));
            assert_eq!(is_class, floor(index + 1) > floor(index), "{what}: {index}");
            let holds = voxels(SHAPE).any(|v| contains(&sample.region, v) && anatomy(v) > 0);
            assert!(holds || !is_class, "{what}: {index}");
        }
    }
}

#[test]
fn a_volume_smaller_than_the_patch_lies_in_its_middle() {
    let weight = |voxel| heat(voxel) + 0.1;
    for patch in [[9, 4, 3], [10, 10, 11], [7, 12, 8]] {
        for border in [Border::Mask, Border::Clamp] {
            let what = format!("{patch:?} {border:?}");
            let sampler =
                WeightedSampler::new(patch).unwrap().border(border).pad_small_volumes(true);
            let (regions, _) = prepare(&sampler, Dense::weighted(SHAPE, CHUNK, weight));
            fits(&*regions, patch, &by_weight(patch, border, weight, |_| WEIGHT), &what);
            let sampler =
                LabelSampler::per_voxel(patch, Some(&[(0, 1.0), (1, 1.0), (2, 1.0), (-1, 1.0)]));
            let sampler = sampler.unwrap().border(border).pad_small_volumes(true);
            let (regions, _) = prepare(&sampler, labelled());
            let voxel = |voxel| f64::from(u8::from(anatomy(voxel) < 5));
            fits(&*regions, patch, &by_weight(patch, border, voxel, anatomy), &what);
        }
        let sampler = UniformSampler::new(patch).unwrap().pad_small_volumes(true);
        let (regions, _) = prepare(&sampler, labelled());
        for index in 0..50 {
            let start = draw(&*regions, 1, index).region.start;
            for axis in 0..3 {
                let (volume, long) = (SHAPE[axis] as i64, patch[axis] as i64);
                let expected =
                    if long > volume { -((long - volume) / 2)..=0 } else { 0..=volume - long };
                assert!(expected.contains(&start[axis]), "{patch:?}: {start:?}");
                assert!(long <= volume || start[axis] == -((long - volume) / 2));
            }
        }
    }
}

#[test]
fn every_voxel_that_may_be_chosen_is_reached() {
    let foreground = |voxel: &[usize; 3]| anatomy(*voxel) > 0;
    let wanted: std::collections::BTreeSet<_> = voxels(SHAPE).filter(foreground).collect();
    for border in [Border::Mask, Border::Clamp] {
        let sampler = LabelSampler::per_class([1; 3], Some(&[(1, 1.0), (2, 1.0), (5, 1.0)]));
        let (regions, _) = prepare(&sampler.unwrap().border(border), labelled());
        let place =
            |index| draw(&*regions, 2, index).region.start.map(|i| usize::try_from(i).unwrap());
        let reached: std::collections::BTreeSet<_> = (0..4000).map(place).collect();
        assert_eq!(reached, wanted);
    }
}

#[test]
fn a_draw_depends_on_its_name_alone() {
    type Case = (Box<dyn Sampler>, fn() -> Dense);
    let weights = || Dense::weighted(SHAPE, CHUNK, heat);
    let patch = [3, 4, 5];
    let samplers: [Case; 5] = [
        (Box::new(UniformSampler::new(patch).unwrap()), labelled),
        (Box::new(WeightedSampler::new(patch).unwrap()), weights),
        (Box::new(LabelSampler::per_class(patch, None).unwrap()), labelled),
        (Box::new(ForegroundSampler::pos_neg(patch, 1.0, 1.0).unwrap()), labelled),
        (Box::new(ForegroundSampler::oversample(patch, 0.3).unwrap()), labelled),
    ];
    for (sampler, field) in samplers {
        let name = |index| Draw { seed: 5, epoch: 2, index };
        let (regions, _) = prepare(&*sampler, field());
        let forwards: Vec<_> = (0..200).map(|i| regions.draw(name(i)).unwrap()).collect();
        let (again, _) = prepare(&*sampler, field());
        let mut backwards: Vec<_> = (0..200).rev().map(|i| again.draw(name(i)).unwrap()).collect();
        backwards.reverse();
        assert_eq!(forwards, backwards, "{sampler:?}");
        let elsewhere = Arc::clone(&again);
        let thread = std::thread::spawn(move || {
            (0..200).map(|i| elsewhere.draw(name(i)).unwrap()).collect::<Vec<_>>()
        });
        assert_eq!(forwards, thread.join().unwrap(), "{sampler:?}");
        for other in [Draw { seed: 6, ..name(0) }, Draw { epoch: 3, ..name(0) }] {
            let differ = (0..200).any(|index| {
                again.draw(Draw { index, ..other }).unwrap().region
                    != forwards[usize::try_from(index).unwrap()].region
            });
            assert!(differ, "{sampler:?} {other:?}");
        }
    }
}

/// Always the same place.
#[derive(Debug)]
struct At([i64; 3], [usize; 3]);

impl Sampler for At {
    fn patch(&self) -> [usize; 3] {
        self.1
    }

    fn prepare(&self, _: Arc<dyn Field>) -> Result<Arc<dyn Regions>> {
        Ok(Arc::new(At(self.0, self.1)))
    }
}

impl Regions for At {
    fn count(&self) -> Option<u64> {
        Some(77)
    }

    fn absent(&self) -> &[Absent] {
        &[Absent::Foreground]
    }

    fn draw(&self, _: Draw) -> Result<Sample> {
        Ok(Sample { region: Region::new(self.0, self.1), choice: Choice::Class(3) })
    }
}

#[test]
fn patches_are_moved_evenly_within_the_volume_and_never_further_out() {
    let patch = [3, 5, 7];
    // Inside, at both borders, beyond them, and along an axis where the patch is too large.
    for start in [[2, 2, 0], [0, 0, 1], [4, 4, 0], [-1, 3, -2], [5, -2, 3], [3, 6, 9]] {
        for by in [[1, 2, 3], [0, 1, 0], [0; 3]] {
            let sampler = JitterSampler::new(Arc::new(At(start, patch)), by).unwrap();
            assert!(sampler.follows_voxels() && sampler.patch() == patch);
            let field = Dense::labelled(SHAPE, CHUNK, |_| 0);
            let regions = sampler.prepare(Arc::new(field)).unwrap();
            assert_eq!((regions.count(), regions.absent()), (Some(77), &[Absent::Foreground][..]));
            let allowed = |axis: usize| -> Vec<i64> {
                let last = SHAPE[axis] as i64 - patch[axis] as i64;
                let moved = |by: &i64| start[axis] + by;
                let is_no_further_out =
                    |at: &i64| *at >= start[axis].min(0) && *at <= start[axis].max(last);
                let by = by[axis] as i64;
                (-by..=by).map(|by| moved(&by)).filter(is_no_further_out).collect()
            };
            let [z, y, x] = [allowed(0), allowed(1), allowed(2)];
            let p = 1.0 / (z.len() * y.len() * x.len()) as f64;
            let mut expected = Probabilities::new();
            for z in &z {
                for y in &y {
                    expected.extend(x.iter().map(|x| (([*z, *y, *x], 3), p)));
                }
            }
            fits(&*regions, patch, &expected, &format!("{start:?} by {by:?}"));
        }
    }
    for by in [[2, 0, 0], [0, 3, 0], [0, 0, usize::MAX]] {
        let refused = JitterSampler::new(Arc::new(At([0; 3], patch)), by).unwrap_err();
        assert!(refused.to_string().contains("1x2x3"), "{refused}");
    }
}

#[test]
fn moves_do_not_follow_from_the_place_that_was_drawn() {
    let sampler = UniformSampler::new([3, 3, 3]).unwrap();
    let field = || Arc::new(Dense::labelled([40, 40, 40], [8; 3], |_| 0));
    let regions = sampler.prepare(field()).unwrap();
    let moved = JitterSampler::new(Arc::new(sampler), [1, 1, 1]).unwrap().prepare(field()).unwrap();
    let mut seen = BTreeMap::<_, u32>::new();
    for index in 0..2000 {
        let [still, moved] = [&regions, &moved].map(|of| draw(&**of, 11, index).region.start);
        let half = (still[0] > 18, moved[0] - still[0]);
        *seen.entry(half).or_default() += 1;
    }
    assert_eq!(seen.len(), 6);
    assert!(seen.values().all(|n| (240..430).contains(n)), "{seen:?}");
}
