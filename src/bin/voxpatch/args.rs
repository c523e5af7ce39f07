//! What can be typed: commands, flags, and the small languages of their values.
// Documentation comments are the help that is shown: backticks would be shown too.
#![allow(clippy::doc_markdown)]

mod aggregate;
mod bench;
mod convert;
mod export;
mod read;
mod values;

use std::path::PathBuf;
use std::str::FromStr;

use clap::{ArgGroup, Args, Parser, Subcommand, ValueEnum};
use voxpatch::layout::{
    Access, ChunkLayout, Codec, PatchShape, PlanOptions, WeightedPatch, Workload,
};
use voxpatch::{Dtype, Error, Frames, Spacing};

pub use aggregate::{Aggregate, Finalise};
pub use bench::{Bench, BenchStarts};
pub use convert::{Convert, IfExists};
pub use export::Export;
pub use read::Read;

/// Store 3D scans so that random patches are read fast.
///
/// Shapes are given as ZxYxX (slices x rows x columns) and positions as Z,Y,X. Both may name their
/// axes instead, in any order: z=32,y=128,x=128.
#[derive(Debug, Parser)]
#[command(
    version,
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "Exit codes: 0 done, 1 failed, 2 not understood, 130 interrupted.\n\n\
        See it work, without any data of yours:\n  voxpatch demo\n\n\
        Store a scan, look at it, read a patch:\n  \
        voxpatch convert ct.nii.gz --out scans.zarr --patch 32x128x128\n  \
        voxpatch info scans.zarr\n  \
        voxpatch read scans.zarr/ct/image --start 10,200,200 --shape 32x128x128 --out patch.npy"
)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    Convert(Convert),
    Read(Read),
    Export(Export),
    Info(Info),
    Verify(Verify),
    Index(Index),
    Plan(Plan),
    Aggregate(Box<Aggregate>),
    Finalise(Finalise),
    Bench(Bench),
    Demo(Demo),
}

/// The patches that will be read.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("patches").multiple(true))]
pub struct Reads {
    /// A patch shape in voxels; again for each shape that is read. A weight tells how often,
    /// beside the others (default 1). Without any: cubes in millimetres, of about 96 voxels each
    /// way.
    #[arg(long, value_name = "ZxYxX[:WEIGHT]", group = "patches")]
    pub patch: Vec<WeightedPatch>,
    /// A patch shape in millimetres, turned into voxels by the spacing of each scan.
    #[arg(long, value_name = "ZxYxX[:WEIGHT]", value_parser = millimetres, group = "patches")]
    pub patch_mm: Vec<WeightedPatch>,
    /// Where patches start: anywhere, or on a grid that covers the volume, as for inference.
    #[arg(long, value_enum, requires = "patches")]
    pub access: Option<Starts>,
    /// Voxels that neighbouring patches of a grid share.
    #[arg(long, value_name = "ZxYxX", value_parser = overlap, requires = "access")]
    pub overlap: Option<[usize; 3]>,
}

/// Where patches start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Starts {
    Random,
    Grid,
}

impl Reads {
    /// The workload, if one was given.
    pub fn workload(&self) -> voxpatch::Result<Option<Workload>> {
        let patches = [&self.patch[..], &self.patch_mm].concat();
        let access = match self.access {
            Some(Starts::Grid) => Access::Grid { overlap: self.overlap.unwrap_or_default() },
            _ => Access::Random,
        };
        if patches.is_empty() { Ok(None) } else { Workload::new(patches, access).map(Some) }
    }

    /// Whether an overlap is given that nothing can be done with.
    pub fn is_contradictory(&self) -> bool {
        self.overlap.is_some() && self.access == Some(Starts::Random)
    }
}

