//! Numbers to normalise a volume by, from its own statistics.

use super::volume::Volume;
use crate::normalise::Normalise;
use crate::statistics::{IntensityStatistics, Moments};
use crate::{Error, Result, Scaling, Statistics};

impl Volume {
    /// To mean 0 and deviation 1, over all voxels of all frames of this volume.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for labels, and where no voxel is finite or all are the same.
    pub fn z_score(&self) -> Result<Normalise> {
        let Moments { mean, std, .. } = self.real_moments()?;
        Normalise { clip: None, mean, std }.checked()
    }

    /// As [`Volume::z_score`], and clipped to percentiles from `low` to `high` (0 to 100), such as
    /// 0.5 and 99.5. Mean and deviation are those of all voxels, none of them clipped.
    ///
    /// # Errors
    /// As [`Volume::z_score`], and unless `low` is at most `high`.
    pub fn clipped_z_score(&self, low: f64, high: f64) -> Result<Normalise> {
        Normalise { clip: Some(self.percentiles(low, high)?), ..self.z_score()? }.checked()
    }

    /// Percentiles from `low` to `high` (0 to 100) as 0 to 1, and what lies outside as 0 or 1.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for labels, and unless the first is a smaller value than the
    /// second.
    pub fn percentile_range(&self, low: f64, high: f64) -> Result<Normalise> {
        let (low, high) = self.percentiles(low, high)?;
        Normalise::range(low, high)
    }

    /// Of real values; see [`IntensityStatistics::percentile`] for how exact they are.
    fn percentiles(&self, low: f64, high: f64) -> Result<(f64, f64)> {
        let of = |p: f64| {
            if !(0.0..=100.0).contains(&p) {
                return Err(Error::invalid("percentile", p, "use 0 to 100"));
            }
            let Scaling { slope, intercept } = self.scaling();
            // A falling scaling turns the order around.
            let stored = self.measurements()?.percentile(if slope < 0.0 { 100.0 - p } else { p });
            Ok(stored.ok_or_else(|| self.nothing_finite())? * slope + intercept)
        };
        Ok((of(low)?, of(high)?))
    }

    fn real_moments(&self) -> Result<Moments> {
        let stored = self.measurements()?.moments.ok_or_else(|| self.nothing_finite())?;
        let Scaling { slope, intercept } = self.scaling();
        let [min, max, mean] =
            [stored.min, stored.max, stored.mean].map(|value| value * slope + intercept);
        Ok(Moments { min: min.min(max), max: max.max(min), mean, std: stored.std * slope.abs() })
    }

    /// Statistics of measurements; labels are refused, which are not normalised.
    pub(super) fn measurements(&self) -> Result<&IntensityStatistics> {
        match &self.attributes().statistics {
            Statistics::Intensity(statistics) => Ok(statistics),
            Statistics::Label(_) => {
                let reason = "it holds labels, which are not normalised; read them as they are, \
                              or converted";
                Err(Error::invalid("volume", self.name(), reason))
            }
        }
    }

    fn nothing_finite(&self) -> Error {
        Error::invalid("volume", self.name(), "no voxel of it is finite; give the numbers yourself")
    }

    fn scaling(&self) -> Scaling {
        self.attributes().scaling.unwrap_or(Scaling { slope: 1.0, intercept: 0.0 })
    }
}
