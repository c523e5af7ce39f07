//! What one chunk holds.

use std::collections::BTreeMap;

use super::label::{Label, real};
use crate::{Element, Scaling};

/// Most labels of one chunk: more than these are no label map, and would only fill memory.
const MAX_LABELS: usize = 1 << 16;

/// Voxels that are compared with the label before them together.
const BLOCK: usize = 64;

/// The rows of a row of chunks along x: planes of voxels in native byte order, each row as long as
/// the volume is wide. The first voxel is at the chunks' first plane and row, and x 0.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Strip<'a> {
    /// All of it.
    pub(crate) voxels: &'a [u8],
    /// Bytes from one plane to the next.
    pub(crate) plane: usize,
    /// Bytes from one row to the next.
    pub(crate) row: usize,
}

impl<'a> Strip<'a> {
    /// The rows of a box of this shape (in voxels, `z, y, x`) that starts at column `x`, in C
    /// order; `item` is in bytes.
    pub(super) fn rows(
        self,
        [depth, height, width]: [usize; 3],
        x: usize,
        item: usize,
    ) -> impl Iterator<Item = &'a [u8]> {
        (0..depth).flat_map(move |z| {
            (0..height).map(move |y| {
                &self.voxels[z * self.plane + y * self.row + x * item..][..width * item]
            })
        })
    }
}

/// Why the labels of a chunk are not counted.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Uncountable {
    /// A label, in words, that `i64` does not hold.
    Beyond(String),
    /// More than [`MAX_LABELS`].
    TooMany,
}

/// How many voxels have each label, ascending.
///
/// Label maps are made of long runs: one look-up serves each, and what goes on with the same label
/// is passed over in blocks.
pub(super) fn labels<'a, T: Label>(
    rows: impl Iterator<Item = &'a [u8]>,
) -> Result<Vec<(i64, u64)>, Uncountable> {
    let mut counts = BTreeMap::new();
    let (mut label, mut run) = (T::default(), 0);
    for block in rows.flat_map(|row| row.chunks(BLOCK * size_of::<T>())) {
        let goes_on = |voxel| voxel == label;
        // Without a way out in the middle, the loop compiles to vectors.
        if elements::<T>(block).fold(true, |all, voxel| all & goes_on(voxel)) {
            run += (block.len() / size_of::<T>()) as u64;
            continue;
        }
        for voxel in elements::<T>(block) {
            if voxel != label {
                count_run(&mut counts, label, run)?;
                (label, run) = (voxel, 0);
            }
            run += 1;
        }
    }
    count_run(&mut counts, label, run)?;
    Ok(counts.into_iter().collect())
}

fn count_run<T: Label>(
    counts: &mut BTreeMap<i64, u64>,
    label: T,
    run: u64,
) -> Result<(), Uncountable> {
    if run == 0 {
        return Ok(());
    }
    let label = label.label().ok_or_else(|| Uncountable::Beyond(format!("{label:?}")))?;
    *counts.entry(label).or_insert(0) += run;
    if counts.len() > MAX_LABELS { Err(Uncountable::TooMany) } else { Ok(()) }
}

/// A weight that is none.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct NoWeight {
    /// Its row, counted in C order.
    pub(super) row: usize,
    /// Its place in the row.
    pub(super) column: usize,
    /// Negative, infinite or NaN.
    pub(super) weight: f64,
}

/// The sum of the weights: each row in order, then the rows in order, so that it is the same
/// wherever it is taken.
pub(super) fn weights<'a, T: Element>(
    rows: impl Iterator<Item = &'a [u8]>,
    scaling: Option<Scaling>,
) -> Result<f64, NoWeight> {
    let mut sum = 0.0;
    for (row, voxels) in rows.enumerate() {
        let mut of_row = 0.0;
        for (column, voxel) in elements::<T>(voxels).enumerate() {
            let weight = real(voxel, scaling);
            if !(0.0..=f64::MAX).contains(&weight) {
                return Err(NoWeight { row, column, weight });
            }
            of_row += weight;
        }
        sum += of_row;
    }
    Ok(sum)
}

fn elements<T: Element>(bytes: &[u8]) -> impl Iterator<Item = T> {
    bytes.chunks_exact(size_of::<T>()).map(bytemuck::pod_read_unaligned)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn runs_of_any_length_are_counted_as_voxel_by_voxel(
            runs in prop::collection::vec((-3_i16..4, 1_usize..200), 1..30),
            width in 1_usize..300,
        ) {
            let voxels: Vec<i16> =
                runs.iter().flat_map(|(label, n)| std::iter::repeat_n(*label, *n)).collect();
            let mut expected = BTreeMap::new();
            for voxel in &voxels {
                *expected.entry(i64::from(*voxel)).or_insert(0_u64) += 1;
            }
            let rows = voxels.chunks(width).map(bytemuck::cast_slice::<i16, u8>);
            let found = labels::<i16>(rows).unwrap();
            prop_assert_eq!(found, expected.into_iter().collect::<Vec<_>>());
        }
    }

    #[test]
    fn what_is_no_label_or_no_weight_is_told() {
        let voxels = [1_u64, 1 << 63, u64::MAX];
        let found = labels::<u64>(std::iter::once(bytemuck::cast_slice(&voxels)));
        assert_eq!(found, Err(Uncountable::Beyond("9223372036854775808".into())));
        let voxels: Vec<u32> = (0..=1 << 16).collect();
        let rows = || voxels.chunks(100).map(bytemuck::cast_slice);
        assert_eq!(labels::<u32>(rows()), Err(Uncountable::TooMany));
        assert_eq!(labels::<u32>(rows().take(655)).unwrap().len(), 65_500);
        let voxels = [0.0, 1.0, -0.0, f64::MAX, f64::NAN, -1.0];
        let rows = voxels.chunks(2).map(bytemuck::cast_slice);
        let found = weights::<f64>(rows, None).unwrap_err();
        assert_eq!((found.row, found.column, found.weight.is_nan()), (2, 0, true));
    }
}
