//! The arguments of `convert`.

use std::path::PathBuf;

use clap::{ArgGroup, Args, ValueEnum};
use voxpatch::{FourthAxis, Kind, VolumeName};

use super::{Layout, Reads};

/// Convert scans (NIfTI, .nii or .nii.gz) into a store.
///
/// A folder stands for the scans directly in it, and either half of a .hdr/.img pair for the pair.
///
/// The patches you mean to read decide how voxels are laid out: give each shape you use, with a
/// weight if some are read more often. A scan is stored completely or not at all.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    voxpatch convert ct.nii.gz --out scans.zarr --patch 32x128x128\n  \
    voxpatch convert *.nii.gz --out scans.zarr --patch 64x128x128:3 --patch 1x512x512\n  \
    voxpatch convert seg.nii.gz --out scans.zarr --name ct/organs --label --patch 32x128x128\n  \
    voxpatch convert ct.nii.gz --out scans.zarr --patch-mm 80x80x80 --codec zstd:9\n  \
    voxpatch convert float-ct.nii.gz --out scans.zarr --patch 32x128x128 --narrow\n  \
    voxpatch convert mr.nii.gz --out scans.zarr --patch 96x96x96 --fourth-axis channels\n  \
    voxpatch convert case_0000.nii.gz case_0001.nii.gz --channels --out scans.zarr\n  \
    voxpatch convert ct.nii.gz --out scans.zarr --patch 32x128x128 --codec auto")]
pub struct Convert {
    /// Files to convert, told by their content, and folders of such files.
    #[arg(required = true, value_name = "SCAN")]
    pub scans: Vec<PathBuf>,
    /// The scans are channels of one, in the order given, as nnU-Net's case_0000.nii.gz and
    /// case_0001.nii.gz are. Shapes, types and affines must agree.
    #[arg(long)]
    pub channels: bool,
    /// The store: a folder, made if it does not exist.
    #[arg(long, value_name = "STORE")]
    pub out: PathBuf,
    #[command(flatten)]
    pub reads: Reads,
    #[command(flatten)]
    pub layout: Layout,
    /// Where in the store; by default the subject is the name of the file, the image "image".
    #[arg(long, value_name = "SUBJECT/IMAGE")]
    pub name: Option<VolumeName>,
    #[command(flatten)]
    pub meaning: Meaning,
    /// What the fourth axis of a scan holds, if it has one: channels, such as the weightings of an
    /// MR, or time. Without it, what the file says, which for NIfTI is time.
    #[arg(long, value_name = "channels|time")]
    pub fourth_axis: Option<FourthAxis>,
    /// Store whole numbers in the narrowest integer type that holds them all, if it takes fewer
    /// bytes: a float32 scan of -1024 to 3071 as int16, int32 labels up to 255 as uint8. Patches
    /// come back in the scan's own type, bit for bit; other Zarr readers see the narrow one. The
    /// scan is read twice. With a fraction, NaN or -0 anywhere it is stored as it is, and the
    /// report says so.
    #[arg(long)]
    pub narrow: bool,
    /// Worker threads; 0 means one for each processor.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub threads: usize,
    /// Names of labels, kept with a label map: the "labels" of an nnU-Net dataset.json, or a JSON
    /// object such as {"liver": 1, "tumour": 2}.
    #[arg(long, value_name = "FILE")]
    pub label_names: Option<PathBuf>,
    #[command(flatten)]
    pub existing: Existing,
    /// Print a JSON document.
    #[arg(long)]
    pub json: bool,
}

/// What to do where a volume is there already.
#[derive(Debug, Args)]
pub struct Existing {
    /// What to do where a volume is stored under that name: fail, overwrite it (until the new volume
    /// is complete, the old one stays), or same: leave it, if it was converted from the same file
    /// with the same options, and fail if not.
    #[arg(long, value_enum, value_name = "WHAT", default_value = "fail")]
    pub if_exists: IfExists,
    /// As --if-exists overwrite.
    #[arg(long, conflicts_with = "if_exists")]
    pub overwrite: bool,
}

impl Existing {
    /// As typed, in either way.
    pub fn is_to(&self) -> IfExists {
        if self.overwrite { IfExists::Overwrite } else { self.if_exists }
    }
}

/// What becomes of a volume that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum IfExists {
    Fail,
    Same,
    Overwrite,
}

/// What the voxels mean; the file decides where nothing is said.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("meaning").multiple(false))]
pub struct Meaning {
    /// What the voxels are: intensity, label, or weights for a map of how likely each place is to
    /// be drawn. Labels and weights get an index, so that patches are sampled by them without
    /// reading the whole volume.
    #[arg(long, group = "meaning")]
    pub kind: Option<Kind>,
    /// The voxels are labels, not intensities: as --kind label.
    #[arg(long, group = "meaning")]
    pub label: bool,
    /// The voxels are intensities, even if the file calls them labels: as --kind intensity.
    #[arg(long, group = "meaning")]
    pub intensity: bool,
}

impl Meaning {
    /// As typed, if anything was.
    pub fn kind(&self) -> Option<Kind> {
        let intensity = self.intensity.then_some(Kind::Intensity);
        self.kind.or(self.label.then_some(Kind::Label)).or(intensity)
    }
}

impl Convert {
    /// What is wrong whatever the scans are.
    pub fn conflict(&self) -> Option<String> {
        if self.name.is_some() && self.scans.len() > 1 && !self.channels {
            return Some("--name names one volume, but several scans are given".to_owned());
        }
        self.reads.conflict().or_else(|| self.layout.conflict())
    }
}