/// How voxels are cut and compressed. What is not given is planned from the patches.
#[derive(Debug, Args)]
pub struct Layout {
    /// How chunks are compressed, with a level if wanted: blosc-zstd:5, packed:1.
    ///
    /// blosc (default), blosc-lz4, blosc-lz4hc, blosc-zstd, zstd, gzip and none are read by every
    /// Zarr reader: choose one of them for stores that others open. packed is voxpatch's own, for
    /// integers of up to 32 bits: it is read by voxpatch and programs that link it, and by no other
    /// Zarr reader without its plug-in. packed:1 is mostly the fastest to read; larger is smaller
    /// (packed alone means packed:8), and packed:0 is the smallest. Float voxels that are whole
    /// numbers can be packed with --narrow.
    ///
    /// auto (convert only) tries several of them, packed too, on parts of the scan, shows how small
    /// they make these, and takes the one with the least time expected of a patch, stored bytes
    /// counted; where a codec that every reader knows does about as well, that one.
    #[arg(long, value_name = "CODEC[:LEVEL]")]
    pub codec: Option<CodecChoice>,
    /// Shape of a chunk, the unit that is compressed and read.
    #[arg(long, value_name = "ZxYxX", value_parser = shape)]
    pub chunk: Option<[usize; 3]>,
    /// Shape of a shard, a file of many chunks: a whole number of them along each axis.
    #[arg(long, value_name = "ZxYxX", value_parser = shape)]
    pub shard: Option<[usize; 3]>,
}

/// A codec, or the wish that one be found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum CodecChoice {
    Auto,
    Given(Codec),
}

impl FromStr for CodecChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            _ => text.parse().map(Self::Given).map_err(|error| match error {
                // The parser tells the value already.
                Error::InvalidArgument { reason, .. } if text.contains(':') => reason,
                Error::InvalidArgument { reason, .. } => {
                    format!("{reason}; or auto, to try several")
                }
                error => error.to_string(),
            }),
        }
    }
}

impl Layout {
    /// Whether a codec is to be found by trying.
    pub fn is_auto(&self) -> bool {
        self.codec == Some(CodecChoice::Auto)
    }

    /// As the planner takes them.
    pub fn options(&self) -> PlanOptions {
        let codec = match self.codec {
            Some(CodecChoice::Given(codec)) => codec,
            Some(CodecChoice::Auto) | None => Codec::default(),
        };
        PlanOptions { codec, chunk: self.chunk, shard: self.shard }
    }

    /// Refuses shapes that are wrong for every volume.
    pub fn check(&self) -> voxpatch::Result<()> {
        let PlanOptions { codec, chunk, shard } = self.options();
        let Some(chunk) = chunk else { return Ok(()) };
        ChunkLayout::new(chunk, shard.unwrap_or(chunk), codec).map(drop)
    }
}

/// Show what a store, a subject or a volume holds, and how.
#[derive(Debug, Args)]
pub struct Info {
    /// STORE, STORE/SUBJECT or STORE/SUBJECT/IMAGE.
    #[arg(value_name = "STORE")]
    pub store: PathBuf,
    /// Print a JSON document.
    #[arg(long)]
    pub json: bool,
}

/// Read every byte of a store and compare it with its checksums.
#[derive(Debug, Args)]
pub struct Verify {
    /// STORE, STORE/SUBJECT or STORE/SUBJECT/IMAGE.
    #[arg(value_name = "STORE")]
    pub store: PathBuf,
    /// Worker threads; 0 means one for each processor.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub threads: usize,
    /// Print a JSON document.
    #[arg(long)]
    pub json: bool,
}

/// Build the index for sampling of label maps and maps of weights that have none.
///
/// Converting builds it already; this is for volumes stored before, and for damaged indexes.
#[derive(Debug, Args)]
pub struct Index {
    /// STORE, STORE/SUBJECT or STORE/SUBJECT/IMAGE.
    #[arg(value_name = "STORE")]
    pub store: PathBuf,
    /// Build it also where there is a sound one.
    #[arg(long)]
    pub force: bool,
    /// Worker threads; 0 means one for each processor.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub threads: usize,
    /// Print a JSON document.
    #[arg(long)]
    pub json: bool,
}

