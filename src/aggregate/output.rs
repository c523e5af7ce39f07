//! Outputs: the volumes that are made of predictions, and the type of their voxels.

use std::fmt;
use std::str::FromStr;

use crate::layout::{Codec, PlanOptions, Workload};
use crate::setters::setters;
use crate::{Dtype, Error, Kind, Result, Scaling, VolumeName};

/// What is stored of the blended predictions. The stored values are worked out when a chunk is
/// finished: class scores reach the disk only if they are asked for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Values {
    /// The means as they are.
    Float32,
    /// Rounded to half precision. Values that would become infinite, from 65520 on, are treated as
    /// [`super::NonFinite`] says.
    Float16,
    /// 8-bit numbers `q`, the nearest to `value / scale`, cut off at 0 and 255. The volume declares
    /// the scale, rounded to single precision; read as real values, it gives `q * scale`.
    UInt8 {
        /// Positive: 1/255 for probabilities.
        scale: f64,
    },
    /// The same with 16-bit numbers, cut off at 0 and 65535.
    UInt16 {
        /// Positive: 1/65535 for probabilities.
        scale: f64,
    },
    /// The number of the channel with the greatest value, the first of equals, as a label map
    /// without channels: 8 bits for up to 256 classes, else 16. NaN is greater than all.
    Argmax,
    /// 1 where a channel is at least this value, else 0 (also for NaN): a label map of each
    /// channel.
    Threshold(f32),
}

impl Values {
    /// Probabilities in 8 bits.
    pub const PROBABILITY_8: Self = Self::UInt8 { scale: 1.0 / 255.0 };
    /// Probabilities in 16 bits.
    pub const PROBABILITY_16: Self = Self::UInt16 { scale: 1.0 / 65535.0 };

    /// Type of the voxels, for predictions with this number of channels.
    #[must_use]
    pub const fn dtype(self, channels: usize) -> Dtype {
        match self {
            Self::Float32 => Dtype::Float32,
            Self::Float16 => Dtype::Float16,
            Self::UInt16 { .. } => Dtype::UInt16,
            Self::Argmax if channels > 256 => Dtype::UInt16,
            Self::UInt8 { .. } | Self::Argmax | Self::Threshold(_) => Dtype::UInt8,
        }
    }

    /// Channels of the volume, for predictions with this number of channels.
    #[must_use]
    pub const fn channels(self, channels: usize) -> usize {
        if matches!(self, Self::Argmax) { 1 } else { channels }
    }

    /// What the voxels mean.
    #[must_use]
    pub const fn kind(self) -> Kind {
        if matches!(self, Self::Argmax | Self::Threshold(_)) {
            Kind::Label
        } else {
            Kind::Intensity
        }
    }

    /// The least number that becomes infinite in the stored type: for half precision, half way
    /// between its greatest number and the next step.
    pub(super) const fn limit(self) -> f32 {
        match self {
            Self::Float16 => 65520.0,
            _ => f32::INFINITY,
        }
    }

    /// The scaling from stored voxels to values.
    pub(super) const fn scaling(self) -> Option<Scaling> {
        match self {
            Self::UInt8 { scale } | Self::UInt16 { scale } => {
                Some(Scaling { slope: scale, intercept: 0.0 })
            }
            _ => None,
        }
    }

    /// The default compression. It follows from the type alone, because the bytes of an output must
    /// not depend on the order of the patches or on the speed of this machine. Scores are noise in
    /// their low bits, which no compressor shrinks: the fastest codec is enough. Labels shrink to
    /// almost nothing with any codec, most with Zstandard; a higher level of it takes as long as
    /// all the adding and gains little.
    pub(super) fn codec(self) -> Codec {
        use crate::layout::BloscCompressor::{Lz4, Zstd};
        match self.kind() {
            Kind::Label => Codec::Blosc { compressor: Zstd, level: 2 },
            _ => Codec::Blosc { compressor: Lz4, level: 5 },
        }
    }

    /// Rounds the scale to single precision, as NIfTI-1 does: stored voxels are then multiples of
    /// exactly the number that every reader of an exported file finds.
    pub(super) fn with_exact_scale(self) -> Self {
        match self {
            Self::UInt8 { scale } => Self::UInt8 { scale: single(scale) },
            Self::UInt16 { scale } => Self::UInt16 { scale: single(scale) },
            other => other,
        }
    }

    fn check(self, channels: usize) -> Result<()> {
        let positive = |n: f64| single(n).is_finite() && single(n) > 0.0;
        match self {
            Self::UInt8 { scale } | Self::UInt16 { scale } if !positive(scale) => {
                Err(Error::invalid("scale", scale, "must be positive, such as 0.00392 for 1/255"))
            }
            Self::Threshold(threshold) if !threshold.is_finite() => {
                Err(Error::invalid("threshold", threshold, "must be a finite number"))
            }
            Self::Argmax if channels < 2 => {
                let reason = "argmax needs two classes or more; for one class, use a threshold";
                Err(Error::invalid("channels", channels, reason))
            }
            Self::Argmax if channels > 1 << 16 => {
                Err(Error::invalid("channels", channels, "argmax takes 65536 classes at most"))
            }
            _ => Ok(()),
        }
    }
}

/// The nearest number in single precision.
#[allow(clippy::cast_possible_truncation)]
fn single(n: f64) -> f64 {
    f64::from(n as f32)
}

impl fmt::Display for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Float32 => f.pad("float32"),
            Self::Float16 => f.pad("float16"),
            Self::UInt8 { scale } => write!(f, "uint8:{scale}"),
            Self::UInt16 { scale } => write!(f, "uint16:{scale}"),
            Self::Argmax => f.pad("argmax"),
            Self::Threshold(threshold) => write!(f, "threshold:{threshold}"),
        }
    }
}

