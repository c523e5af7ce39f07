//! How overlapping predictions are blended.

use std::fmt;
use std::str::FromStr;

use crate::{Error, Result};

/// How predictions of overlapping patches become one value. `P` is the length of a patch along an
/// axis, `O` the overlap, `n` counts from 0; the windows of the three axes are multiplied.
///
/// All but [`Blend::Crop`] are means weighted by a window `w`: the sum of `w p` over the patches
/// that cover a voxel, divided by the sum of `w`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Blend {
    /// Only the middle of each patch counts: half an overlap is cut off where a neighbour follows
    /// (`O / 2` rounded down before, rounded up after), as in `TorchIO`'s `crop`. Where more than
    /// one patch still covers a voxel, the last in lexicographic order owns it, in whatever order
    /// predictions arrive.
    Crop,
    /// `w = 1`: `TorchIO`'s `average`, MONAI's `constant`.
    Average,
    /// `w(n) = sin^2(pi (n + 1) / (P + 1))`, as in `TorchIO` 1: a Hann window of length `P + 2`
    /// without the zeros at its ends.
    Hann,
    /// `w(n) = exp(-(n - (P - 1) / 2)^2 / (2 (s P)^2))` for a scale `s`. As in MONAI's `gaussian`,
    /// the product of the three axes is raised to a floor: its least value or 0.001, whichever is
    /// larger.
    Gaussian {
        /// Standard deviation divided by the length of the patch; MONAI takes 0.125.
        sigma_scale: f64,
    },
    /// `w(n) = exp(-(n - P / 2)^2 / (2 (P / 8)^2))`, the middle `P / 2` rounded down: nnU-Net's
    /// Gaussian. nnU-Net stores ten times the product of the three axes in 16 bits, and raises what
    /// becomes 0 there to the least number that does not: the floor is a tenth of `2^-24`.
    NnUNet,
}

impl Blend {
    /// MONAI's `sigma_scale`.
    pub const SIGMA_SCALE: f64 = 0.125;

    /// Refuses a scale that makes no window.
    pub(super) fn check(self) -> Result<()> {
        match self {
            Self::Gaussian { sigma_scale: s } if !(s.is_finite() && s > 0.0) => {
                Err(Error::invalid("sigma scale", s, "must be positive: 0.125 is MONAI's"))
            }
            _ => Ok(()),
        }
    }

    /// The window along an axis of a prediction of this length; `None` if it is 1 everywhere.
    #[allow(clippy::cast_precision_loss)]
    pub(super) fn window(self, length: usize) -> Option<Vec<f64>> {
        let window: Box<dyn Fn(f64) -> f64> = match self {
            Self::Crop | Self::Average => return None,
            Self::Hann => {
                let step = std::f64::consts::PI / (length as f64 + 1.0);
                Box::new(move |n| (step * (n + 1.0)).sin().powi(2))
            }
            Self::NnUNet => {
                let (sigma, middle) = (length as f64 / 8.0, (length / 2) as f64);
                Box::new(move |n| (-(n - middle).powi(2) / (2.0 * sigma * sigma)).exp())
            }
            Self::Gaussian { sigma_scale } => {
                let (sigma, middle) = (sigma_scale * length as f64, (length as f64 - 1.0) / 2.0);
                Box::new(move |n| (-(n - middle).powi(2) / (2.0 * sigma * sigma)).exp())
            }
        };
        Some((0..length).map(|n| window(n as f64)).collect())
    }

    /// The floor under the weight of a voxel, given the least value of each axis's window.
    pub(super) fn floor(self, least: [f64; 3]) -> f64 {
        match self {
            Self::Gaussian { .. } => least.into_iter().product::<f64>().max(1e-3),
            Self::NnUNet => 0.1 / f64::from(1 << 24),
            _ => 0.0,
        }
    }
}

impl fmt::Display for Blend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Crop => f.pad("crop"),
            Self::Average => f.pad("average"),
            Self::Hann => f.pad("hann"),
            Self::Gaussian { sigma_scale } => write!(f, "gaussian:{sigma_scale}"),
            Self::NnUNet => f.pad("nnunet"),
        }
    }
}

impl FromStr for Blend {
    type Err = Error;

    /// `crop`, `average` (or `constant`, MONAI's word for it), `hann`, `gaussian`,
    /// `gaussian:SCALE` or `nnunet`.
    fn from_str(s: &str) -> Result<Self> {
        let gaussian = |sigma_scale| Self::Gaussian { sigma_scale };
        let blend = match s.split_once(':') {
            None => match s {
                "crop" => Some(Self::Crop),
                "average" | "constant" => Some(Self::Average),
                "hann" => Some(Self::Hann),
                "gaussian" => Some(gaussian(Self::SIGMA_SCALE)),
                "nnunet" => Some(Self::NnUNet),
                _ => None,
            },
            Some(("gaussian", scale)) => scale.parse().ok().map(gaussian),
            Some(_) => None,
        };
        let Some(blend) = blend else {
            let reason = "use crop, average, constant, hann, gaussian, gaussian:SCALE or nnunet";
            return Err(Error::invalid("mode", s, reason));
        };
        blend.check().map(|()| blend)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_parse_back_and_wrong_ones_are_refused() {
        for text in ["crop", "average", "hann", "gaussian:0.125", "gaussian:0.5", "nnunet"] {
            assert_eq!(text.parse::<Blend>().unwrap().to_string(), text);
        }
        assert_eq!("constant".parse::<Blend>().unwrap(), Blend::Average);
        assert_eq!("gaussian".parse::<Blend>().unwrap().to_string(), "gaussian:0.125");
        for wrong in
            ["", "Crop", "gaussian:", "gaussian:0", "gaussian:-1", "gaussian:nan", "hann:1"]
        {
            assert!(wrong.parse::<Blend>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn windows_are_the_published_ones() {
        let close = |found: &[f64], expected: &[f64]| {
            assert_eq!(found.len(), expected.len());
            assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12), "{found:?}");
        };
        close(&Blend::Hann.window(3).unwrap(), &[0.5, 1.0, 0.5]);
        close(&Blend::Hann.window(1).unwrap(), &[1.0]);
        // exp(-x^2 / 2 sigma^2) with sigma = 0.5 and x = -1.5, -0.5, 0.5, 1.5.
        let (far, near) = ((-4.5_f64).exp(), (-0.5_f64).exp());
        let gaussian = Blend::Gaussian { sigma_scale: 0.125 };
        close(&gaussian.window(4).unwrap(), &[far, near, near, far]);
        close(&[gaussian.floor([far; 3])], &[1e-3]);
        close(&[gaussian.floor([0.5; 3])], &[0.125]);
        // sigma = 0.5 and 0.625, the middle at 2.
        let far = (-8.0_f64).exp();
        close(&Blend::NnUNet.window(4).unwrap(), &[far, (-2_f64).exp(), 1.0, (-2_f64).exp()]);
        let (far, near) = ((-5.12_f64).exp(), (-1.28_f64).exp());
        close(&Blend::NnUNet.window(5).unwrap(), &[far, near, 1.0, near, far]);
        // Ten times the floor is the least positive number of 16 bits.
        let least = f64::from(crate::f16::from_bits(1));
        close(&[Blend::NnUNet.floor([1e-9; 3]) * 10.0 / least], &[1.0]);
        assert!(Blend::Crop.window(4).is_none() && Blend::Average.window(4).is_none());
    }
}
