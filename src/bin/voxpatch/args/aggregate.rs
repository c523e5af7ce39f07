//! The arguments of `aggregate`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgGroup, Args};
use voxpatch::aggregate::{AggregateOptions, Blend, NonFinite, Output, Unfinished};
use voxpatch::predict::PredictOptions;
use voxpatch::sample::{GridSampler, Overlap};
use voxpatch::{Dtype, Frames, Padding, VolumeName};

use super::{NamedOutput, OutputLayout, Replace, values};

/// Predict a stored volume patch by patch with your own program, and store the predictions.
///
/// Overlapping predictions are blended chunk by chunk, so that neither the volume nor the class
/// scores are ever in memory as a whole. A stopped run continues with --resume. Outputs appear only
/// when all of them are complete.
///
/// The program (--exec) runs once and gets patches on its standard input, as blocks in NumPy's .npy
/// format, one after the other: one block for each batch, shape (n, c, z, y, x), little endian,
/// C order, in the volume's own type, that of --dtype, or float32 with --scaled. For each block it
/// writes a block to its standard output (or one for each head): shape (n, c, z, y, x), float32,
/// float16, float64 or uint8, C order. Channels and the stride (patch / prediction) are learned
/// from the first answer. The program ends when its input ends, and prints nothing else to
/// standard output. In Python:
///
///   import sys, numpy as np
///   class Pipe:  # np.load and np.save take a real file for one that can seek
///       read, write = sys.stdin.buffer.read, sys.stdout.buffer.write
///   while sys.stdin.buffer.peek(1):
///       patches = np.lib.format.read_array(Pipe)
///       np.save(Pipe, predict(patches).astype("float32"))
///       sys.stdout.buffer.flush()
#[derive(Debug, Args)]
#[command(
    verbatim_doc_comment,
    after_help = "Examples:\n  \
    voxpatch aggregate scans.zarr/ct/image --patch 64x128x128 --overlap 0.5 --mode gaussian \\\n    \
    --exec 'python3 model.py' --output predicted=argmax\n  \
    voxpatch aggregate scans.zarr/ct/image --patch 64x128x128 --overlap 16x32x32 --mode crop \\\n    \
    --exec ./model --batch 4 --scaled --pad edge --output predicted=argmax --output scores=uint8\n  \
    voxpatch aggregate scans.zarr/ct/image ... --resume         # go on with a run that was stopped\n  \
    voxpatch aggregate scans.zarr/ct/image ... --parts 4        # what four machines would do\n  \
    voxpatch aggregate scans.zarr/ct/image ... --part 2/4       # what the second of them does\n  \
    voxpatch finalise scans.zarr/ct/predicted                   # when all four are done"
)]
#[command(group = ArgGroup::new("unfinished").multiple(false))]
#[allow(clippy::struct_excessive_bools, reason = "each is a flag")]
pub struct Aggregate {
    /// The volume to predict: STORE/SUBJECT/IMAGE.
    #[arg(value_name = "VOLUME")]
    pub volume: PathBuf,
    /// Shape of the patches.
    #[arg(long, value_name = "ZxYxX", value_parser = values::shape)]
    pub patch: [usize; 3],
    /// The overlap of neighbouring patches: voxels (16x32x32), or a fraction of the patch (0.5, or
    /// 0.5x0.25x0.25), from which the step is computed as in MONAI.
    #[arg(long, value_name = "ZxYxX|F|FxFxF", value_parser = values::shared)]
    #[arg(required_unless_present = "tile_step_size")]
    pub overlap: Option<Overlap>,
    /// In place of an overlap, the most that patches start apart, as a share of the patch: patches
    /// are then spread evenly, as by nnU-Net (0.5 there).
    #[arg(long, value_name = "F|FxFxF", value_parser = values::tile_step, conflicts_with = "overlap")]
    #[arg(conflicts_with = "pad_borders")]
    pub tile_step_size: Option<Overlap>,
    /// How overlapping predictions are blended: crop, average (also: constant), hann, gaussian,
    /// gaussian:SCALE, or nnunet (its Gaussian).
    #[arg(long, value_name = "MODE")]
    pub mode: Blend,
    /// The program with its arguments, as for sh -c.
    #[arg(long, value_name = "COMMAND")]
    pub exec: String,
    /// A volume to make in the same subject, and what to store of the predictions: float32,
    /// float16, uint8, uint16 (of probabilities; or uint8:SCALE for values up to 255 times the
    /// scale), argmax, threshold (0.5, or threshold:T). Repeat for each volume. @HEAD chooses
    /// another head than the first of the model's blocks, counted from 0; several volumes may use
    /// the same head.
    #[arg(long, value_name = "IMAGE=VALUES[@HEAD]", default_value = "prediction=float32")]
    pub output: Vec<NamedOutput>,
    /// Patches per batch that the program is given.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = values::positive)]
    pub batch: usize,
    /// Give the program real values as float32 (slope x voxel + intercept) instead of stored
    /// voxels.
    #[arg(long)]
    pub scaled: bool,
    /// Give the program voxels in this type, such as int16: fractions are cut off, and values
    /// beyond the type become its least or greatest number. The scaling is not applied.
    #[arg(long, value_name = "TYPE", conflicts_with = "scaled")]
    pub dtype: Option<Dtype>,
    /// The values outside the volume, where patches leave it, as in numpy.pad: constant (0, or the
    /// given value), edge, reflect, symmetric or wrap. Needed for volumes that are smaller than the
    /// patch, and for --pad-borders.
    #[arg(long, value_name = "MODE[:VALUE]", allow_hyphen_values = true)]
    pub pad: Option<Padding>,
    /// Let patches begin half an overlap before the volume, and end half an overlap after it.
    #[arg(long, requires = "pad")]
    pub pad_borders: bool,
    /// The frames that become the channels of a patch: all channels of time point T, from 0, or of
    /// all time points, for scans whose fourth axis holds several images of one place. Needed for
    /// volumes of several time points.
    #[arg(long, value_name = "T|all", value_parser = values::frames)]
    pub frames: Option<Frames>,
    #[command(flatten)]
    pub layout: OutputLayout,
    /// Bytes that may be held in memory between patches, such as 512MB or 2GiB; the excess goes to
    /// a scratch file. By default twice the need of the order in which patches are predicted.
    #[arg(long, value_name = "SIZE", value_parser = values::size)]
    pub memory: Option<u64>,
    /// The folder of the scratch file, on a disk with room. By default that of TMPDIR, or /var/tmp.
    #[arg(long, value_name = "DIR")]
    pub scratch: Option<PathBuf>,
    /// Save the state between patches about every this many seconds, so that a killed run loses
    /// little; 0 means never. Less often if saving would take more than a twentieth of the time. A
    /// run that is interrupted, or whose program fails, always saves.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    pub save_every: u64,
    /// What to do with NaN and infinite predictions: error, keep, or a value that replaces them.
    #[arg(long, value_name = "error|keep|VALUE", default_value = "error", value_parser = values::non_finite)]
    #[arg(allow_hyphen_values = true)]
    pub non_finite: NonFinite,
    /// Continue an unfinished run with the patches that are not predicted yet, or for a killed run,
    /// those after its last save. The program is given the patch in the middle again, and refused
    /// if its answer differs, because the program or its weights have changed.
    #[arg(long, group = "unfinished")]
    pub resume: bool,
    /// With --resume: also after the program ended early without an error or broke the protocol, so
    /// that written voxels may be wrong.
    #[arg(long, requires = "resume")]
    pub trust: bool,
    /// Discard an unfinished run (with --part, this part of it) and begin anew.
    #[arg(long, group = "unfinished")]
    pub restart: bool,
    #[command(flatten)]
    pub replace: Replace,
    /// Make part I of N, from 1. Any number of processes can make the parts, each with the same
    /// arguments; finalise publishes the outputs. The processes may run on several machines if the
    /// file system of the store locks folders between machines, which NFS does not.
    #[arg(long, value_name = "I/N", value_parser = values::part, conflicts_with = "parts")]
    pub part: Option<(usize, usize)>,
    /// Show the N parts, and do nothing else, except asking the program for one patch.
    #[arg(long, value_name = "N", conflicts_with_all = ["unfinished", "overwrite", "overwrite_source"])]
    pub parts: Option<usize>,
    /// Threads that blend and compress; 0 means one for each processor.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub threads: usize,
    /// Print a JSON document.
    #[arg(long)]
    pub json: bool,
}

