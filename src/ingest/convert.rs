//! Conversion: a scan becomes a stored volume, in memory that does not grow with the scan.

use serde::Serialize;

use super::narrow::narrow;
use super::pass::{Gathered, Pass, array_shape};
use super::real::scaled_alike;
use super::trial::{self, CodecTrial, try_codecs};
use super::{fourth_axis, labels};
use crate::layout::{self, ChunkLayout, Codec, LayoutPlan, PlanOptions, VolumeSpec, Workload};
use crate::scan::{Scan, ScanHeader};
use crate::setters::setters;
use crate::statistics::Statistics;
use crate::store::{
    Attributes, Dataset, IndexInfo, LabelName, SamplingIndex, SourceInfo, VERSION, VolumeName,
};
use crate::{Dtype, Error, Finding, FourthAxis, Hint, Kind, Pool, Result, Spacing};

/// Options of a conversion.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct ConvertOptions {
    /// The reads to lay the volume out for; by default [`Workload::default_for`] its spacing.
    pub workload: Option<Workload>,
    /// The codec, and a chunk and a shard that replace the planner's choice.
    pub plan: PlanOptions,
    /// Codecs to try on chunks of the scan itself, such as [`Codec::CANDIDATES`]: the best for the
    /// workload replaces `plan.codec`. The best has the least score, which is the expected time per
    /// patch plus an eighth of a nanosecond for each stored byte of the chunks it touches; among
    /// scores within a tenth of the least, a codec that every Zarr reader knows is preferred, then
    /// the smallest. Codecs that cannot store the voxels' type are left out. The first frame is
    /// then read twice, and a finding names the choice. Empty: no codec is tried.
    pub codecs: Vec<Codec>,
    /// What the voxels mean; by default what the file says, or intensities if it does not say.
    pub kind: Option<Kind>,
    /// The meaning of a scan's fourth axis, if it has one; by default what the file says: time for
    /// NIfTI. A finding names the choice, and asks for a decision where the file says nothing of
    /// time along the axis.
    pub fourth_axis: Option<FourthAxis>,
    /// Store voxels as the narrowest integers that hold each of them exactly, if these take fewer
    /// bytes; reads still return the source's type. The source is then read twice, and a finding
    /// names the result.
    pub narrow: bool,
    /// The names of labels, kept with a label map; an error for any other volume.
    pub labels: Vec<LabelName>,
    /// Digest of the scan's files ([`crate::scan::Found::digest`]), kept with the volume for
    /// [`is_converted`](super::is_converted).
    pub source_digest: Option<String>,
    /// Replace an existing volume, which stays until the new one is complete.
    pub overwrite: bool,
}

setters!(ConvertOptions {
    workload: Option<Workload>,
    plan: PlanOptions,
    codecs: Vec<Codec>,
    kind: Option<Kind>,
    fourth_axis: Option<FourthAxis>,
    narrow: bool,
    labels: Vec<LabelName>,
    source_digest: Option<String>,
    overwrite: bool,
});

impl ConvertOptions {
    /// What the voxels of a scan mean.
    fn kind_of(&self, header: &ScanHeader) -> Kind {
        let default = if header.is_label { Kind::Label } else { Kind::Intensity };
        self.kind.unwrap_or(default)
    }

    /// Whether a scan is read once before it is converted: to be narrowed, or because its labels
    /// follow from a scaling.
    #[must_use]
    pub fn surveys(&self, header: &ScanHeader) -> bool {
        self.narrow || header.scaling.is_some() && self.kind_of(header) == Kind::Label
    }
}

/// The result of a conversion, with its reasons.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct ConvertReport {
    /// `SUBJECT/IMAGE`.
    pub name: String,
    /// Format of the source.
    pub source_format: String,
    /// Type of the source's voxels, which reads return; for labels with a scaling, the type of the
    /// labels.
    pub dtype: Dtype,
    /// Type of the voxels on disk: the same or narrower.
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
    /// The reads that the layout was chosen for.
    pub workload: Workload,
    /// The chosen layout.
    pub layout: ChunkLayout,
    /// The codecs that were tried, in the order of [`ConvertOptions::codecs`].
    pub trial: Vec<CodecTrial>,
    /// The planner's reasons, one sentence each.
    pub reasons: Vec<String>,
    /// Bytes of the voxels, in the source's type.
    pub raw_bytes: u64,
    /// Bytes of the shards.
    pub stored_bytes: u64,
    /// The index for sampling by label or by weight; `None` if there is none.
    pub index: Option<IndexInfo>,
    /// Digest of the stored voxels, independent of their layout.
    pub voxel_digest: String,
    /// Decisions, guesses and repairs.
    pub findings: Vec<Finding>,
    /// Seconds from opening the scan to the published volume.
    pub seconds: f64,
}

