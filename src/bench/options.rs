//! Options of a benchmark.

use std::path::PathBuf;

use crate::layout::{Access, PatchShape, WeightedPatch, Workload};
use crate::setters::setters;
use crate::{Error, Result};

/// Most threads that read at once.
const MOST_THREADS: usize = 1024;
/// Most patches of a pass.
const MOST_PATCHES: usize = 1_000_000;
/// Least and most seconds of a row.
const SECONDS: [f64; 2] = [0.01, 3600.0];

/// The options of [`measure`](super::measure). Begin with [`Options::default`]: every volume, with
/// the reads of its workload.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Options {
    /// Patch shapes; if empty, those of the volume's workload, clipped to the volume.
    pub patches: Vec<PatchShape>,
    /// The starts of the patches.
    pub starts: Starts,
    /// Voxels that neighbouring patches of a grid share, `z, y, x`; `None` for those of the
    /// volume's workload, or 0 if patches are given.
    pub overlap: Option<[usize; 3]>,
    /// Numbers of threads that read at once, a row for each; 0 means one for each processor.
    pub threads: Vec<usize>,
    /// Also measure with files that are not in memory, as far as the system drops them.
    pub cold: bool,
    /// Patches of a warm pass; `None` for as many as the time allows.
    pub count: Option<usize>,
    /// Approximate seconds per row.
    pub seconds: f64,
    /// Seed of the random patches: the same seed gives the same patches.
    pub seed: u64,
    /// Most volumes to measure, in the order of their names.
    pub limit: Option<usize>,
    /// Compare with an uncompressed copy and a `.nii.gz`, which are temporary.
    pub baseline: bool,
    /// The folder of these files; `None` for the system's temporary folder.
    pub scratch: Option<PathBuf>,
}

setters!(Options {
    patches: Vec<PatchShape>,
    starts: Starts,
    overlap: Option<[usize; 3]>,
    threads: Vec<usize>,
    cold: bool,
    count: Option<usize>,
    seconds: f64,
    seed: u64,
    limit: Option<usize>,
    baseline: bool,
    scratch: Option<PathBuf>,
});

impl Default for Options {
    fn default() -> Self {
        Self {
            patches: Vec::new(),
            starts: Starts::AsConverted,
            overlap: None,
            threads: vec![1],
            cold: false,
            count: None,
            seconds: 1.5,
            seed: 1,
            limit: None,
            baseline: true,
            scratch: None,
        }
    }
}

/// The starts of patches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Starts {
    /// As in the volume's workload; random if patches are given.
    AsConverted,
    /// Anywhere.
    Random,
    /// On a grid that covers the volume.
    Grid,
    /// Random, then on a grid.
    Both,
}

impl Options {
    /// Checks the options that do not depend on a volume. [`measure`](super::measure) does so
    /// first.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`].
    pub fn check(&self) -> Result<()> {
        if let Some(threads) = self.threads.iter().find(|threads| **threads > MOST_THREADS) {
            let reason = format!("must be 0 to {MOST_THREADS}");
            return Err(Error::invalid("threads", threads, reason));
        }
        if self.threads.is_empty() {
            return Err(Error::invalid("threads", "[]", "must name one number at least"));
        }
        let [least, most] = SECONDS;
        if !(least..=most).contains(&self.seconds) {
            let reason = format!("must be {least} to {most}");
            return Err(Error::invalid("seconds", self.seconds, reason));
        }
        for (what, count) in [("patches", self.count), ("limit", self.limit)] {
            if let Some(count) = count.filter(|count| !(1..=MOST_PATCHES).contains(count)) {
                return Err(Error::invalid(what, count, format!("must be 1 to {MOST_PATCHES}")));
            }
        }
        let Some(overlap) = self.overlap else { return Ok(()) };
        if matches!(self.starts, Starts::Random | Starts::AsConverted) {
            let overlap = crate::error::show(&overlap);
            return Err(Error::invalid("overlap", overlap, "goes with patches on a grid"));
        }
        let patches: Result<Vec<_>> =
            self.patches.iter().map(|patch| WeightedPatch::new(*patch, 1.0)).collect();
        let patches = patches?;
        if patches.is_empty() {
            return Ok(());
        }
        Workload::new(patches, Access::Grid { overlap }).map(drop)
    }
}
