//! The arguments of `bench`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use voxpatch::bench::{Options, Starts};
use voxpatch::layout::PatchShape;

use super::values;

/// Measure how fast patches of stored volumes are read, compared with an uncompressed memory map.
///
/// For each volume and each requested patch shape, number of threads and access: patches and bytes
/// per second, times of single reads, and their costs. The same patches are read in turn from an
/// uncompressed copy of the volume, mapped into memory; first, every patch is compared with the
/// copy. The copy is written once to a temporary folder, and removed at the end. The report also
/// has the time to inflate the scan as a .nii.gz, which every patch of such a file takes. Of
/// several frames only the first is read.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    voxpatch bench scans.zarr\n  \
    voxpatch bench scans.zarr/ct/image --patch 32x128x128 --patch 1x512x512 --threads 1,2\n  \
    voxpatch bench scans.zarr/ct/image --patch 64x128x128 --access both --overlap 0x32x32 --cold\n  \
    voxpatch bench scans.zarr --limit 3 --no-baseline --json > bench.json\n  \
    voxpatch bench scans.zarr/ct/image --plot bench.svg")]
pub struct Bench {
    /// STORE, STORE/SUBJECT or STORE/SUBJECT/IMAGE; each volume gets a table of its own.
    #[arg(value_name = "STORE")]
    pub store: PathBuf,
    /// A patch shape, in voxels or (64x64x64mm) millimetres; repeat for each shape. By default the
    /// shapes that the volume was converted for.
    #[arg(long, value_name = "ZxYxX")]
    pub patch: Vec<PatchShape>,
    /// Where patches start: random, on a grid that covers the volume, or first one, then the other.
    /// By default as the volume was converted for, or random if patches are given.
    #[arg(long, value_enum)]
    pub access: Option<BenchStarts>,
    /// Voxels that neighbouring patches of a grid share.
    #[arg(long, value_name = "ZxYxX", value_parser = values::overlap, requires = "access")]
    pub overlap: Option<[usize; 3]>,
    /// Threads that read at once; several numbers give a row each. 0 means one for each processor.
    #[arg(long, value_name = "N,..", value_delimiter = ',', default_value = "1")]
    pub threads: Vec<usize>,
    /// Also measure with files that are not in memory, as far as the system drops them; the report
    /// says whether it did.
    #[arg(long)]
    pub cold: bool,
    /// Patches of a warm pass; by default as many as the time allows.
    #[arg(long, value_name = "N")]
    pub patches: Option<usize>,
    /// Approximate seconds per row.
    #[arg(long, value_name = "SECONDS", default_value_t = 1.5)]
    pub seconds: f64,
    /// The seed of the random patches: the same seed gives the same patches.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Measure at most this many volumes, in the order of their names.
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,
    /// The folder for the temporary uncompressed copy; by default the system's temporary folder.
    #[arg(long, value_name = "FOLDER", conflicts_with = "no_baseline")]
    pub scratch: Option<PathBuf>,
    /// Make no uncompressed copy and no .nii.gz: patches are not compared, and no ratio is
    /// reported.
    #[arg(long)]
    pub no_baseline: bool,
    /// Draw the rates of each patch shape, with those of the memory map and of the .nii.gz.
    /// Replaces an existing file.
    #[arg(long, value_name = "FILE.svg", value_parser = svg)]
    pub plot: Option<PathBuf>,
    /// Print a JSON document.
    #[arg(long)]
    pub json: bool,
}

/// Where patches start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum BenchStarts {
    Random,
    Grid,
    Both,
}

impl Bench {
    /// The conflict of flags, whatever the volumes are.
    pub fn conflict(&self) -> Option<String> {
        if self.overlap.is_some() && self.access == Some(BenchStarts::Random) {
            return Some("--overlap goes with --access grid or both".to_owned());
        }
        self.options().check().err().map(|error| error.to_string())
    }

    /// The options of the library.
    pub fn options(&self) -> Options {
        let mut options = Options::default();
        options.patches.clone_from(&self.patch);
        options.starts = match self.access {
            None => Starts::AsConverted,
            Some(BenchStarts::Random) => Starts::Random,
            Some(BenchStarts::Grid) => Starts::Grid,
            Some(BenchStarts::Both) => Starts::Both,
        };
        options.overlap = self.overlap;
        options.threads.clone_from(&self.threads);
        options.cold = self.cold;
        options.count = self.patches;
        options.seconds = self.seconds;
        options.seed = self.seed;
        options.limit = self.limit;
        options.baseline = !self.no_baseline;
        options.scratch.clone_from(&self.scratch);
        options
    }
}

fn svg(text: &str) -> Result<PathBuf, String> {
    let is_svg = std::path::Path::new(text).extension().is_some_and(|e| e == "svg");
    is_svg.then(|| text.into()).ok_or_else(|| "the file must end in .svg".to_owned())
}
