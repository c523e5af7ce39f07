//! Converting: a scan becomes a stored volume, in memory that does not grow with it.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};

use rayon::prelude::*;
use serde::Serialize;

use super::narrow::narrow;
use super::trial::{self, CodecTrial, try_codecs};
use crate::layout::{self, ChunkLayout, Codec, LayoutPlan, PlanOptions, VolumeSpec, Workload};
use crate::scan::{Scan, ScanHeader};
use crate::statistics::{Statistics, StatisticsAccumulator};
use crate::store::{
    ArrayShape, Attributes, Dataset, VERSION, VolumeName, VolumeWriter, VoxelDigest,
};
use crate::{Dtype, Error, Finding, Frame, Kind, Pool, Result, Spacing};

/// How to convert.
#[derive(Debug, Clone, Default)]
pub struct ConvertOptions {
    /// The reads to lay the volume out for; without, [`Workload::default_for`] its spacing.
    pub workload: Option<Workload>,
    /// Codec, and shapes to take instead of the planner's choice.
    pub plan: PlanOptions,
    /// Codecs to try on chunks of the scan itself, such as [`Codec::CANDIDATES`]: the best for the
    /// workload is taken in place of `plan.codec`. That is the one with the least time per patch,
    /// to which each stored byte of the chunks it touches adds an eighth of a nanosecond; of those
    /// within a tenth of the least, one that every Zarr reader knows, then the smallest. Codecs
    /// that cannot store the voxels' type are left out. The first frame is then read twice, and a
    /// finding tells what was chosen. Empty: nothing is tried.
    pub codecs: Vec<Codec>,
    /// Intensities or labels; without, as the file says, and intensities if it does not.
    pub kind: Option<Kind>,
    /// Store voxels as the narrowest integers that hold each of them exactly, if these take fewer
    /// bytes; they are read in the source's type all the same. The source is then read twice, and
    /// a finding tells what became of it.
    pub narrow: bool,
    /// Replace a volume that is there already. It stays until the new one is complete.
    pub overwrite: bool,
}

/// What a conversion did, and on what grounds.
#[derive(Debug, Clone, Serialize)]
pub struct ConvertReport {
    /// `SUBJECT/IMAGE`.
    pub name: String,
    /// Format of the source.
    pub source_format: String,
    /// Type of the source's voxels, as which they are read.
    pub dtype: Dtype,
    /// Type of the voxels on disk: the same, or narrower.
    pub stored_dtype: Dtype,
    /// Intensities or labels.
    pub kind: Kind,
    /// Shape of a frame, `z, y, x`.
    pub shape: [usize; 3],
    /// Time points.
    pub times: usize,
    /// Channels.
    pub channels: usize,
    /// Millimetres, `z, y, x`.
    pub spacing: Spacing,
    /// The reads that the layout was chosen for.
    pub workload: Workload,
    /// The layout taken.
    pub layout: ChunkLayout,
    /// The codecs that were tried, in the order of [`ConvertOptions::codecs`].
    pub trial: Vec<CodecTrial>,
    /// Why: the planner's sentences.
    pub reasons: Vec<String>,
    /// Bytes of the voxels, in the source's type.
    pub raw_bytes: u64,
    /// Bytes of the shards.
    pub stored_bytes: u64,
    /// Digest of the stored voxels, whatever their layout.
    pub voxel_digest: String,
    /// What was decided, guessed and repaired.
    pub findings: Vec<Finding>,
    /// From opening the scan to the published volume.
    pub seconds: f64,
}

/// With no more distinct values than this, integers may well be labels.
const FEW_VALUES: usize = 128;

/// Part of a layer that one task gathers statistics of. It depends on nothing but the volume, so
/// that sums of floats are taken in one order, whatever the number of threads.
const STATISTICS_PIECE: usize = 4 << 20;

