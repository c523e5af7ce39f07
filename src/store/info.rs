//! The description of a volume as one plain structure, for tables and JSON.

use serde::Serialize;

use super::{IndexInfo, Volume};
use crate::layout::{ChunkLayout, Workload};
use crate::statistics::{LabelCount, Moments};
use crate::{Affine, Dtype, Finding, Kind, Scaling, Spacing, Statistics};

/// The percentiles in the description.
const PERCENTILES: [f64; 5] = [0.5, 5.0, 50.0, 95.0, 99.5];

/// Everything that is known of a volume without reading its voxels.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct VolumeInfo {
    /// `SUBJECT/IMAGE`.
    pub name: String,
    /// Shape of a frame in voxels, `z, y, x`.
    pub shape: [usize; 3],
    /// Time points; 1 without a time axis.
    pub times: usize,
    /// Channels; 1 without a channel axis.
    pub channels: usize,
    /// Spacing in millimetres, `z, y, x`.
    pub spacing: Spacing,
    /// Type of the source's voxels, which reads return.
    pub dtype: Dtype,
    /// Type of the voxels on disk: the same or narrower.
    pub stored_dtype: Dtype,
    /// What the voxels mean.
    pub kind: Kind,
    /// The volume, `SUBJECT/IMAGE`, of which the voxels are a prediction; `None` for a scan.
    pub predicted_from: Option<String>,
    /// Chunks, shards and codec. Shapes are `z, y, x`.
    pub layout: ChunkLayout,
    /// The reads that the layout was chosen for.
    pub workload: Workload,
    /// Bytes of the voxels, in the source's type.
    pub raw_bytes: u64,
    /// Bytes of the shards.
    pub stored_bytes: u64,
    /// Bytes of the voxels per stored byte; `None` if nothing is stored, because all voxels are 0.
    pub ratio: Option<f64>,
    /// Voxel `(x, y, z)` to RAS millimetres.
    pub affine: Affine,
    /// The directions in which the voxel axes `x, y, z` run (in this order, as in
    /// `nibabel.aff2axcodes`): R or L, A or P, S or I.
    pub orientation: String,
    /// Seconds between time points, if known.
    pub time_step: Option<f64>,
    /// Scaling from stored voxels to real values; `None` if they are equal.
    pub scaling: Option<Scaling>,
    /// Distribution of the stored voxels.
    pub distribution: Distribution,
    /// The index for sampling by label or by weight; `None` if there is none.
    pub index: Option<IndexInfo>,
    /// Digest of the stored voxels, independent of their layout.
    pub voxel_digest: String,
    /// Format of the source.
    pub source_format: String,
    /// Decisions, guesses and repairs of the conversion.
    pub findings: Vec<Finding>,
}

/// A summary of the statistics.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Distribution {
    /// Distribution of measurements.
    Intensity {
        /// Range, mean and deviation; `None` if no voxel is finite.
        moments: Option<Moments>,
        /// Some percentiles, ascending; empty if no voxel is finite.
        percentiles: Vec<Percentile>,
        /// NaN and infinite voxels, which are excluded from the other fields.
        non_finite: u64,
    },
    /// Distribution of labels.
    Label {
        /// Each label that occurs, ascending, with its number of voxels.
        labels: Vec<LabelCount>,
    },
}

/// A percentile and its value.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Percentile {
    /// 0 to 100.
    pub percent: f64,
    /// The value below which this percentage of the voxels lies.
    pub value: f64,
}

impl From<&Statistics> for Distribution {
    fn from(statistics: &Statistics) -> Self {
        match statistics {
            Statistics::Intensity(s) => Self::Intensity {
                moments: s.moments,
                percentiles: PERCENTILES
                    .into_iter()
                    .filter_map(|percent| {
                        Some(Percentile { percent, value: s.percentile(percent)? })
                    })
                    .collect(),
                non_finite: s.non_finite,
            },
            Statistics::Label(s) => Self::Label { labels: s.labels.clone() },
        }
    }
}

impl Volume {
    /// Bytes of the voxels of all frames, uncompressed, in the source's type.
    #[must_use]
    pub fn raw_bytes(&self) -> u64 {
        let frames = self.times() * self.channels();
        (self.shape().iter().product::<usize>() * frames * self.dtype().size()) as u64
    }

    /// The description of this volume. Reads the index for sampling, if there is one, but no
    /// voxels.
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn info(&self) -> VolumeInfo {
        let attributes = self.attributes();
        let (raw_bytes, stored_bytes) = (self.raw_bytes(), self.stored_bytes());
        VolumeInfo {
            name: self.name().to_string(),
            shape: self.shape(),
            times: self.times(),
            channels: self.channels(),
            spacing: self.spacing(),
            dtype: self.dtype(),
            stored_dtype: self.stored_dtype(),
            kind: self.kind(),
            predicted_from: attributes.predicted_from.clone(),
            layout: *self.layout(),
            workload: attributes.workload.clone(),
            raw_bytes,
            stored_bytes,
            ratio: (stored_bytes > 0).then(|| raw_bytes as f64 / stored_bytes as f64),
            affine: *self.affine(),
            orientation: letters(self.affine()),
            time_step: attributes.time_step,
            scaling: attributes.scaling,
            distribution: (&attributes.statistics).into(),
            index: self.index_info(),
            voxel_digest: self.voxel_digest().to_owned(),
            source_format: attributes.source.format.clone(),
            findings: attributes.findings.clone(),
        }
    }
}

/// A letter for each voxel axis, `x` first.
fn letters(affine: &Affine) -> String {
    let of = |(world, forward): (usize, bool)| {
        [['L', 'R'], ['P', 'A'], ['I', 'S']][world][usize::from(forward)]
    };
    affine.orientation().into_iter().rev().map(of).collect()
}
