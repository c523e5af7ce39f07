//! Normalisation of real values: clip, shift and divide.

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// A real value `v` becomes `(clip(v) - mean) / std`.
///
/// [`crate::Volume::z_score`] and its neighbours make it from a volume's own statistics. For a
/// whole dataset, give the numbers: the usual one of CT clips to percentiles of the foreground of
/// all scans and takes their mean and deviation.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Normalise {
    /// Values are first clipped to this range.
    pub clip: Option<(f64, f64)>,
    /// The value that becomes 0.
    pub mean: f64,
    /// The distance from `mean` that becomes 1; greater than 0.
    pub std: f64,
}

impl Normalise {
    /// Maps `low` to 0 and `high` to 1, and clips values outside: the window of a CT.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] unless both are finite and `low` is less than `high`.
    pub fn range(low: f64, high: f64) -> Result<Self> {
        Self { clip: Some((low, high)), mean: low, std: high - low }.checked()
    }

    /// Checks that finite values give finite numbers.
    pub(crate) fn checked(self) -> Result<Self> {
        let Self { clip, mean, std } = self;
        let refuse = |what, value: String, reason| Err(Error::invalid(what, value, reason));
        if let Some((low, high)) = clip
            && !(low.is_finite() && high.is_finite() && low <= high)
        {
            let reason = "both must be finite, and the first not above the second";
            return refuse("range of values", format!("{low} to {high}"), reason);
        }
        if !mean.is_finite() {
            return refuse("mean", mean.to_string(), "it must be finite");
        }
        if !(std.is_finite() && std > 0.0) {
            let reason = "values are divided by it: it must be finite and greater than 0, which \
                          it is not where all values are the same";
            return refuse("standard deviation", std.to_string(), reason);
        }
        Ok(self)
    }

    /// NaN stays NaN.
    #[inline]
    pub(crate) fn apply(self, value: f64) -> f64 {
        // Faster than `clamp`, which checks its bounds for each value.
        let value = match self.clip {
            Some((low, _)) if value < low => low,
            Some((_, high)) if value > high => high,
            _ => value,
        };
        (value - self.mean) / self.std
    }
}
