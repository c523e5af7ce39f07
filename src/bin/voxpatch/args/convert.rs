//! The arguments of `convert`.

use std::path::PathBuf;

use clap::{ArgGroup, Args, ValueEnum};
use voxpatch::{FourthAxis, Kind, VolumeName};

use super::{Layout, Reads};

/// Convert scans (NIfTI, .nii or .nii.gz) into a store.
///
/// A folder means the scans directly inside it, and either half of a .hdr/.img pair means the pair.
///
/// The patches that you will read decide the layout of voxels: give each shape you use, with a
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
    /// Files to convert, in a format detected from their content, and folders of such files.
    #[arg(required = true, value_name = "SCAN")]
    pub scans: Vec<PathBuf>,
    /// The scans are the channels of one scan, in this order, such as nnU-Net's case_0000.nii.gz
    /// and case_0001.nii.gz. Shapes, types and affines must agree.
    #[arg(long)]
    pub channels: bool,
    /// The store: a folder, created if it does not exist.
    #[arg(long, value_name = "STORE")]
    pub out: PathBuf,
    #[command(flatten)]
    pub reads: Reads,
    #[command(flatten)]
    pub layout: Layout,
    /// The name of the volume in the store; by default the subject is the name of the file, the
    /// image "image".
    #[arg(long, value_name = "SUBJECT/IMAGE")]
    pub name: Option<VolumeName>,
    #[command(flatten)]
    pub meaning: Meaning,
    /// The meaning of a scan's fourth axis: channels, such as the weightings of an MR, or time. By
    /// default what the file says, which for NIfTI is time.
    #[arg(long, value_name = "channels|time")]
    pub fourth_axis: Option<FourthAxis>,
    /// Store whole numbers in the narrowest integer type that holds them all, if that takes fewer
    /// bytes: a float32 scan of -1024 to 3071 as int16, int32 labels up to 255 as uint8. Patches
    /// are returned in the scan's own type, bit for bit; other Zarr readers see the narrow type.
    /// The scan is read twice. If a voxel is a fraction, NaN or -0, the scan is stored unchanged,
    /// and the report says so.
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

/// What to do with an existing volume.
#[derive(Debug, Args)]
pub struct Existing {
    /// What to do with an existing volume of that name: fail, overwrite (the old volume stays until
    /// the new one is complete), or same: keep the volume if it was converted from the same file
    /// with the same options, otherwise fail.
    #[arg(long, value_enum, value_name = "WHAT", default_value = "fail")]
    pub if_exists: IfExists,
    /// Short for --if-exists overwrite.
    #[arg(long, conflicts_with = "if_exists")]
    pub overwrite: bool,
}

impl Existing {
    /// The choice of either flag.
    pub fn is_to(&self) -> IfExists {
        if self.overwrite { IfExists::Overwrite } else { self.if_exists }
    }
}

/// What to do with an existing volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum IfExists {
    Fail,
    Same,
    Overwrite,
}

/// The meaning of the voxels; by default the file decides.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("meaning").multiple(false))]
pub struct Meaning {
    /// What the voxels are: intensity, label, or weights for a map of sampling weights. Labels and
    /// weights get an index, so that patches can be sampled by them without reading the whole
    /// volume.
    #[arg(long, group = "meaning")]
    pub kind: Option<Kind>,
    /// The voxels are labels, not intensities: short for --kind label.
    #[arg(long, group = "meaning")]
    pub label: bool,
    /// The voxels are intensities, even if the file calls them labels: short for --kind intensity.
    #[arg(long, group = "meaning")]
    pub intensity: bool,
}

impl Meaning {
    /// The kind, if one was chosen.
    pub fn kind(&self) -> Option<Kind> {
        let intensity = self.intensity.then_some(Kind::Intensity);
        self.kind.or(self.label.then_some(Kind::Label)).or(intensity)
    }
}

impl Convert {
    /// The conflict of flags, whatever the scans are.
    pub fn conflict(&self) -> Option<String> {
        if self.name.is_some() && self.scans.len() > 1 && !self.channels {
            return Some("--name names one volume, but several scans are given".to_owned());
        }
        self.reads.conflict().or_else(|| self.layout.conflict())
    }
}
