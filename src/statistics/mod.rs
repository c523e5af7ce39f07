//! What the voxels of a volume are like, gathered while they pass by.
//!
//! [`StatisticsAccumulator`] counts, [`Statistics`] is the result. All numbers are about voxels as
//! stored, before any scaling. For integers and `float16` nothing depends on how the voxels were
//! divided or in which order parts were merged; for wider floats the mean and the deviation do, in
//! their last digits, and are the same again when the same parts are merged in the same order.

mod accumulator;
mod cells;
mod form;
mod histogram;
mod moments;
mod packed;
mod table;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use accumulator::StatisticsAccumulator;

/// The statistics of one volume, by what its voxels mean.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Statistics {
    /// Of measurements.
    Intensity(IntensityStatistics),
    /// Of labels.
    Label(LabelStatistics),
}

/// Statistics of measurements.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct IntensityStatistics {
    /// Voxels counted below: the finite ones.
    pub voxels: u64,
    /// NaN and infinite voxels, which are left out of everything else.
    pub non_finite: u64,
    /// `None` if there is no finite voxel.
    pub moments: Option<Moments>,
    /// At most 1024 bins, ascending and apart, of roughly equal counts; fewer, but 360 at least,
    /// where values of types wider than 16 bits would take more than 10 kB as text. A value with more
    /// voxels than that has a bin to itself, and so has every value if there are few.
    pub bins: Vec<Bin>,
}

/// Range, mean and deviation. 64-bit integers beyond 2^53 are rounded to `f64`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Moments {
    /// Smallest voxel.
    pub min: f64,
    /// Largest voxel.
    pub max: f64,
    /// Mean. For integers computed from exact sums.
    pub mean: f64,
    /// Standard deviation of the population (divided by the number of voxels, not one less). For
    /// integers computed from exact sums, unless their range is beyond about 2^49.
    pub std: f64,
}

/// Voxels from `low` to `high`, both included; both occur in the volume.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
#[non_exhaustive]
pub struct Bin {
    pub low: f64,
    pub high: f64,
    pub count: u64,
}

impl IntensityStatistics {
    /// The value below which `p` percent of the voxels lie, between neighbours interpolated as in
    /// `numpy.percentile`; `p` is clamped to 0 to 100. `None` without voxels, or if `p` is NaN.
    ///
    /// Exact if every voxel value has its own bin, and at 0 and 100. Otherwise off by at most the
    /// width of the bin it falls in, as voxels are taken to be spread evenly in a bin. A bin that is
    /// wider than a value holds at most 0.2 % of the voxels, so that this is a percentile between
    /// `p - 0.2` and `p + 0.2`. For types wider than 16 bits it holds at most 0.6 % of them, mostly
    /// 0.2 %, or spans at most 2^-10 of its value.
    #[must_use]
    #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, clippy::cast_sign_loss)]
    pub fn percentile(&self, p: f64) -> Option<f64> {
        let total = self.bins.iter().fold(0_u64, |sum, bin| sum.saturating_add(bin.count));
        if total == 0 || p.is_nan() {
            return None;
        }
        let rank = p.clamp(0.0, 100.0) / 100.0 * (total - 1) as f64;
        // Casts saturate; a rank that rounding lifts past the last voxel stays on it.
        let below = (rank.floor() as u64).min(total - 1);
        let (low, high) = (self.ranked(below)?, self.ranked((below + 1).min(total - 1))?);
        let part = rank - below as f64;
        Some(if part > 0.0 { low * (1.0 - part) + high * part } else { low })
    }

    /// The voxel of this rank, from 0, in ascending order.
    #[allow(clippy::cast_precision_loss)]
    fn ranked(&self, mut rank: u64) -> Option<f64> {
        for bin in &self.bins {
            if rank >= bin.count {
                rank -= bin.count;
                continue;
            }
            // The first voxel of a bin is at its low end, the last at its high end.
            let part = rank as f64 / (bin.count - 1).max(1) as f64;
            return Some(bin.low * (1.0 - part) + bin.high * part);
        }
        None
    }
}

/// Statistics of labels.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LabelStatistics {
    /// All voxels.
    pub voxels: u64,
    /// Every label that occurs, ascending.
    pub labels: Vec<LabelCount>,
}

/// How many voxels have a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LabelCount {
    /// The label: any `i64` or `u64`.
    #[serde(serialize_with = "write_label", deserialize_with = "read_label")]
    pub label: i128,
    /// Its voxels; not 0.
    pub voxels: u64,
}

/// 128-bit numbers do not pass through every part of serde; 64-bit ones do.
fn write_label<S: Serializer>(label: &i128, serializer: S) -> Result<S::Ok, S::Error> {
    match (i64::try_from(*label), u64::try_from(*label)) {
        (Ok(label), _) => serializer.serialize_i64(label),
        (_, Ok(label)) => serializer.serialize_u64(label),
        _ => Err(serde::ser::Error::custom("a label beyond 64 bits")),
    }
}

fn read_label<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i128, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Label {
        Unsigned(u64),
        Signed(i64),
    }
    Ok(match Label::deserialize(deserializer)? {
        Label::Unsigned(label) => label.into(),
        Label::Signed(label) => label.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statistics_read_from_damaged_metadata_do_not_panic() {
        let full = Bin { low: 1.0, high: 0.0, count: u64::MAX };
        let empty = Bin { count: 0, ..full };
        for bins in [vec![], vec![empty], vec![full, full], vec![empty, full]] {
            let statistics = IntensityStatistics { voxels: 1, non_finite: 0, moments: None, bins };
            for p in [f64::NAN, -1.0, 0.0, 50.0, 100.0, f64::INFINITY] {
                let _ = statistics.percentile(p);
            }
        }
    }
}
