//! What can be typed: commands, flags, and the small languages of their values.
// Documentation comments are the help that is shown: backticks would be shown too.
#![allow(clippy::doc_markdown)]

use std::path::PathBuf;
use std::str::FromStr;

use clap::{ArgGroup, Args, Parser, Subcommand};
use voxpatch::Frame;
use voxpatch::layout::Codec;

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
    Info(Info),
    Verify(Verify),
    Plan(Plan),
    Demo(Demo),
}

/// Convert scans (NIfTI, .nii or .nii.gz) into a store.
///
/// The patches you mean to read decide how voxels are laid out: give each shape you use, with a
/// weight if some are read more often. A scan is stored completely or not at all.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    voxpatch convert ct.nii.gz --out scans.zarr --patch 32x128x128\n  \
    voxpatch convert *.nii.gz --out scans.zarr --patch 64x128x128:3 --patch 1x512x512\n  \
    voxpatch convert seg.nii.gz --out scans.zarr --name ct/organs --label --patch 32x128x128\n  \
    voxpatch convert ct.nii.gz --out scans.zarr --patch-mm 80x80x80 --codec zstd:9")]
pub struct Convert {
    /// Files to convert, told by their content.
    #[arg(required = true, value_name = "SCAN")]
    pub scans: Vec<PathBuf>,
    /// The store: a folder, made if it does not exist.
    #[arg(long, value_name = "STORE")]
    pub out: PathBuf,
    #[command(flatten)]
    pub workload: Workload,
    #[command(flatten)]
    pub layout: Layout,
    /// Where in the store; by default the subject is the name of the file, the image "image".
    #[arg(long, value_name = "SUBJECT/IMAGE", value_parser = name)]
    pub name: Option<(String, String)>,
    /// The voxels are labels, not intensities.
    #[arg(long)]
    pub label: bool,
    /// Worker threads; 0 means one for each processor.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub threads: usize,
    /// Replace what is stored under that name; until the new volume is complete, the old one stays.
    #[arg(long)]
    pub overwrite: bool,
    /// Print a JSON document.
    #[arg(long)]
    pub json: bool,
}

/// The patches that will be read.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("patches").required(true).multiple(true))]
pub struct Workload {
    /// A patch shape in voxels; again for each shape that is read. A weight tells how often,
    /// beside the others (default 1).
    #[arg(long, value_name = "ZxYxX[:WEIGHT]", value_parser = weighted::<usize>, group = "patches")]
    pub patch: Vec<Weighted<usize>>,
    /// A patch shape in millimetres, turned into voxels by the spacing of each scan.
    #[arg(long, value_name = "ZxYxX[:WEIGHT]", value_parser = weighted::<f64>, group = "patches")]
    pub patch_mm: Vec<Weighted<f64>>,
}

/// How voxels are cut and compressed. What is not given is planned from the patches.
#[derive(Debug, Args)]
pub struct Layout {
    /// blosc (default), blosc-lz4, blosc-lz4hc, blosc-zstd, zstd, gzip or none, with a level if
    /// wanted: blosc-zstd:5.
    #[arg(long, value_name = "CODEC[:LEVEL]", value_parser = Codec::from_str)]
    pub codec: Option<Codec>,
    /// Shape of a chunk, the unit that is compressed and read.
    #[arg(long, value_name = "ZxYxX", value_parser = shape::<usize>)]
    pub chunk: Option<[usize; 3]>,
    /// Shape of a shard, a file of many chunks: a whole number of them along each axis.
    #[arg(long, value_name = "ZxYxX", value_parser = shape::<usize>)]
    pub shard: Option<[usize; 3]>,
}

/// Read one patch of a stored volume to a file.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    voxpatch read scans.zarr/ct/image --start 10,200,200 --shape 32x128x128 --out patch.npy\n  \
    voxpatch read scans.zarr/ct/image --start -8,0,0 --shape 32x512x512 --pad edge --out p.nii.gz\n  \
    voxpatch read scans.zarr/pet/image --start 0,0,0 --shape 32x64x64 --scaled --out suv.npy")]