/// Integers with at most this many distinct values may be labels.
const FEW_VALUES: usize = 128;

/// Converts one scan into one volume of `dataset`.
///
/// The scan is read once, in layers of whole chunks: while the pool encodes one layer, one of its
/// threads reads the next ones; shards are written with their last layer. Memory holds a few layers
/// and the encoded chunks of one row of shards; the plan gives the number of bytes. Interleaved
/// frames ([`crate::scan::Order`]) are read together and separated layer by layer: memory then
/// holds the layers of all of them. Narrowing ([`ConvertOptions::narrow`]) reads the scan once more
/// beforehand, and takes a plane, or 1 MiB, besides. Trying codecs ([`ConvertOptions::codecs`])
/// reads the first frame once more beforehand; it holds one layer of chunks, a patch of at most 8
/// MiB, and for each sampled layer the encoded chunks of one codec, 2 MiB of voxels or one chunk.
///
/// If planes have different scalings, real values are stored: as integers if these hold all values
/// that voxels of the scan's type can mean, otherwise as `float32`; a finding says so.
///
/// Labels with a scaling are stored as the whole numbers that they mean, in the narrowest type and
/// without a scaling; a finding says so. This reads the scan once more beforehand, as narrowing
/// does.
///
/// `progress` is called with the number of the source's bytes that were processed since the last
/// call, from any thread. Bytes that are read twice ([`ConvertOptions::surveys`]) count twice, and
/// those of the first frame once more if codecs are tried. If it returns false, the conversion is
/// cancelled.
///
/// The content of each block of a label map or a map of weights is counted during the conversion
/// and stored as the index for sampling ([`crate::Volume::block_index`]), which takes a few bytes
/// for each block and each label in it, at most 100 MB. If no index is possible, a finding says
/// why.
///
/// The volume appears when it is complete and durable; an error leaves nothing behind.
///
/// # Errors
/// Those of the scan, [`Error::AlreadyExists`], [`Error::InvalidLayout`],
/// [`Error::InvalidArgument`] for voxels that cannot be labels or weights, for names without
/// labels, for a codec that cannot store the voxels' type, and for a fourth axis as channels beside
/// a fifth axis of channels; [`Error::Cancelled`], [`Error::Io`].
pub fn convert(
    scan: Box<dyn Scan>,
    dataset: &Dataset,
    name: &VolumeName,
    options: &ConvertOptions,
    pool: &Pool,
    progress: &(dyn Fn(u64) -> bool + Sync),
) -> Result<ConvertReport> {
    let began = std::time::Instant::now();
    scan.header().order.check(scan.header().frames())?;
    let (scan, fourth_axis) = fourth_axis::read_as(scan, options.fourth_axis)?;
    let raw_item = scan.header().dtype.size() as u64;
    let (scan, real) = scaled_alike(scan)?;
    let item = scan.header().dtype.size() as u64;
    let progress: &(dyn Fn(u64) -> bool + Sync) = &|bytes| progress(bytes / item * raw_item);
    if options.surveys(scan.header()) || !options.codecs.is_empty() {
        // Before the first pass over the scan, so that the caller does not wait for this error.
        dataset.check_free(name, options.overwrite)?;
    }
    let kind = options.kind_of(scan.header());
    check_label_names(&options.labels, kind)?;
    let Surveyed { mut scan, source, finding: narrowing } =
        pool.run(|| survey(scan, options, progress))?;
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
    let stored_item = header.dtype.size() as u64;
    let counted = |bytes: u64| progress(bytes / stored_item * item);
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
    let shape = array_shape(&header);
    let mut writer = dataset.write_volume(name, shape, layout, options.overwrite)?;
    let mut pass = Pass::new(&header, layout, kind);
    let late = pool.run(|| {
        pass.run(&mut *scan, &mut writer, &counted)?;
        scan.finish()
    })?;
    let Gathered { statistics, voxel_digest, index } = pass.finish();
    let (index, unindexed) = or_finding(index);
    let unsaid = options.kind.is_none();
    let findings: Vec<_> = (header.findings.iter().cloned().chain(late).chain(fourth_axis))
        .chain(real)
        .chain(narrowing)
        .chain(trial::finding(&trial))
        .chain(unsaid.then(|| perhaps_labels(&statistics, header.dtype)).flatten())
        .chain(unindexed)
        .collect();
    let made = Made { kind, layout, workload: workload.clone(), statistics };
    let attributes = made.attributes(&header, source, options, findings.clone());
    if !progress(0) {
        return Err(Error::Cancelled);
    }
    let stored_bytes = writer.stored_bytes();
    writer.commit(&attributes, voxel_digest.clone(), index.as_ref())?;
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
        index: index.map(|index| index.info()),
        voxel_digest,
        findings,
        seconds: began.elapsed().as_secs_f64(),
    })
}

