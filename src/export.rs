//! Store to file: a volume becomes the file that it came from, in memory that does not grow with
//! it.
//!
//! Voxels, type and numbers of the header are those of the source; its text, its extensions, its
//! byte order and how it was compressed are not kept in a store, and do not come back.

use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::Serialize;

use crate::scan::nifti::NiftiVersion;
use crate::scan::{ScanFormat, ScanWriter, WriteHeader, WriteOptions};
use crate::setters::setters;
use crate::store::{Strips, Volume, layer_bytes};
use crate::{Dtype, Error, Finding, Frame, Kind, Pool, Result, Spacing};

/// How to export.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ExportOptions {
    /// How hard to compress a `.nii.gz`, from 0 (not at all) to 9.
    pub level: u32,
    /// Replace a file that is there already. It stays until the new one is complete.
    pub overwrite: bool,
    /// The version to write; without, NIfTI-1 where that holds every number exactly, else NIfTI-2.
    pub nifti: Option<NiftiVersion>,
}

setters!(ExportOptions {
    level: u32,
    overwrite: bool,
    nifti: Option<NiftiVersion>,
});

impl ExportOptions {
    /// Level of compression if nothing else is asked for.
    pub const LEVEL: u32 = 3;
}

impl Default for ExportOptions {
    fn default() -> Self {
        Self { level: Self::LEVEL, overwrite: false, nifti: None }
    }
}

/// What an export wrote.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct ExportReport {
    /// The volume, `SUBJECT/IMAGE`.
    pub name: String,
    /// The file.
    pub path: PathBuf,
    /// `nifti-1`, or `nifti-2` where the former cannot hold every number exactly.
    pub format: String,
    /// Level of compression; `None` for a `.nii`.
    pub level: Option<u32>,
    /// Type of the voxels in the file: the source's, but for types that NIfTI does not have.
    pub dtype: Dtype,
    /// Type of the voxels in the store.
    pub stored_dtype: Dtype,
    /// What the voxels mean.
    pub kind: Kind,
    /// Shape of a frame, `z, y, x`.
    pub shape: [usize; 3],
    /// Time points.
    pub times: usize,
    /// Channels.
    pub channels: usize,
    /// Millimetres, `z, y, x`.
    pub spacing: Spacing,
    /// Bytes of the voxels, in the source's type.
    pub raw_bytes: u64,
    /// Bytes of the file.
    pub file_bytes: u64,
    /// Digest of the stored voxels: the file gives it again if it is converted, narrowed if this
    /// volume was.
    pub voxel_digest: String,
    /// What a reader of the file should know about its making.
    pub findings: Vec<Finding>,
    /// From the first chunk to the finished file.
    pub seconds: f64,
}

/// Writes a volume, all frames of it, to a `.nii.gz` or `.nii`, told by the name.
///
/// Converting the file gives the volume again: the same voxels bit for bit, in the source's type
/// (`float16`, which NIfTI does not have, as `float32`; labels that had a scaling are what they
/// mean, without one), and exactly the same affine, spacing, scaling, time step, times, channels
/// and kind (but weights, which NIfTI cannot tell from intensities). Channels that were the
/// source's fourth axis are that again: convert the file with
/// [`crate::ConvertOptions::fourth_axis`]. The header is NIfTI-1 if that holds all of it, else
/// NIfTI-2; nothing is rounded, unless NIfTI-1 is asked for.
///
/// The volume is read once, in layers of whole chunks: while the pool compresses one layer, it
/// decodes the next. Memory holds two of them, and 4 MiB for each thread. The bytes of the file do
/// not depend on the number of threads.
///
/// The file appears when it is complete and durable; after an error nothing of it is left.
/// `progress` is called with the number of bytes dealt with since the last call,
/// [`Volume::raw_bytes`] in all; a false answer cancels.
///
/// # Errors
/// [`Error::AlreadyExists`], [`Error::InvalidArgument`] for another name, level or voxel type than
/// NIfTI has, those of [`Volume::read`], [`Error::Cancelled`], [`Error::Io`].
pub fn export(
    volume: &Volume,
    path: &Path,
    options: &ExportOptions,
    pool: &Pool,
    progress: &(dyn Fn(u64) -> bool + Sync),
) -> Result<ExportReport> {
    let began = Instant::now();
    let format = ScanFormat::of(path)?;
    check_free(path, options.overwrite)?;
    let (fields, how) = (
        &volume.attributes().source.fields,
        WriteOptions { level: options.level, nifti: options.nifti },
    );
    let mut writer = ScanWriter::create_exact(path, header(volume, format), fields, how)?;
    let (dtype, version) = (writer.header().dtype, writer.version());
    let findings = findings(volume, &writer, options);
    // A handle of its own, whose shards are closed again: a mapped file counts as memory.
    let own = volume.reopened()?;
    pool.run(|| write(&own, dtype, &mut writer, progress))?;
    if !progress(0) {
        return Err(Error::Cancelled);
    }
    // Another may have come while this one was written.
    check_free(path, options.overwrite)?;
    pool.run(|| writer.finish())?;
    let file_bytes = std::fs::metadata(path).map_err(Error::io("open", path))?.len();
    Ok(ExportReport {
        name: volume.name().to_string(),
        path: path.into(),
        format: version.to_owned(),
        level: format.is_compressed().then_some(options.level),
        dtype,
        stored_dtype: volume.stored_dtype(),
        kind: volume.kind(),
        shape: volume.shape(),
        times: volume.times(),
        channels: volume.channels(),
        spacing: volume.spacing(),
        raw_bytes: volume.raw_bytes(),
        file_bytes,
        voxel_digest: volume.voxel_digest().to_owned(),
        findings,
        seconds: began.elapsed().as_secs_f64(),
    })
}