/// Show which layout a scan would get for these patches, and why, without converting it.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    voxpatch plan ct.nii.gz --patch 32x128x128:3 --patch 1x512x512\n  \
    voxpatch plan --shape 1069x512x512 --spacing 0.3x0.66x0.66 --dtype int16 --patch 128x128x128")]
pub struct Plan {
    /// The scan; only its header is read.
    #[arg(value_name = "SCAN", required_unless_present = "shape")]
    pub scan: Option<PathBuf>,
    /// Shape of a volume that is not at hand, instead of a scan.
    #[arg(long, value_name = "ZxYxX", value_parser = shape, conflicts_with = "scan")]
    #[arg(requires = "spacing", requires = "dtype")]
    pub shape: Option<[usize; 3]>,
    /// Its voxel spacing in millimetres.
    #[arg(long, value_name = "ZxYxX", value_parser = spacing, requires = "shape")]
    pub spacing: Option<Spacing>,
    /// Its voxel type, such as int16.
    #[arg(long, requires = "shape")]
    pub dtype: Option<Dtype>,
    /// Its time points.
    #[arg(long, value_name = "N", requires = "shape")]
    pub times: Option<usize>,
    /// Its channels.
    #[arg(long, value_name = "N", requires = "shape")]
    pub channels: Option<usize>,
    #[command(flatten)]
    pub reads: Reads,
    #[command(flatten)]
    pub layout: Layout,
    /// Print a JSON document.
    #[arg(long)]
    pub json: bool,
}

/// Store a scan, read random patches, compare every voxel with the source, and tell how fast.
///
/// Then a simple model passes over the volume: its overlapping predictions are aggregated chunk by
/// chunk, and every voxel is compared with what the source gives plane by plane.
///
/// Without a scan, a synthetic chest CT is made. Everything temporary is removed at the end.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    voxpatch demo\n  \
    voxpatch demo ct.nii.gz --patch 64x128x128\n  \
    voxpatch demo --shape 1069x512x512 --spacing 0.3x0.66x0.66 --out scans.zarr")]
pub struct Demo {
    /// A scan of your own instead of the synthetic one.
    #[arg(value_name = "SCAN")]
    pub scan: Option<PathBuf>,
    /// Shape of the synthetic scan.
    #[arg(long, value_name = "ZxYxX", value_parser = shape, default_value = "192x512x512")]
    #[arg(conflicts_with = "scan")]
    pub shape: [usize; 3],
    /// Its voxel spacing in millimetres.
    #[arg(long, value_name = "ZxYxX", value_parser = spacing, default_value = "1.6x0.7x0.7")]
    #[arg(conflicts_with = "scan")]
    pub spacing: Spacing,
    /// Shape of the patches, cut down to the scan where it is smaller.
    #[arg(long, value_name = "ZxYxX", value_parser = shape, default_value = "32x128x128")]
    pub patch: [usize; 3],
    /// Keep the volume in this store; by default it is temporary.
    #[arg(long, value_name = "STORE")]
    pub out: Option<PathBuf>,
    /// Worker threads for converting and aggregating; 0 means one for each processor. Random
    /// patches are read by one.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub threads: usize,
    /// Print a JSON document.
    #[arg(long)]
    pub json: bool,
}

/// A shape in voxels.
fn shape(text: &str) -> Result<[usize; 3], String> {
    match text.parse() {
        Ok(PatchShape::Voxels(shape)) => Ok(shape),
        _ => Err("expected three whole numbers above 0, such as 32x128x128, or with named axes, \
                  such as z=32,y=128,x=128"
            .into()),
    }
}

/// A patch in millimetres; the unit may be written or not.
fn millimetres(text: &str) -> voxpatch::Result<WeightedPatch> {
    let (shape, weight) = text.split_once(':').map_or((text, "1"), |parts| parts);
    format!("{}mm:{weight}", shape.strip_suffix("mm").unwrap_or(shape)).parse()
}