/// Converts one scan into one volume of `dataset`.
///
/// The scan is read once, in layers of whole chunks: while the pool encodes one layer, one of its
/// threads reads the next ones; shards are written with their last layer. Memory holds a few
/// layers and the encoded chunks of one row of shards; the plan tells how much that is. Narrowing
/// ([`ConvertOptions::narrow`]) reads the scan once more before that, and takes a plane of it, or
/// 1 MiB, besides. Trying codecs ([`ConvertOptions::codecs`]) reads its first frame once more,
/// also before that; it holds one layer of chunks, a patch of at most 8 MiB, and of each layer
/// sampled the encoded chunks of one codec, 2 MiB of voxels or one chunk.
///
/// `progress` is called with the number of the source's bytes that were dealt with since the last
/// call, from any thread; with narrowing they count twice, and those of the first frame once more
/// if codecs are tried. A false answer cancels.
///
/// The volume appears when it is complete and durable; after an error nothing of it is left.
///
/// # Errors
/// Those of the scan, [`Error::AlreadyExists`], [`Error::InvalidLayout`],
/// [`Error::InvalidArgument`] for labels that are none and for a codec that cannot store the voxels'
/// type, [`Error::Cancelled`], [`Error::Io`].
pub fn convert(
    scan: Box<dyn Scan>,
    dataset: &Dataset,
    name: &VolumeName,
    options: &ConvertOptions,
    pool: &Pool,
    progress: &(dyn Fn(u64) -> bool + Sync),
) -> Result<ConvertReport> {
    let began = std::time::Instant::now();
    let source = scan.header().dtype;
    if options.narrow || !options.codecs.is_empty() {
        // Told before the first of several passes, not after it.
        dataset.check_free(name, options.overwrite)?;
    }
    let (mut scan, narrowing) = if options.narrow {
        let (scan, finding) = narrow(scan, progress)?;
        (scan, Some(finding))
    } else {
        (scan, None)
    };
    let header = scan.header().clone();
    let voxels = header.shape.iter().product::<usize>() * header.frames();
    let spec = VolumeSpec {
        shape: header.shape,
        times: header.times,
        channels: header.channels,
        spacing: header.spacing,
        dtype: header.dtype,
    };
    let default = || Workload::default_for(header.spacing);
    let workload = options.workload.clone().unwrap_or_else(default);
    let item = header.dtype.size() as u64;
    let counted = |bytes: u64| progress(bytes / item * source.size() as u64);
    let mut plan_options = options.plan;
    let mut trial = Vec::new();
    if !options.codecs.is_empty() {
        let (codecs, scan) = (&options.codecs, &mut *scan);
        trial = pool
            .run(|| try_codecs(codecs, scan, &spec, &workload, &options.plan, &counted))
            .map_err(|error| not_narrowed(error, narrowing.as_ref()))?;
        let chosen = trial.iter().find(|trial| trial.chosen);
        plan_options.codec = chosen.map_or(plan_options.codec, |chosen| chosen.layout.codec);
    }
    let LayoutPlan { layout, reasons, .. } = layout::plan(&spec, &workload, &plan_options)
        .map_err(|error| not_narrowed(error, narrowing.as_ref()))?;
    let default = if header.is_label { Kind::Label } else { Kind::Intensity };
    let kind = options.kind.unwrap_or(default);
    let shape = ArrayShape {
        dtype: header.dtype,
        times: header.times,
        channels: header.channels,
        shape: header.shape,
    };
    let mut writer = dataset.write_volume(name, shape, layout, options.overwrite)?;
    let mut pass = Pass::new(&header, layout, kind);
    let late = pool.run(|| {
        pass.run(&mut *scan, &mut writer, &counted)?;
        scan.finish()
    })?;
    let (statistics, voxel_digest) = pass.finish();
    let mut findings: Vec<_> =
        header.findings.iter().cloned().chain(late).chain(narrowing).collect();
    findings.extend(trial::finding(&trial));
    if options.kind.is_none() {
        findings.extend(perhaps_labels(&statistics, header.dtype));
    }
    let attributes = Attributes {
        version: VERSION,
        kind,
        affine: header.affine,
        spacing: header.spacing,
        time_step: header.time_step,
        scaling: header.scaling,
        original_dtype: (header.dtype != source).then_some(source),
        layout,
        workload: workload.clone(),
        statistics,
        source_format: header.format.to_owned(),
        source_fields: header.fields.clone(),
        findings: findings.clone(),
    };
    if !progress(0) {
        return Err(Error::Cancelled);
    }
    let stored_bytes = writer.stored_bytes();
    writer.commit(&attributes, voxel_digest.clone())?;
    Ok(ConvertReport {
        name: name.to_string(),
        source_format: header.format.to_owned(),
        dtype: source,
        stored_dtype: header.dtype,
        kind,
        shape: header.shape,
        times: header.times,
        channels: header.channels,
        spacing: header.spacing,
        workload,
        layout,
        trial,
        reasons,
        raw_bytes: (voxels * source.size()) as u64,
        stored_bytes,
        voxel_digest,
        findings,
        seconds: began.elapsed().as_secs_f64(),
    })
}

