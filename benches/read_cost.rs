//! The constants of the planner's cost model, measured: `CostConstants` in `src/layout/cost.rs`
//! holds what this printed.
//!
//! For each codec the volume is stored with several chunk shapes and random patches of several
//! shapes are read, one thread, warm. The time of a patch is then fitted, by least squares of the
//! relative error with no negative constants, to what the model counts: chunks, decode units,
//! bytes decoded, rows, bytes returned. The volume is the synthetic chest CT, or `VOXPATCH_SCAN`;
//! `VOXPATCH_CODECS=packed:8,none` restricts the codecs.
#![allow(missing_docs, clippy::print_stdout, reason = "a benchmark prints")]
#![allow(clippy::cast_possible_wrap, clippy::cast_precision_loss, reason = "small numbers")]

mod common;

use std::path::Path;
use std::time::Instant;

use voxpatch::layout::{Access, Codec, CostModel, PlanOptions};
use voxpatch::{ConvertOptions, Dataset, Pool, Region, Volume};

const CODECS: &str = "packed:8,packed:1,blosc-lz4:5,blosc-lz4hc:5,blosc-zstd:5,zstd:3,gzip:6,none";
const CHUNKS: [[usize; 3]; 7] = [
    [8, 16, 16],
    [16, 16, 32],
    [32, 32, 32],
    [64, 16, 48],
    [32, 64, 64],
    [8, 128, 128],
    [1, 256, 256],
];
const PATCHES: [[usize; 3]; 6] =
    [[1, 1, 1], [24, 24, 24], [64, 64, 64], [96, 96, 96], [16, 192, 192], [1, 384, 384]];
/// Reads of each patch shape go on for about this long.
const SECONDS: f64 = 0.08;

/// One observation: what the model counts, and the time in ns.
struct Observed {
    counts: [f64; 5],
    time: f64,
}

fn main() {
    // `cargo test --benches` runs this too, only to check that it starts.
    if std::env::args().any(|a| a == "--test") {
        return;
    }
    let folder = tempfile::tempdir().expect("temporary folder");
    let scan = common::scan(folder.path());
    println!(
        "codec: ns per chunk, ns per unit, GB/s decoded, ns per row, GB/s copied; error of the fit"
    );
    let codecs = std::env::var("VOXPATCH_CODECS").unwrap_or_else(|_| CODECS.into());
    for codec in codecs.split(',') {
        let observed: Vec<Observed> =
            CHUNKS.iter().flat_map(|chunk| observe(&scan, folder.path(), codec, *chunk)).collect();
        let [chunk, unit, decoded, row, copied] = fit(&observed);
        let error = observed
            .iter()
            .map(|o| (model(&o.counts, [chunk, unit, decoded, row, copied]) / o.time).ln().abs());
        let mut errors: Vec<f64> = error.collect();
        errors.sort_by(f64::total_cmp);
        println!(
            "{codec}: {chunk:.0}, {unit:.0}, {:.2}, {row:.1}, {:.1}; median {:.0} %, 90 % within {:.0} %",
            1.0 / decoded,
            1.0 / copied,
            100.0 * errors[errors.len() / 2],
            100.0 * errors[errors.len() * 9 / 10],
        );
    }
}

fn observe(scan: &Path, folder: &Path, codec: &str, chunk: [usize; 3]) -> Vec<Observed> {
    let codec: Codec = codec.parse().expect("known");
    let dataset = Dataset::create(folder.join("s.zarr")).expect("a free folder");
    let plan = PlanOptions::default().codec(codec).chunk(Some(chunk)).shard(None);
    let options = ConvertOptions::default().plan(plan).overwrite(true);
    let name = "a/image".parse().expect("a valid name");
    let pool = Pool::new(0).expect("threads");
    let source = voxpatch::scan::open(scan).expect("a readable scan");
    voxpatch::convert(source, &dataset, &name, &options, &pool, &|_| true).expect("converts");
    let volume = dataset.open_volume(&name).expect("opens");
    let model = CostModel::new(volume.shape(), 2, codec, Access::Random);
    let observe = |patch: &[usize; 3]| {
        let cost = model.patch(*patch, chunk);
        let counts = [cost.chunks, cost.units, cost.bytes_decoded, cost.rows, cost.bytes_returned];
        Observed { counts, time: time(&volume, *patch) }
    };
    PATCHES.iter().map(observe).collect()
}

/// Nanoseconds of a random patch: the fastest of three rounds.
fn time(volume: &Volume, patch: [usize; 3]) -> f64 {
    let mut out = vec![0_i16; patch.iter().product()];
    // Touches every chunk, so that checksums are verified before the timing.
    let whole = volume.shape();
    volume.read::<i16>(Region::whole(whole)).expect("inside");
    let mut best = f64::INFINITY;
    for _ in 0..3 {
        let mut state: u64 = 42;
        let mut below = |n: usize| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            ((state >> 33) as usize % n) as i64
        };
        let (began, mut reads) = (Instant::now(), 0);
        while reads < 20 || began.elapsed().as_secs_f64() < SECONDS / 3.0 {
            let start = std::array::from_fn(|a| below(whole[a] - patch[a] + 1));
            volume.read_into(Region::new(start, patch), &mut out).expect("inside");
            reads += 1;
        }
        best = best.min(began.elapsed().as_secs_f64() * 1e9 / f64::from(reads));
    }
    best
}

fn model(counts: &[f64; 5], constants: [f64; 5]) -> f64 {
    counts.iter().zip(constants).map(|(count, constant)| count * constant).sum()
}

/// Least squares of the relative error, one constant at a time, none below zero.
fn fit(observed: &[Observed]) -> [f64; 5] {
    let mut constants = [100.0, 10.0, 0.1, 1.0, 0.05];
    for _ in 0..20_000 {
        for n in 0..5 {
            let (mut along, mut square) = (0.0, 0.0);
            for o in observed {
                let weight = o.counts[n] / o.time;
                let rest =
                    1.0 - (model(&o.counts, constants) - constants[n] * o.counts[n]) / o.time;
                along += weight * rest;
                square += weight * weight;
            }
            constants[n] = (along / square).max(0.0);
        }
    }
    constants
}