impl FromStr for Values {
    type Err = Error;

    /// `float32`, `float16`, `uint8` or `uint16` (probabilities, or `uint8:SCALE`), `argmax`,
    /// `threshold` (0.5, or `threshold:T`).
    fn from_str(s: &str) -> Result<Self> {
        let (name, number) = s.split_once(':').map_or((s, None), |(name, n)| (name, Some(n)));
        let values = match (name, number) {
            ("float32", None) => Some(Self::Float32),
            ("float16", None) => Some(Self::Float16),
            ("uint8", None) => Some(Self::PROBABILITY_8),
            ("uint16", None) => Some(Self::PROBABILITY_16),
            ("argmax", None) => Some(Self::Argmax),
            ("threshold", None) => Some(Self::Threshold(0.5)),
            ("uint8", Some(scale)) => scale.parse().ok().map(|scale| Self::UInt8 { scale }),
            ("uint16", Some(scale)) => scale.parse().ok().map(|scale| Self::UInt16 { scale }),
            ("threshold", Some(t)) => t.parse().ok().map(Self::Threshold),
            _ => None,
        };
        let Some(values) = values else {
            let reason = "use float32, float16, uint8, uint16, uint8:SCALE, uint16:SCALE, argmax, \
                          threshold or threshold:T";
            return Err(Error::invalid("values", s, reason));
        };
        // Two channels, which every kind of values accepts.
        values.check(2).map(|()| values)
    }
}

/// The most heads that are read.
const HEADS: usize = 64;

/// One volume to be made of predictions. Several outputs may be made of the same head.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Output {
    /// The name of the volume in the dataset.
    pub name: VolumeName,
    /// The head of the model that the output is made of, from 0, below 64. Outputs of one head have
    /// the same channels and the same factor. Outputs that are cut into the same chunks, which
    /// those of one head are by default, share their sums.
    pub head: usize,
    /// Channels of a prediction, independent of the channels of the input.
    pub channels: usize,
    /// What is stored of the predictions.
    pub values: Values,
    /// Voxels of the input per voxel of the prediction, `z, y, x`: 1, or the stride of a network
    /// whose predictions are smaller than its input. Must divide the patch on each axis. A patch
    /// that starts between two voxels of the output counts from the earlier one; steps that are
    /// multiples of the factor avoid that, except for the last patch of an axis.
    pub factor: [usize; 3],
    /// The reads to lay the volume out for; by default, random patches of the prediction's shape.
    pub workload: Option<Workload>,
    /// The codec of the chunks. By default LZ4 in blosc, and for labels Zstandard in blosc.
    pub codec: Option<Codec>,
    /// Shape of a chunk, `z, y, x`. By default it suits the widest type that is stored of the head.
    pub chunk: Option<[usize; 3]>,
    /// Shape of a shard, `z, y, x`: a whole number of chunks along each axis. By default a shard is
    /// flat, so that it is finished soon: along the axis on which patches proceed as thick as a
    /// chunk (or several, up to 8 MiB), ending at the same planes as the shards of the other
    /// outputs.
    pub shard: Option<[usize; 3]>,
}

setters!(Output {
    name: VolumeName,
    head: usize,
    channels: usize,
    values: Values,
    factor: [usize; 3],
    workload: Option<Workload>,
    codec: Option<Codec>,
    chunk: Option<[usize; 3]>,
    shard: Option<[usize; 3]>,
});

impl Output {
    /// An output of the first head, on the grid of the input.
    #[must_use]
    pub const fn new(name: VolumeName, channels: usize, values: Values) -> Self {
        let (head, factor, workload) = (0, [1; 3], None);
        let (codec, chunk, shard) = (None, None, None);
        Self { name, head, channels, values, factor, workload, codec, chunk, shard }
    }

    /// Refuses a head beyond the limit.
    pub(crate) fn check_head(&self) -> Result<()> {
        if self.head < HEADS {
            return Ok(());
        }
        let reason = format!("heads are counted from 0, and there are at most {HEADS}");
        Err(Error::invalid("head", self.head, reason))
    }

    pub(super) fn check(&self, patch: [usize; 3]) -> Result<()> {
        self.check_head()?;
        if self.channels == 0 {
            return Err(Error::invalid("channels", 0, "a prediction has at least one channel"));
        }
        let whole = |a: usize| self.factor[a] > 0 && patch[a].is_multiple_of(self.factor[a]);
        if !(0..3).all(whole) {
            let reason = format!(
                "must divide the patch, {} (z, y, x), on each axis",
                crate::error::show(&patch)
            );
            return Err(Error::invalid("factor", crate::error::show(&self.factor), reason));
        }
        self.values.check(self.channels)
    }

    /// The options for the planner of layouts.
    pub(super) fn plan_options(&self) -> PlanOptions {
        let codec = self.codec.unwrap_or_else(|| self.values.codec());
        PlanOptions { codec, chunk: self.chunk, shard: self.shard }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_parse_back_and_wrong_ones_are_refused() {
        for text in ["float32", "float16", "uint8:0.5", "uint16:2", "argmax", "threshold:0.25"] {
            assert_eq!(text.parse::<Values>().unwrap().to_string(), text);
        }
        assert_eq!("uint8".parse::<Values>().unwrap(), Values::PROBABILITY_8);
        for wrong in ["", "int8", "uint8:0", "uint8:x", "threshold:nan", "argmax:3", "float32:1"] {
            assert!(wrong.parse::<Values>().is_err(), "{wrong}");
        }
    }
}
