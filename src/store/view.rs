//! Handles that return other frames, or voxels otherwise than the source had them.

use super::values::Values;
use super::volume::Volume;
use crate::codec::{Cast, Real, Rows};
use crate::normalise::Normalise;
use crate::statistics::{IntensityStatistics, Moments};
use crate::{Dtype, Error, Frame, Frames, Result, Scaling, Statistics};

impl Volume {
    /// A handle on each of these frames, in the order of a patch's channels. They return voxels as
    /// this one does; the frame that this one looks at makes no difference.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if the time point is not there, or of several none is chosen.
    pub fn frames(&self, frames: Frames) -> Result<impl ExactSizeIterator<Item = Self>> {
        let frames = frames.of(self.times(), self.channels())?;
        Ok(frames.map(|frame| Self { frame, ..self.clone() }))
    }

    /// The frame that this handle looks at.
    pub(crate) fn looks_at(&self) -> Frame {
        self.frame
    }

    /// A handle that returns normalised real values as `f32`: `(clip(v) - mean) / std` of the
    /// values that [`Volume::scaled`] returns, computed in `f64` and rounded once.
    ///
    /// Of this, [`Volume::scaled`] and [`Volume::converted`] the last one counts.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for labels, a deviation that is not greater than 0, and bounds
    /// that are not finite and in order.
    pub fn normalised(&self, normalise: Normalise) -> Result<Self> {
        self.measurements()?;
        Ok(Self { values: Values::Normalised(normalise.checked()?), ..self.clone() })
    }

    /// A handle that returns voxels as another type, not scaled. What fits becomes what `astype` of
    /// `NumPy` makes of it: integers stay what they are, to become floats they are rounded to
    /// nearest, and floats are cut off towards 0 to become integers. An integer type gives its
    /// least or its greatest for what does not fit, and 0 for NaN.
    ///
    /// Of this, [`Volume::scaled`] and [`Volume::normalised`] the last one counts.
    #[must_use]
    pub fn converted(&self, dtype: Dtype) -> Self {
        Self { values: Values::Converted(dtype), ..self.clone() }
    }

    /// A handle that returns each patch mirrored along these axes, `z, y, x`: the same region, its
    /// last voxel first. What pads it is mirrored with it. Twice is not at all.
    #[must_use]
    pub fn flipped(&self, axes: [bool; 3]) -> Self {
        Self { flips: std::array::from_fn(|a| self.flips[a] != axes[a]), ..self.clone() }
    }

    /// How this handle's voxels are other than the source's, in words of no one's interest but to
    /// tell two handles apart; empty if they are not.
    pub(crate) fn view_name(&self) -> String {
        match (self.values, self.flips) {
            (Values::Source, [false, false, false]) => String::new(),
            (values, flips) => {
                let axes = ["z", "y", "x"].into_iter().zip(flips);
                let axes: Vec<_> = axes.filter_map(|(axis, flip)| flip.then_some(axis)).collect();
                let mirrored = match &axes[..] {
                    [] => String::new(),
                    axes => format!(", mirrored along {}", axes.join(" and ")),
                };
                format!(" ({}{mirrored})", values.words())
            }
        }
    }

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

    fn measurements(&self) -> Result<&IntensityStatistics> {
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

    /// Which axes are mirrored, `z, y, x`.
    pub(crate) fn flips(&self) -> [bool; 3] {
        self.flips
    }

    /// Type of the voxels that this handle returns: that of the source, unless it was asked for
    /// another.
    #[must_use]
    pub fn returned_dtype(&self) -> Dtype {
        match self.values {
            Values::Source => self.dtype(),
            Values::Real | Values::Normalised(_) => Dtype::Float32,
            Values::Converted(dtype) => dtype,
            Values::Stored => self.stored_dtype(),
        }
    }

    pub(super) fn rows(&self) -> Rows {
        let dtype = self.stored_dtype();
        let real = |normalise| {
            let scaling = self.scaling();
            Rows::ToF32 { dtype, real: Real { scaling, normalise } }
        };
        match self.values {
            Values::Source => self.stored.widening.map_or(Rows::Copy, Rows::Widen),
            Values::Real => real(None),
            Values::Normalised(normalise) => real(Some(normalise)),
            Values::Converted(to) if to == dtype => Rows::Copy,
            // From what is on disk, which is equal to the source's.
            Values::Converted(to) => Rows::Cast(Cast::between(dtype, to)),
            Values::Stored => Rows::Copy,
        }
    }
}