/// The decisions of the options, the scan and the planner.
struct Made {
    kind: Kind,
    layout: ChunkLayout,
    workload: Workload,
    statistics: Statistics,
}

impl Made {
    /// The attributes of the volume; `source` is the type that reads return.
    fn attributes(
        self,
        header: &ScanHeader,
        source: Dtype,
        options: &ConvertOptions,
        findings: Vec<Finding>,
    ) -> Attributes {
        Attributes {
            version: VERSION,
            kind: self.kind,
            affine: header.affine,
            space: header.space,
            spacing: header.spacing,
            time_step: header.time_step,
            scaling: header.scaling,
            original_dtype: (header.dtype != source).then_some(source),
            predicted_from: None,
            layout: self.layout,
            workload: self.workload,
            statistics: self.statistics,
            source: SourceInfo {
                format: header.format.to_owned(),
                fields: header.fields.clone(),
                digest: options.source_digest.clone(),
            },
            labels: options.labels.clone(),
            options_digest: Some(options.digest()),
            findings,
        }
    }
}

/// Refuses names for voxels that are not labels.
fn check_label_names(names: &[LabelName], kind: Kind) -> Result<()> {
    if kind == Kind::Label || names.is_empty() {
        return LabelName::check_all(names);
    }
    let reason = "only the labels of a label map have names; leave them out, or say that the \
                  voxels are labels";
    Err(Error::invalid("label names of a volume of", kind, reason))
}

/// A scan in the form in which its voxels are stored.
struct Surveyed {
    scan: Box<dyn Scan>,
    /// The type that reads return.
    source: Dtype,
    /// What was found, if the scan was read through.
    finding: Option<Finding>,
}

/// Replaces scaled labels by their meaning, and narrows voxels if that is wanted.
fn survey(
    scan: Box<dyn Scan>,
    options: &ConvertOptions,
    progress: &(dyn Fn(u64) -> bool + Sync),
) -> Result<Surveyed> {
    let source = scan.header().dtype;
    match (scan.header().scaling, options.kind_of(scan.header())) {
        (Some(scaling), Kind::Label) => {
            let (scan, finding) = labels::meant(scan, scaling, progress)?;
            let source = scan.header().dtype;
            Ok(Surveyed { scan, source, finding: Some(finding) })
        }
        _ if options.narrow => {
            let (scan, finding) = narrow(scan, progress)?;
            Ok(Surveyed { scan, source, finding: Some(finding) })
        }
        _ => Ok(Surveyed { scan, source, finding: None }),
    }
}

/// The index, or a finding if there is none where a user may miss it.
fn or_finding(
    index: Option<Result<SamplingIndex, String>>,
) -> (Option<SamplingIndex>, Option<Finding>) {
    let finding = |reason| Finding::decided(format!("there is no index for sampling: {reason}"));
    index.transpose().map_or_else(|reason| (None, Some(finding(reason))), |index| (index, None))
}

/// Adds the result of narrowing to a codec's error, because narrower voxels might have fitted the
/// codec.
fn not_narrowed(error: Error, narrowing: Option<&Finding>) -> Error {
    match (error, narrowing) {
        (
            Error::InvalidArgument { what, value, reason, hint: Some(Hint::Narrow) },
            Some(finding),
        ) => Error::invalid(what, value, format!("{reason} ({})", finding.message)),
        (error, _) => error,
    }
}

/// Integers with few distinct values are more often labels than intensities.
fn perhaps_labels(statistics: &Statistics, dtype: Dtype) -> Option<Finding> {
    let Statistics::Intensity(found) = statistics else { return None };
    let values = found.bins.len();
    let few = dtype.is_integer() && (2..=FEW_VALUES).contains(&values);
    few.then(|| {
        Finding::guessed(format!(
            "taken as intensities, though only {values} values occur: if these are labels, convert \
             again as a label map (--label)"
        ))
    })
}
