//! Bringing real values to a common range: clipped, shifted and divided.

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// A real value `v` becomes `(clip(v) - mean) / std`.
///
/// From a volume's own statistics it is made by [`crate::Volume::z_score`] and its neighbours, for
/// a whole dataset it is given: clipped to percentiles of the foreground of all scans, and with
/// their mean and deviation, it is the usual one of CT.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Normalise {
    /// Values are first brought between these two, both included.
    pub clip: Option<(f64, f64)>,
    /// What becomes 0.
    pub mean: f64,
    /// What becomes 1 above that; greater than 0.
    pub std: f64,
}

impl Normalise {
    /// From `low` to `high` as 0 to 1, and what lies outside as 0 or 1: the window of a CT.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] unless both are finite and `low` is less than `high`.
    pub fn range(low: f64, high: f64) -> Result<Self> {
        Self { clip: Some((low, high)), mean: low, std: high - low }.checked()
    }

    /// This one, if it gives finite numbers for finite values.
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
        // Not `clamp`, which looks at its bounds for each value.
        let value = match self.clip {
            Some((low, _)) if value < low => low,
            Some((_, high)) if value > high => high,
            _ => value,
        };
        (value - self.mean) / self.std
    }
}
