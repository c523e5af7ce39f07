//! The cases of a volume: every patch shape, in every requested way.

use serde::Serialize;

use super::{Options, Starts, regions};
use crate::error::show;
use crate::layout::{Access, PatchShape, WeightedPatch, Workload};
use crate::store::Volume;
use crate::{Error, Hint, Region, Result};

/// One way to read patches of one shape.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Case {
    /// Shape of the patch in voxels, `z, y, x`.
    pub patch: [usize; 3],
    /// The starts of the patches.
    pub access: Access,
    /// Number of threads that read at once, each its own patches.
    pub threads: usize,
    /// Whether the files are in memory.
    pub cache: Cache,
}

/// Whether the system holds the files in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Cache {
    /// The system holds the files in memory.
    Warm,
    /// The system was asked to drop the files before each pass.
    Cold,
}

impl Case {
    /// Patches of a volume of this shape, at most `count`.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a grid with more places than can be counted.
    pub(super) fn regions(
        &self,
        volume: [usize; 3],
        count: usize,
        seed: u64,
    ) -> Result<Vec<Region>> {
        match self.access {
            Access::Random => Ok(regions::random(volume, self.patch, count, seed)),
            Access::Grid { overlap } => regions::grid(volume, self.patch, overlap, count),
        }
    }
}

/// All cases of a volume. By default with the patches of its workload, clipped to the volume.
///
/// # Errors
/// [`Error::InvalidArgument`] for a patch or an overlap that the volume does not allow.
pub(super) fn cases(options: &Options, volume: &Volume) -> Result<Vec<Case>> {
    let by_default = if options.patches.is_empty() {
        volume.attributes().workload.access()
    } else {
        Access::Random
    };
    let given = options.overlap.map(|overlap| Access::Grid { overlap });
    let grid = given.unwrap_or(match by_default {
        Access::Random => Access::Grid { overlap: [0; 3] },
        grid @ Access::Grid { .. } => grid,
    });
    let accesses = match options.starts {
        Starts::AsConverted => vec![by_default],
        Starts::Random => vec![Access::Random],
        Starts::Grid => vec![grid],
        Starts::Both => vec![Access::Random, grid],
    };
    let caches = if options.cold { &[Cache::Warm, Cache::Cold][..] } else { &[Cache::Warm] };
    let mut cases = Vec::new();
    for patch in patches(options, volume)? {
        for access in &accesses {
            for &threads in &options.threads {
                for &cache in caches {
                    let access = fitting(*access, patch, options)?;
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

fn patches(options: &Options, volume: &Volume) -> Result<Vec<[usize; 3]>> {
    let (shape, spacing) = (volume.shape(), volume.spacing());
    if options.patches.is_empty() {
        let shapes = volume.attributes().workload.in_voxels(spacing)?;
        let cut = |patch: [usize; 3]| std::array::from_fn(|a| patch[a].min(shape[a]));
        return Ok(shapes.into_iter().map(cut).collect());
    }
    let shapes: Vec<_> = options.patches.iter().map(|patch| patch.in_voxels(spacing)).collect();
    for patch in &shapes {
        if (0..3).any(|a| patch[a] > shape[a]) {
            let (name, shape) = (volume.name(), show(&shape));
            let reason = format!("is larger than the volume {name}, which is {shape}");
            return Err(Error::invalid("patch", show(patch), reason).hinting(Hint::SmallerPatch));
        }
    }
    Ok(shapes)
}

/// A grid whose overlap is less than the patch: an error for a given overlap; that of a workload is
/// reduced.
fn fitting(access: Access, patch: [usize; 3], options: &Options) -> Result<Access> {
    let Access::Grid { overlap } = access else { return Ok(access) };
    if options.overlap.is_some() {
        let shape = PatchShape::Voxels(patch);
        Workload::new(vec![WeightedPatch::new(shape, 1.0)?], access)?;
    }
    Ok(Access::Grid { overlap: std::array::from_fn(|a| overlap[a].min(patch[a] - 1)) })
}

/// 0 threads mean one for each processor.
fn resolve(threads: usize) -> usize {
    match threads {
        0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        n => n,
    }
}
