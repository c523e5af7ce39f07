//! What millimetres are measured from: the coordinates that an affine leads to.

use serde::{Deserialize, Serialize};

/// The coordinates that an [`crate::Affine`] leads to, where the source says: always millimetres to
/// the right, the front and the head, but from another origin in each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Space {
    /// Those of the scanner that took the scan.
    Scanner,
    /// Those of another scan, which this one was aligned with.
    Aligned,
    /// Those of Talairach and Tournoux.
    Talairach,
    /// Those of the MNI 152 template.
    Mni,
    /// Those of another template.
    Template,
}

impl Space {
    /// In the order of NIfTI's codes, from 1 up.
    const CODED: [Self; 5] =
        [Self::Scanner, Self::Aligned, Self::Talairach, Self::Mni, Self::Template];

    /// Of two transforms with these codes, as NIfTI has them, the first that counts: `None` if
    /// neither does, or if its code means nothing.
    pub(crate) fn of_codes(sform: i64, qform: i64) -> Option<Self> {
        // Codes are of 16 bits in NIfTI-1; beyond that they say nothing.
        let counts = |code: &i64| (1..=i64::from(i16::MAX)).contains(code);
        let code = [sform, qform].into_iter().find(counts)?;
        Self::CODED.get(usize::try_from(code - 1).ok()?).copied()
    }

    /// NIfTI's code.
    pub(crate) fn code(self) -> i64 {
        let coded = (1..).zip(Self::CODED);
        coded.into_iter().find(|(_, space)| *space == self).map_or(0, |(code, _)| code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_of_nifti_and_come_back() {
        for (code, space) in (1..).zip(Space::CODED) {
            assert_eq!((space.code(), Space::of_codes(code, 9)), (code, Some(space)));
            assert_eq!(Space::of_codes(0, code), Some(space));
        }
        for (sform, qform) in [(0, 0), (9, 2), (-1, 0), (0, 6), (i64::MIN, i64::MAX)] {
            assert_eq!(Space::of_codes(sform, qform), None, "{sform}, {qform}");
        }
        assert_eq!(serde_json::to_string(&Space::Mni).expect("serialises"), "\"mni\"");
    }
}
