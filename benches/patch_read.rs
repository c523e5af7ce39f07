//! Random patches from stored volumes, one thread, warm page cache, beside copying the same
//! patches row by row from the uncompressed voxels in memory.
//!
//! The volume is the synthetic chest CT, or any NIfTI scan of 16-bit signed voxels:
//! `VOXPATCH_SCAN=ct.nii.gz cargo bench --bench patch_read`. Each patch shape is read from a
//! volume laid out for it. `VOXPATCH_CODECS=packed,blosc` restricts the codecs, `VOXPATCH_CHUNK=32x32x32`
//! gives the chunk. Figures are bytes of returned voxels per second; what explains them
//! (chunks touched, bytes decoded per byte returned, size on disk) is printed beside.
#![allow(missing_docs, clippy::print_stderr, reason = "a benchmark prints")]
#![allow(clippy::cast_possible_wrap, clippy::cast_precision_loss, reason = "small numbers")]

mod common;

use std::hint::black_box;
use std::path::Path;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use voxpatch::layout::{Access, PatchShape, PlanOptions, WeightedPatch, Workload};
use voxpatch::{ConvertOptions, Dataset, Pool, ReadCost, Region, Volume};

const PATCHES: [[usize; 3]; 4] = [[128, 128, 128], [64, 64, 64], [32, 192, 192], [1, 512, 512]];
const CODECS: &str = "packed:8,packed:1,blosc,blosc-lz4:5,blosc-lz4hc:5,blosc-zstd:5,zstd:3";

struct Source {
    path: std::path::PathBuf,
    shape: [usize; 3],
    voxels: Vec<i16>,
}

fn source(folder: &Path) -> Source {
    let path = common::scan(folder);
    let (shape, voxels) = common::voxels(&path);
    Source { path, shape, voxels }
}

fn random_regions(volume: [usize; 3], patch: [usize; 3]) -> Vec<Region> {
    let mut state: u64 = 42;
    let mut below = |n: usize| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 33) as usize % n) as i64
    };
    let shape = std::array::from_fn(|a| patch[a].min(volume[a]));
    (0..60)
        .map(|_| Region::new(std::array::from_fn(|a| below(volume[a] - shape[a] + 1)), shape))
        .collect()
}

fn store(source: &Source, patch: [usize; 3], codec: &str, folder: &Path) -> Volume {
    let dataset = Dataset::create(folder).expect("a free folder");
    let shape = PatchShape::Voxels(patch);
    let workload =
        Workload::new(vec![WeightedPatch::new(shape, 1.0).expect("sound")], Access::Random);
    let chunk = std::env::var("VOXPATCH_CHUNK").ok().map(|s| {
        let axes: Vec<usize> = s.split('x').map(|n| n.parse().expect("ZxYxX")).collect();
        [axes[0], axes[1], axes[2]]
    });
    let options = ConvertOptions::default()
        .workload(Some(workload.expect("sound")))
        .plan(PlanOptions::default().codec(codec.parse().expect("known")).chunk(chunk).shard(None));
    let scan = voxpatch::scan::open(&source.path).expect("a readable scan");
    let name = format!("{}/image", codec.replace(':', "-")).parse().expect("a valid name");
    let pool = Pool::new(0).expect("threads");
    voxpatch::convert(scan, &dataset, &name, &options, &pool, &|_| true).expect("converts");
    dataset.open_volume(&name).expect("opens")
}

/// The best that a memory map can give: the same rows, copied from memory.
fn copy_rows(source: &Source, region: Region, out: &mut [i16]) {
    let [_, rows, columns] = source.shape;
    let start = region.start.map(|s| usize::try_from(s).expect("inside"));
    for (n, out) in out.chunks_exact_mut(region.shape[2]).enumerate() {
        let (z, y) = (start[0] + n / region.shape[1], start[1] + n % region.shape[1]);
        let from = (z * rows + y) * columns + start[2];
        out.copy_from_slice(&source.voxels[from..from + out.len()]);
    }
}

fn patch_read(c: &mut Criterion) {
    let folder = tempfile::tempdir().expect("temporary folder");
    let source = source(folder.path());
    let codecs = std::env::var("VOXPATCH_CODECS").unwrap_or_else(|_| CODECS.into());
    for patch in PATCHES {
        let regions = random_regions(source.shape, patch);
        let voxels: usize = regions.iter().filter_map(Region::voxels).sum();
        let mut out = vec![0_i16; regions[0].voxels().expect("small")];
        let [z, y, x] = patch;
        let mut group = c.benchmark_group(format!("patch_read/{z}x{y}x{x}"));
        group.throughput(Throughput::Bytes(2 * voxels as u64)).sample_size(10);
        group.bench_function("rows from memory", |b| {
            b.iter(|| regions.iter().for_each(|r| copy_rows(&source, *r, black_box(&mut out))));
        });
        for codec in codecs.split(',') {
            let place = folder.path().join(format!("{z}x{y}x{x}-{}", codec.replace(':', "-")));
            let volume = store(&source, patch, codec, &place);
            let mut cost = ReadCost::default();
            for region in &regions {
                cost += volume.cost(*region).expect("inside");
            }
            eprintln!(
                "{codec}: chunk {:?}, {:.1} MB stored, {:.1} chunks and {:.2} bytes decoded per byte returned",
                volume.layout().chunk,
                volume.stored_bytes() as f64 / 1e6,
                cost.chunks as f64 / regions.len() as f64,
                cost.amplification(),
            );
            group.bench_function(codec, |b| {
                b.iter(|| {
                    for region in &regions {
                        volume.read_into(*region, black_box(&mut out)).expect("inside");
                    }
                });
            });
        }
        group.finish();
    }
}

criterion_group!(benches, patch_read);
criterion_main!(benches);
