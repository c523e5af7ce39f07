//! What becomes of predictions: the volumes that are made, and the type of their voxels.

use std::fmt;
use std::str::FromStr;

use crate::layout::{Codec, PlanOptions, Workload};
use crate::setters::setters;
use crate::{Dtype, Error, Kind, Result, Scaling, VolumeName};

/// What is stored of the blended predictions. Whatever it is, it is worked out when a chunk is
/// finished: class scores reach the disk only if they are what is asked for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Values {
    /// As they are.
    Float32,
    /// Rounded to half precision. What would be infinite in it, from 65520 on, follows
    /// [`super::NonFinite`].
    Float16,
    /// As 8-bit numbers `q`, the nearest to `value / scale`, cut off at 0 and 255. The volume
    /// declares the scale, rounded to single precision, so that read as real values it gives
    /// `q * scale`.
    UInt8 {
        /// Positive: 1/255 for probabilities.
        scale: f64,
    },
    /// The same in 16 bits.
    UInt16 {
        /// Positive: 1/65535 for probabilities.
        scale: f64,
    },
    /// The number of the channel with the greatest value, the first of equals, as a label map
    /// without channels: 8 bits for up to 256 classes, else 16. NaN is greater than all.
    Argmax,
    /// 1 where a channel is at least this value, else 0 (and for NaN): a label map of each channel.
    Threshold(f32),
}

impl Values {
    /// Probabilities in 8 bits.
    pub const PROBABILITY_8: Self = Self::UInt8 { scale: 1.0 / 255.0 };
    /// Probabilities in 16 bits.
    pub const PROBABILITY_16: Self = Self::UInt16 { scale: 1.0 / 65535.0 };

    /// Type of the voxels, made from so many channels.
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

    /// Channels of the volume, made from so many.
    #[must_use]
    pub const fn channels(self, channels: usize) -> usize {
        if matches!(self, Self::Argmax) { 1 } else { channels }
    }

    /// What its voxels mean.
    #[must_use]
    pub const fn kind(self) -> Kind {
        if matches!(self, Self::Argmax | Self::Threshold(_)) {
            Kind::Label
        } else {
            Kind::Intensity
        }
    }

    /// The least number that is infinite in the type that is stored: of half precision the one
    /// half way between its greatest and the next that it would have.
    pub(super) const fn limit(self) -> f32 {
        match self {
            Self::Float16 => 65520.0,
            _ => f32::INFINITY,
        }
    }

    /// From stored voxels to values.
    pub(super) const fn scaling(self) -> Option<Scaling> {
        match self {
            Self::UInt8 { scale } | Self::UInt16 { scale } => {
                Some(Scaling { slope: scale, intercept: 0.0 })
            }
            _ => None,
        }
    }

    /// How chunks are compressed if nothing else is said. It follows from the type alone, as the
    /// bytes of an output must not depend on which patch came first or how fast this machine is.
    /// Scores are noise in their low bits, which no compressor shrinks: the fastest does. Labels
    /// shrink to next to nothing with any, and most with Zstandard, of which a higher level takes
    /// as long as all the adding and gains little.
    pub(super) fn codec(self) -> Codec {
        use crate::layout::BloscCompressor::{Lz4, Zstd};
        match self.kind() {
            Kind::Label => Codec::Blosc { compressor: Zstd, level: 2 },
            _ => Codec::Blosc { compressor: Lz4, level: 5 },
        }
    }

    /// With a scale that single precision holds, in which NIfTI-1 keeps it: what is stored is a
    /// multiple of the very number that every reader of an exported file finds.
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
                let reason = "argmax needs two classes or more; for one, use a threshold";
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
        // With as many channels as any takes.
        values.check(2).map(|()| values)
    }
}

/// So many heads are read at most.
const HEADS: usize = 64;

/// One volume to be made of predictions. Several may be made of the same.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Output {
    /// Its place in the dataset.
    pub name: VolumeName,
    /// Which of the model's predictions of a patch it is made of, from 0, 64 at most. Outputs of
    /// one head have the same channels and the same factor. Those that are cut into the same
    /// chunks, which they are unless something else is asked for, share all that is held of them.
    pub head: usize,
    /// Channels of a prediction, however many the input has.
    pub channels: usize,
    /// What is stored of them.
    pub values: Values,
    /// Voxels of the input to one of the prediction, `z, y, x`: 1, or the stride of a network whose
    /// predictions are smaller than what it is given. Each axis of the patch is a multiple. A patch
    /// that starts between two voxels of the output counts from the one before: steps that are
    /// multiples of the factor avoid that, but for the last patch of an axis.
    pub factor: [usize; 3],
    /// The reads to lay the volume out for; without, patches of the prediction's shape at random.
    pub workload: Option<Workload>,
    /// Codec, chunk and shard, where they are given. A shard is flat otherwise: as thick as a chunk
    /// (or several, up to 8 MiB) along the axis on which patches proceed, so that it is finished
    /// soon, and ends at the same planes as those of the other outputs. A chunk suits the widest
    /// type that is stored of the head. The codec is LZ4 in blosc, and Zstandard in blosc for
    /// labels.
    pub codec: Option<Codec>,
    /// Shape of a chunk, `z, y, x`.
    pub chunk: Option<[usize; 3]>,
    /// Shape of a shard, `z, y, x`: a whole number of chunks along each axis.
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

    /// Refuses a number that no head has.
    pub(crate) fn check_head(&self) -> Result<()> {
        if self.head < HEADS {
            return Ok(());
        }
        let reason = format!("heads are counted from 0, and are {HEADS} at most");
        Err(Error::invalid("head", self.head, reason))
    }

    pub(super) fn check(&self, patch: [usize; 3]) -> Result<()> {
        self.check_head()?;
        if self.channels == 0 {
            return Err(Error::invalid("channels", 0, "a prediction has one at least"));
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

    /// What the planner of layouts is told.
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
