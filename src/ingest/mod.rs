//! From a scan to a stored volume.

mod statistics;

pub use statistics::{
    Bin, IntensityStatistics, LabelCount, LabelStatistics, Moments, Statistics,
    StatisticsAccumulator,
};
