//! Reads of training: regions drawn by label, batches, and streams of patches.
//!
//! - `draw`: one region by class, from label maps of 18 and 134 million voxels, which should cost
//!   the same.
//! - `batch`: 16 overlapping patches of 96 x 96 x 96 by `read_many`, with one thread and with two.
//! - `stream`: patches of 96 x 96 x 96 of four subjects as `f32`, with one worker and with two.
//!
//! Warm. The scan is the synthetic chest CT, or `VOXPATCH_SCAN`, of 16-bit signed voxels.
#![allow(missing_docs, reason = "a benchmark")]

mod common;

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use voxpatch::sample::{Draw, LabelSampler, Sampler, UniformSampler};
use voxpatch::stream::ImageRequest;
use voxpatch::stream::{PatchStream, StreamOptions};
use voxpatch::{ConvertOptions, Dataset, Kind, Pool, Region, Spacing, convert};

const PATCH: [usize; 3] = [96; 3];
const SUBJECTS: usize = 4;

fn add(dataset: &Dataset, name: &str, file: &Path, kind: Kind) {
    let scan = voxpatch::scan::open(file).expect("a scan");
    let options = ConvertOptions::default().kind(Some(kind));
    let name = name.parse().expect("a name");
    let pool = Pool::new(0).expect("threads");
    convert(scan, dataset, &name, &options, &pool, &|_| true).expect("converted");
}

/// Labels with the outlines of balls, three classes, in a plane-wise pattern of any size.
fn labels([z, y, x]: [usize; 3]) -> Vec<i16> {
    let ball = |at: [usize; 3]| {
        let from = at.map(|i| i.abs_diff(i / 64 * 64 + 32));
        let squared: usize = from.iter().map(|d| d * d).sum();
        match squared {
            0..150 => 3,
            150..400 => 2,
            400..800 => 1,
            _ => 0,
        }
    };
    let at = |n: usize| [n / (y * x), n / x % y, n % x];
    (0..z * y * x).map(|n| ball(at(n))).collect()
}

fn draw(c: &mut Criterion) {
    let folder = tempfile::tempdir().expect("temporary folder");
    let dataset = Dataset::create(folder.path().join("s.zarr")).expect("a dataset");
    let spacing = Spacing::new([1.0; 3]).expect("positive");
    let mut group = c.benchmark_group("draw");
    for side in [264, 512] {
        let file = folder.path().join(format!("{side}.nii"));
        common::write(&file, [side; 3], spacing, &labels([side; 3]), None);
        add(&dataset, &format!("s{side}/label"), &file, Kind::Label);
        let volume = dataset.volume(&format!("s{side}/label")).expect("stored");
        let sampler = LabelSampler::per_class(PATCH, None).expect("a sampler");
        group.bench_function(format!("prepare, {side}"), |b| {
            b.iter(|| sampler.prepare(Arc::new(volume.clone())).expect("classes"));
        });
        let regions = sampler.prepare(Arc::new(volume)).expect("classes");
        let mut index = 0;
        group.bench_function(format!("by class, {side}"), |b| {
            b.iter(|| {
                index += 1;
                black_box(regions.draw(Draw { seed: 1, epoch: 0, index })).expect("drawn")
            });
        });
    }
    group.finish();
}

fn reads(c: &mut Criterion) {
    let folder = tempfile::tempdir().expect("temporary folder");
    let dataset = Dataset::create(folder.path().join("s.zarr")).expect("a dataset");
    let scan = common::scan(folder.path());
    let subjects: Vec<_> = (0..SUBJECTS).map(|n| format!("s{n}")).collect();
    for subject in &subjects {
        add(&dataset, &format!("{subject}/image"), &scan, Kind::Intensity);
    }
    let bytes = PATCH.iter().product::<usize>() as u64 * 2;

    let volume = dataset.volume("s0/image").expect("stored");
    let regions: Vec<_> =
        (0..16).map(|n| Region::new([20 + 5 * n, 100 + 12 * n, 150], PATCH)).collect();
    let mut out = vec![0_i16; 16 * PATCH.iter().product::<usize>()];
    let mut group = c.benchmark_group("batch");
    group.throughput(Throughput::Bytes(16 * bytes)).sample_size(20);
    for threads in [1, 2] {
        let pool = Pool::new(threads).expect("threads");
        group.bench_function(format!("read_many, {threads}"), |b| {
            b.iter(|| volume.read_many_into(&regions, &mut out, &pool).expect("read"));
        });
    }
    group.finish();

    let mut group = c.benchmark_group("stream");
    group.throughput(Throughput::Elements(SUBJECTS as u64 * 50)).sample_size(10);
    for workers in [1, 2] {
        let options = StreamOptions::default()
            .images(vec![ImageRequest::new("image").scaled()])
            .patches_per_visit(50)
            .workers(workers);
        let sampler = Arc::new(UniformSampler::new(PATCH).expect("a patch"));
        let mut stream =
            PatchStream::new(&dataset, subjects.clone(), sampler, &options).expect("a stream");
        group.bench_function(format!("patches, {workers} workers"), |b| {
            b.iter(|| {
                for patch in &mut stream {
                    drop(black_box(patch.expect("read")));
                }
                stream.next_epoch();
            });
        });
    }
    group.finish();
}

criterion_group!(benches, draw, reads);
criterion_main!(benches);
