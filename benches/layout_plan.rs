//! Time to plan the layout of a chest CT of 1069 x 512 x 512 voxels, in memory alone: what
//! `voxpatch plan` and every conversion pay before the first voxel.

use criterion::{Criterion, criterion_group, criterion_main};
use voxpatch::layout::{Access, PlanOptions, VolumeSpec, Workload, plan};
use voxpatch::{Dtype, Spacing};

fn planning(c: &mut Criterion) {
    let spacing = Spacing::new([0.5, 0.7, 0.7]).expect("positive");
    let volume =
        VolumeSpec { shape: [1069, 512, 512], times: 1, channels: 1, spacing, dtype: Dtype::Int16 };
    let mixed = ["96x96x96", "32x192x192:2", "1x512x512", "64x64x64mm"];
    let mixed: Vec<_> = mixed.iter().map(|p| p.parse().expect("a patch")).collect();
    let random = Workload::new(mixed.clone(), Access::Random).expect("valid");
    let grid = Workload::new(mixed, Access::Grid { overlap: [0, 32, 32] }).expect("valid");
    let options = PlanOptions::default();
    for (name, workload) in
        [("one cube", Workload::default_for(spacing)), ("four random", random), ("four grid", grid)]
    {
        c.bench_function(&format!("plan chest CT, {name}"), |b| {
            b.iter(|| plan(&volume, &workload, &options).expect("a plan"));
        });
    }
}

criterion_group!(benches, planning);
criterion_main!(benches);