pub struct Read {
    /// The volume: STORE/SUBJECT/IMAGE.
    #[arg(value_name = "VOLUME")]
    pub volume: PathBuf,
    /// First voxel of the patch; negative is before the volume.
    #[arg(long, value_name = "Z,Y,X", value_parser = start, allow_hyphen_values = true)]
    pub start: [i64; 3],
    /// Shape of the patch in voxels.
    #[arg(long, value_name = "ZxYxX", value_parser = shape::<usize>)]
    pub shape: [usize; 3],
    /// The file to write: .npy (axes z, y, x), or .nii or .nii.gz with the affine of the patch.
    #[arg(long, value_name = "FILE", value_parser = patch_file)]
    pub out: PathBuf,
    /// What lies outside the volume, as in numpy.pad: constant (0, or the value given), edge,
    /// reflect, symmetric or wrap. Without it, a patch that leaves the volume is an error.
    #[arg(long, value_name = "MODE[:VALUE]", value_parser = pad, allow_hyphen_values = true)]
    pub pad: Option<Pad>,
    /// Real values as float32 (slope x voxel + intercept) instead of voxels as stored.
    #[arg(long)]
    pub scaled: bool,
    /// Time point and channel, from 0.
    #[arg(long, value_name = "T,C", value_parser = frame, default_value = "0,0")]
    pub frame: Frame,
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

/// Show which layout a scan would get for these patches, and why, without converting it.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  \
    voxpatch plan ct.nii.gz --patch 32x128x128:3 --patch 1x512x512")]
pub struct Plan {
    /// The scan; only its header is read.
    #[arg(value_name = "SCAN")]
    pub scan: PathBuf,
    #[command(flatten)]
    pub workload: Workload,
    #[command(flatten)]
    pub layout: Layout,
    /// Print a JSON document.
    #[arg(long)]
    pub json: bool,
}

/// Make a synthetic chest CT, store it, read random patches, compare them, and tell how fast.
#[derive(Debug, Args)]
pub struct Demo {
    /// Shape of the synthetic scan.
    #[arg(long, value_name = "ZxYxX", value_parser = shape::<usize>, default_value = "192x512x512")]
    pub shape: [usize; 3],
    /// Keep the store here; by default it is temporary.
    #[arg(long, value_name = "STORE")]
    pub out: Option<PathBuf>,
    /// Worker threads; 0 means one for each processor.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub threads: usize,
    /// Print a JSON document.
    #[arg(long)]
    pub json: bool,
}

/// A patch shape, `z, y, x`, in voxels or millimetres, and how often it is read beside others.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Weighted<T> {
    pub shape: [T; 3],
    pub weight: f64,
}

/// What lies outside the volume: the modes of `numpy.pad` by their names there.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Pad {
    Constant(f64),
    Edge,
    Reflect,
    Symmetric,
    Wrap,
}

const NAMED: &str = "or with named axes, such as z=32,y=128,x=128";

/// `ZxYxX` or `z=..,y=..,x=..`, all above zero.
fn shape<T: FromStr + PartialOrd + Default>(text: &str) -> Result<[T; 3], String> {
    axes(text, 'x')
        .filter(|shape| shape.iter().all(|n| *n > T::default()))
        .ok_or_else(|| format!("expected three numbers above 0, such as 32x128x128, {NAMED}"))
}

/// `Z,Y,X` or `z=..,y=..,x=..`.
fn start(text: &str) -> Result<[i64; 3], String> {
    axes(text, ',').ok_or_else(|| format!("expected three whole numbers, such as -8,0,64, {NAMED}"))
}

fn axes<T: FromStr>(text: &str, separator: char) -> Option<[T; 3]> {
    let mut values = [None, None, None];
    if text.contains('=') {
        for item in text.split(',') {
            let (axis, value) = item.split_once('=')?;
            let slot = &mut values[["z", "y", "x"].iter().position(|name| *name == axis.trim())?];
            if slot.replace(value.trim().parse().ok()?).is_some() {
                return None;
            }
        }
    } else {
        let mut items = text.split(separator);
        for slot in &mut values {
            *slot = items.next()?.parse().ok();
        }
        if items.next().is_some() {
            return None;
        }
    }
    let [z, y, x] = values;
    Some([z?, y?, x?])
}

