//! The fingerprint of a model: its answer to one patch. It reveals a change of the model that the
//! command does not show: new weights behind the same command, another checkpoint on another
//! machine, or a model that answers differently after a restart.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Numbers that are kept of a head's answer, spread evenly over the answer.
const KEPT: usize = 512;

/// Two answers of one model differ by at most this share of the greatest number. Graphics
/// processors add in another order from run to run, and choose other kernels for other batches:
/// half precision differs by up to 1e-3, several layers of it by somewhat more.
const TOLERANCE: f32 = 1e-2;

/// A model's answer to the patch in the middle of the grid.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Fingerprint {
    /// One for each head; empty for heads that no output takes.
    heads: Vec<Print>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Print {
    /// Length of the answer.
    numbers: usize,
    /// BLAKE3 digest of the answer as float32.
    blake3: String,
    /// Some of the numbers, as the bits of float32, because JSON has no NaN and no infinity.
    kept: Vec<u32>,
}

impl Print {
    fn of(numbers: &[f32]) -> Self {
        let step = numbers.len().div_ceil(KEPT).max(1);
        let kept = numbers.iter().step_by(step).map(|number| number.to_bits()).collect();
        let blake3 = blake3::hash(bytemuck::cast_slice(numbers)).to_hex().to_string();
        Self { numbers: numbers.len(), blake3, kept }
    }

    /// How `other` differs; `None` if the difference is within the tolerance.
    fn difference(&self, other: &Self) -> Option<String> {
        if self.numbers != other.numbers || self.kept.len() != other.kept.len() {
            return Some(format!("it has {} numbers where it had {}", other.numbers, self.numbers));
        }
        if self.blake3 == other.blake3 {
            return None;
        }
        let values = |print: &Self| print.kept.iter().map(|bits| f32::from_bits(*bits)).collect();
        let (was, is): (Vec<f32>, Vec<f32>) = (values(self), values(other));
        let finite = was.iter().chain(&is).filter(|n| n.is_finite());
        let allowed = TOLERANCE * finite.fold(0.0, |most: f32, n| most.max(n.abs()));
        let differs = |(was, is): &(f32, f32)| {
            let same = was.to_bits() == is.to_bits() || was.is_nan() && is.is_nan();
            // False if exactly one of the two numbers is not finite.
            let near = (was - is).abs() <= allowed;
            !same && !near
        };
        let (was, is) = was.into_iter().zip(is).find(differs)?;
        Some(format!("it has {is} where it had {was}"))
    }
}

impl Fingerprint {
    /// The fingerprint of the numbers of each head.
    pub(super) fn of<'a>(heads: impl Iterator<Item = &'a [f32]>) -> Self {
        Self { heads: heads.map(Print::of).collect() }
    }

    pub(super) fn to_value(&self) -> Value {
        serde_json::to_value(self).expect("numbers and texts are JSON")
    }

    /// How this answer differs from the kept one; `None` if the difference is within the tolerance.
    pub(super) fn difference(&self, kept: Value) -> Option<String> {
        let Ok(kept) = serde_json::from_value::<Self>(kept) else {
            return Some("the fingerprint of the earlier answer cannot be read".to_owned());
        };
        if kept.heads.len() != self.heads.len() {
            return Some(format!(
                "it has {} heads where it had {}",
                self.heads.len(),
                kept.heads.len()
            ));
        }
        kept.heads.iter().zip(&self.heads).find_map(|(was, is)| was.difference(is))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn print(numbers: &[f32]) -> Fingerprint {
        Fingerprint::of(std::iter::once(numbers))
    }

    #[test]
    fn noise_is_the_same_model_and_other_numbers_are_another() {
        let was: Vec<f32> = (0..4000_u16).map(|n| f32::from(n % 90) / 30.0).collect();
        let noisy: Vec<f32> = was.iter().map(|n| n + 0.002).collect();
        let mut other = was.clone();
        other[8] += 0.1;
        let kept = print(&was).to_value();
        assert_eq!(print(&was).difference(kept.clone()), None);
        assert_eq!(print(&noisy).difference(kept.clone()), None);
        assert!(print(&other).difference(kept.clone()).is_some());
        assert!(print(&was[1..]).difference(kept.clone()).unwrap().contains("3999"));
        assert!(print(&was).difference(Value::Null).is_some());
        let doubled = was.iter().map(|n| n * 2.0).collect::<Vec<_>>();
        assert!(print(&doubled).difference(kept).unwrap().contains("where it had"));
    }

    #[test]
    fn numbers_that_are_not_finite_are_compared_as_they_are() {
        let was = [1.0, f32::NAN, f32::INFINITY, f32::MIN];
        let kept = print(&was).to_value();
        assert_eq!(print(&was).difference(kept.clone()), None);
        for (at, number) in [(1, 1.0), (2, f32::NEG_INFINITY), (2, 5.0), (0, f32::NAN)] {
            let mut other = was;
            other[at] = number;
            assert!(print(&other).difference(kept.clone()).is_some(), "{at}: {number}");
        }
    }
}
