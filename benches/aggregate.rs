//! Blending predictions of overlapping patches into a stored volume, in bytes of predictions per
//! second: each mode, with one thread and with two, 2 classes as float32 and 14 classes as a label
//! map (`argmax`). The time runs from an empty dataset to the published volume, which is synced to
//! the disk; the predictions are in memory.
//!
//! For comparison `dense`, the simplest way to the same numbers: sums in one array in memory,
//! divided in place by the products of the axes' weights, and for labels the greatest channel of
//! each voxel. It uses one thread, compresses and writes nothing, and takes 14 volumes of float32
//! for 14 classes.
//!
//! The volume is 240 x 288 x 288, patches are 96 x 96 x 96 and overlap by 48: 100 of them.
//! Predictions are four distinct ones in turn, a softmax of smooth fields with noise.
#![allow(missing_docs, reason = "a benchmark")]
#![allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "small numbers")]

mod common;

use std::hint::black_box;
use std::path::Path;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use ndarray::{ArrayView4, ArrayView5, Axis};
use voxpatch::aggregate::Aggregator;
use voxpatch::aggregate::{AggregateOptions, Blend, Output, Plan, Values};
use voxpatch::sample::{GridSampler, Overlap};
use voxpatch::{ConvertOptions, Dataset, Pool, Spacing, Volume, convert};

const VOLUME: [usize; 3] = [240, 288, 288];
const PATCH: usize = 96;
const STEP: usize = 48;
const DISTINCT: usize = 4;
const MODES: [Blend; 4] =
    [Blend::Crop, Blend::Average, Blend::Hann, Blend::Gaussian { sigma_scale: Blend::SIGMA_SCALE }];
const PATCH_VOXELS: usize = PATCH * PATCH * PATCH;