/// Adds to the refusal of a codec what came of narrowing, which might have helped.
fn not_narrowed(error: Error, narrowing: Option<&Finding>) -> Error {
    match (error, narrowing) {
        (Error::InvalidArgument { what: what @ "codec", value, reason }, Some(finding)) => {
            Error::invalid(what, value, format!("{reason} ({})", finding.message))
        }
        (error, _) => error,
    }
}

/// Integers of which hardly any two differ are labels more often than intensities.
fn perhaps_labels(statistics: &Statistics, dtype: Dtype) -> Option<Finding> {
    let Statistics::Intensity(found) = statistics else { return None };
    let values = found.bins.len();
    let few = dtype.is_integer() && (2..=FEW_VALUES).contains(&values);
    few.then(|| {
        Finding::guessed(format!(
            "taken as intensities, though only {values} values occur: if they are labels, convert \
             again as a label map"
        ))
    })
}

/// The planes of one layer of chunks.
#[derive(Clone, Copy)]
struct Layer {
    frame: Frame,
    /// In chunks along z.
    number: usize,
    bytes: usize,
}

/// The one pass over the voxels.
struct Pass {
    layout: ChunkLayout,
    shape: [usize; 3],
    dtype: Dtype,
    plane_bytes: usize,
    kind: Kind,
    statistics: StatisticsAccumulator,
    digest: VoxelDigest,
}

impl Pass {
    fn new(header: &ScanHeader, layout: ChunkLayout, kind: Kind) -> Self {
        let ScanHeader { dtype, shape, times, channels, .. } = *header;
        Self {
            layout,
            shape,
            dtype,
            plane_bytes: header.plane_bytes(),
            kind,
            statistics: StatisticsAccumulator::new(dtype, kind),
            digest: VoxelDigest::new(dtype, times, channels, shape),
        }
    }

    /// Every layer, in the order in which the scan delivers them.
    fn layers(&self, frames: Vec<Frame>) -> impl Iterator<Item = Layer> + use<> {
        let (depth, planes, plane_bytes) = (self.layout.chunk[0], self.shape[0], self.plane_bytes);
        frames.into_iter().flat_map(move |frame| {
            (0..planes).step_by(depth).enumerate().map(move |(number, z)| {
                let bytes = depth.min(planes - z) * plane_bytes;
                Layer { frame, number, bytes }
            })
        })
    }