fn check_free(path: &Path, overwrite: bool) -> Result<()> {
    if !overwrite && path.symlink_metadata().is_ok() {
        return Err(Error::AlreadyExists { path: path.into() });
    }
    Ok(())
}

fn header(volume: &Volume, format: ScanFormat) -> WriteHeader {
    let attributes = volume.attributes();
    WriteHeader {
        dtype: format.carries(volume.dtype()),
        shape: volume.shape(),
        times: volume.times(),
        channels: volume.channels(),
        affine: attributes.affine,
        space: attributes.space,
        scaling: attributes.scaling,
        time_step: attributes.time_step,
        is_label: attributes.kind == Kind::Label,
    }
}

/// Every layer of every frame in the order of the file, time faster than channel: one is decoded
/// while the one before is written.
fn write(
    volume: &Volume,
    dtype: Dtype,
    writer: &mut ScanWriter,
    progress: &(dyn Fn(u64) -> bool + Sync),
) -> Result<()> {
    let (times, depth) = (volume.times(), volume.layout().chunk[0]);
    let frames =
        (0..times * volume.channels()).map(|n| Frame { time: n % times, channel: n / times });
    let layers = volume.shape()[0].div_ceil(depth);
    let mut layers = frames.flat_map(|frame| (0..layers).map(move |layer| (frame, layer)));
    let read = |volume: &Volume, (frame, layer)| {
        let strips = Strips::read_as(volume, dtype, frame, layer)?;
        Ok((strips, layer_bytes(volume, layer)))
    };
    let mut open = volume.row_of_shards(Frame::default(), 0);
    let mut current = layers.next().map(|layer| read(volume, layer)).transpose()?;
    while let Some((strips, bytes)) = current {
        let next = layers.next();
        let row = next.map(|(frame, layer)| volume.row_of_shards(frame, layer));
        if row.is_some_and(|row| row != open) {
            volume.close_shards();
        }
        open = row.unwrap_or(open);
        let (decoded, written) = rayon::join(
            || next.map(|layer| read(volume, layer)).transpose(),
            || strips.pieces().try_for_each(|piece| writer.write_voxels(piece)),
        );
        written?;
        if !progress(bytes) {
            return Err(Error::Cancelled);
        }
        current = decoded?;
    }
    Ok(())
}

/// What the file says otherwise than the volume, and why it is no NIfTI-1.
fn findings(volume: &Volume, writer: &ScanWriter, options: &ExportOptions) -> Vec<Finding> {
    let (dtype, kind) = (volume.dtype(), volume.kind());
    let (header, format) = (writer.header(), writer.format().name());
    let written = header.dtype;
    let other = (dtype != written).then(|| {
        format!("{format} has no {dtype}; written as {written}, which holds every voxel exactly")
    });
    let wide = (writer.version() == "nifti-2" && options.nifti.is_none()).then(|| {
        "written as NIfTI-2: a size or a number is beyond what NIfTI-1 holds exactly".to_owned()
    });
    let rounded = writer.is_rounded().then(|| {
        "numbers of the header are rounded to single precision, as NIfTI-1 holds them; the voxels \
         are as they were"
            .to_owned()
    });
    let weights = (kind == Kind::Weights).then(|| {
        format!(
            "{format} cannot tell weights from intensities; to convert the file, say that they are \
             weights"
        )
    });
    let step = (header.time_step.is_some() && header.times == 1)
        .then(|| "the time step is left out: there is one time point alone".to_owned());
    let channels = (header.channels != volume.channels()).then(|| {
        format!(
            "the {} channels are the fourth axis of the file, as of the source: to convert it, say \
             so (--fourth-axis channels)",
            volume.channels()
        )
    });
    let told = [other, wide, rounded, weights, step, channels];
    told.into_iter().flatten().map(Finding::decided).collect()
}
