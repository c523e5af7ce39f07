//! The form of statistics in a volume's document.
//!
//! A histogram is one encoded string, `histogram`, and so are many labels, `counts`. Stores of
//! earlier versions list `bins` and `labels` one by one; both forms are read. The counts that are
//! read are checked against the number of voxels.

use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Bin, IntensityStatistics, LabelCount, LabelStatistics, Moments, packed};

/// Up to this many labels are listed, for programs that read the document without this library.
const LISTED: usize = 32;

#[derive(Serialize, Deserialize)]
struct IntensityForm {
    voxels: u64,
    non_finite: u64,
    moments: Option<Moments>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    histogram: Option<String>,
    /// In stores of an earlier version.
    #[serde(default, skip_serializing)]
    bins: Option<Vec<Bin>>,
}

#[derive(Serialize, Deserialize)]
struct LabelForm {
    voxels: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    labels: Option<Vec<LabelCount>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    counts: Option<String>,
}

impl Serialize for IntensityStatistics {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let histogram = packed::bins(&self.bins);
        let histogram = histogram.ok_or_else(|| S::Error::custom("bins that do not ascend"))?;
        let &Self { voxels, non_finite, moments, .. } = self;
        let form =
            IntensityForm { voxels, non_finite, moments, histogram: Some(histogram), bins: None };
        form.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for IntensityStatistics {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let form = IntensityForm::deserialize(deserializer)?;
        let bins = match (form.histogram, form.bins) {
            (Some(text), None) => {
                let sum = |bins: &Vec<Bin>| {
                    bins.iter().try_fold(0_u64, |sum, bin| sum.checked_add(bin.count))
                };
                let bins = packed::read_bins(&text);
                bins.filter(|bins| sum(bins) == Some(form.voxels))
                    .ok_or_else(|| D::Error::custom("histogram is not one of its voxels"))?
            }
            (None, Some(bins)) => bins,
            _ => return Err(D::Error::custom("neither histogram nor bins, or both")),
        };
        Ok(Self { voxels: form.voxels, non_finite: form.non_finite, moments: form.moments, bins })
    }
}

impl Serialize for LabelStatistics {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let form = if self.labels.len() <= LISTED {
            let labels = Some(self.labels.clone());
            LabelForm { voxels: self.voxels, labels, counts: None }
        } else {
            let counts = packed::labels(&self.labels);
            let counts = counts.ok_or_else(|| S::Error::custom("labels that do not ascend"))?;
            LabelForm { voxels: self.voxels, labels: None, counts: Some(counts) }
        };
        form.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for LabelStatistics {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let LabelForm { voxels, labels, counts } = LabelForm::deserialize(deserializer)?;
        let labels = match (labels, counts) {
            (Some(labels), None) => labels,
            (None, Some(text)) => {
                let sum = |labels: &Vec<LabelCount>| {
                    labels.iter().try_fold(0_u64, |sum, label| sum.checked_add(label.voxels))
                };
                let labels = packed::read_labels(&text);
                labels
                    .filter(|labels| sum(labels) == Some(voxels))
                    .ok_or_else(|| D::Error::custom("counts are not those of its voxels"))?
            }
            _ => return Err(D::Error::custom("neither labels nor counts, or both")),
        };
        Ok(Self { voxels, labels })
    }
}