    /// Encodes every layer while one thread of the pool reads on.
    fn run(
        &mut self,
        scan: &mut dyn Scan,
        writer: &mut VolumeWriter,
        progress: &(dyn Fn(u64) -> bool + Sync),
    ) -> Result<()> {
        let frames = (0..scan.header().frames()).map(|n| scan.frame(n)).collect();
        let largest = self.layout.chunk[0].min(self.shape[0]) * self.plane_bytes;
        let mut ahead = ReadAhead::new(scan, self.layers(frames), largest)?;
        while let Some((layer, voxels)) = ahead.next()? {
            let encoded = AtomicBool::new(false);
            let (read, written) = rayon::join(
                || ahead.fill(&encoded),
                || {
                    let written = self.write(&layer, &voxels[..layer.bytes], writer);
                    encoded.store(true, Ordering::Relaxed);
                    written
                },
            );
            written?;
            if !progress(layer.bytes as u64) {
                return Err(Error::Cancelled);
            }
            read?;
            ahead.free.push(voxels);
        }
        Ok(())
    }

    fn write(&mut self, layer: &Layer, voxels: &[u8], writer: &mut VolumeWriter) -> Result<()> {
        let (digest, statistics) = (&mut self.digest, &mut self.statistics);
        let (dtype, kind) = (self.dtype, self.kind);
        let (written, gathered) = rayon::join(
            || writer.write_layer(layer.frame, layer.number, voxels),
            || {
                digest.add(layer.frame, voxels, dtype);
                // As many at a time as there are threads: one takes up to 100 MB for floats.
                for pieces in voxels.chunks(STATISTICS_PIECE * rayon::current_num_threads()) {
                    let parts: Vec<_> = pieces
                        .par_chunks(STATISTICS_PIECE)
                        .map(|piece| {
                            let mut part = StatisticsAccumulator::new(dtype, kind);
                            part.add(piece).map(|()| part)
                        })
                        .collect::<Result<_>>()?;
                    parts.into_iter().try_for_each(|part| statistics.merge(part))?;
                }
                Ok(())
            },
        );
        written.and(gathered)
    }

    fn finish(self) -> (Statistics, String) {
        (self.statistics.finish(), self.digest.finish())
    }
}

/// Reads layers before they are asked for, into a few buffers that go round.
struct ReadAhead<'a, L> {
    scan: &'a mut dyn Scan,
    /// Layers still to be read.
    layers: L,
    read: VecDeque<(Layer, Vec<u8>)>,
    free: Vec<Vec<u8>>,
}

impl<'a, L: Iterator<Item = Layer>> ReadAhead<'a, L> {
    /// `largest` is the size of a buffer: that of the largest layer.
    fn new(scan: &'a mut dyn Scan, layers: L, largest: usize) -> Result<Self> {
        let buffers = (0..layout::LAYERS_IN_MEMORY).map(|_| buffer(largest));
        Ok(Self { scan, layers, read: VecDeque::new(), free: buffers.collect::<Result<_>>()? })
    }

    /// The next layer, read now if it has not been.
    fn next(&mut self) -> Result<Option<(Layer, Vec<u8>)>> {
        if self.read.is_empty() {
            self.read_one()?;
        }
        Ok(self.read.pop_front())
    }

    /// Reads at least one layer, and goes on until `stop` or until no buffer is free. Reading is
    /// in order and often the slowest part, so the thread that does it helps to encode last.
    fn fill(&mut self, stop: &AtomicBool) -> Result<()> {
        while self.read_one()? && !stop.load(Ordering::Relaxed) {}
        Ok(())
    }

    /// False if all is read, or no buffer is free.
    fn read_one(&mut self) -> Result<bool> {
        let Some(mut buffer) = self.free.pop() else { return Ok(false) };
        let Some(layer) = self.layers.next() else { return Ok(false) };
        self.scan.read_planes(&mut buffer[..layer.bytes])?;
        self.read.push_back((layer, buffer));
        Ok(true)
    }
}

/// A buffer of zeros, which the system makes as they are touched; an error if there is no room.
pub(super) fn buffer(bytes: usize) -> Result<Vec<u8>> {
    let room: Result<(), _> = Vec::<u8>::new().try_reserve_exact(bytes);
    room.map_err(|_| Error::InvalidLayout {
        reason: format!(
            "a layer of chunks takes {bytes} bytes, more than memory holds; use chunks of fewer z-planes"
        ),
    })?;
    Ok(vec![0; bytes])
}
