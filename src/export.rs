//! Export: a volume becomes a file like its source, in memory that does not grow with the volume.
//!
//! Voxels, type and numbers of the header are those of the source; its text, extensions, byte order
//! and compression are not kept in a store and cannot be restored.

use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::Serialize;

use crate::scan::nifti::NiftiVersion;
use crate::scan::{ScanFormat, ScanWriter, WriteHeader, WriteOptions};
use crate::setters::setters;
use crate::store::{Strips, Volume, layer_bytes};
use crate::{Dtype, Error, Finding, Frame, Kind, Pool, Result, Spacing};

/// Options of an export.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ExportOptions {
    /// Compression level of a `.nii.gz`, from 0 (none) to 9.
    pub level: u32,
    /// Replace an existing file, which stays until the new one is complete.
    pub overwrite: bool,
    /// The version to write; by default NIfTI-1 if that holds every number exactly, otherwise
    /// NIfTI-2.
    pub nifti: Option<NiftiVersion>,
}

setters!(ExportOptions {
    level: u32,
    overwrite: bool,
    nifti: Option<NiftiVersion>,
});

impl ExportOptions {
    /// The default level of compression.
    pub const LEVEL: u32 = 3;
}

impl Default for ExportOptions {
    fn default() -> Self {
        Self { level: Self::LEVEL, overwrite: false, nifti: None }
    }
}

/// The result of an export.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct ExportReport {
    /// The volume, `SUBJECT/IMAGE`.
    pub name: String,
    /// The file.
    pub path: PathBuf,
    /// `nifti-1`, or `nifti-2` if NIfTI-1 cannot hold every number exactly.
    pub format: String,
    /// Level of compression; `None` for a `.nii`.
    pub level: Option<u32>,
    /// Type of the voxels in the file: the source's, except for types that NIfTI does not have.
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
    /// Spacing in millimetres, `z, y, x`.
    pub spacing: Spacing,
    /// Bytes of the voxels, in the source's type.
    pub raw_bytes: u64,
    /// Bytes of the file.
    pub file_bytes: u64,
    /// Digest of the stored voxels: converting the file gives the same digest, if the conversion
    /// narrows like the one of this volume.
    pub voxel_digest: String,
    /// Decisions of the export that a reader of the file should know.
    pub findings: Vec<Finding>,
    /// Seconds from the first chunk to the finished file.
    pub seconds: f64,
}

/// Writes a volume with all its frames to a `.nii.gz` or `.nii` file, as its extension says.
///
/// Converting the file gives the volume again: the same voxels bit for bit, in the source's type
/// (`float16`, which NIfTI does not have, as `float32`; labels that had a scaling as the numbers
/// that they mean, without one), and exactly the same affine, spacing, scaling, time step, times,
/// channels and kind (except weights, which NIfTI cannot tell from intensities). Channels from the
/// source's fourth axis become the fourth axis again: convert the file with
/// [`crate::ConvertOptions::fourth_axis`]. The header is NIfTI-1 if that holds all numbers,
/// otherwise NIfTI-2; numbers are rounded only if NIfTI-1 is requested.
///
/// The volume is read once, in layers of whole chunks: while the pool compresses one layer, it
/// decodes the next. Memory holds two layers, and 4 MiB for each thread. The bytes of the file do
/// not depend on the number of threads.
///
/// The file appears when it is complete and durable; an error leaves nothing behind. `progress` is
/// called with the number of bytes processed since the last call, [`Volume::raw_bytes`] in all; if
/// it returns false, the export is cancelled.
///
/// # Errors
/// [`Error::AlreadyExists`], [`Error::InvalidArgument`] for an extension, level or voxel type that
/// NIfTI does not have, those of [`Volume::read`], [`Error::Cancelled`], [`Error::Io`].
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
    // A handle of its own, which closes its shards: mapped files count as memory.
    let own = volume.reopened()?;
    pool.run(|| write(&own, dtype, &mut writer, progress))?;
    if !progress(0) {
        return Err(Error::Cancelled);
    }
    // Another process may have made the file while this one was written.
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

/// Every layer of every frame in the order of the file, time faster than channel: one layer is
/// decoded while the one before is written.
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

/// The differences between the file and the volume, and the reason for NIfTI-2.
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
            "{format} cannot tell weights from intensities; to convert the file, declare them as \
             weights"
        )
    });
    let step = (header.time_step.is_some() && header.times == 1)
        .then(|| "the time step is left out: there is only one time point".to_owned());
    let channels = (header.channels != volume.channels()).then(|| {
        format!(
            "the {} channels are the fourth axis of the file, as of the source: to convert the \
             file, declare them (--fourth-axis channels)",
            volume.channels()
        )
    });
    let told = [other, wide, rounded, weights, step, channels];
    told.into_iter().flatten().map(Finding::decided).collect()
}
