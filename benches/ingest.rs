//! Converting a scan, from `.nii` and from `.nii.gz`, beside inflating the `.nii.gz` alone.
//!
//! The volume is the synthetic chest CT, or any NIfTI scan of 16-bit signed voxels:
//! `VOXPATCH_SCAN=ct.nii.gz cargo bench --bench ingest`. Page cache warm; the time includes
//! syncing the store to disk. `VOXPATCH_THREADS` sets the number of threads (default 2). Figures
//! are bytes of voxels per second of the whole conversion.
#![allow(missing_docs)]

mod common;

use std::path::Path;

use criterion::{BatchSize, Bencher, Criterion, Throughput, criterion_group, criterion_main};
use voxpatch::layout::PlanOptions;
use voxpatch::{ConvertOptions, Dataset, Pool, Spacing};

const CODECS: [&str; 4] = ["blosc-lz4", "blosc", "blosc-zstd:5", "none"];

fn convert(scan: &Path, out: &Path, codec: &str, pool: &Pool) {
    let dataset = Dataset::create(out).expect("a free folder");
    let plan = PlanOptions::default().codec(codec.parse().expect("known"));
    let options = ConvertOptions::default().plan(plan);
    let scan = voxpatch::scan::open(scan).expect("a readable scan");
    let name = "a/image".parse().expect("a valid name");
    voxpatch::convert(scan, &dataset, &name, &options, pool, &|_| true).expect("converts");
}

/// Each run makes a new store; removing the one before is not timed.
fn timed(b: &mut Bencher, out: &Path, convert: impl Fn()) {
    let clear = || {
        let _ = std::fs::remove_dir_all(out);
    };
    b.iter_batched(clear, |()| convert(), BatchSize::PerIteration);
}

/// Reads a whole scan and discards it.
fn read_only(path: &Path, planes: &mut [u8]) {
    let mut scan = voxpatch::scan::open(path).expect("a readable scan");
    let mut left = scan.header().plane_bytes() * scan.header().shape[0];
    while left > 0 {
        let bytes = planes.len().min(left);
        scan.read_planes(&mut planes[..bytes]).expect("readable voxels");
        left -= bytes;
    }
    scan.finish().expect("sound");
}

fn ingest(c: &mut Criterion) {
    let folder = tempfile::tempdir().expect("temporary folder");
    let (shape, voxels) = common::voxels(&common::scan(folder.path()));
    let spacing = Spacing::new([1.0, 0.7, 0.7]).expect("positive");
    let (plain, gzipped) = (folder.path().join("scan.nii"), folder.path().join("scan.nii.gz"));
    common::write(&plain, shape, spacing, &voxels, None);
    common::write(&gzipped, shape, spacing, &voxels, Some(6));
    let bytes = 2 * voxels.len() as u64;
    drop(voxels);
    let threads = std::env::var("VOXPATCH_THREADS").map_or(2, |n| n.parse().expect("a number"));
    let pool = Pool::new(threads).expect("threads");

    let mut group = c.benchmark_group(format!("ingest/{threads} threads"));
    group.throughput(Throughput::Bytes(bytes)).sample_size(10);
    let mut planes = vec![0; 16 * 2 * shape[1] * shape[2]];
    group.bench_function("inflate .nii.gz alone", |b| b.iter(|| read_only(&gzipped, &mut planes)));
    let out = folder.path().join("out.zarr");
    for codec in CODECS {
        group.bench_function(format!("{codec}/.nii.gz"), |b| {
            timed(b, &out, || convert(&gzipped, &out, codec, &pool));
        });
        group.bench_function(format!("{codec}/.nii"), |b| {
            timed(b, &out, || convert(&plain, &out, codec, &pool));
        });
    }
    group.finish();
}

criterion_group!(benches, ingest);
criterion_main!(benches);
