//! The codec [`voxpatch::packed`] on whole chunks of 32 x 32 x 32, one thread: encoding, and
//! decoding with each kernel that this processor can run, the portable one first, beside copying
//! the same voxels. Bytes are those of the voxels. The scan is the synthetic chest CT, or
//! `VOXPATCH_SCAN`, of 16-bit signed voxels; the chunks are those of its middle.
#![allow(missing_docs, clippy::print_stderr, reason = "a benchmark prints")]
#![allow(clippy::cast_precision_loss, reason = "small numbers")]

mod common;

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use voxpatch::{Dtype, packed};

const CHUNK: [usize; 3] = [32; 3];
const CHUNKS: usize = 400;

fn chunks([z, y, x]: [usize; 3], voxels: &[i16]) -> Vec<Vec<u8>> {
    let mut chunks = Vec::new();
    for z0 in (0..=z.saturating_sub(32)).step_by(32) {
        for y0 in (0..=y.saturating_sub(32)).step_by(32) {
            for x0 in (0..=x.saturating_sub(32)).step_by(32) {
                let rows = (0..32 * 32).map(|n| ((z0 + n / 32) * y + y0 + n % 32) * x + x0);
                chunks.push(rows.flat_map(|at| &voxels[at..at + 32]).copied().collect::<Vec<_>>());
            }
        }
    }
    let skipped = chunks.len().saturating_sub(CHUNKS) / 2;
    let middle = chunks.into_iter().skip(skipped).take(CHUNKS);
    middle.map(|chunk| bytemuck::cast_slice(&chunk).to_vec()).collect()
}

fn whole_chunks(c: &mut Criterion) {
    let folder = tempfile::tempdir().expect("temporary folder");
    let (shape, voxels) = common::voxels(&common::scan(folder.path()));
    let chunks = chunks(shape, &voxels);
    let bytes: usize = chunks.iter().map(Vec::len).sum();
    let mut out = vec![0; chunks[0].len()];
    for key_every in [8, 1] {
        let encode = |chunk: &Vec<u8>| {
            packed::encode(chunk, CHUNK, Dtype::Int16, key_every).expect("16-bit integers")
        };
        let encoded: Vec<Vec<u8>> = chunks.iter().map(encode).collect();
        let stored: usize = encoded.iter().map(Vec::len).sum();
        eprintln!("packed:{key_every}: {:.2} bits a voxel", 16.0 * stored as f64 / bytes as f64);
        let mut group = c.benchmark_group(format!("packed:{key_every}"));
        group.throughput(Throughput::Bytes(bytes as u64)).sample_size(20);
        group.bench_function("encode", |b| {
            b.iter(|| chunks.iter().for_each(|chunk| drop(black_box(encode(chunk)))));
        });
        group.bench_function("copy", |b| {
            b.iter(|| chunks.iter().for_each(|chunk| black_box(&mut out).copy_from_slice(chunk)));
        });
        let mut decode = |kernel, chunk: &Vec<u8>| {
            packed::decode_on(kernel, chunk, CHUNK, Dtype::Int16, black_box(&mut out))
        };
        for kernel in 0.. {
            match decode(kernel, &encoded[0]) {
                Some(decoded) => decoded.expect("a chunk that was just encoded"),
                None => break,
            }
            group.bench_function(format!("decode, kernel {kernel}"), |b| {
                b.iter(|| encoded.iter().for_each(|chunk| drop(decode(kernel, chunk))));
            });
        }
        group.finish();
    }
}

criterion_group!(benches, whole_chunks);
criterion_main!(benches);