impl Aggregate {
    /// What is wrong whatever the volume is.
    pub fn conflict(&self) -> Option<String> {
        if let Some(other) = self.output.iter().enumerate().find_map(|(n, output)| {
            self.output[..n].iter().find(|other| other.image == output.image)
        }) {
            return Some(format!("--output {} is given twice", other.image));
        }
        let checked = || {
            self.sampler()?;
            self.layout.workload()?;
            self.layout.check()
        };
        checked().err().map(|error: voxpatch::Error| error.to_string())
    }

    fn sampler(&self) -> voxpatch::Result<GridSampler> {
        let overlap = self.overlap.or(self.tile_step_size).expect("clap asks for one of them");
        let sampler = GridSampler::new(self.patch, overlap)?;
        Ok(sampler.pad_small_volumes(self.pad.is_some()).pad_borders(self.pad_borders))
    }

    /// As the library takes them, for a volume of this subject.
    pub fn options(&self, subject: &str) -> voxpatch::Result<PredictOptions> {
        let workload = self.layout.workload()?;
        let output = |NamedOutput { image, values, head }: &NamedOutput| {
            Ok(Output::new(VolumeName::new(subject, image)?, 0, *values)
                .head(*head)
                .workload(workload.clone())
                .codec(self.layout.codec())
                .chunk(self.layout.chunk)
                .shard(self.layout.shard))
        };
        let outputs = self.output.iter().map(output).collect::<voxpatch::Result<_>>()?;
        let unfinished = match (self.resume, self.restart) {
            (true, _) if self.trust => Unfinished::ResumeInDoubt,
            (true, _) => Unfinished::Resume,
            (_, true) => Unfinished::Restart,
            _ => Unfinished::Refuse,
        };
        let aggregate = AggregateOptions::default()
            .budget(self.memory)
            .scratch(self.scratch.clone())
            .unfinished(unfinished)
            .overwrite(self.replace.overwrite())
            .non_finite(self.non_finite)
            .made_by(String::new())
            .checkpoint(Some(self.save_every).filter(|s| *s > 0).map(Duration::from_secs));
        Ok(PredictOptions::new(self.sampler()?, self.mode, outputs)
            .batch(self.batch)
            .frames(self.frames.unwrap_or_default())
            .part(self.part)
            .aggregate(aggregate))
    }
}