/// A number from -1 to 1 that looks random.
fn noise(n: usize) -> f32 {
    let mixed = (n as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (mixed >> 40) as f32 / 8_388_608.0 - 1.0
}

/// Distinct predictions one after the other, each `c, z, y, x`: class scores that are near 0 or 1
/// in most voxels, agree where patches overlap, and have noise in their low bits.
fn predictions(channels: usize) -> Vec<f32> {
    let mut all = vec![0_f32; DISTINCT * channels * PATCH_VOXELS];
    let wave = std::f32::consts::TAU / STEP as f32;
    for (n, prediction) in all.chunks_exact_mut(channels * PATCH_VOXELS).enumerate() {
        for voxel in 0..PATCH_VOXELS {
            let at = [voxel / PATCH / PATCH, voxel / PATCH % PATCH, voxel % PATCH];
            let [z, y, x] = at.map(|i| i as f32 * wave);
            let score = |c: usize| {
                let phase = c as f32 * 2.4;
                let smooth = (z + phase).sin() + (y - phase).sin() + (x + 2.0 * phase).sin();
                (6.0 * smooth + 0.1 * noise((n * channels + c) * PATCH_VOXELS + voxel)).exp()
            };
            let total: f32 = (0..channels).map(score).sum();
            for c in 0..channels {
                prediction[c * PATCH_VOXELS + voxel] = score(c) / total;
            }
        }
    }
    all
}

/// The first voxels of patches along an axis.
fn starts(length: usize) -> Vec<usize> {
    (0..length - PATCH).step_by(STEP).chain([length - PATCH]).collect()
}

/// For each axis: the window of a patch, and the sums of windows.
struct Weights {
    window: Vec<f32>,
    sums: [Vec<f32>; 3],
}

impl Weights {
    fn new(blend: Blend) -> Self {
        let middle = (PATCH as f32 - 1.0) / 2.0;
        let weight = |n: usize| match blend {
            Blend::Hann => {
                (std::f32::consts::PI * (n as f32 + 1.0) / (PATCH as f32 + 1.0)).sin().powi(2)
            }
            Blend::Gaussian { .. } => {
                (-((n as f32 - middle) * 8.0 / PATCH as f32).powi(2) / 2.0).exp()
            }
            _ => 1.0,
        };
        let window: Vec<f32> = (0..PATCH).map(weight).collect();
        let sums = VOLUME.map(|length| {
            let mut sums = vec![0.0; length];
            for start in starts(length) {
                sums[start..].iter_mut().zip(&window).for_each(|(sum, weight)| *sum += weight);
            }
            sums
        });
        Self { window, sums }
    }
}

/// The rows of a box in an array: the start of each row, by `z, y` in the box.
fn rows(shape: [usize; 3], from: [usize; 3], size: [usize; 3]) -> impl Iterator<Item = [usize; 3]> {
    (0..size[0]).flat_map(move |z| {
        (0..size[1])
            .map(move |y| [z, y, ((from[0] + z) * shape[1] + from[1] + y) * shape[2] + from[2]])
    })
}

/// The voxels of a patch that count along an axis: all, or in mode crop those that are not cut off.
fn kept(blend: Blend, start: usize, length: usize) -> (usize, usize) {
    let cut = if blend == Blend::Crop { (PATCH - STEP) / 2 } else { 0 };
    let before = if start > 0 { cut } else { 0 };
    let after = if start + PATCH < length { cut } else { 0 };
    (before, PATCH - before - after)
}

/// The reference. A gaussian has no floor here, so that its weights are a product as well.
fn dense(blend: Blend, predictions: &[f32], channels: usize) -> Vec<f32> {
    let weights = Weights::new(blend);
    let voxels: usize = VOLUME.iter().product();
    let mut sums = vec![0_f32; channels * voxels];
    let [zs, ys, xs] = VOLUME.map(starts);
    let places = zs.iter().flat_map(|z| ys.iter().flat_map(|y| xs.iter().map(|x| [*z, *y, *x])));
    for (n, start) in places.enumerate() {
        let kept: [_; 3] = std::array::from_fn(|a| kept(blend, start[a], VOLUME[a]));
        let (cut, size) = (kept.map(|(cut, _)| cut), kept.map(|(_, size)| size));
        let to = std::array::from_fn(|a| start[a] + cut[a]);
        let prediction = &predictions[n % DISTINCT * channels * PATCH_VOXELS..];
        let window = &weights.window;
        for c in 0..channels {
            let (sums, prediction) = (&mut sums[c * voxels..], &prediction[c * PATCH_VOXELS..]);
            for ([z, y, at], [_, _, from]) in
                rows(VOLUME, to, size).zip(rows([PATCH; 3], cut, size))
            {
                let (sums, row) = (&mut sums[at..][..size[2]], &prediction[from..][..size[2]]);
                match blend {
                    Blend::Crop => sums.copy_from_slice(row),
                    Blend::Average => sums.iter_mut().zip(row).for_each(|(sum, v)| *sum += v),
                    _ => {
                        let weight = window[z] * window[y];
                        let row = row.iter().zip(window);
                        sums.iter_mut().zip(row).for_each(|(sum, (v, w))| *sum += v * (weight * w));
                    }
                }
            }
        }
    }
    if blend != Blend::Crop {
        for channel in sums.chunks_exact_mut(voxels) {
            for [z, y, at] in rows(VOLUME, [0; 3], VOLUME) {
                let weight = weights.sums[0][z] * weights.sums[1][y];
                let row = channel[at..].iter_mut().zip(&weights.sums[2]);
                row.for_each(|(sum, w)| *sum /= weight * w);
            }
        }
    }
    sums
}

/// The greatest channel of each voxel.
fn argmax(scores: &[f32]) -> Vec<u8> {
    let voxels: usize = VOLUME.iter().product();
    let mut best = scores[..voxels].to_vec();
    let mut labels = vec![0_u8; voxels];
    for (class, scores) in (0..).zip(scores.chunks_exact(voxels)) {
        for ((best, label), score) in best.iter_mut().zip(&mut labels).zip(scores) {
            if score > best {
                (*best, *label) = (*score, class);
            }
        }
    }
    labels
}

/// A volume of this shape, whose voxels are never read.
fn source(folder: &Path) -> Volume {
    let file = folder.join("source.nii");
    let spacing = Spacing::new([1.0; 3]).expect("positive");
    common::write(&file, VOLUME, spacing, &vec![0; VOLUME.iter().product()], None);
    let dataset = Dataset::create(folder.join("source.zarr")).expect("a dataset");
    let scan = voxpatch::scan::open(&file).expect("a scan");
    let (name, pool) = ("scan/image".parse().expect("a name"), Pool::new(1).expect("a thread"));
    convert(scan, &dataset, &name, &ConvertOptions::default(), &pool, &|_| true)
        .expect("converted");
    dataset.volume("scan/image").expect("converted")
}

/// From an empty dataset to a published volume. Several threads get four patches at a time.
fn ours(plan: Plan, folder: &Path, predictions: &[f32], pool: &Pool, threads: usize) {
    let dataset = Dataset::create(folder.join("made.zarr")).expect("a dataset");
    let channels = plan.prediction(0).expect("an output")[0];
    let numbers: Vec<u64> = plan.order().collect();
    let aggregator =
        Aggregator::begin(&dataset, plan, &AggregateOptions::default()).expect("begun");
    let shape = [DISTINCT, channels, PATCH, PATCH, PATCH];
    let all = ArrayView5::from_shape(shape, predictions).expect("as many voxels");
    for numbers in numbers.chunks(DISTINCT) {
        // Numbers ascend from a multiple of the distinct predictions.
        if threads > 1 {
            let some = all.slice_axis(Axis(0), (0..numbers.len()).into());
            aggregator.add_many(numbers, &[some], pool).expect("added");
        } else {
            for (number, prediction) in numbers.iter().zip(all.outer_iter()) {
                let prediction: ArrayView4<'_, f32> = prediction;
                aggregator.add(*number, &[prediction]).expect("added");
            }
        }
    }
    aggregator.finish(pool, &|_| true).expect("published");
}

fn aggregate(c: &mut Criterion) {
    let folder = tempfile::tempdir().expect("temporary folder");
    let volume = source(folder.path());
    let sampler =
        GridSampler::new([PATCH; 3], Overlap::Voxels([PATCH - STEP; 3])).expect("a sampler");
    for (channels, values) in [(2, Values::Float32), (14, Values::Argmax)] {
        let predictions = predictions(channels);
        let plan = |blend| {
            let name = "scan/blended".parse().expect("a name");
            let outputs = vec![Output::new(name, channels, values)];
            Plan::new(&volume, &sampler, blend, outputs).expect("a plan")
        };
        let patches = plan(Blend::Crop).grid().len();
        let mut group = c.benchmark_group(format!("{channels} classes, {values}"));
        group.throughput(Throughput::Bytes(patches * (channels * PATCH_VOXELS * 4) as u64));
        group.sample_size(10);
        for blend in MODES {
            for threads in [1, 2] {
                let pool = Pool::new(threads).expect("threads");
                group.bench_function(format!("{blend}, {threads} threads"), |b| {
                    let empty = || tempfile::tempdir_in(folder.path()).expect("temporary folder");
                    b.iter_batched(
                        empty,
                        |empty| {
                            ours(plan(blend), empty.path(), &predictions, &pool, threads);
                            empty
                        },
                        BatchSize::PerIteration,
                    );
                });
            }
            group.bench_function(format!("{blend}, dense"), |b| {
                b.iter(|| {
                    let means = dense(blend, &predictions, channels);
                    if values == Values::Argmax {
                        drop(black_box(argmax(&means)));
                    }
                    black_box(means)
                });
            });
        }
        group.finish();
    }
}

criterion_group!(benches, aggregate);
criterion_main!(benches);
