//! Frames: the 3-D volumes of a scan or a stored volume, one for each time point and channel.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Error, Hint, Result};

/// One 3-D volume of a scan or a stored volume: a time point and a channel, both from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
#[allow(missing_docs)]
pub struct Frame {
    pub time: usize,
    pub channel: usize,
}

/// The frames of a volume that become the channels of a patch `c, z, y, x`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub enum Frames {
    /// All channels of the only time point. An error for a volume with several time points, because
    /// a model that sees only one of them would predict without notice.
    #[default]
    OnlyTime,
    /// All channels of this time point, from 0.
    Time(usize),
    /// All channels of the first time point, then those of the next: for volumes whose time points
    /// are the channels of a model, such as the weightings of an MR.
    All,
}

impl Frames {
    /// The frames of a volume with this number of time points and channels, in the order of a
    /// patch's channels.
    pub(crate) fn of(
        self,
        times: usize,
        channels: usize,
    ) -> Result<impl ExactSizeIterator<Item = Frame> + Clone> {
        let (first, count) = match self {
            Self::OnlyTime if times > 1 => {
                let reason = "the volume has several time points; choose one of them, or take all \
                              of them as channels";
                let refused = Error::invalid("time points", times, reason);
                return Err(refused.hinting(Hint::TimePoints));
            }
            Self::Time(time) if time >= times => {
                let reason = match times {
                    1 => "the volume has no other time point than 0".to_owned(),
                    _ => format!("the volume has {times}, counted from 0"),
                };
                return Err(Error::invalid("time point", time, reason));
            }
            Self::OnlyTime => (0, 1),
            Self::Time(time) => (time, 1),
            Self::All => (0, times),
        };
        let frame = move |n| Frame { time: first + n / channels, channel: n % channels };
        Ok((0..count * channels).map(frame))
    }
}

impl fmt::Display for Frames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OnlyTime => f.write_str("the only time point"),
            Self::Time(time) => write!(f, "time point {time}"),
            Self::All => f.write_str("all time points"),
        }
    }
}

/// The meaning of a file's fourth axis, after x, y and z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FourthAxis {
    /// The same place at several times, the default of NIfTI.
    Time,
    /// Several images of one place, such as the weightings of an MR.
    Channels,
}

impl fmt::Display for FourthAxis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Time => "time",
            Self::Channels => "channels",
        })
    }
}

impl FromStr for FourthAxis {
    type Err = Error;

    fn from_str(s: &str) -> Result<Self> {
        match s {
            "time" => Ok(Self::Time),
            "channels" => Ok(Self::Channels),
            _ => Err(Error::invalid("fourth axis", s, "use channels or time")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(frames: Frames, times: usize, channels: usize) -> Result<Vec<(usize, usize)>> {
        let of = frames.of(times, channels)?;
        assert_eq!(of.len(), of.clone().count());
        Ok(of.map(|frame| (frame.time, frame.channel)).collect())
    }

    #[test]
    fn channels_of_a_patch_are_ordered_by_time_then_channel() {
        let all = frames(Frames::All, 2, 3).unwrap();
        assert_eq!(all, [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]);
        assert_eq!(frames(Frames::Time(1), 2, 3).unwrap(), [(1, 0), (1, 1), (1, 2)]);
        assert_eq!(frames(Frames::OnlyTime, 1, 2).unwrap(), [(0, 0), (0, 1)]);
    }

    #[test]
    fn time_points_that_are_not_there_or_not_chosen_are_refused() {
        assert!(frames(Frames::Time(2), 2, 1).unwrap_err().to_string().contains("has 2"));
        assert!(frames(Frames::OnlyTime, 2, 1).unwrap_err().to_string().contains("channels"));
    }
}