fn spacing(text: &str) -> Result<Spacing, String> {
    match millimetres(text).map(|patch| patch.shape()) {
        Ok(PatchShape::Millimetres(mm)) if !text.contains(':') => {
            Spacing::new(mm).map_err(|e| e.to_string())
        }
        _ => Err("expected three millimetres above 0, such as 1.6x0.7x0.7".into()),
    }
}

fn start(text: &str) -> Result<[i64; 3], String> {
    axes(text, ',')
        .ok_or_else(|| "expected three whole numbers, such as -8,0,64 or z=-8,y=0,x=64".to_owned())
}

fn overlap(text: &str) -> Result<[usize; 3], String> {
    axes(text, 'x').ok_or_else(|| "expected three whole numbers, such as 0x32x32".to_owned())
}

/// Whole numbers that, unlike those of a shape, may be 0: `Z,Y,X` or `z=..,y=..,x=..`.
fn axes<T: FromStr>(text: &str, separator: char) -> Option<[T; 3]> {
    let named = text.contains('=');
    let mut values = [None, None, None];
    for (n, item) in text.split(if named { ',' } else { separator }).enumerate() {
        let (axis, value) = if named {
            let (name, value) = item.split_once('=')?;
            (["z", "y", "x"].iter().position(|axis| *axis == name.trim())?, value)
        } else {
            (n, item)
        };
        if values.get_mut(axis)?.replace(value.trim().parse().ok()?).is_some() {
            return None;
        }
    }
    let [z, y, x] = values;
    Some([z?, y?, x?])
}

fn frames(text: &str) -> Result<Frames, String> {
    if text == "all" {
        return Ok(Frames::All);
    }
    let time = text.parse().map(Frames::Time);
    time.map_err(|_| "expected a time point from 0, or all".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_commands_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn shapes_are_three_numbers_above_zero_and_starts_any() {
        assert_eq!(shape("32x64x128"), Ok([32, 64, 128]));
        assert_eq!(shape("x=3,z=1,y=2"), Ok([1, 2, 3]));
        for wrong in ["", "1x2", "1x2x3x4", "0x1x1", "-1x2x3", "1,2,3", "1x2x3mm", "z=1,y=2,y=3"] {
            assert!(shape(wrong).is_err(), "{wrong}");
        }
        assert_eq!(start("-1,0,2"), Ok([-1, 0, 2]));
        assert_eq!(start("x=2,z=-1,y=0"), Ok([-1, 0, 2]));
        assert_eq!(overlap("0x8x16"), Ok([0, 8, 16]));
        for wrong in ["", "1,2", "1,2,3,4", "1.5,2,3", "1x2x3", "z=1,y=2", "z=1,z=2,x=3"] {
            assert!(start(wrong).is_err(), "{wrong}");
        }
        assert!(overlap("-1x0x0").is_err());
    }

    #[test]
    fn millimetres_need_no_unit() {
        for text in ["80x64.5x64:2", "80x64.5x64mm:2", "z=80,y=64.5,x=64:2"] {
            assert_eq!(millimetres(text).unwrap().to_string(), "80x64.5x64mm:2");
        }
        assert_eq!(spacing("1.5x1x1"), Ok(Spacing::new([1.5, 1.0, 1.0]).unwrap()));
        assert!(spacing("1x1x1:2").is_err() && spacing("0x1x1").is_err());
    }

    #[test]
    fn a_negative_start_needs_no_equals_sign() {
        let typed = "voxpatch read s/a/b --start -8,0,-1 --shape 1x1x1 --out p.npy";
        let cli = Cli::try_parse_from(typed.split(' ')).expect("valid");
        assert!(matches!(cli.command, Command::Read(Read { start: [-8, 0, -1], .. })));
    }
}