/// A shape, and `:WEIGHT` if wanted.
fn weighted<T: FromStr + PartialOrd + Default>(text: &str) -> Result<Weighted<T>, String> {
    let (text, weight) = text.split_once(':').map_or((text, Ok(1.0)), |(t, w)| (t, w.parse()));
    let weight = weight.ok().filter(|w: &f64| w.is_finite() && *w > 0.0);
    Ok(Weighted { shape: shape(text)?, weight: weight.ok_or("the weight must be above 0")? })
}

fn pad(text: &str) -> Result<Pad, String> {
    match text.split_once(':') {
        Some(("constant", value)) => value
            .parse()
            .map(Pad::Constant)
            .map_err(|_| "the constant must be a number, such as constant:-1000".to_owned()),
        Some((mode, _)) => Err(format!("{mode} takes no value; only constant does")),
        None => match text {
            "constant" => Ok(Pad::Constant(0.0)),
            "edge" => Ok(Pad::Edge),
            "reflect" => Ok(Pad::Reflect),
            "symmetric" => Ok(Pad::Symmetric),
            "wrap" => Ok(Pad::Wrap),
            _ => Err("use constant, edge, reflect, symmetric or wrap".to_owned()),
        },
    }
}

fn frame(text: &str) -> Result<Frame, String> {
    let parts = text.split_once(',').and_then(|(t, c)| Some((t.parse().ok()?, c.parse().ok()?)));
    let (time, channel) = parts.ok_or("expected time point and channel from 0, such as 2,0")?;
    Ok(Frame { time, channel })
}

fn name(text: &str) -> Result<(String, String), String> {
    let sound = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && part.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
    };
    text.split_once('/')
        .filter(|(subject, image)| sound(subject) && sound(image))
        .map(|(subject, image)| (subject.to_owned(), image.to_owned()))
        .ok_or_else(|| {
            "expected SUBJECT/IMAGE, such as case01/image, of letters, digits, '.', '_' and '-'"
                .to_owned()
        })
}

fn patch_file(text: &str) -> Result<PathBuf, String> {
    let known = [".npy", ".nii", ".nii.gz"].iter().any(|ending| text.ends_with(ending));
    known
        .then(|| PathBuf::from(text))
        .ok_or_else(|| "the file must end in .npy, .nii or .nii.gz".to_owned())
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
    fn shapes_are_three_numbers_above_zero() {
        assert_eq!(shape("32x64x128"), Ok([32, 64, 128]));
        assert_eq!(shape("x=3,z=1,y=2"), Ok([1, 2, 3]));
        assert_eq!(shape("1.5x2x3e1"), Ok([1.5, 2.0, 30.0]));
        for wrong in ["", "1x2", "1x2x3x4", "0x1x1", "-1x2x3", "1,2,3", "z=1,y=2", "z=1,y=2,y=3"] {
            assert!(shape::<usize>(wrong).is_err(), "{wrong}");
        }
        assert!(shape::<f64>("NaNx1x1").is_err());
    }

    #[test]
    fn weights_and_pads_take_a_value_after_a_colon() {
        assert_eq!(weighted("1x2x3"), Ok(Weighted { shape: [1, 2, 3], weight: 1.0 }));
        assert_eq!(weighted("1x2x3:0.5"), Ok(Weighted { shape: [1, 2, 3], weight: 0.5 }));
        for wrong in ["1x2x3:", "1x2x3:0", "1x2x3:-1", "1x2x3:inf", "1x2x3:nan"] {
            assert!(weighted::<usize>(wrong).is_err(), "{wrong}");
        }
        assert_eq!(pad("constant:-1000"), Ok(Pad::Constant(-1000.0)));
        assert!(pad("edge:3").is_err() && pad("mirror").is_err());
    }

    #[test]
    fn a_negative_start_needs_no_equals_sign() {
        let typed = "voxpatch read s/a/b --start -8,0,-1 --shape 1x1x1 --out p.npy";
        let cli = Cli::try_parse_from(typed.split(' ')).expect("valid");
        assert!(matches!(cli.command, Command::Read(Read { start: [-8, 0, -1], .. })));
    }

    #[test]
    fn names_stay_inside_the_store() {
        assert_eq!(name("a-1/b.2"), Ok(("a-1".to_owned(), "b.2".to_owned())));
        for wrong in ["a", "a/", "/b", "../b", "a/..", "a/b/c", "a b/c", "a/.b"] {
            assert!(name(wrong).is_err(), "{wrong}");
        }
    }
}
