//! The coordinate system of an affine.

use serde::{Deserialize, Serialize};

/// The coordinate system of an [`crate::Affine`], if the source says: always millimetres to the
/// right, the front and the head, from different origins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Space {
    /// That of the scanner.
    Scanner,
    /// That of another scan, with which this one was aligned.
    Aligned,
    /// That of Talairach and Tournoux.
    Talairach,
    /// That of the MNI 152 template.
    Mni,
    /// That of another template.
    Template,
}

impl Space {
    /// In the order of NIfTI's codes, from 1 up.
    const CODED: [Self; 5] =
        [Self::Scanner, Self::Aligned, Self::Talairach, Self::Mni, Self::Template];

    /// The system of the first transform that counts, given the codes of sform and qform; `None` if
    /// neither counts, or if the code is undefined.
    pub(crate) fn of_codes(sform: i64, qform: i64) -> Option<Self> {
        // Codes have 16 bits in NIfTI-1; larger ones are meaningless.
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
