//! Statistics of the voxels of a volume, gathered in one pass.
//!
//! [`StatisticsAccumulator`] counts, [`Statistics`] is the result. All numbers are about stored
//! voxels, before any scaling. For integers and `float16`, the result does not depend on the
//! division into parts or the order of merging. For wider floats, the last digits of the mean and
//! the deviation do; the same parts merged in the same order give the same digits.

mod accumulator;
mod cells;
mod form;
mod histogram;
mod moments;
mod packed;
mod table;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use accumulator::StatisticsAccumulator;

/// The statistics of one volume, for measurements or labels.
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
    /// The number of finite voxels, to which all other fields refer.
    pub voxels: u64,
    /// NaN and infinite voxels, which are excluded from all other fields.
    pub non_finite: u64,
    /// `None` if there is no finite voxel.
    pub moments: Option<Moments>,
    /// At most 1024 bins, ascending and disjoint, of roughly equal counts; fewer, but at least 360,
    /// where values of types wider than 16 bits would take more than 10 kB in a document. A value
    /// with more voxels than a bin should have gets its own bin; if there are few values, every
    /// value does.
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
    /// Mean. For integers, computed from exact sums.
    pub mean: f64,
    /// Standard deviation of the population (divided by the number of voxels, not one less). For
    /// integers, computed from exact sums, unless their range exceeds about 2^49.
    pub std: f64,
}

/// The number of voxels from `low` to `high`, both included; both values occur in the volume.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
#[non_exhaustive]
pub struct Bin {
    pub low: f64,
    pub high: f64,
    pub count: u64,
}

impl IntensityStatistics {
    /// The value below which `p` percent of the voxels lie, interpolated between neighbours as in
    /// `numpy.percentile`; `p` is clamped to 0 to 100. `None` without voxels, or if `p` is NaN.
    ///
    /// Exact if every voxel value has its own bin, and at 0 and 100. Otherwise off by at most the
    /// width of the bin, because voxels are assumed to be spread evenly in a bin. A bin that is
    /// wider than one value holds at most 0.2 % of the voxels, so that the result is a percentile
    /// between `p - 0.2` and `p + 0.2`. For types wider than 16 bits it holds at most 0.6 % of
    /// them, mostly 0.2 %, or spans at most 2^-10 of its value.
    #[must_use]
    #[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, clippy::cast_sign_loss)]
    pub fn percentile(&self, p: f64) -> Option<f64> {
        let total = self.bins.iter().fold(0_u64, |sum, bin| sum.saturating_add(bin.count));
        if total == 0 || p.is_nan() {
            return None;
        }
        let rank = p.clamp(0.0, 100.0) / 100.0 * (total - 1) as f64;
        // Casts saturate; a rank that rounding lifts past the last voxel is limited to it.
        let below = (rank.floor() as u64).min(total - 1);
        let (low, high) = (self.ranked(below)?, self.ranked((below + 1).min(total - 1))?);
        let part = rank - below as f64;
        Some(if part > 0.0 { low * (1.0 - part) + high * part } else { low })
    }

    /// The value of the voxel with this rank, from 0, in ascending order.
    #[allow(clippy::cast_precision_loss)]
    fn ranked(&self, mut rank: u64) -> Option<f64> {
        for bin in &self.bins {
            if rank >= bin.count {
                rank -= bin.count;
                continue;
            }
            // The first voxel of a bin has the value `low`, the last has `high`.
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
    /// Number of voxels.
    pub voxels: u64,
    /// Every label that occurs, ascending.
    pub labels: Vec<LabelCount>,
}

/// The number of voxels with a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LabelCount {
    /// The label: any `i64` or `u64`.
    #[serde(serialize_with = "write_label", deserialize_with = "read_label")]
    pub label: i128,
    /// Number of voxels with the label; not 0.
    pub voxels: u64,
}

/// Not every part of serde supports 128-bit numbers; all support 64-bit ones.
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
