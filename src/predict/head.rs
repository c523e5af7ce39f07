//! The shape of a head's blocks: learned from the first block, demanded of all others.

use super::npy::{Header, Number};
use super::report::HeadReport;
use crate::error::show;

/// The most channels of a head.
const CHANNELS: usize = 1 << 16;

/// Channels and shape of the predictions of one head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) channels: usize,
    pub(super) factor: [usize; 3],
    pub(super) shape: [usize; 3],
    /// Type of the numbers of the latest block.
    pub(super) number: Option<Number>,
}

impl Head {
    /// Learns the head from the header of its first block, for a batch of `n` patches.
    pub(super) fn learn(header: &Header, n: usize, patch: [usize; 3]) -> Result<Self, String> {
        let shown = shown(&header.shape);
        let [found, channels, z, y, x] = axes(header, n)?;
        if found != n {
            return Err(format!(
                "its shape is {shown}, and its first axis should be {n}, one for each patch of the \
                                batch"
            ));
        }
        if channels == 0 || channels > CHANNELS {
            return Err(format!(
                "its shape is {shown}; the second axis, of channels, should be 1 to \
                                {CHANNELS}"
            ));
        }
        let shape = [z, y, x];
        if (0..3).any(|a| shape[a] == 0 || !patch[a].is_multiple_of(shape[a])) {
            return Err(format!(
                "its shape is {shown}; the last three axes (z, y, x) must divide those of the \
                                patch, {}",
                show(&patch)
            ));
        }
        let factor = std::array::from_fn(|a| patch[a] / shape[a]);
        Ok(Self { channels, factor, shape, number: Some(header.number) })
    }

    /// The head as an earlier run learned it. Unless the factor divides the patch, the plan refuses
    /// it.
    pub(super) fn known(channels: usize, factor: [usize; 3], patch: [usize; 3]) -> Self {
        let shape = std::array::from_fn(|a| patch[a] / factor[a].max(1));
        Self { channels, factor, shape, number: None }
    }

    /// Refuses a block of another shape.
    pub(super) fn check(&self, header: &Header, n: usize) -> Result<Self, String> {
        let [z, y, x] = self.shape;
        let expected = [n, self.channels, z, y, x];
        if header.shape == expected {
            return Ok(Self { number: Some(header.number), ..*self });
        }
        Err(format!(
            "its shape is {}, and should be {} like its first answer",
            shown(&header.shape),
            shown(&expected)
        ))
    }

    /// Numbers of a block; `None` if their bytes exceed `usize`.
    pub(super) fn numbers(&self, n: usize) -> Option<usize> {
        let voxels = crate::voxels(self.shape)?.checked_mul(self.channels)?.checked_mul(n)?;
        // Their bytes are counted for the largest type.
        voxels.checked_mul(size_of::<f64>()).map(|_| voxels)
    }

    pub(super) const fn report(&self) -> HeadReport {
        let Self { channels, factor, shape, number } = *self;
        let dtype = match number {
            Some(number) => number.name(),
            None => "",
        };
        HeadReport { channels, factor, shape, dtype }
    }
}

/// The five axes of a block, or the `NumPy` index that would add the missing axis.
fn axes(header: &Header, n: usize) -> Result<[usize; 5], String> {
    header.shape[..].try_into().map_err(|_| {
        let missing = match header.shape[..] {
            // The first axis has the length of the batch, so channels are missing, unless the batch
            // is one patch.
            [first, _, _, _] if first == n && n > 1 => "[:, None]",
            [_, _, _] => "[None, None]",
            _ => "[None]",
        };
        format!(
            "its shape is {}; five axes are needed, n, c, z, y, x: prediction{missing} adds the \
             missing one",
            shown(&header.shape)
        )
    })
}

/// A shape as Python writes a tuple.
fn shown(shape: &[usize]) -> String {
    let axes: Vec<_> = shape.iter().map(usize::to_string).collect();
    format!("({}{})", axes.join(", "), if axes.len() == 1 { "," } else { "" })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(shape: &[usize]) -> Header {
        Header { number: Number::Float32, shape: shape.to_vec() }
    }

    #[test]
    fn channels_and_factor_are_learned_and_demanded() {
        let head = Head::learn(&header(&[2, 3, 4, 2, 8]), 2, [4, 8, 8]).unwrap();
        assert_eq!((head.channels, head.factor, head.shape), (3, [1, 4, 1], [4, 2, 8]));
        assert_eq!(head.numbers(2), Some(2 * 3 * 64));
        assert_eq!(head.check(&header(&[1, 3, 4, 2, 8]), 1), Ok(head));
        assert_eq!(Head::known(3, [1, 4, 1], [4, 8, 8]), Head { number: None, ..head });
        assert!(head.check(&header(&[2, 3, 4, 2, 8]), 1).unwrap_err().contains("(1, 3, 4, 2, 8)"));
    }

    #[test]
    fn shapes_that_cannot_be_are_refused() {
        for (shape, told) in [
            (&[2, 3, 4][..], "five axes"),
            (&[4, 8, 8], "prediction[None, None]"),
            (&[3, 4, 8, 8], "prediction[None]"),
            (&[2, 4, 8, 8], "prediction[:, None]"),
            (&[2], "(2,)"),
            (&[1, 1, 4, 8, 8], "first axis should be 2"),
            (&[2, 0, 4, 8, 8], "channels"),
            (&[2, usize::MAX, 4, 8, 8], "channels"),
            (&[2, 1, 3, 8, 8], "divide those of the patch, 4x8x8"),
            (&[2, 1, 8, 8, 8], "divide"),
            (&[2, 1, 4, 0, 8], "divide"),
        ] {
            let refused = Head::learn(&header(shape), 2, [4, 8, 8]).unwrap_err();
            assert!(refused.contains(told), "{refused}");
        }
    }
}
