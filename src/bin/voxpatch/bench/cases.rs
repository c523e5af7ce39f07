//! What is measured on a volume: every patch shape, in every way asked for.

use serde::Serialize;
use voxpatch::layout::{Access, PatchShape, WeightedPatch, Workload};
use voxpatch::{Region, Volume};

use crate::args::{Bench, BenchStarts};
use crate::{measure, output};

/// One row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Case {
    /// Voxels, `z, y, x`.
    pub patch: [usize; 3],
    pub access: Access,
    /// Threads that read at once, each its own patches.
    pub threads: usize,
    pub cache: Cache,
}

/// Whether the system holds the files in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Cache {
    Warm,
    Cold,
}

impl Case {
    /// Patches of a volume of this shape: at most so many, where there is an end of them.
    pub fn regions(&self, volume: [usize; 3], count: usize, seed: u64) -> Vec<Region> {
        match self.access {
            Access::Random => measure::random(volume, self.patch, count, seed),
            Access::Grid { overlap } => measure::grid(volume, self.patch, overlap, count),
        }
    }
}

/// All cases of a volume. Without a patch given, those that the volume was converted for, cut
/// down to it.
pub fn cases(args: &Bench, volume: &Volume) -> anyhow::Result<Vec<Case>> {
    let by_default =
        if args.patch.is_empty() { volume.attributes().workload.access() } else { Access::Random };
    let given = args.overlap.map(|overlap| Access::Grid { overlap });
    let grid = given.unwrap_or(match by_default {
        Access::Random => Access::Grid { overlap: [0; 3] },
        grid @ Access::Grid { .. } => grid,
    });
    let accesses = match args.access {
        None => vec![by_default],
        Some(BenchStarts::Random) => vec![Access::Random],
        Some(BenchStarts::Grid) => vec![grid],
        Some(BenchStarts::Both) => vec![Access::Random, grid],
    };
    let caches = if args.cold { &[Cache::Warm, Cache::Cold][..] } else { &[Cache::Warm] };
    let mut cases = Vec::new();
    for patch in patches(args, volume)? {
        for access in &accesses {
            for &threads in &args.threads {
                for &cache in caches {
                    let access = fitting(*access, patch, args)?;
                    let case = Case { patch, access, threads: resolve(threads), cache };
                    if !cases.contains(&case) {
                        cases.push(case);
                    }
                }
            }
        }
    }
    Ok(cases)
}

fn patches(args: &Bench, volume: &Volume) -> anyhow::Result<Vec<[usize; 3]>> {
    let (shape, spacing) = (volume.shape(), volume.spacing());
    if args.patch.is_empty() {
        let shapes = volume.attributes().workload.in_voxels(spacing)?;
        let cut = |patch: [usize; 3]| std::array::from_fn(|a| patch[a].min(shape[a]));
        return Ok(shapes.into_iter().map(cut).collect());
    }
    let shapes: Vec<_> = args.patch.iter().map(|patch| patch.in_voxels(spacing)).collect();
    for patch in &shapes {
        if (0..3).any(|a| patch[a] > shape[a]) {
            anyhow::bail!(
                "{}: the patch {} is larger than the volume, which is {}; give a smaller --patch",
                volume.name(),
                output::shape(*patch),
                output::shape(shape)
            );
        }
    }
    Ok(shapes)
}

/// A grid whose overlap is less than the patch: refused if it was typed, else cut down.
fn fitting(access: Access, patch: [usize; 3], args: &Bench) -> anyhow::Result<Access> {
    let Access::Grid { overlap } = access else { return Ok(access) };
    if args.overlap.is_some() {
        let shape = PatchShape::Voxels(patch);
        Workload::new(vec![WeightedPatch::new(shape, 1.0)?], access)?;
    }
    Ok(Access::Grid { overlap: std::array::from_fn(|a| overlap[a].min(patch[a] - 1)) })
}

/// 0 threads are one for each processor.
fn resolve(threads: usize) -> usize {
    match threads {
        0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        n => n,
    }
}
